"""cross/apt-repo, read by this machine's apt-get with directories of its own: nothing of the machine's is touched."""
import os
import shutil
import subprocess

import made
from report import Skipped, want


def _repo(repo, *arguments, **variables):
    done = subprocess.run([os.path.join(repo, "cross/apt-repo"), *arguments], check=False, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, text=True, env={**os.environ, **variables})
    if done.returncode == 77:
        raise Skipped(done.stdout.strip())
    return done.returncode, done.stdout.strip()


def _key(repo, work, name="apt"):
    path = os.path.join(work, name + ".key")
    if not os.path.exists(path):
        status, said = _repo(repo, "--new-key", path)
        want(status == 0, said)
    return path


class Apt:
    """An apt-get with an empty dpkg status, one source and lists of its own."""

    def __init__(self, folder, uri, key, architecture="amd64"):
        if shutil.which("apt-get") is None:
            raise Skipped("apt-get is missing here")
        shutil.rmtree(folder, ignore_errors=True)
        for name in ("etc/apt/sources.list.d", "etc/apt/keyrings", "etc/apt/apt.conf.d", "etc/apt/preferences.d", "etc/apt/trusted.gpg.d",
                     "var/lib/apt/lists/partial", "var/cache/apt/archives/partial", "var/lib/dpkg", "var/log/apt"):
            os.makedirs(os.path.join(folder, name))
        self.status, self.folder = os.path.join(folder, "var/lib/dpkg/status"), folder
        with open(self.status, "w", encoding="utf-8"):
            pass
        ring = os.path.join(folder, "etc/apt/keyrings/leptond.gpg")
        if key:
            shutil.copy(key, ring)
        # As docs/installing.md has it.
        with open(os.path.join(folder, "etc/apt/sources.list.d/leptond.sources"), "w", encoding="utf-8") as file:
            file.write(f"Types: deb\nURIs: {uri}\nSuites: stable\nComponents: main\nSigned-By: {ring}\n")
        self.options = ["-o", f"Dir={folder}", "-o", f"Dir::State::status={self.status}", "-o", f"APT::Architecture={architecture}",
                        "-o", f"APT::Architectures::={architecture}", "-o", "APT::Sandbox::User=root", "-o", "Acquire::Languages=none",
                        "-o", "Dir::Etc::trusted=/nonexistent", "-o", "Acquire::Retries=0"]

    def run(self, *arguments):
        """apt-get with these arguments. Returns (status, what it printed)."""
        done = subprocess.run(["apt-get", "-q", *self.options, *arguments], check=False, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                              stderr=subprocess.STDOUT, text=True, env={**os.environ, "LC_ALL": "C", "http_proxy": "", "no_proxy": "127.0.0.1"})
        return done.returncode, done.stdout

    def update(self):
        """apt-get update. Returns whether it took everything, and what it printed."""
        status, said = self.run("update")
        return status == 0 and "\nW:" not in "\n" + said and "\nE:" not in "\n" + said and "Err:" not in said, said

    def would(self, *arguments):
        """The lines of what would be installed, and all that was printed."""
        _, said = self.run("-s", *arguments)
        return [line for line in said.splitlines() if line.startswith("Inst ")], said

    def have(self, version, architecture="amd64"):
        """From now on this version is installed."""
        with open(self.status, "w", encoding="utf-8") as file:
            file.write(f"Package: leptond\nStatus: install ok installed\nVersion: {version}\nArchitecture: {architecture}\n"
                       "Maintainer: The leptond authors <leptond@example.org>\nDescription: made for a test\n")


def _made(repo, work):
    """A repository with two versions for each architecture. Returns its directory."""
    folder, built = os.path.join(work, "apt"), os.path.join(work, "apt-built")
    if os.path.exists(folder):
        return folder
    os.makedirs(built)
    key = _key(repo, work)
    for version in ("0.1.0", "0.2.0"):
        status, said = _repo(repo, folder, *[made.deb(built, version, architecture) for architecture in made.TARGETS], "--key", key)
        want(status == 0, said)
    return folder


def update(repo, work, _files):
    """apt-get update and install from file: and http:, for every architecture; the file is the one that was put in."""
    folder, seen = _made(repo, work), []
    with made.server(folder) as (base, _):
        for uri in (base, "file:" + folder):
            for architecture in made.TARGETS:
                apt = Apt(os.path.join(work, "box"), uri, folder + "/leptond.gpg", architecture)
                good, said = apt.update()
                want(good, f"{uri} {architecture}: {said}")
                lines, said = apt.would("install", "leptond")
                want(lines and "0.2.0" in lines[0] and f"[{architecture}]" in lines[0], f"{architecture}: {said}")
            status, said = apt.run("install", "-y", "--download-only", "leptond")
            want(status == 0, said)
            seen.append(f"{uri.split(':')[0]}: {', '.join(made.TARGETS)}")
    return "; ".join(seen)


def upgrade(repo, work, _files):
    """A computer with the older version is upgraded by apt-get upgrade; it can go back; a version that is no longer kept is gone."""
    folder = _made(repo, work)
    apt = Apt(os.path.join(work, "box"), "file:" + folder, folder + "/leptond.gpg")
    apt.have("0.1.0")
    want(apt.update()[0], "update failed")
    lines, said = apt.would("upgrade")
    want(lines and "[0.1.0]" in lines[0] and "0.2.0" in lines[0], said)
    apt.have("0.2.0")
    back, said = apt.would("install", "--allow-downgrades", "leptond=0.1.0")
    want(back and "0.1.0" in back[0], said)
    third = made.deb(os.path.join(work, "apt-built"), "0.10.0", "amd64")
    status, said = _repo(repo, folder, third, "--key", _key(repo, work), "--keep", "2")
    want(status == 0, said)
    good, said = apt.update()
    newest, told = apt.would("upgrade")
    want(good and newest and "0.10.0" in newest[0], said + told)
    kept = sorted(name for name in os.listdir(folder + "/pool/main/l/leptond") if "amd64" in name)
    want(kept == ["leptond_0.10.0_amd64.deb", "leptond_0.2.0_amd64.deb"], f"kept {kept}")
    return f"{lines[0]}; {back[0]}; {newest[0]}; kept {', '.join(kept)}"


def tampered(repo, work, _files):
    """Indices, signature and packages that were changed are refused, and so is a repository with another key, and without one."""
    original, seen = _made(repo, work), []
    folder = os.path.join(work, "apt-served")
    index = "dists/stable/main/binary-amd64/Packages"

    def change(path, old, new):
        def do():
            with open(os.path.join(folder, path), "rb") as file:
                data = file.read()
            want(old in data, f"{path} has no {old}")
            with open(os.path.join(folder, path), "wb") as file:
                file.write(data.replace(old, new))
        return do

    def indices():
        """Every form of the index, also by hash."""
        for top, _, names in os.walk(os.path.join(folder, "dists/stable/main/binary-amd64")):
            for name in names:
                with open(os.path.join(top, name), "ab") as file:
                    file.write(b"Package: evil\n\n")

    def packages():
        pool = os.path.join(folder, "pool/main/l/leptond")
        for name in os.listdir(pool):
            with open(os.path.join(pool, name), "r+b") as file:
                file.seek(-1, os.SEEK_END)
                file.write(b"\0\0")

    cases = {"Packages": indices, "InRelease": change("dists/stable/InRelease", b"amd64 arm64", b"amd64 arm65"), "no signature": lambda: None,
             "another key": lambda: None, "no key": lambda: None, "a package": packages}
    stranger = os.path.join(work, "apt-stranger")
    status, said = _repo(repo, stranger, "--key", _key(repo, work, "stranger"))
    want(status == 0, said)
    for name, do in cases.items():
        shutil.rmtree(folder, ignore_errors=True)
        shutil.copytree(original, folder)
        do()
        if name == "no signature":
            for gone in ("InRelease", "Release.gpg"):
                os.unlink(os.path.join(folder, "dists/stable", gone))
        ring = {"another key": stranger + "/leptond.gpg", "no key": None}.get(name, folder + "/leptond.gpg")
        with made.server(folder) as (base, _):
            apt = Apt(os.path.join(work, "box"), base, ring)
            good, said = apt.update()
            if name == "a package":
                want(good, said)
                status, said = apt.run("install", "-y", "--download-only", "leptond")
                good = status == 0
            lines = [] if name == "a package" else apt.would("install", "leptond")[0]
        want(not good and not lines, f"{name}: taken: {said} {lines}")
        told = [line for line in said.splitlines() if line.startswith(("E:", "W:"))]
        seen.append(f"{name}: {told[0][:90] if told else said[-90:]}")
    want(os.path.exists(os.path.join(original, index)), "the original is as it was")
    return "; ".join(seen)


def refused(repo, work, _files):
    """Other packages, another file of a published version, another key: nothing changes."""
    folder, seen = _made(repo, work), []
    key = _key(repo, work)
    odd = os.path.join(work, "apt-odd")
    os.makedirs(odd)
    with open(os.path.join(folder, "dists/stable/InRelease"), "rb") as file:
        before = file.read()
    other = made.deb(odd, "0.2.0", "arm64", "Homepage: https://example.org\n")
    stranger = made.deb(odd, "1.0.0", "riscv64")
    cases = {"another file of 0.2.0": [other, "--key", key], "another architecture": [stranger, "--key", key],
             "another key": ["--key", _key(repo, work, "stranger")], "no such package": [odd + "/none.deb", "--key", key], "no such key": ["--key", odd + "/none"],
             "a file that is no key": ["--key", other], "no key": []}
    for name, arguments in cases.items():
        status, said = _repo(repo, folder, *arguments)
        with open(os.path.join(folder, "dists/stable/InRelease"), "rb") as file:
            same = file.read() == before
        left = [entry for entry in os.listdir(folder) if entry.startswith(".")]
        want(status in (1, 2) and same and not left, f"{name}: exit {status}, {'as before' if same else 'CHANGED'}, left {left}: {said}")
        seen.append(f"{name}: {said.splitlines()[-1].replace('cross/apt-repo: ', '')[:80]}")
    return "; ".join(seen)


CHECKS = (
    ("apt: update and install by apt-get, file: and http:", update),
    ("apt: from one version to the next, and back", upgrade),
    ("apt: a tampered repository", tampered),
    ("apt: what may not get in", refused),
)
