"""What is done to the package: install, upgrade, downgrade, remove, purge, and the sizes."""
import os
import re
import shutil
import subprocess

from service import CONFIG, counter, want

APT = "apt-get -q -y --allow-downgrades -o Dpkg::Use-Pty=0 -o APT::Sandbox::User=root"


def field(deb, name):
    """One field of a package's control file."""
    return subprocess.run(["dpkg-deb", "-f", deb, name], check=True, capture_output=True, text=True).stdout.strip()


def next_version(deb, work):
    """The same package with a higher version and a changed conffile, as the next release would bring it. Returns its path."""
    tree, out = os.path.join(work, "next"), os.path.join(work, "leptond-next.deb")
    shutil.rmtree(tree, ignore_errors=True)
    subprocess.run(["dpkg-deb", "-R", deb, tree], check=True)
    control = os.path.join(tree, "DEBIAN", "control")
    with open(control, encoding="utf-8") as file:
        text = file.read()
    version = field(deb, "Version") + "+next"
    with open(control, "w", encoding="utf-8") as file:
        file.write(re.sub(r"(?m)^Version:.*$", "Version: " + version, text))
    with open(tree + CONFIG, "a", encoding="utf-8") as file:
        file.write("\n# A comment that the next version brings.\n")
    sums = os.path.join(tree, "DEBIAN", "md5sums")
    if os.path.exists(sums):
        os.unlink(sums)
    subprocess.run(["dpkg-deb", "--root-owner-group", "-Zgzip", "-z1", "-b", tree, out], check=True, capture_output=True)
    shutil.rmtree(tree)
    return out


def sizes(deb, unpacked_limit_bytes=25_000_000, packed_limit_bytes=8_000_000):
    """The package and what it unpacks to."""
    packed, installed = os.path.getsize(deb), 0
    for line in subprocess.run(["dpkg-deb", "-c", deb], check=True, capture_output=True, text=True).stdout.splitlines():
        installed += int(line.split()[2])
    seen = f"package {packed / 1e6:.1f} MB (at most {packed_limit_bytes / 1e6:.0f}), installed {installed / 1e6:.1f} MB (at most {unpacked_limit_bytes / 1e6:.0f})"
    return want(packed <= packed_limit_bytes and installed <= unpacked_limit_bytes, seen)


def install(service, deb):
    """From a file, on a machine that has never seen it, as a person would."""
    service.must(f"{APT} install /root/in/{deb} </dev/null", 200)
    status = service.must("dpkg-query -W -f '${db:Status-Abbrev} ${Version}' leptond")
    mode = service.must(f"stat -c '%a %U:%G' {CONFIG}")
    enabled = service.run("systemctl is-enabled leptond")
    who = service.must("id leptond")
    service.active()
    ready = service.show("Type", "SubState", "NRestarts", "ExecMainStartTimestampMonotonic", "ActiveEnterTimestampMonotonic")
    took_ms = (int(ready["ActiveEnterTimestampMonotonic"]) - int(ready["ExecMainStartTimestampMonotonic"])) // 1000
    seen = f"{status}, {enabled}, conffile {mode}, {who}, {ready['SubState']}, READY after {took_ms} ms, {ready['NRestarts']} restarts"
    return want(status.startswith("ii") and enabled == "enabled" and mode == "640 root:leptond" and ready["Type"] == "notify"
                and ready["NRestarts"] == "0" and "video" in who, seen)


def apt(service, deb, options=""):
    """Installs another version with nobody at the keyboard. Returns (status, the end of what was printed)."""
    status, out = service.machine.run(f"{APT} {options} install /root/in/{deb} </dev/null", 200)
    return status, out


def version(service):
    """State and version of the installed package."""
    return service.run("dpkg-query -W -f '${db:Status-Abbrev}${Version}' leptond")


def first_line(service, path):
    """The first line of a file, or what is said when it is not there."""
    return service.run(f"head -n 1 {path}")


def conffile_untouched(service, first, second):
    """A configuration that nobody changed is replaced by the new version's without a question, and service goes on."""
    service.must(f"dpkg --force-confnew --force-confmiss -i /root/in/{first}", 200)
    service.must(f"rm -f {CONFIG} && dpkg --force-confmiss -i /root/in/{first}", 200)
    status, out = apt(service, second)
    end = first_line(service, f"<(tail -n 1 {CONFIG})")
    service.active()
    return want(status == 0 and "next version" in end, f"status {status}, {version(service)}, the file's end: {end} {'' if status == 0 else out[-200:]}")


def conffile_modified(service, first, second, force):
    """A configuration that was changed, upgraded with confold or confnew."""
    service.must(f"dpkg --force-confold -i /root/in/{first}", 200)
    service.run(f"rm -f {CONFIG}.dpkg-*")
    service.configure(counter())
    service.restart()
    status, out = apt(service, second, f"-o Dpkg::Options::=--force-{force}")
    mine = "Written by the checks" in first_line(service, CONFIG)
    beside = service.run(f"ls {CONFIG}.dpkg-* 2>/dev/null")
    mode = service.run(f"stat -c '%a %U:%G' {CONFIG}")
    service.active()
    expected = (True, f"{CONFIG}.dpkg-dist") if force == "confold" else (False, f"{CONFIG}.dpkg-old")
    side_mode = service.run(f"stat -c %a {CONFIG}.dpkg-*")
    seen = f"status {status}, {version(service)}, my file {'kept' if mine else 'replaced'} ({mode}), beside it {beside} ({side_mode}), active"
    return want(status == 0 and (mine, beside) == expected and mode == "640 root:leptond", seen + ("" if status == 0 else out[-200:]))


def conffile_nobody_there(service, first, second):
    """A changed configuration, no terminal and no option: dpkg asks, nobody answers; nothing of the user's may be lost."""
    service.must(f"dpkg --force-confold -i /root/in/{first}", 200)
    service.run(f"rm -f {CONFIG}.dpkg-*")
    service.configure(counter())
    # Forget which version of the conffile was last seen, which confold has settled: install it afresh under our file.
    service.restart()
    status, _ = apt(service, second)
    kept = "Written by the checks" in first_line(service, CONFIG)
    running = service.show("ActiveState")["ActiveState"]
    mended, out = service.machine.run("dpkg --configure -a --force-confdef --force-confold </dev/null", 200)
    service.active()
    still = "Written by the checks" in first_line(service, CONFIG)
    seen = (f"apt ended with {status}, my file {'kept' if kept else 'LOST'}, service {running}; "
            f"`dpkg --configure -a --force-confold` ended with {mended}: {version(service)}, active")
    return want(kept and still and mended == 0 and version(service).startswith("ii"), seen + ("" if mended == 0 else out[-200:]))


def downgrade(service, first):
    """Back to the older version with my configuration in place."""
    before = version(service)
    mark = service.broker.now()
    service.must(f"{APT} -o Dpkg::Options::=--force-confold install /root/in/{first} </dev/null", 200)
    service.active()
    service.message("/counter/result", mark)
    mine = "Written by the checks" in first_line(service, CONFIG)
    return want(mine, f"{before} → {version(service)}, active, results, my file {'kept' if mine else 'lost'}")


def remove(service):
    """Removed, not purged: program and unit go, configuration and state stay."""
    service.must(f"{APT} remove leptond </dev/null", 120)
    state = service.run("systemctl is-active leptond")
    left = service.run(f"ls -d {CONFIG} /var/lib/leptond /usr/bin/leptond /usr/lib/systemd/system/leptond.service 2>/dev/null")
    processes = service.run("pgrep -c -u leptond || true")
    seen = f"{state}, {processes} processes, left: {' '.join(left.split())}"
    return want(left.split() == [CONFIG, "/var/lib/leptond"] and state in ("inactive", "unknown") and processes == "0", seen)


def purge(service):
    """Nothing is left: files, state, units, links, user, group."""
    service.run("mkdir -p /etc/systemd/system/leptond.service.d && "
                "echo '[Service]' >/etc/systemd/system/leptond.service.d/credentials.conf")
    service.must(f"{APT} purge leptond </dev/null", 120)
    left = service.run("find / -xdev \\( -path /proc -o -path /root/in -o -path /var/log/journal -o -path /sys \\) -prune -o "
                       "-iname '*leptond*' ! -path '/var/log/*' ! -path '/var/cache/*' -print; "
                       "find /run /tmp /var/tmp -iname '*leptond*' ! -path '/run/udev/links/virtio-ports*'; "
                       "getent passwd leptond; getent group leptond; dpkg-query -W leptond 2>/dev/null; "
                       "systemctl list-units --all --no-legend 'leptond*'; systemctl list-unit-files --no-legend 'leptond*'", 120)
    left = " ".join(left.split())
    return want(left == "", f"left: {left or 'nothing (files, state, units, user and group looked for)'}")


def reinstall(service, deb):
    """Installed again after the purge: it comes up as the first time."""
    service.must(f"{APT} install /root/in/{deb} </dev/null", 200)
    service.active()
    return f"{version(service)}, active, {service.run('systemctl is-enabled leptond')}"
