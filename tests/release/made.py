"""Made-up packages and tarballs in the form of cross/build's, a web server, and a place to run install.sh in."""
import functools
import gzip
import http.server
import json
import os
import shutil
import subprocess
import tarfile
import threading
import contextlib

from web import Quiet

TARGETS = {"amd64": "x86_64-unknown-linux-gnu", "arm64": "aarch64-unknown-linux-gnu", "armhf": "armv7-unknown-linux-gnueabihf"}
VERSION = "0.1.0"


def parts():
    """A list of parts as cargo-cyclonedx writes it, small."""
    components = [{"type": "library", "name": f"part-{n}", "purl": f"pkg:cargo/part-{n}@1.0.{n}"} for n in range(30)]
    text = json.dumps({"bomFormat": "CycloneDX", "specVersion": "1.5", "components": components}, indent=2)
    return gzip.compress(text.encode(), mtime=0)


def deb(folder, version, architecture, extra=""):
    """A package called leptond. Returns its path."""
    tree = os.path.join(folder, "tree")
    os.makedirs(os.path.join(tree, "DEBIAN"))
    os.makedirs(os.path.join(tree, "usr/share/doc/leptond"))
    with open(os.path.join(tree, "DEBIAN/control"), "w", encoding="utf-8") as file:
        file.write(f"Package: leptond\nVersion: {version}\nArchitecture: {architecture}\nMaintainer: The leptond authors <leptond@example.org>\n"
                   f"Section: net\nPriority: optional\nDescription: made for a test\n{extra}")
    with open(os.path.join(tree, "usr/share/doc/leptond/leptond.cdx.json.gz"), "wb") as file:
        file.write(parts())
    path = os.path.join(folder, f"leptond_{version}_{architecture}.deb")
    subprocess.run(["dpkg-deb", "--root-owner-group", "-Zgzip", "-b", tree, path], check=True, capture_output=True)
    shutil.rmtree(tree)
    return path


def tarball(folder, version, architecture):
    """A tarball with an install script that writes down that it ran. Returns its path."""
    root = f"leptond-{version}-{TARGETS[architecture]}"
    top = os.path.join(folder, root)
    os.makedirs(top)
    with open(os.path.join(top, "leptond.cdx.json.gz"), "wb") as file:
        file.write(parts())
    with open(os.path.join(top, "install"), "w", encoding="utf-8") as file:
        file.write("#!/bin/sh\necho tarball >>\"$CALLS\"\n")
    os.chmod(os.path.join(top, "install"), 0o755)
    path = os.path.join(folder, root + ".tar.gz")
    with tarfile.open(path, "w:gz") as archive:
        archive.add(top, root)
    shutil.rmtree(top)
    return path


def files(work):
    """Packages and tarballs of one version for every architecture. Returns their paths."""
    folder = os.path.join(work, "built")
    os.makedirs(folder)
    return [make(folder, VERSION, architecture) for make in (deb, tarball) for architecture in TARGETS]


class Handler(Quiet):
    """Serves a directory. `cut` in the server ends a body after so many bytes."""

    def copyfile(self, source, outputfile):
        cut = self.server.cut.get(self.path)
        if cut is None:
            super().copyfile(source, outputfile)
        else:
            outputfile.write(source.read(cut))
            self.close_connection = True


@contextlib.contextmanager
def server(folder):
    """A web server of a directory on 127.0.0.1. Gives (address, cut): cut[path] = bytes after which the connection ends."""
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Handler, directory=folder)) as running:
        running.cut = {}
        threading.Thread(target=running.serve_forever, daemon=True).start()
        try:
            yield f"http://127.0.0.1:{running.server_port}", running.cut
        finally:
            running.shutdown()


class Place:
    """A directory of programs that is all that a script finds: real ones by links, and stand-ins that write down that they were called."""

    REAL = ("awk", "base64", "basename", "cat", "chmod", "cp", "cut", "dash", "dd", "dirname", "env", "grep", "gzip", "head", "ls", "mkdir", "mktemp", "mv",
            "paste", "printf", "rm", "sed", "sh", "sha256sum", "sort", "tail", "tar", "tr", "wc", "bash")

    def __init__(self, folder, with_programs=("curl", "openssl")):
        self.folder, self.bin = folder, os.path.join(folder, "bin")
        shutil.rmtree(folder, ignore_errors=True)
        os.makedirs(self.bin)
        os.makedirs(os.path.join(folder, "tmp"))
        self.calls_file = os.path.join(folder, "calls")
        for name in (*self.REAL, *with_programs):
            found = shutil.which(name)
            if found:
                os.symlink(found, os.path.join(self.bin, name))
        self.has = lambda name: os.path.exists(os.path.join(self.bin, name))

    def stand_in(self, name, text):
        """A program of our own."""
        path = os.path.join(self.bin, name)
        with open(path, "w", encoding="utf-8") as file:
            file.write("#!/bin/sh\n" + text + "\n")
        os.chmod(path, 0o755)
        return self

    def board(self, machine="aarch64", bits=64, libc="glibc 2.36", dpkg="arm64", user=0, installed=""):
        """Answers of uname, getconf, dpkg and id there; without `dpkg` it is a system without Debian's tools."""
        self.stand_in("uname", f"echo {machine}").stand_in("id", f"echo {user}")
        self.stand_in("getconf", f'case "$1" in LONG_BIT) echo {bits} ;; *) {f"echo {libc}" if libc else "exit 1"} ;; esac')
        self.stand_in("sudo", 'echo "sudo" >>"$CALLS"; exec "$@"')
        if dpkg:
            self.stand_in("dpkg", f'case "$1" in --print-architecture) echo {dpkg} ;; *) exec {shutil.which("dpkg")} "$@" ;; esac')
            self.stand_in("dpkg-query", f'[ -n "{installed}" ] || exit 1; printf "{installed}"')
            self.stand_in("apt-get", 'for a; do last=$a; done; echo "apt-get $* < $(sha256sum <"$last" | cut -c1-64)" >>"$CALLS"')
        return self

    def run(self, script, *arguments, **variables):
        """Runs a script there by dash. Returns (status, what it printed)."""
        environment = {"PATH": self.bin, "HOME": self.folder, "TMPDIR": os.path.join(self.folder, "tmp"), "CALLS": self.calls_file, **variables}
        done = subprocess.run([os.path.join(self.bin, "dash"), script, *arguments], check=False, env=environment, stdin=subprocess.DEVNULL,
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=120)
        return done.returncode, done.stdout.strip()

    def calls(self):
        """Lines that the stand-ins wrote down since the last time."""
        if not os.path.exists(self.calls_file):
            return ""
        with open(self.calls_file, encoding="utf-8") as file:
            text = file.read().strip()
        os.unlink(self.calls_file)
        return text

    def left(self):
        """Files that the script left in its temporary directory."""
        return os.listdir(os.path.join(self.folder, "tmp"))
