"""The container image: its recipe, and the image itself where an engine is."""
import os
import re
import shutil
import subprocess

from report import Skipped, want


def recipe(repo):
    """Not as root, state in a volume, every architecture of the packages, and as the page beside it says."""
    with open(os.path.join(repo, "cross/container/Containerfile"), encoding="utf-8") as file:
        text = file.read()
    with open(os.path.join(repo, "cross/container/README.md"), encoding="utf-8") as file:
        page = file.read()
    last = text.rsplit("\nFROM ", 1)[1]
    for line in ("USER 10001:10001", "VOLUME /var/lib/leptond", 'ENTRYPOINT ["/usr/bin/leptond"]', 'CMD ["run"]'):
        want(line in last, f"the image has no {line}")
    for word in ("amd64*)", "arm64*)", "armv7)"):
        want(word in text, f"no architecture {word}")
    for word in ("10001", "/var/lib/leptond", "--device /dev/video0", "--read-only", "--cap-drop ALL"):
        want(word in page, f"README.md does not say {word}")
    return "user 10001, state in a volume, three architectures"


def built(repo, work):
    """Built of a real package where an engine answers and IMAGE_DEB names one; run as the user of the image."""
    deb, base = os.environ.get("IMAGE_DEB", ""), os.environ.get("IMAGE_BASE", "debian:12-slim")
    if not deb:
        raise Skipped("IMAGE_DEB names no package (IMAGE_BASE: another base than debian:12-slim)")
    done = subprocess.run([os.path.join(repo, "cross/container/build"), deb, "--tag", "localhost/leptond-test", "--base", base, "--no-ffmpeg"], check=False,
                          capture_output=True, text=True)
    if done.returncode == 77:
        raise Skipped(done.stdout.strip())
    said = done.stdout + done.stderr
    if done.returncode != 0 and re.search(r"(?i)(pull|registry|manifest|lookup|resolv|dial tcp|i/o timeout)", said):
        raise Skipped(f"{base} cannot be fetched: {said.strip().splitlines()[-1][-200:]}")
    want(done.returncode == 0, said[-600:])
    engine = done.stdout.strip().rsplit(" ", 1)[-1]
    if engine == "buildah":
        name = subprocess.run(["buildah", "from", "localhost/leptond-test"], check=True, capture_output=True, text=True).stdout.strip()
        try:
            run = ["buildah", "run", "--isolation", "chroot", "--user", "10001:10001", name, "--"]
            out = subprocess.run([*run, "sh", "-c", "id -u; leptond --version; leptond check | head -n 1; touch /var/lib/leptond/x && echo writable"], check=False,
                                 capture_output=True, text=True)
        finally:
            subprocess.run(["buildah", "rm", name], check=False, capture_output=True)
    else:
        out = subprocess.run([engine, "run", "--rm", "--entrypoint", "sh", "localhost/leptond-test", "-c",
                              "id -u; leptond --version; leptond check | head -n 1; touch /var/lib/leptond/x && echo writable"], check=False, capture_output=True, text=True)
    if shutil.which(engine):
        subprocess.run([engine, "rmi", "localhost/leptond-test"], check=False, capture_output=True)
    want(out.returncode == 0 and out.stdout.startswith("10001\nleptond ") and "writable" in out.stdout, out.stdout + out.stderr)
    return f"by {engine}: {' / '.join(out.stdout.strip().splitlines())}"
