"""cross/install.sh as cross/release writes it, on stand-ins of boards, against a server on 127.0.0.1."""
import os
import shutil
import subprocess

import made
import release_checks
from report import Skipped, want

DEB = f"leptond_{made.VERSION}_arm64.deb"


def _script(work):
    return os.path.join(work, "release", "install.sh")


def _copy(work):
    folder = os.path.join(work, "served")
    shutil.rmtree(folder, ignore_errors=True)
    shutil.copytree(os.path.join(work, "release"), folder)
    return folder


def _place(work, programs=("curl", "openssl")):
    place = made.Place(os.path.join(work, "place"), programs)
    for program in programs:
        if not place.has(program):
            raise Skipped(f"{program} is missing here")
    return place


def _installed(place, folder, name):
    with_hash = subprocess.run(["sha256sum", os.path.join(folder, name)], check=True, capture_output=True, text=True).stdout[:64]
    calls = place.calls()
    want("apt-get install" in calls and f"/{name} < {with_hash}" in calls, f"apt-get was not given {name} as it was published: {calls or 'never called'}")
    want(place.left() == [], f"left behind: {place.left()}")
    return calls


def _refused(place, status, said, words):
    want(status == 1 and place.calls() == "" and words in said and place.left() == [], f"exit {status}, left {place.left()}: {said}")
    return said.splitlines()[-1].replace("leptond: ", "")


def architectures(_, work, _files):
    """Each board gets its own file; a 32-bit system on a 64-bit kernel gets the 32-bit one."""
    folder, seen = _copy(work), []
    boards = {"Pi 4, 64 bit": ("aarch64", 64, "arm64", "arm64"), "Pi 4, 32 bit on a 64-bit kernel": ("aarch64", 32, "armhf", "armhf"),
              "Pi 2": ("armv7l", 32, "armhf", "armhf"), "PC": ("x86_64", 64, "amd64", "amd64")}
    with made.server(folder) as (base, _):
        for name, (machine, bits, dpkg, architecture) in boards.items():
            place = _place(work).board(machine, bits, dpkg=dpkg)
            status, said = place.run(_script(work), LEPTOND_DOWNLOAD=base)
            want(status == 0 and "leptond demo" in said and "leptond setup" in said, f"{name}: exit {status}: {said}")
            _installed(place, folder, f"leptond_{made.VERSION}_{architecture}.deb")
            seen.append(f"{name}: {architecture}")
    return ", ".join(seen)


def without_dpkg(_, work, _files):
    """Without dpkg the tarball of the right target is unpacked and its script run."""
    folder, seen = _copy(work), []
    boards = {"aarch64": ("aarch64", 64), "32 bit on aarch64": ("aarch64", 32), "armv7l": ("armv7l", 32), "x86_64": ("x86_64", 64)}
    with made.server(folder) as (base, _):
        for name, (machine, bits) in boards.items():
            place = _place(work).board(machine, bits, dpkg="")
            status, said = place.run(_script(work), LEPTOND_DOWNLOAD=base)
            want(status == 0 and place.calls() == "tarball" and place.left() == [], f"{name}: exit {status}: {said}")
            seen.append(f"{name}: {said.splitlines()[0].split()[1]}")
    return ", ".join(seen)


def not_for(_, work, _files):
    """A system that there is no leptond for is told so before anything is fetched."""
    folder, seen = _copy(work), []
    boards = {"Pi Zero": {"machine": "armv6l", "dpkg": "armhf"}, "Pi Zero without dpkg": {"machine": "armv6l", "dpkg": ""}, "riscv64": {"machine": "riscv64", "dpkg": "riscv64"},
              "32-bit PC": {"machine": "x86_64", "bits": 32, "dpkg": ""}, "i386": {"machine": "x86_64", "dpkg": "i386"}, "Debian 11": {"libc": "glibc 2.31"},
              "Alpine": {"libc": "", "dpkg": ""}}
    with made.server(folder) as (base, _):
        for name, board in boards.items():
            place = _place(work).board(**board)
            status, said = place.run(_script(work), LEPTOND_DOWNLOAD=base)
            seen.append(f"{name}: {_refused(place, status, said, 'leptond')}")
    return "; ".join(seen)


def verifiers(_, work, _files):
    """minisign verifies, OpenSSL alone does, wget instead of curl does; with neither of the two nothing is installed."""
    folder, seen = _copy(work), []
    with made.server(folder) as (base, _):
        for programs in (("curl", "minisign"), ("curl", "openssl"), ("wget", "openssl"), ("wget", "minisign")):
            if not all(shutil.which(program) for program in programs):
                continue
            place = _place(work, programs).board()
            status, said = place.run(_script(work), LEPTOND_DOWNLOAD=base)
            want(status == 0, f"{programs}: exit {status}: {said}")
            _installed(place, folder, DEB)
            seen.append(" and ".join(programs))
        place = _place(work, ("curl",)).board()
        status, said = place.run(_script(work), LEPTOND_DOWNLOAD=base)
        seen.append(_refused(place, status, said, "minisign"))
        place = _place(work, ("openssl",)).board()
        status, said = place.run(_script(work), LEPTOND_DOWNLOAD=base)
        seen.append(_refused(place, status, said, "curl or wget"))
    want(len(seen) >= 4, f"only {seen}")
    return "; ".join(seen)


def tampered(repo, work, _files):
    """Whatever was changed on the way is refused, by both verifiers, and nothing is installed."""
    secret, _ = release_checks.key(repo, work, "another")
    seen = []

    def edit(name, change):
        def do(folder):
            path = os.path.join(folder, name)
            with open(path, "rb") as file:
                data = file.read()
            with open(path, "wb") as file:
                file.write(change(data))
        return do

    def resigned(folder):
        subprocess.run(["minisign", "-Sm", os.path.join(folder, "SHA256SUMS"), "-s", secret, "-t", "leptond"], input=release_checks.PASSWORD + "\n", check=True, capture_output=True, text=True)

    def half(data):
        return data[:len(data) // 2]

    def swapped(data):
        """The checksum of another file of the same release under this one's name."""
        lines = data.decode().splitlines()
        other = next(line for line in lines if "_amd64.deb" in line)[:64]
        return "".join((other + line[64:] if line.endswith(DEB) else line) + "\n" for line in lines).encode()

    cases = {
        "one byte of the package": edit(DEB, lambda data: data[:-1] + bytes([data[-1] ^ 1])),
        "the package cut": edit(DEB, half),
        "an empty package": edit(DEB, lambda _: b""),
        "a checksum": edit("SHA256SUMS", swapped),
        "a line more in the checksums": edit("SHA256SUMS", lambda data: data + b"0" * 64 + b"  leptond_9.9.9_arm64.deb\n"),
        "another signature": resigned,
        "a signature cut": edit("SHA256SUMS.minisig", half),
        "an empty signature": edit("SHA256SUMS.minisig", lambda _: b""),
        "a page instead of a signature": edit("SHA256SUMS.minisig", lambda _: b"<html>\nLog in to the network\n</html>\n"),
    }
    for name, change in cases.items():
        folder = _copy(work)
        change(folder)
        with made.server(folder) as (base, _):
            for verifier in ("openssl", "minisign"):
                place = _place(work, ("curl", verifier)).board()
                status, said = place.run(_script(work), LEPTOND_DOWNLOAD=base)
                last = _refused(place, status, said, "Nothing was installed")
        seen.append(f"{name}: {last[:60]}")
    return "; ".join(seen)


def interrupted(_, work, _files):
    """A connection that ends in the middle, a server that is away, a file that is not there: nothing is installed, and the next run does."""
    folder = _copy(work)
    place = _place(work).board()
    with made.server(folder) as (base, cut):
        for name in ("SHA256SUMS", "SHA256SUMS.minisig", DEB):
            cut["/" + name] = 100
            status, said = place.run(_script(work), LEPTOND_DOWNLOAD=base)
            last = _refused(place, status, said, "")
            cut.clear()
        os.rename(os.path.join(folder, DEB), os.path.join(folder, "away"))
        status, said = place.run(_script(work), LEPTOND_DOWNLOAD=base)
        absent = _refused(place, status, said, "could not be fetched")
        os.rename(os.path.join(folder, "away"), os.path.join(folder, DEB))
        status, said = place.run(_script(work), LEPTOND_DOWNLOAD=base)
        want(status == 0, said)
        _installed(place, folder, DEB)
    status, said = place.run(_script(work), LEPTOND_DOWNLOAD=base)
    away = _refused(place, status, said, "could not be fetched")
    return f"cut: {last[:90]}; absent: {absent[:90]}; away: {away[:60]}; then installed"


def cut_script(_, work, _files):
    """A script that arrived only in part does nothing, wherever it was cut."""
    with open(_script(work), encoding="utf-8") as file:
        lines = file.read().splitlines(keepends=True)
    folder, part = _copy(work), os.path.join(work, "part.sh")
    with made.server(folder) as (base, _):
        for count in range(1, len(lines) - 1, 7):
            with open(part, "w", encoding="utf-8") as file:
                file.writelines(lines[:count])
            place = _place(work).board()
            place.run(part, LEPTOND_DOWNLOAD=base)
            want(place.calls() == "" and place.left() == [], f"cut after {count} lines it did something")
    return f"cut at every 7th of {len(lines)} lines"


def again(_, work, _files):
    """Run again it does nothing; older is updated; newer is kept; half installed is installed again; a version can be asked for."""
    folder, seen = _copy(work), []
    with made.server(folder) as (base, _):
        for name, installed, asked, expected in (("the same", f"ii {made.VERSION}", "", False), ("older", "ii 0.0.9", "", True), ("newer", "ii 0.2.0", "", False),
                                                 ("half installed", f"iU {made.VERSION}", "", True), ("removed", f"rc {made.VERSION}", "", True),
                                                 ("newer, older asked for", "ii 0.2.0", "v" + made.VERSION, True)):
            place = _place(work).board(installed=installed)
            status, said = place.run(_script(work), LEPTOND_DOWNLOAD=base, **({"LEPTOND_VERSION": asked} if asked else {}))
            want(status == 0, f"{name}: exit {status}: {said}")
            calls = place.calls()
            want(("apt-get install" in calls) == expected and ("--allow-downgrades" in calls) == bool(asked), f"{name}: {calls or 'apt-get not called'}: {said}")
            seen.append(f"{name}: {said.splitlines()[-1 if not expected else 0].replace('leptond: ', '')}")
        place = _place(work).board()
        status, said = place.run(_script(work), LEPTOND_DOWNLOAD=base, LEPTOND_VERSION="7.7.7")
        seen.append(_refused(place, status, said, "7.7.7"))
    return "; ".join(seen)


def rights(_, work, _files):
    """As another user sudo is used for apt-get alone; without sudo it says so; apt-get's failure is a failure."""
    folder = _copy(work)
    with made.server(folder) as (base, _):
        place = _place(work).board(user=1000)
        status, said = place.run(_script(work), LEPTOND_DOWNLOAD=base)
        calls = _installed(place, folder, DEB)
        want(status == 0 and calls.splitlines()[0] == "sudo" and calls.count("sudo") == 1, f"exit {status}: {calls}")
        os.unlink(os.path.join(place.bin, "sudo"))
        status, said = place.run(_script(work), LEPTOND_DOWNLOAD=base)
        none = _refused(place, status, said, "root")
        place = _place(work).board().stand_in("apt-get", "echo E: dpkg was interrupted >&2; exit 100")
        status, said = place.run(_script(work), LEPTOND_DOWNLOAD=base)
        want(status == 1 and "dpkg was interrupted" in said and "is installed" not in said, f"exit {status}: {said}")
    return f"without sudo: {none}; apt-get fails: {said.splitlines()[-1]}"


def only_fetch(repo, work, _files):
    """LEPTOND_ONLY_FETCH leaves the verified file and installs nothing; the repository's own script, without a key, refuses."""
    folder, into = _copy(work), os.path.join(work, "fetched")
    os.makedirs(into, exist_ok=True)
    with made.server(folder) as (base, _):
        place = _place(work).board()
        status, said = place.run(_script(work), LEPTOND_DOWNLOAD=base, LEPTOND_ONLY_FETCH=into)
        want(status == 0 and os.listdir(into) == [DEB] and place.calls() == "", f"exit {status}: {said}")
        place = _place(work).board()
        status, said = place.run(os.path.join(repo, "cross/install.sh"), LEPTOND_DOWNLOAD=base)
        unkeyed = _refused(place, status, said, "no key")
    return f"{DEB} fetched; {unkeyed}"


CHECKS = (
    ("install.sh: the file of each board", architectures),
    ("install.sh: without dpkg", without_dpkg),
    ("install.sh: boards that there is nothing for", not_for),
    ("install.sh: verified by minisign or OpenSSL", verifiers),
    ("install.sh: tampered files", tampered),
    ("install.sh: interrupted downloads", interrupted),
    ("install.sh: the script itself cut", cut_script),
    ("install.sh: run again", again),
    ("install.sh: rights", rights),
    ("install.sh: only fetched", only_fetch),
)
