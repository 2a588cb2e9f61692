"""The checks of cross/vm in their order, on a booted arm64 machine. Called by cross/vm, which has made the image."""
import os
import shutil
import signal
import sys
import time

import package_checks as package
import runtime_checks as runtime
from broker import Broker
from machine import Lost, Machine
from report import Report
from service import Service, counter

LIMIT_S = 900


def main(image, work, keep, debs):
    """Runs everything. Returns the exit code."""
    first = os.path.abspath(debs[0])
    shutil.rmtree(work + "/run", ignore_errors=True)
    os.makedirs(work + "/run")
    report = Report(work + "/transcript.txt", float(os.environ.get("VM_LIMIT_S", LIMIT_S)))
    report.note(f"package {os.path.basename(first)}, {package.field(first, 'Version')} {package.field(first, 'Architecture')}")
    report.check("sizes", package.sizes, first)
    following = os.path.abspath(debs[1]) if len(debs) > 1 else package.next_version(first, work + "/run")
    machine = broker = None
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    try:
        broker = Broker(work + "/run/broker")
        machine = Machine(image, work + "/run/machine", [first, following])
        report.note(f"booted in {machine.boot_s:.0f} s; limits are stretched by {machine.slow:.1f}")
        judge(report, machine, broker, os.path.basename(first), os.path.basename(following))
    except (Lost, OSError) as error:
        report.lost(str(error))
    finally:
        if machine is not None:
            machine.end(keep)
        if broker is not None:
            broker.end()
    report.note("")
    report.note(report.table())
    passed = len(report.rows) - report.failed
    report.note(f"\n{passed} passed, {report.failed} failed; the whole is in {work}/transcript.txt")
    return 1 if report.failed else 0


def judge(report, machine, broker, first, following):
    """Every check, in an order in which each leaves what the next needs."""
    service, check = Service(machine, broker, "10.0.2.2"), report.check
    if not check("apt-get install from a file", package.install, service, first):
        return
    check("runs as it comes, without a broker, as its own user", runtime.shipped, service)
    check("exposure on the booted system", runtime.exposure, service)
    check("pressure figures", runtime.pressure, service)
    tools(report, service)
    if not check("messages at a subscriber on the host", runtime.messages, service):
        return
    check("hang (SIGSTOP): watchdog", runtime.stopped, service)
    check("kill -9", runtime.killed, service)
    check("broker away and back", runtime.broker_away, service)
    check("reload, good file", runtime.reload_good, service)
    check("reload, bad file", runtime.reload_bad, service)
    check("configuration error at start", runtime.wrong_configuration, service)
    check("clean stop", runtime.clean_stop, service)
    check("reboot", runtime.reboot, service)
    check("camera: driver loaded after the service", runtime.camera_plugged, service)
    for pixel_format, width, height in (("yuyv", 640, 480), ("nv12", 1280, 720), ("yu12", 640, 360)):
        check(f"camera: {pixel_format} {width}x{height}", runtime.camera_format, service, pixel_format, width, height)
    check("camera: unbound and bound again", runtime.camera_unplugged, service)
    check("memory with the camera model", runtime.memory, service)
    service.configure(counter())
    machine.stop()
    machine.start("cgroup_disable=memory")
    check("memory cgroup off, as on stock Pi OS", runtime.no_memory_cgroup, service)
    packages(report, service, first, following)


def packages(report, service, first, following):
    """The life of the package after its installation."""
    check = report.check
    check("upgrade, my conffile, nobody at the keyboard", package.conffile_nobody_there, service, first, following)
    check("upgrade, my conffile, confold", package.conffile_modified, service, first, following, "confold")
    check("downgrade", package.downgrade, service, first)
    check("upgrade, my conffile, confnew", package.conffile_modified, service, first, following, "confnew")
    check("upgrade, untouched conffile", package.conffile_untouched, service, first, following)
    check("remove keeps the configuration", package.remove, service)
    check("purge leaves nothing", package.purge, service)
    check("installed again", package.reinstall, service, first)


def tools(report, service):
    """The commands a person at the board would type, as far as this binary has them."""
    have = runtime.commands(service)
    for name, command, words, statuses in (
        ("probe", "leptond probe", "(?i)cpu|memory|board", (0,)),
        ("check", "leptond check", "", (0,)),
        ("doctor", "leptond doctor", "", (0, 1)),
        ("model", "leptond model list", "leptonnet-digits", (0,)),
        ("setup", "leptond setup --help", "", (0,)),
    ):
        if name in have:
            report.check(command, runtime.tool, service, command, words, statuses)
        else:
            report.note(f"     {command}: this binary has no such command, not checked")


if __name__ == "__main__":
    started = time.monotonic()
    code = main(sys.argv[1], sys.argv[2], sys.argv[3] == "keep", sys.argv[4:])
    print(f"{time.monotonic() - started:.0f} s")
    sys.exit(code)
