"""What is done to the running service: messages, faults, reload, configuration errors, its bounds and its tools."""
import re
import time

from service import CONFIG, Failed, camera, counter, want


def shipped(service):
    """What the package brings runs as it is, although no broker is there."""
    service.active()
    pid = service.show("MainPID")["MainPID"]
    lines = service.run(f"grep -E '^(Uid|NoNewPrivs|CapEff|Seccomp):' /proc/{pid}/status").split("\n")
    status = dict(line.split(":\t") for line in lines)
    uid = service.must("id -u leptond")
    seen = f"active without a broker; {', '.join(' '.join(line.split()) for line in lines)}"
    return want(status["Uid"].split()[0] == uid and status["NoNewPrivs"] == "1" and int(status["CapEff"], 16) == 0
                and status["Seccomp"] == "2", seen)


def messages(service):
    """Birth, info, health and results of a pipeline that needs no device, at a subscriber elsewhere."""
    service.configure(counter())
    mark, started = service.broker.now(), time.monotonic()
    service.restart()
    service.message("leptond/vm/state", mark, wanted=lambda v: v == {"state": "online"} or v.get("state") == "online")
    info = service.message("leptond/vm/info", mark)
    health = service.message("leptond/vm/health", mark)
    result = service.message("counter/result", mark)
    took = time.monotonic() - started
    want("version" in info and isinstance(health, dict) and "seq" in result, f"info {info}, result {result}")
    return f"online, info (version {info['version']}), health, result {result['seq']} in {took:.1f} s from the restart"


def exposure(service, at_most=1.7):
    """`systemd-analyze security` on the running system."""
    out = service.run("systemd-analyze security leptond --no-pager | tail -n 1", 60)
    found = re.search(r"(\d+\.\d+)", out)
    return want(found and float(found.group(1)) <= at_most, f"exposure {found.group(1) if found else out} (at most {at_most})")


def pressure(service):
    """The kernel's pressure figures are there for the governor."""
    out = service.must("head -n 1 /proc/pressure/cpu /proc/pressure/memory")
    return want("avg10" in out, out)


def _restarted(service, limit_s, before, mark):
    service.until("a restart", limit_s, lambda: service.show("NRestarts")["NRestarts"] not in ("", before))
    service.active()
    service.message("counter/result", mark)


def stopped(service):
    """A process that hangs: the watchdog notices, systemd starts it again, messages resume."""
    before, since = service.show("NRestarts")["NRestarts"], service.cursor()
    started = time.monotonic()
    service.must("systemctl kill -s STOP leptond")
    mark = service.broker.now()
    # 30 s of watchdog, then up to 5 s until the aborted process is killed.
    _restarted(service, 90, before, mark)
    log = service.journal(since=since)
    return want("atchdog timeout" in log, f"watchdog, restarted, results again after {time.monotonic() - started:.0f} s")


def killed(service):
    """A process that is killed."""
    before, mark, started = service.show("NRestarts")["NRestarts"], service.broker.now(), time.monotonic()
    # The main process alone: systemd that looks for others below a process that has just gone may fail at it.
    service.must("systemctl kill --kill-whom=main -s KILL leptond")
    _restarted(service, 30, before, mark)
    took = time.monotonic() - started
    said = [value["state"] for value in service.broker.since(mark, "leptond/vm/state")]
    return want(said == ["offline", "online"], f"state {said} (the first is its will), results again after {took:.0f} s")


def reload_good(service):
    """A changed file takes effect without a restart; what did not change goes on."""
    pid, mark = service.show("MainPID")["MainPID"], service.broker.now()
    service.configure(counter() + counter("second", 1))
    service.must("systemctl reload leptond", 60)
    service.message("second/result", mark)
    service.message("counter/result", service.broker.now())
    same = service.show("MainPID")["MainPID"] == pid
    return want(same, f"the new pipeline publishes, the old one goes on, same process: {same}")


def reload_bad(service):
    """A wrong file changes nothing and the journal says what is wrong."""
    pid, since = service.show("MainPID")["MainPID"], service.cursor()
    service.run(f"cp -p {CONFIG} /root/good.toml")
    service.must(f"printf 'wrong_key = 1\\n' >>{CONFIG}")
    service.run("systemctl reload leptond", 60)
    said = service.until("a line about the wrong key", 30,
                         lambda: [line for line in service.journal(since=since).splitlines() if "wrong_key" in line])
    service.message("counter/result", service.broker.now())
    state = service.show("MainPID", "ActiveState")
    service.run(f"cat /root/good.toml >{CONFIG}")
    service.must("systemctl reload leptond", 60)
    return want(state == {"MainPID": pid, "ActiveState": "active"}, f"goes on; journal: {said[0]}")


def wrong_configuration(service):
    """A start with a wrong file: exit code 78, no second attempt, and `systemctl status` says what to mend."""
    service.run(f"cp -p {CONFIG} /root/good.toml")
    service.must(f"printf '[mqtt]\\nhots = \"broker\"\\n' >{CONFIG}")
    service.run("systemctl restart leptond", 60)
    service.until("failed", 60, lambda: service.show("ActiveState")["ActiveState"] == "failed")
    # Longer than RestartSec, so that a second attempt would be seen.
    time.sleep(service.limit_s(5))
    state = service.show("ActiveState", "ExecMainStatus", "NRestarts")
    status = service.run("systemctl status leptond --no-pager --lines=10 --full")
    said = [line for line in status.splitlines() if "hots" in line]
    service.run(f"cat /root/good.toml >{CONFIG}")
    service.must("systemctl reset-failed leptond; systemctl start leptond", 90)
    service.message("counter/result", service.broker.now())
    seen = f"exit {state['ExecMainStatus']}, {state['ActiveState']}, {state['NRestarts']} restarts, status says: {said[0].split(']: ')[-1] if said else status[-300:]}; mended: runs"
    return want(state["ExecMainStatus"] == "78" and state["NRestarts"] == "0" and said, seen)


def clean_stop(service):
    """`systemctl stop`: offline is said, exit code 0, well within the time that systemd gives."""
    mark, started = service.broker.now(), time.monotonic()
    service.must("systemctl stop leptond", 60)
    took = time.monotonic() - started
    service.message("leptond/vm/state", mark, 10, lambda v: v.get("state") == "offline")
    state = service.show("ActiveState", "Result", "ExecMainStatus")
    service.must("systemctl start leptond", 90)
    seen = f"offline published, {state['Result']}, exit {state['ExecMainStatus']}, {took:.1f} s"
    return want(state == {"ActiveState": "inactive", "Result": "success", "ExecMainStatus": "0"}, seen)


def reboot(service):
    """After a reboot it comes up by itself."""
    mark, started = service.broker.now(), time.monotonic()
    service.machine.reboot()
    service.active(120)
    service.message("counter/result", mark, 120)
    state = service.show("NRestarts", "ActiveState")
    return want(state == {"NRestarts": "0", "ActiveState": "active"}, f"active, results {time.monotonic() - started:.0f} s after the command")


VIVID = "modprobe vivid n_devs=1 node_types=1 num_inputs=1 input_types=0"


def camera_plugged(service):
    """The service waits for a camera that is not there, and takes it when its driver comes (a hardened unit must not forbid it)."""
    service.run("rmmod vivid 2>/dev/null")
    since = service.cursor()
    service.configure(camera("auto"))
    service.restart()
    service.until("a line that the camera is missing", 30, lambda: "/dev/video0" in service.journal(since=since))
    waited = [line for line in service.journal(since=since).splitlines() if "/dev/video0" in line][0]
    mark, started = service.broker.now(), time.monotonic()
    service.must(VIVID, 60)
    service.message("water/result", mark, 60)
    return f"waited ({waited[-120:]}); results {time.monotonic() - started:.1f} s after the driver was loaded"


def camera_format(service, pixel_format, width, height):
    """One format and size through the driver, under the hardened unit as its own user."""
    service.configure(camera(pixel_format, width, height))
    mark = service.broker.now()
    service.restart()
    result = service.message("water/result", mark, 60)
    # Three more, so that it flows.
    for _ in range(3):
        result = service.message("water/result", service.broker.now(), 30)
    # Asked of the driver, not of the program.
    driver = " ".join(service.must("v4l2-ctl -d /dev/video0 --get-fmt-video | grep -E 'Width|Pixel Format'").split())
    fourcc = {"yuyv": "YUYV", "nv12": "NV12", "yu12": "YU12"}[pixel_format]
    return want(f"{width}/{height}" in driver and f"'{fourcc}'" in driver, f"the driver says {driver}; result {result.get('seq')}")


def camera_unplugged(service):
    """The driver lets go of the device while it runs, and takes it again, twice."""
    pid = service.show("MainPID")["MainPID"]
    took = []
    for _ in range(2):
        since = service.cursor()
        service.must("echo vivid.0 >/sys/bus/platform/drivers/vivid/unbind")
        service.until("a line that the camera was lost", 30, lambda: "/dev/video0" in service.journal(since=since))
        want(service.show("ActiveState")["ActiveState"] == "active", "not active while the camera is away")
        lost = [line for line in service.journal(since=since).splitlines() if "/dev/video0" in line][0]
        mark, started = service.broker.now(), time.monotonic()
        service.must("echo vivid.0 >/sys/bus/platform/drivers/vivid/bind")
        service.message("water/result", mark, 60)
        took.append(time.monotonic() - started)
    same = service.show("MainPID")["MainPID"] == pid
    nodes = service.run(f"ls -l /proc/{pid}/fd | grep -c video")
    seen = f"lost ({lost[-110:]}), back after {took[0]:.1f} s and {took[1]:.1f} s, same process: {same}, {nodes} descriptor of a camera open"
    return want(same and nodes == "1", seen)


def memory(service, at_most_mb=40.0):
    """Resident memory with the shipped camera model at work."""
    for _ in range(10):
        service.message("water/result", service.broker.now(), 30)
    pid = service.show("MainPID")["MainPID"]
    status = service.must(f"grep -E 'VmRSS|VmHWM|RssAnon' /proc/{pid}/status")
    values = {name: int(value.split()[0]) / 1000 * 1.024 for name, value in (line.split(":") for line in status.splitlines())}
    current = service.show("MemoryCurrent")["MemoryCurrent"]
    seen = ", ".join(f"{name} {value:.1f} MB" for name, value in values.items()) + f", MemoryCurrent {current} bytes (VmRSS at most {at_most_mb:.0f} MB)"
    return want(values["VmRSS"] <= at_most_mb, seen)


def no_memory_cgroup(service):
    """As stock Raspberry Pi OS boots: the memory cgroup is switched off, and the service runs all the same."""
    out = service.run("cat /sys/fs/cgroup/cgroup.controllers; grep -o cgroup_disable=memory /proc/cmdline")
    want("memory" not in out.splitlines()[0].split(), f"the memory cgroup is still there: {out}")
    mark = service.broker.now()
    service.active(120)
    service.message("counter/result", mark, 120)
    return f"controllers: {out.splitlines()[0]}; active, results"


__all__ = ["Failed"]
