"""The checks of cross/vm in their order, on a booted arm64 machine. Called by cross/vm, which has made the image."""
import contextlib
import os
import shutil
import sys

import broker_checks
import children
import package_checks as package
import page
import runtime_checks as runtime
import tool_checks as tools
from broker import Broker
from children import Lost
from machine import Machine
from report import PAGE, Report
from service import Service, counter

LIMIT_S = 1500


def main(image, work, keep, debs):
    """Runs everything. Returns the exit code."""
    first, limit_s = os.path.abspath(debs[0]), float(os.environ.get("VM_LIMIT_S", LIMIT_S))
    children.limit(limit_s)
    shutil.rmtree(work + "/run", ignore_errors=True)
    os.makedirs(work + "/run")
    report = Report(work + "/transcript.txt")
    report.note(f"package {os.path.basename(first)}, {package.field(first, 'Version')} {package.field(first, 'Architecture')}")
    try:
        report.check("sizes", package.sizes, first)
        following = os.path.abspath(debs[1]) if len(debs) > 1 else package.next_version(first, work + "/run")
        broker = Broker(work + "/run/broker")
        machine = Machine(image, work + "/run/machine", [first, following])
        report.note(f"booted in {machine.boot_s:.0f} s; limits are stretched by {machine.slow:.1f}")
        judge(report, machine, broker, os.path.basename(first), os.path.basename(following))
    except (Lost, OSError) as error:
        report.lost(str(error))
    finally:
        children.end_all()
        if not keep:
            # The console stays: it says why a machine did not come up.
            for name in ("disk.img", "files.tar"):
                with contextlib.suppress(OSError):
                    os.unlink(f"{work}/run/machine/{name}")
    return report.end(f"cross/vm with {os.path.basename(first)} {package.field(first, 'Version')}")


def judge(report, machine, broker, first, following):
    """Every check, in an order in which each leaves what the next needs."""
    service, check = Service(machine, broker, "10.0.2.2"), report.check
    if not check("apt-get install from a file", package.install, service, first):
        return
    check("runs as it comes, without a broker, as its own user", runtime.shipped, service)
    check("exposure on the booted system", runtime.exposure, service)
    check("pressure figures", runtime.pressure, service)
    if not check("messages at a subscriber on the host", runtime.messages, service):
        return
    check("hang (SIGSTOP): watchdog", runtime.stopped, service)
    check("kill -9", runtime.killed, service)
    check("broker away and back", broker_checks.broker_away, service)
    check("network away and back", broker_checks.network_away, service)
    typed(report, service)
    service.configure(counter())
    service.restart()
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
    service.run(runtime.VIVID)
    for line in page.read(tools.REPO):
        check(f"{PAGE}`{line}`", page.run, service, line, first)


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


def typed(report, service):
    """The commands that a person at the board types."""
    check = report.check
    check("leptond probe", tools.command, service, "leptond probe", "(?i)cpu|memory|board")
    check("leptond check", tools.command, service, "leptond check")
    check("leptond watch", tools.watch, service)
    check("leptond doctor", tools.doctor, service)
    check("leptond model list", tools.model_list, service)
    check("leptond model add FILE", tools.model_file, service)
    check("leptond model add URL", tools.model_address, service)
    check("leptond setup by flags, a broker with a password", tools.setup, service)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1], sys.argv[2], sys.argv[3] == "keep", sys.argv[4:]))
