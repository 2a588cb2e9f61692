"""The pages for the person at a Raspberry Pi: every command that stands there is run, in its order."""
import os
import re

from report import Skipped
from service import CONFIG, want

# Pages and the sections of each whose commands are run.
PAGES = (("docs/installing.md", ("On a Raspberry Pi", "Update and removal")), ("docs/trouble.md", ("Trouble",)))
# Commands that cannot be run here as they stand: a pattern and the reason. Whatever matches none of these is run.
NOT_HERE = (
    (r"^cross/", "runs on the machine that builds the package"),
    (r"^sudo raspi-config|^rpicam|^vcgencmd", "a Raspberry Pi's own program"),
    (r"/boot/firmware", "a Raspberry Pi's own file"),
    (r"(?<!-)reboot$", "rebooting is a check of its own"),
)
# Commands that run until they are ended: they have to print something within these seconds.
ENDLESS = r"journalctl .*-f\b|leptond watch\b(?!.*--(count|for))|leptond probe --watch"
WATCHED_S = 12
# Commands that fetch from the internet, which not every machine reaches.
FETCHES = r"model add (?!/|\./)|^sudo apt update"
# The first word of a command, to tell it from names of files and keys in the same type.
PROGRAMS = "sudo|leptond|cross/[a-z]+|journalctl|systemctl|apt|dpkg|mosquitto_(?:sub|pub)|rpicam-[a-z]+|vcgencmd|v4l2-ctl"


def section(markdown, heading):
    """The text below a heading, to the next one."""
    return re.split(rf"^#+ {re.escape(heading)}$", markdown, maxsplit=1, flags=re.M)[1].split("\n## ", 1)[0]


def commands(sections):
    """The commands of the sections: lines of their blocks of shell, and code in the text that starts with a program.

    In the pages' order, but that of setting up comes first (a form with flags stands for the questions) and taking away last."""
    found = []
    for block, text in re.findall(r"```sh\n(.*?)```|((?:(?!```).)+)", "\n".join(sections), re.S):
        lines = re.sub(r"\\\n\s*", " ", block).splitlines() if block else re.findall(rf"`((?:{PROGRAMS}) [^`]+)`", text)
        for line in lines:
            line = re.sub(r"\s+#.*$", "", line).strip()
            bare = re.fullmatch(r"(sudo )?apt \w+", line)
            if line and not line.startswith("#") and not bare and line not in found:
                found.append(line)
    turn = {"setup": 0, "cross": 0, "remove": 2, "purge": 2}
    return sorted(found, key=lambda line: next((turn[word] for word in turn if word in line.split("/")[0] and "model" not in line.split()),
                                               0 if "apt install" in line else 1))


def read(repo):
    """The commands of PAGES."""
    sections = []
    for page, headings in PAGES:
        with open(os.path.join(repo, page), encoding="utf-8") as file:
            markdown = file.read()
        sections += [section(markdown, heading) for heading in headings]
    return commands(sections)


def questions(service):
    """`leptond setup` at a terminal: it asks, and Ctrl-C changes nothing. Answering is what its form with flags does."""
    service.must(f"sha256sum {CONFIG} >/root/before.sum")
    wait_s = service.limit_s(3)
    out = service.run(f"(sleep {wait_s:.0f}; printf '\\003') | timeout {wait_s * 5:.0f} script -qec 'leptond setup' /dev/null; echo \" ended with ${{PIPESTATUS[1]}}\"", 120)
    kept = service.machine.run("sha256sum -c --quiet /root/before.sum")[0] == 0
    seen = f"at a terminal: “{out.strip()[:100]}”, after Ctrl-C; configuration {'as before' if kept else 'CHANGED'}"
    return want(kept and "[" in out and "ended with 130" in out, seen)


def run(service, line, deb):
    """One command of the page, with this machine's package and broker in the place of the page's."""
    if line == "sudo leptond setup":
        return questions(service)
    for pattern, why in NOT_HERE:
        if re.search(pattern, line):
            raise Skipped(why)
    actual = re.sub(r"\./leptond_\S+\.deb", f"/root/in/{deb}", line)
    actual = re.sub(r"--broker \S+", f"--broker {service.broker_host}:{service.broker.port}", actual)
    actual = re.sub(r"\bapt (?=install|remove|purge)", "apt-get -y -q -o APT::Sandbox::User=root ", actual)
    endless = re.search(ENDLESS, actual)
    prefix = 'sudo() { "$@"; }; systemctl() { SYSTEMD_PAGER= command systemctl "$@"; };'
    if endless:
        # `sudo` is a function here, which timeout cannot call.
        actual = f"timeout {service.limit_s(WATCHED_S):.0f} " + re.sub(r"^sudo ", "", actual)
    status, out = service.machine.run(f"{prefix} {actual} </dev/null", 240)
    lines = out.strip().splitlines()
    if status != 0 and re.search(FETCHES, line) and re.search(r"(?i)name \S+ was not found|resolve|connect|unreachable|timed out", out):
        raise Skipped(f"the internet is not reached from here: {lines[0][-150:]}")
    seen = f"exit {status}{' when it was ended' if status == 124 else ''}: " + " / ".join(lines[-2:])
    # A journal may tell of a broker that was away once; a watcher that hears nobody has failed.
    heard = lines and ("watch" not in line or "trying again" not in out)
    # The doctor has done its work also where it finds trouble.
    good = (124, 0) if endless else (0, 1) if "leptond doctor" in line else (0,)
    return want(status in good and (heard or not endless) and "panicked" not in out, seen)
