"""The installed service as the checks see it: its properties, its journal, its configuration."""
import time

from report import Failed, want

CONFIG = "/etc/leptond/leptond.toml"


class Service:
    """What is done to leptond.service on a machine, and what it says to the broker."""

    def __init__(self, machine, broker, broker_host):
        self.machine, self.broker, self.broker_host = machine, broker, broker_host

    def run(self, command, limit_s=60):
        """Runs a command, whatever its status. Returns what it printed."""
        return self.machine.run(command, limit_s)[1]

    def must(self, command, limit_s=60):
        """Runs a command that has to succeed. Returns what it printed."""
        status, out = self.machine.run(command, limit_s)
        if status != 0:
            raise Failed(f"`{command.splitlines()[0][:120]}` ended with {status}: …{out[-600:]}")
        return out

    def show(self, *properties):
        """`systemctl show` as a dictionary."""
        out = self.run("systemctl show leptond -p " + ",".join(properties))
        return dict(line.split("=", 1) for line in out.splitlines() if "=" in line)

    def limit_s(self, seconds):
        """A limit for this machine, as slow as it is."""
        return seconds * self.machine.slow

    def until(self, what, limit_s, probe):
        """Asks until `probe` returns something true. Returns that."""
        deadline = time.monotonic() + self.limit_s(limit_s)
        while True:
            seen = probe()
            if seen:
                return seen
            if time.monotonic() > deadline:
                state = self.show("ActiveState", "SubState", "NRestarts", "StatusText", "ExecMainStatus")
                raise Failed(f"{what} did not come within {self.limit_s(limit_s):.0f} s: {state}; journal: {self.journal()[-500:]}")
            time.sleep(0.5)

    def active(self, limit_s=60):
        """Until the service has said READY=1."""
        return self.until("active", limit_s, lambda: self.show("ActiveState")["ActiveState"] == "active")

    def message(self, topic, mark, limit_s=60, wanted=lambda value: True):
        """A message after the mark, or the check fails."""
        value = self.broker.wait(topic, mark, self.limit_s(limit_s), wanted)
        if value is None:
            heard = [name for name, _ in self.broker.heard[mark:]][-5:]
            raise Failed(f"no message on …{topic} within {self.limit_s(limit_s):.0f} s; heard {heard}; journal: {self.journal()[-500:]}")
        return value

    def journal(self, lines=8, since=None):
        """The last lines of the service's journal."""
        mark = f"--after-cursor='{since}'" if since else f"-n {lines}"
        return self.run(f"journalctl -u leptond --no-pager -o cat {mark}")

    def cursor(self):
        """Where the journal stands now."""
        out = self.run("journalctl --no-pager -n 0 --show-cursor")
        return out.rsplit("-- cursor: ", 1)[-1].strip()

    def configure(self, pipelines, extra=""):
        """Writes a configuration with our broker and these pipelines, keeping the file's owner and mode."""
        text = f"""# Written by the checks.
[node]
name = "vm"
health_interval_s = 2
[mqtt]
host = "{self.broker_host}"
port = {self.broker.port}
keep_alive_s = 5
{extra}
{pipelines}"""
        self.must(f"cat >{CONFIG} <<'TOML'\n{text}\nTOML")

    def restart(self):
        """Restarts it and waits until it is ready. The checks do so more often than StartLimitBurst allows."""
        self.must("systemctl reset-failed leptond; systemctl restart leptond", 100)
        self.active()


def counter(name="counter", fps=2):
    """A pipeline that needs no device: the drawn meter, read by the digits model."""
    return f"""
[[pipeline]]
name = "{name}"
model = "leptonnet-digits"
[pipeline.source]
type = "synthetic"
fps = {fps}
"""


def changing(name="changing"):
    """A pipeline whose label changes each second: the model's own pictures of 0 to 9, over and over."""
    return f"""
[[pipeline]]
name = "{name}"
model = "leptonnet-digits"
[pipeline.source]
type = "files"
path = "/usr/share/leptond/models/leptonnet-digits/golden/[0-9].png"
loop = true
fps = 1
"""


def camera(pixel_format, width=640, height=480, device="/dev/video0"):
    """The meter reading of README on a Video4Linux camera."""
    rects = ", ".join(f"{{ rect = [{140 + 72 * digit}, 192, 72, 96] }}" for digit in range(5))
    return f"""
[[pipeline]]
name = "water"
model = "leptonnet-digits"
[pipeline.source]
type = "v4l2"
device = "{device}"
width = {width}
height = {height}
fps = 5
format = "{pixel_format}"
[pipeline.preprocess]
regions = [{rects}]
[pipeline.task]
min_score = 0.0
"""


__all__ = ["CONFIG", "Failed", "Service", "camera", "changing", "counter", "want"]
