"""The quicker form: the same checks in a container of systemd-nspawn on this machine's own kernel and processor."""
import base64
import os
import shutil
import subprocess
import time

import children
from children import Lost

SHELL = """#!/bin/bash
# Runs what the host writes to a FIFO: a line "ID SECONDS BASE64" is answered by "ID STATUS BASE64".
exec 3<>/vm-shell/in 4<>/vm-shell/out
echo "up 0 0" >&4
while read -r id seconds command <&3; do
    out=$(base64 -d <<<"$command" | timeout -k 5 "$seconds" bash 2>&1 3>&- 4>&-)
    echo "$id $? $(base64 -w0 <<<"$out")" >&4
done
"""
UNIT = """[Unit]
Description=Shell for the checks on the package
[Service]
ExecStart=/usr/local/sbin/vm-shell
Environment=HOME=/root DEBIAN_FRONTEND=noninteractive LANG=C.UTF-8
KillMode=process
[Install]
WantedBy=multi-user.target
"""


class Container:
    """A copy of the root, booted with systemd. The network is the host's, so the host's broker is at 127.0.0.1."""

    FREE_BOOT_S = 3.0

    def __init__(self, root, work, files):
        self.work, self.root, self.slow, self._number, self._buffer = work, os.path.join(work, "root"), 1.0, 0, b""
        subprocess.run(["cp", "-a", "--reflink=auto", root, self.root], check=True)
        self._write("usr/local/sbin/vm-shell", SHELL, 0o755)
        self._write("etc/systemd/system/vm-shell.service", UNIT, 0o644)
        os.symlink("../vm-shell.service", self.root + "/etc/systemd/system/multi-user.target.wants/vm-shell.service")
        # A network that is the host's is not to be configured, and its name not to be changed.
        self._write("etc/hostname", "leptond-package\n", 0o644)
        self._write("etc/hosts", "127.0.0.1 localhost leptond-package\n::1 localhost\n", 0o644)
        os.makedirs(self.root + "/vm-shell")
        for name in ("in", "out"):
            os.mkfifo(f"{self.root}/vm-shell/{name}", 0o600)
        os.makedirs(self.root + "/root/in")
        for path in files:
            shutil.copy(path, self.root + "/root/in/")
        # Opened for both ways, so that neither side waits for the other to open.
        self._in = os.open(self.root + "/vm-shell/in", os.O_RDWR | os.O_NONBLOCK)
        self._out = os.open(self.root + "/vm-shell/out", os.O_RDWR | os.O_NONBLOCK)
        with open(work + "/nspawn.log", "w", encoding="utf-8") as log:
            self._process = children.start(
                ["systemd-nspawn", "-D", self.root, "--register=no", "--keep-unit", "--console=pipe", "--resolv-conf=off", "-b"],
                stdout=log, stderr=log)
        started = time.monotonic()
        try:
            self._line(started + 60)
        except Lost:
            # The caller goes on with dpkg alone in the same root.
            children.end(self._process)
            raise
        self.boot_s = time.monotonic() - started
        self.slow = max(1.0, self.boot_s / self.FREE_BOOT_S)

    def _write(self, path, text, mode):
        path = os.path.join(self.root, path)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "w", encoding="utf-8") as file:
            file.write(text)
        os.chmod(path, mode)

    def run(self, command, limit_s=60):
        """As `Machine.run`."""
        limit_s = int(limit_s * self.slow) + 1
        self._number += 1
        line = f"{self._number} {limit_s} {base64.b64encode(command.encode()).decode()}\n".encode()
        while line:
            try:
                line = line[os.write(self._in, line):]
            except BlockingIOError:
                time.sleep(0.01)
        while True:
            parts = self._line(time.monotonic() + limit_s + 30).split(" ")
            if parts[0] == str(self._number):
                return int(parts[1]), base64.b64decode(parts[2]).decode(errors="replace").rstrip("\n")

    def _line(self, deadline):
        while b"\n" not in self._buffer:
            try:
                self._buffer += os.read(self._out, 65536)
            except BlockingIOError:
                if self._process.poll() is not None:
                    raise Lost(f"systemd-nspawn ended with status {self._process.returncode}: {self.console()}") from None
                if time.monotonic() > deadline:
                    raise Lost(f"no answer; the end of the console: {self.console()}") from None
                time.sleep(0.01)
        line, self._buffer = self._buffer.split(b"\n", 1)
        return line.decode(errors="replace").strip()

    def init(self):
        """Process id of the container's first process, as this machine has it."""
        with open(f"/proc/{self._process.pid}/task/{self._process.pid}/children", encoding="ascii") as file:
            return int(file.read().split()[0])

    def console(self):
        """The last lines that systemd-nspawn printed."""
        with open(self.work + "/nspawn.log", encoding="utf-8", errors="replace") as log:
            return " / ".join(log.read().strip().splitlines()[-4:])


class Chroot:
    """Where no container can be started: dpkg alone, without systemd. `run` is all that it can."""

    def __init__(self, root, work, files):
        self.root, self.slow = os.path.join(work, "root"), 1.0
        if not os.path.exists(self.root):
            subprocess.run(["cp", "-a", "--reflink=auto", root, self.root], check=True)
        os.makedirs(self.root + "/root/in", exist_ok=True)
        for path in files:
            shutil.copy(path, self.root + "/root/in/")
        # Starting services is refused by policy, as when an image is built.
        with open(self.root + "/usr/sbin/policy-rc.d", "w", encoding="utf-8") as file:
            file.write("#!/bin/sh\nexit 101\n")
        os.chmod(self.root + "/usr/sbin/policy-rc.d", 0o755)
        # systemd-tmpfiles, which sets the configuration's owner, needs /proc.
        self.proc = subprocess.run(["mount", "-t", "proc", "proc", self.root + "/proc"], check=False, capture_output=True).returncode == 0

    def run(self, command, limit_s=60):
        """As `Machine.run`."""
        done = subprocess.run(["timeout", "-k", "5", str(limit_s), "chroot", self.root, "/bin/bash"], input=command.encode(), check=False,
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT, env={**os.environ, "DEBIAN_FRONTEND": "noninteractive"})
        return done.returncode, done.stdout.decode(errors="replace").rstrip("\n")

    def end(self):
        """Nothing runs; /proc is taken out, so that the root can be removed."""
        if self.proc:
            subprocess.run(["umount", self.root + "/proc"], check=False)
            self.proc = False
