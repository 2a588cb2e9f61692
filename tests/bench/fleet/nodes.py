"""Nodes on one machine: network namespaces on a bridge, control groups (version 1) that hold each to a share of a core, and a proxy that stands for
a slow way, since this kernel has no netem."""
import json, os, pathlib, random, shutil, socket, subprocess, sys, threading, time

CGROUP = pathlib.Path("/sys/fs/cgroup/cpu/leptond-fleet-bench")
ACCT = pathlib.Path("/sys/fs/cgroup/cpuacct/leptond-fleet-bench")
PERIOD_US = 50_000


def sh(*words):
    subprocess.run(words, check=True, stdout=subprocess.DEVNULL)


class Net:
    """Network namespaces on one bridge."""

    def __init__(self):
        self.names = []
        self.bridge = f"lfb{os.getpid() % 10000}"
        sh("ip", "link", "add", self.bridge, "type", "bridge")
        sh("ip", "link", "set", self.bridge, "up")

    def add(self, name):
        """A namespace; its address."""
        number = len(self.names) + 1
        space, veth = f"{self.bridge}-{name}", f"{self.bridge}v{number}"
        sh("ip", "netns", "add", space)
        self.names.append(space)
        sh("ip", "link", "add", veth, "type", "veth", "peer", "name", "eth0", "netns", space)
        sh("ip", "link", "set", veth, "master", self.bridge, "up")
        sh("ip", "-n", space, "addr", "add", f"10.77.0.{number}/24", "dev", "eth0")
        sh("ip", "-n", space, "link", "set", "eth0", "up")
        sh("ip", "-n", space, "link", "set", "lo", "up")
        return space, f"10.77.0.{number}"

    def bytes(self, space):
        """Bytes that a namespace received and sent."""
        out = subprocess.run(["ip", "-n", space, "-s", "-j", "link", "show", "eth0"], check=True, capture_output=True).stdout
        stats = json.loads(out)[0]["stats64"]
        return stats["rx"]["bytes"] + stats["tx"]["bytes"]

    def close(self):
        for space in self.names:
            subprocess.run(["ip", "netns", "del", space])
        subprocess.run(["ip", "link", "del", self.bridge])


class Group:
    """A control group; its processor time, and its quota as a share of a core."""

    def __init__(self, name, share=None):
        self.cpu, self.acct = CGROUP / name, ACCT / name
        for path in {self.cpu.resolve(), self.acct.resolve()}:
            path.mkdir(parents=True, exist_ok=True)
        if share is not None:
            (self.cpu / "cpu.cfs_period_us").write_text(str(PERIOD_US))
            (self.cpu / "cpu.cfs_quota_us").write_text(str(int(PERIOD_US * share)))

    def enter(self):
        for path in {self.cpu.resolve(), self.acct.resolve()}:
            (path / "cgroup.procs").write_text(str(os.getpid()))

    def seconds(self):
        return int((self.acct / "cpuacct.usage").read_text()) / 1e9


def start(space, group, words, log, **more):
    return subprocess.Popen(["ip", "netns", "exec", space, *map(str, words)], preexec_fn=group.enter, stdin=subprocess.DEVNULL,
                            stdout=more.pop("stdout", log), stderr=log, **more)


def remove_groups():
    """Removes the control groups, which have to be empty."""
    for root in {CGROUP.resolve(), ACCT.resolve()}:
        for path in [*root.iterdir(), root]:
            if path.is_dir():
                path.rmdir()


def usable():
    """Ends with 77 where this machine has not what is needed."""
    if os.geteuid() != 0 or not CGROUP.parent.is_dir() or not shutil.which("ip"):
        print("needs root, control groups of version 1 and ip")
        sys.exit(77)


class Way:
    """A TCP proxy to `target` that gives each piece of up to 1448 bytes on `delay_s` later, in order; a lost one (`loss`) and all behind it wait for
    one more retransmission time-out. It stands for delay and loss, not for the window of the real protocol."""

    RTO_S = 0.2

    def __init__(self, address, target, delay_s, loss):
        self.target, self.delay_s, self.loss = target, delay_s, loss
        self.server = socket.create_server(address)
        threading.Thread(target=self.accept, daemon=True).start()

    def accept(self):
        while True:
            client, _ = self.server.accept()
            server = socket.create_connection(self.target)
            for one in (client, server):
                one.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            for source, sink in ((client, server), (server, client)):
                threading.Thread(target=self.carry, args=(source, sink), daemon=True).start()

    def carry(self, source, sink):
        pieces, more = [], threading.Condition()

        def give():
            while True:
                with more:
                    while not pieces:
                        more.wait()
                    due, data = pieces.pop(0)
                time.sleep(max(0.0, due - time.monotonic()))
                if not data:
                    sink.close()
                    return
                try:
                    sink.sendall(data)
                except OSError:
                    return

        threading.Thread(target=give, daemon=True).start()
        last = 0.0
        while True:
            try:
                data = source.recv(1448)
            except OSError:
                data = b""
            due = time.monotonic() + self.delay_s
            if random.random() < self.loss:
                due += self.RTO_S
            last = max(last, due)
            with more:
                pieces.append((last, data))
                more.notify()
            if not data:
                return


if __name__ == "__main__":
    # In the namespace of a node: nodes.py PORT HOST:PORT DELAY_MS LOSS_PERCENT
    port, target, delay, loss = sys.argv[1:]
    host, to = target.rsplit(":", 1)
    Way(("127.0.0.1", int(port)), (host, int(to)), float(delay) / 1e3, float(loss) / 100)
    threading.Event().wait()
