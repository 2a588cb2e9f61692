"""The checks of tests/package in their order: in a container with systemd, else in a plain root with dpkg alone."""
import os
import shutil
import sys

import broker_checks
import children
import package_checks as package
import runtime_checks as runtime
from broker import Broker
from children import Lost
from container import Chroot, Container
from report import Report, want
from service import Service, counter
from vm import packages, typed

LIMIT_S = 300


def main(root, work, deb):
    """Runs everything. Returns the exit code."""
    deb = os.path.abspath(deb)
    shutil.rmtree(work, ignore_errors=True)
    os.makedirs(work)
    children.limit(float(os.environ.get("PACKAGE_LIMIT_S", LIMIT_S)))
    report = Report(os.path.join(work, "transcript.txt"))
    chroot = None
    try:
        following = package.next_version(deb, work)
        files = [deb, following]
        try:
            machine = Container(root, work, files)
        except (Lost, OSError) as error:
            report.note(f"no container here ({error}): dpkg alone; service, watchdog, restarts, configuration errors and messages are not checked")
            chroot = Chroot(root, work, files)
            plain(report, chroot, os.path.basename(deb), os.path.basename(following))
        else:
            broker = Broker(work + "/broker")
            judge(report, Service(machine, broker, "127.0.0.1"), os.path.basename(deb), os.path.basename(following))
    except (Lost, OSError) as error:
        report.lost(str(error))
    finally:
        children.end_all()
        if chroot is not None:
            chroot.end()
        shutil.rmtree(work + "/root", ignore_errors=True)
    return report.end(f"tests/package with {os.path.basename(deb)} {package.field(deb, 'Version')}")


def judge(report, service, first, following):
    """As cross/vm, without what needs a machine of its own: reboot, camera, kernel options."""
    check = report.check
    if not check("apt-get install from a file", package.install, service, first):
        return
    check("runs as it comes, without a broker, as its own user", runtime.shipped, service)
    if not check("messages", runtime.messages, service):
        return
    check("hang (SIGSTOP): watchdog", runtime.stopped, service)
    check("kill -9", runtime.killed, service)
    check("broker away and back", broker_checks.broker_away, service, 8)
    typed(report, service)
    service.configure(counter())
    service.restart()
    check("reload, bad file", runtime.reload_bad, service)
    check("configuration error at start", runtime.wrong_configuration, service)
    check("clean stop", runtime.clean_stop, service)
    packages(report, service, first, following)
    check("installed again", package.reinstall, service, first)


def plain(report, chroot, first, following):
    """What dpkg alone can show."""
    def step(command, good, words):
        status, out = chroot.run(command, 100)
        return want(good(status, out), f"exit {status}; {words}: {out[-200:]}")

    installed = "dpkg-query -W -f '${db:Status-Abbrev}${Version}' leptond"
    fine = lambda status, _: status == 0  # noqa: E731
    report.check("install", step, f"dpkg -i /root/in/{first} && {installed} && stat -c '%a %U:%G' /etc/leptond/leptond.toml",
                 lambda status, out: status == 0 and ("640 root:leptond" in out or not chroot.proc), "installed")
    report.check("runs", step, "leptond --version && leptond check >/dev/null", fine, "version and check")
    report.check("upgrade, my conffile", step, f"echo '# mine' >>/etc/leptond/leptond.toml && dpkg --force-confold -i /root/in/{following} "
                 "&& tail -n 1 /etc/leptond/leptond.toml && ls /etc/leptond", lambda status, out: status == 0 and "# mine" in out, "kept")
    report.check("downgrade", step, f"dpkg --force-confold -i /root/in/{first} && {installed}", fine, "older")
    report.check("remove", step, "dpkg -r leptond && test -e /etc/leptond/leptond.toml && test ! -e /usr/bin/leptond", fine, "configuration kept")
    report.check("purge", step, "dpkg -P leptond; find /usr /etc /var/lib /run -iname '*leptond*' ; getent passwd leptond",
                 lambda _, out: not [line for line in out.splitlines() if "leptond" in line and not line.startswith(("Purging", "(Reading", "Removing"))],
                 "nothing left")


if __name__ == "__main__":
    for need in ("systemd-nspawn", "mosquitto", "mosquitto_sub"):
        if shutil.which(need) is None:
            print(f"{need} is missing")
            sys.exit(77)
    sys.exit(main(*sys.argv[1:]))
