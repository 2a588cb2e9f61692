"""cross/release: the directory that is published."""
import os
import shutil
import subprocess

import made
from report import Skipped, want


def run(repo, *arguments, **variables):
    """Runs cross/release. Returns (status, what it printed)."""
    done = subprocess.run([os.path.join(repo, "cross/release"), *arguments], check=False, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, text=True, env={**os.environ, **variables})
    if done.returncode == 77:
        raise Skipped(done.stdout.strip())
    return done.returncode, done.stdout.strip()


PASSWORD = "of the other key"


def key(repo, work, name="key"):
    """A pair of keys of the project's own command; the one called another has a password. Returns (secret, public)."""
    secret, public = os.path.join(work, name + ".secret"), os.path.join(work, name + ".pub")
    if not os.path.exists(secret):
        if shutil.which("minisign") is None:
            raise Skipped("minisign is missing: apt-get install minisign")
        command = [os.path.join(repo, "cross/release"), "--new-key", secret, "--public", public]
        # minisign asks twice.
        done = subprocess.run([*command, *([] if name == "another" else ["--no-password"])], input=f"{PASSWORD}\n{PASSWORD}\n", check=False,
                              capture_output=True, text=True)
        want(done.returncode == 0 and os.path.exists(public), done.stdout + done.stderr)
    return secret, public


def directory(repo, work, files):
    """Everything is there, its checksums hold, minisign verifies them, and the install script has the key."""
    secret, public = key(repo, work)
    out = os.path.join(work, "release")
    status, said = run(repo, out, "--key", secret, "--public", public, "--releases", "https://example.org/releases", *files)
    want(status == 0, said)
    names = sorted(os.listdir(out))
    expected = {os.path.basename(path) for path in files} | {"install.sh", "SHA256SUMS", "SHA256SUMS.minisig"}
    expected |= {f"leptond-{made.VERSION}-{architecture}.cdx.json" for architecture in made.TARGETS}
    expected |= {f"leptond-{made.VERSION}-{target}.cdx.json" for target in made.TARGETS.values()}
    expected |= {f"leptond-{made.VERSION}-home-assistant-addon.tar.gz"}
    want(set(names) == expected, f"missing {sorted(expected - set(names))}, too many {sorted(set(names) - expected)}")
    sums = subprocess.run(["sha256sum", "-c", "--strict", "--quiet", "SHA256SUMS"], cwd=out, check=False, capture_output=True, text=True)
    with open(os.path.join(out, "SHA256SUMS"), encoding="utf-8") as file:
        summed = {line.split()[1] for line in file}
    want(sums.returncode == 0 and summed == expected - {"SHA256SUMS", "SHA256SUMS.minisig"}, f"{sums.stderr}{summed}")
    verified = subprocess.run(["minisign", "-Vm", "SHA256SUMS", "-p", public], cwd=out, check=False, capture_output=True, text=True)
    want(verified.returncode == 0 and f"leptond {made.VERSION}" in verified.stdout, verified.stdout + verified.stderr)
    with open(public, encoding="utf-8") as file:
        pinned = file.read().splitlines()[1]
    with open(os.path.join(out, "install.sh"), encoding="utf-8") as file:
        script = file.read()
    want(f"\nkey='{pinned}'" in script and "\nreleases='https://example.org/releases'" in script, "key or address are not in install.sh")
    inside = subprocess.run(["tar", "-tzf", f"leptond-{made.VERSION}-home-assistant-addon.tar.gz"], cwd=out, check=True, capture_output=True, text=True).stdout
    want(all(f"leptond/{name}\n" in inside for name in ("config.yaml", "Dockerfile", "run.sh", "install.sh", "DOCS.md")), inside)
    return f"{len(names)} files; {said.splitlines()[-1]}"


def refused(repo, work, files):
    """A file that does not fit gives no directory."""
    secret, public = key(repo, work)
    guarded, another = key(repo, work, "another")
    out, told = os.path.join(work, "no-release"), []
    folder = os.path.join(work, "odd")
    os.makedirs(folder)
    bare = made.deb(folder, made.VERSION, "amd64")
    subprocess.run(["dpkg-deb", "-R", bare, folder + "/x"], check=True)
    os.unlink(folder + "/x/usr/share/doc/leptond/leptond.cdx.json.gz")
    subprocess.run(["dpkg-deb", "-Zgzip", "-b", folder + "/x", bare], check=True, capture_output=True)
    lie = os.path.join(folder, f"leptond_{made.VERSION}_arm64.deb")
    shutil.copy(files[0], lie)
    cases = {
        "no key": [*files],
        "another key": ["--key", secret, "--public", another, *files],
        "no such key": ["--key", os.path.join(work, "nowhere"), "--public", public, *files],
        "no list of parts": ["--key", secret, "--public", public, bare],
        "another architecture inside": ["--key", secret, "--public", public, lie],
        "another version": ["--unsigned", made.deb(folder, "9.9.9", "amd64")],
        "a file twice": ["--unsigned", files[0], files[0]],
        "no such file": ["--unsigned", os.path.join(work, "nowhere.deb")],
    }
    cases["another password"] = ["--key", guarded, "--public", another, *files]
    for name, arguments in cases.items():
        status, said = run(repo, out, *arguments, MINISIGN_PASSWORD="wrong")
        want(status in (1, 2) and not os.path.exists(out) and not os.path.exists(out + ".partial") and said, f"{name}: exit {status}: {said}")
        told.append(f"{name}: {said.splitlines()[-1].replace('cross/release: ', '')}")
    status, said = run(repo, out, "--key", guarded, "--public", another, *files, MINISIGN_PASSWORD=PASSWORD)
    want(status == 0, f"with the right password: {said}")
    shutil.rmtree(out)
    os.makedirs(out)
    with open(os.path.join(out, "mine"), "w", encoding="utf-8"):
        pass
    status, said = run(repo, out, "--unsigned", *files)
    want(status == 1 and os.listdir(out) == ["mine"], f"a directory with files: exit {status}: {said}")
    return "; ".join(told)


def tag(repo):
    """A tag of another version is refused, by the file that differs."""
    seen = []
    for name in ("0.1.0", "v9.9.9", "v0.1", "v0.1.0;id"):
        status, said = run(repo, "--check-tag", name)
        want(status == 1, f"{name}: exit {status}: {said}")
        seen.append(f"{name}: {said.replace('cross/release: ', '')}")
    return "; ".join(seen)
