"""A mosquitto of our own on a free port of 127.0.0.1 and a subscriber that keeps all that it hears."""
import json
import os
import socket
import subprocess
import threading
import time


def free_port():
    """A TCP port that nobody listens on now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class Broker:
    """Starts and stops by process id. Sessions outlive a restart, so a subscriber misses nothing of QoS 1 meanwhile."""

    def __init__(self, work):
        self._work, self.port, self._process, self._subscriber = work, free_port(), None, None
        os.makedirs(work, exist_ok=True)
        self._config = os.path.join(work, "mosquitto.conf")
        user = "user root\n" if os.getuid() == 0 else ""
        with open(self._config, "w", encoding="utf-8") as config:
            config.write(f"listener {self.port} 127.0.0.1\nallow_anonymous true\npersistence true\n"
                         f"persistence_location {os.path.abspath(work)}/\n{user}max_queued_messages 0\n")
        self.heard, self._changed = [], threading.Condition()
        self.start()
        self._subscribe()

    def start(self):
        """Starts it and waits until it takes connections."""
        with open(os.path.join(self._work, "mosquitto.log"), "a", encoding="utf-8") as log:
            self._process = subprocess.Popen(["mosquitto", "-c", self._config], stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        deadline = time.monotonic() + 20
        while True:
            try:
                socket.create_connection(("127.0.0.1", self.port), 1).close()
                return
            except OSError:
                if self._process.poll() is not None or time.monotonic() > deadline:
                    raise RuntimeError(f"mosquitto did not start: see {self._work}/mosquitto.log") from None
                time.sleep(0.05)

    def stop(self):
        """Ends it as `systemctl stop mosquitto` does: it saves its sessions."""
        if self._process is not None:
            self._process.terminate()
            self._process.wait(20)
            self._process = None

    def _subscribe(self):
        command = ["mosquitto_sub", "-h", "127.0.0.1", "-p", str(self.port), "-i", "vm-judge", "-c", "-q", "1", "-t", "#",
                   "-F", '{"topic":"%t","retained":%r,"payload":"%x"}']
        self._subscriber = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                                            stderr=subprocess.DEVNULL, text=True)
        threading.Thread(target=self._listen, daemon=True).start()

    def _listen(self):
        for line in self._subscriber.stdout:
            try:
                message = json.loads(line)
                text = bytes.fromhex(message["payload"]).decode(errors="replace")
            except ValueError:
                continue
            try:
                value = json.loads(text)
            except ValueError:
                value = text
            with self._changed:
                self.heard.append((time.monotonic(), message["topic"], value))
                self._changed.notify_all()

    def now(self):
        """A mark: how many messages have been heard."""
        with self._changed:
            return len(self.heard)

    def since(self, mark, topic):
        """What was heard after a mark on topics that end so."""
        with self._changed:
            return [value for _, name, value in self.heard[mark:] if name.endswith(topic)]

    def wait(self, topic, mark, limit_s, wanted=lambda value: True):
        """The first message after the mark on a topic that ends so and is as wanted, or None when it does not come in time."""
        deadline = time.monotonic() + limit_s
        at = mark
        with self._changed:
            while True:
                for _, name, value in self.heard[at:]:
                    if name.endswith(topic) and wanted(value):
                        return value
                at = len(self.heard)
                left = deadline - time.monotonic()
                if left <= 0:
                    return None
                self._changed.wait(left)

    def end(self):
        """Ends broker and subscriber."""
        if self._subscriber is not None:
            self._subscriber.terminate()
            self._subscriber.wait()
        self.stop()
