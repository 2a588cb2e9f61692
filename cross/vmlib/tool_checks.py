"""The commands that a person at the board types: setup, model, doctor, probe, watch."""
import functools
import hashlib
import http.server
import os
import re
import threading

from report import Skipped
from service import CONFIG, changing, want
from web import Quiet

REPO = os.path.abspath(os.path.join(os.path.dirname(__file__), "..", ".."))
DIGITS = "/usr/share/leptond/models/leptonnet-digits"
# What has to be said of a model that comes as a bare file.
BARE = "--task classify --labels /root/digits.txt --colour grey --size 32x24"


def command(service, line, words="", statuses=(0,), limit_s=60):
    """One command as it is typed, without a terminal; words that have to be in what it prints."""
    status, out = service.machine.run(f"{line} </dev/null", limit_s)
    lines = out.strip().splitlines()
    seen = f"exit {status}: " + " / ".join(lines[:3])
    return want(status in statuses and lines and re.search(words, out) and "panicked" not in out, seen)


def doctor(service):
    """What is wrong with this machine. The exit code says whether anything is."""
    if service.machine.run("leptond doctor --help")[0] != 0:
        raise Skipped("this package has no such command")
    return command(service, "leptond doctor", "", (0, 1))


def watch(service):
    """What the service says, shown on the board itself, broker from the configuration."""
    return command(service, "leptond watch --count 5 --for 30s", r"\A(?!.*trying again)(?s:.*)\bvm\b")


def model_list(service):
    """What is installed and what the catalog offers."""
    return command(service, "leptond model list", "(?s)leptonnet-digits.*in the catalog.*fastestdet")


def model_file(service):
    """A model from a file is installed, used by the service, guarded while it is used, and removed."""
    service.must("printf '%s\\n' 0 1 2 3 4 5 6 7 8 9 none >/root/digits.txt")
    service.must(f"leptond model add {DIGITS}/small.onnx --name mine {BARE}")
    listed = [line.split() for line in service.must("leptond model list").splitlines() if line.split()[:1] == ["mine"]]
    want(listed, "leptond model list does not show it")
    service.configure(changing().replace('"leptonnet-digits"', '"mine"'))
    mark = service.broker.now()
    service.restart()
    result = service.message("changing/result", mark, wanted=lambda value: value["label"] != "")
    kept, said = service.machine.run("leptond model remove mine")
    service.configure(changing())
    service.restart()
    service.must("leptond model remove mine")
    gone = service.run(f"find / -xdev -path /proc -prune -o -name mine -print; leptond model list | grep -w mine")
    seen = f"listed, the service reads {result['label']} with it; removing it while it is used: exit {kept}, {said.splitlines()[-1][:120]}; then removed"
    return want(kept != 0 and gone == "", seen + (f"; LEFT {gone}" if gone else ""))


def model_address(service):
    """A model from an HTTP server: with another hash than was said nothing is installed, with the right one it is."""
    folder = os.path.join(REPO, "models", "leptonnet-digits")
    with open(os.path.join(folder, "small.onnx"), "rb") as file:
        digest = hashlib.sha256(file.read()).hexdigest()
    handler = functools.partial(Quiet, directory=folder)
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        line = f"leptond model add http://{service.broker_host}:{server.server_port}/small.onnx --name fetched {BARE} --sha256 "
        wrong, said = service.machine.run(line + "0" * 64)
        # An empty directory may stay aside in .partial, which the next attempt sweeps.
        left = service.run("find / -xdev \\( -path /proc -o -name .partial \\) -prune -o -name '*fetched*' -print; leptond model list | grep -w fetched")
        right, out = service.machine.run(line + digest)
        server.shutdown()
    listed = service.run("leptond model list | grep -cw fetched")
    service.run("leptond model remove fetched")
    seen = f"wrong hash: exit {wrong}, {said.splitlines()[-1][:140]}, left {left or 'nothing'}; right hash: exit {right}, {out.splitlines()[-1][:120]}"
    return want(wrong != 0 and "sha256" in said and left == "" and right == 0 and listed == "1", seen)


def setup(service):
    """By flags, against a broker with a password; then the commands that it prints; then the service runs with the credential."""
    broker = service.broker
    service.configure(changing())
    service.must("sha256sum /etc/leptond/leptond.toml >/root/before.sum")
    service.must(f"printf '%s' 'no-{broker.password}' >/root/wrong; printf '%s' '{broker.password}' >/root/right")
    flags = (f"leptond setup --yes --broker {service.broker_host}:{broker.guarded_port} --username {broker.USER} --node vm "
             "--source synthetic --model leptonnet-digits --name meter --password-stdin")
    wrong, said = service.machine.run(flags + " </root/wrong", 90)
    want(wrong != 0 and service.machine.run("sha256sum -c --quiet /root/before.sum")[0] == 0, f"a wrong password: exit {wrong}, {said[-200:]}")
    out = service.must(flags + " </root/right", 90)
    following = [line.strip() for line in out.splitlines() if line.startswith("  ") and "systemctl" in line]
    want(following and broker.password not in out, f"no next command, or the password, in: {out[-300:]}")
    mark = broker.now()
    service.must("sudo() { \"$@\"; }\n" + "\n".join(following), 100)
    service.active()
    service.message("meter/result", mark)
    places = {
        "systemctl show": "systemctl show leptond", "systemctl cat": "systemctl cat leptond", "ps with environments": "ps axeww",
        "the journal": "journalctl -b --no-pager -u leptond", "the configuration": "cat /etc/leptond/*.toml /etc/leptond/*.bak* 2>/dev/null",
        "the drop-ins": "cat /etc/systemd/system/leptond.service.d/* 2>/dev/null", "the state": "grep -r pw- /var/lib/leptond /run/leptond 2>/dev/null",
    }
    found = [place for place, line in places.items() if broker.password in service.run(line)]
    rights = service.run("stat -c '%a %U' /etc/leptond/mqtt-password")
    again, same = service.machine.run(flags.replace(" --password-stdin", "") + " --replace", 90)
    seen = (f"wrong password: exit {wrong}, nothing changed, “{said.splitlines()[-1][:110]}”; right one: written, `{following[0][:90]}`, results; "
            f"password in {', '.join(found) or 'none of ' + ', '.join(places)}; /etc/leptond/mqtt-password {rights}; run again: exit {again}, {same.splitlines()[0][:90]}")
    service.run(f"rm -f /root/wrong /root/right /etc/leptond/mqtt-password {CONFIG}.bak*")
    return want(not found and rights == "600 root" and again == 0, seen)
