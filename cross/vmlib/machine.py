"""The virtual machine: qemu, started and ended by its own process id, and the root shell on its virtio port."""
import base64
import os
import re
import socket
import subprocess
import tarfile
import time

import children
from children import Lost


class Machine:
    """A booted copy of the image. `slow` is how much longer than on a free machine things take, from the measured boot."""

    FREE_BOOT_S = 20.0  # To the shell, on two free cores.

    def __init__(self, image, work, files, kernel_options=""):
        """`image` holds disk.img, vmlinuz, initrd.gz; `files` appear in the machine in /root/in."""
        self.work, self.slow, self._number, self._buffer = work, 1.0, 0, b""
        os.makedirs(work, exist_ok=True)
        self.disk = os.path.join(work, "disk.img")
        subprocess.run(["cp", "--sparse=always", "--reflink=auto", os.path.join(image, "disk.img"), self.disk], check=True)
        self._image, self._process = image, None
        inside = os.path.join(work, "files.tar")
        with tarfile.open(inside, "w") as tar:
            for path in files:
                tar.add(path, arcname=os.path.basename(path))
        self._files = inside
        self.start(kernel_options)

    def start(self, kernel_options=""):
        """Switches the machine on, waits for its shell, and measures how long that took."""
        self._number, self._buffer = 0, b""
        port = os.path.join(self.work, "shell.sock")
        if os.path.exists(port):
            os.unlink(port)
        image = self._image
        command = [
            "qemu-system-aarch64", "-M", "virt", "-cpu", "cortex-a72", "-smp", "2", "-m", "1024", "-display", "none",
            "-serial", "file:" + os.path.join(self.work, "console.log"), "-monitor", "none",
            "-kernel", image + "/vmlinuz", "-initrd", image + "/initrd.gz",
            "-append", f"console=ttyAMA0 net.ifnames=0 quiet panic=5 {kernel_options}",
            "-drive", f"file={self.disk},if=virtio,format=raw,cache=unsafe",
            "-drive", f"file={self._files},if=virtio,format=raw,readonly=on",
            "-netdev", "user,id=net", "-device", "virtio-net-pci,netdev=net,romfile=",
            "-device", "virtio-serial-pci", "-chardev", f"socket,id=shell,path={port},server=on,wait=off",
            "-device", "virtserialport,chardev=shell,name=leptond.vm",
        ]
        with open(os.path.join(self.work, "qemu.log"), "w", encoding="utf-8") as log:
            self._process = children.start(command, stdout=log, stderr=log)
        self._socket = socket.socket(socket.AF_UNIX)
        deadline = time.monotonic() + 20
        while True:
            try:
                self._socket.connect(port)
                break
            except OSError as error:
                if self._process.poll() is not None or time.monotonic() > deadline:
                    raise Lost(f"qemu did not start ({error}); see {self.work}/qemu.log") from error
                time.sleep(0.1)
        self.boot_s = self.wait_up(240)
        self.slow = max(1.0, self.boot_s / self.FREE_BOOT_S)
        # 10.0.2.3 is where qemu answers for the names that the host knows.
        self.run("mkdir -p /root/in && tar xf /dev/vdb -C /root/in; echo nameserver 10.0.2.3 >/etc/resolv.conf", 60)

    def wait_up(self, limit_s):
        """Until the shell says that it is up. Returns the seconds it took."""
        started = time.monotonic()
        while True:
            line = self._line(started + limit_s)
            if line.startswith("up "):
                return time.monotonic() - started

    def run(self, command, limit_s=60):
        """Runs a command as root with bash. Returns (exit status, what it printed); status 124 where it took too long."""
        limit_s = int(limit_s * self.slow) + 1
        self._number += 1
        sent = base64.b64encode(command.encode()).decode()
        self._socket.sendall(f"{self._number} {limit_s} {sent}\n".encode())
        while True:
            parts = self._line(time.monotonic() + limit_s + 30).split(" ")
            if parts[0] == str(self._number):
                return int(parts[1]), base64.b64decode(parts[2]).decode(errors="replace").rstrip("\n")

    def reboot(self):
        """Restarts as a person would. Returns the seconds until the shell is there again."""
        self._socket.sendall(f"0 60 {base64.b64encode(b'systemctl reboot').decode()}\n".encode())
        took = self.wait_up(240 * self.slow)
        self._number = 0
        return took

    def stop(self):
        """Switches the machine off; the disk stays."""
        if self._process is None:
            return
        try:
            self._socket.sendall(f"0 30 {base64.b64encode(b'systemctl poweroff').decode()}\n".encode())
            self._process.wait(60)
        except (OSError, subprocess.TimeoutExpired):
            pass
        children.end(self._process, 0)
        self._socket.close()
        self._process = None

    def _line(self, deadline):
        while b"\n" not in self._buffer:
            left = deadline - time.monotonic()
            if left <= 0:
                raise Lost(f"no answer; the end of {self.work}/console.log: {self.console()}")
            if self._process.poll() is not None:
                raise Lost(f"qemu ended with status {self._process.returncode}; see {self.work}/qemu.log")
            self._socket.settimeout(min(left, 5.0))
            try:
                more = self._socket.recv(65536)
                if not more:
                    raise Lost("qemu closed the shell")
                self._buffer += more
            except TimeoutError:
                pass
        line, self._buffer = self._buffer.split(b"\n", 1)
        return line.decode(errors="replace").strip()

    def console(self):
        """The last lines that the machine wrote to its console."""
        try:
            with open(os.path.join(self.work, "console.log"), encoding="utf-8", errors="replace") as log:
                return re.sub(r"\s+", " ", log.read())[-300:]
        except OSError:
            return "(none)"
