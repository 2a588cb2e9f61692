"""A mosquitto of our own on a free port of 127.0.0.1 and a subscriber that keeps all that it hears."""
import json
import os
import secrets
import socket
import subprocess
import threading
import time

import children


def free_port():
    """A TCP port that nobody listens on now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class Broker:
    """Starts and stops by process id. Sessions outlive a restart, so a subscriber misses nothing of QoS 1 meanwhile.

    `port` lets everybody in; `guarded_port` of the same broker wants `USER` and `password`."""

    USER = "board"

    def __init__(self, work):
        self._work, self.port, self.guarded_port, self._process = work, free_port(), free_port(), None
        self.password = "pw-" + secrets.token_hex(8)
        os.makedirs(work, exist_ok=True)
        self._config = os.path.join(work, "mosquitto.conf")
        user = "user root\n" if os.getuid() == 0 else ""
        with open(self._config, "w", encoding="utf-8") as config:
            config.write(f"per_listener_settings true\npersistence true\npersistence_location {os.path.abspath(work)}/\n"
                         f"{user}max_queued_messages 0\nlistener {self.port} 127.0.0.1\nallow_anonymous true\n"
                         f"listener {self.guarded_port} 127.0.0.1\nallow_anonymous false\npassword_file {os.path.abspath(work)}/passwords\n")
        subprocess.run(["mosquitto_passwd", "-b", "-c", os.path.join(work, "passwords"), self.USER, self.password], check=True)
        self.heard, self._changed = [], threading.Condition()
        self.start()
        self._subscribe()

    def start(self):
        """Starts it and waits until it takes connections."""
        with open(os.path.join(self._work, "mosquitto.log"), "a", encoding="utf-8") as log:
            self._process = children.start(["mosquitto", "-c", self._config], stdout=log, stderr=log)
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
            children.end(self._process, 20)
            self._process = None

    def _subscribe(self):
        # -R: without what the broker repeats to whoever comes (again); what is said is judged, not what was said once.
        command = ["mosquitto_sub", "-h", "127.0.0.1", "-p", str(self.port), "-i", "vm-judge", "-c", "-q", "1", "-R", "-t", "#",
                   "-F", '{"topic":"%t","payload":"%x"}']
        subscriber = children.start(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
        threading.Thread(target=self._listen, args=(subscriber.stdout,), daemon=True).start()

    def _listen(self, lines):
        for line in lines:
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
                self.heard.append((message["topic"], value))
                self._changed.notify_all()

    def now(self):
        """A mark: how many messages have been heard."""
        with self._changed:
            return len(self.heard)

    def since(self, mark, topic):
        """What was heard after a mark on topics that end so."""
        with self._changed:
            return [value for name, value in self.heard[mark:] if name.endswith(topic)]

    def retained(self, topic):
        """What the broker gives to somebody who comes now, or None."""
        done = subprocess.run(["mosquitto_sub", "-h", "127.0.0.1", "-p", str(self.port), "-t", topic, "-C", "1", "-W", "5", "--retained-only"],
                              check=False, capture_output=True, text=True)
        return json.loads(done.stdout) if done.stdout.strip() else None

    def wait(self, topic, mark, limit_s, wanted=lambda value: True):
        """The first message after the mark on a topic that ends so and is as wanted, or None when it does not come in time."""
        deadline = time.monotonic() + limit_s
        at = mark
        with self._changed:
            while True:
                for name, value in self.heard[at:]:
                    if name.endswith(topic) and wanted(value):
                        return value
                at = len(self.heard)
                left = deadline - time.monotonic()
                if left <= 0:
                    return None
                self._changed.wait(left)
