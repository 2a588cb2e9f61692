"""The Home Assistant add-on: its files, and its start against a Supervisor of our own."""
import contextlib
import http.server
import json
import os
import re
import shutil
import subprocess
import threading

from lint_checks import _yaml
from report import Skipped, want

ADDON = "cross/home-assistant-addon"
# Keys and values as developers.home-assistant.io/docs/add-ons/configuration and the Supervisor's own checks have them; a key that the
# Supervisor does not know it drops without a word.
REQUIRED = {"name", "version", "slug", "description", "arch"}
KNOWN = REQUIRED | {"url", "startup", "boot", "init", "services", "video", "udev", "map", "ports", "ports_description", "webui", "timeout", "options", "schema",
                    "devices", "usb", "gpio", "ingress", "ingress_port", "image", "stage", "homeassistant", "apparmor", "backup", "watchdog", "tmpfs", "environment"}
ELEMENT = re.compile(r"(?:bool|email|url|port|device(?:\(subsystem=[a-z]+\))?|str(?:\(\d*,\d*\))?|password(?:\(\d*,\d*\))?|int(?:\(-?\d*,-?\d*\))?"
                     r"|float(?:\([\d.]*,[\d.]*\))?|match\(.*\)|list\(.+\))\??")
MAPS = {"config", "ssl", "addons", "backup", "share", "media", "homeassistant_config", "all_addon_configs", "addon_config", "data"}


def _load(repo, name):
    with open(os.path.join(repo, ADDON, name), encoding="utf-8") as file:
        return _yaml().safe_load(file)


def config(repo):
    """Every key is known, every value has its form, defaults fit their own schema."""
    told = _load(repo, "config.yaml")
    want(REQUIRED <= set(told) <= KNOWN, f"missing {REQUIRED - set(told)}, unknown {set(told) - KNOWN}")
    want(re.fullmatch(r"[-_.A-Za-z0-9]+", told["slug"]) and re.fullmatch(r"\d+\.\d+\.\d+\S*", told["version"]), "slug or version")
    with open(os.path.join(repo, "Cargo.toml"), encoding="utf-8") as file:
        version = re.search(r'(?m)^\[workspace\.package\]\nversion = "(.*)"', file.read()).group(1)
    want(told["version"] == version, f"config.yaml has version {told['version']}, Cargo.toml {version}")
    want(set(told["arch"]) <= {"aarch64", "amd64", "armv7", "armhf", "i386"}, told["arch"])
    want(told["startup"] in ("initialize", "system", "services", "application", "once") and told["boot"] in ("auto", "manual", "manual_only"), "startup or boot")
    want(all(re.fullmatch(r"(mqtt|mysql):(provide|want|need)", service) for service in told["services"]), told["services"])
    want(all(entry["type"] in MAPS and isinstance(entry["read_only"], bool) for entry in told["map"]), told["map"])
    want(all(re.fullmatch(r"\d+/(tcp|udp)", port) for port in told["ports"]) and set(told["ports"]) == set(told["ports_description"]), told["ports"])
    want(re.fullmatch(r"https?://\[HOST\]:\[PORT:(\d+)\].*", told["webui"]) and told["webui"].split("PORT:")[1].split("]")[0] + "/tcp" in told["ports"], told["webui"])
    want(10 <= told["timeout"] <= 300, told["timeout"])
    odd = [f"{key}: {form}" for key, form in told["schema"].items() if not ELEMENT.fullmatch(form)]
    want(not odd, odd)
    needed = {key for key, form in told["schema"].items() if not form.endswith("?")}
    want(needed == set(told["options"]), f"options without a default: {needed - set(told['options'])}; defaults of nothing: {set(told['options']) - needed}")
    levels = told["schema"]["log_level"][len("list("):-1].split("|")
    want(told["options"]["log_level"] in levels, levels)
    with open(os.path.join(repo, ADDON, "Dockerfile"), encoding="utf-8") as file:
        recipe = file.read()
    copied = set(re.findall(r"(?m)^COPY (.+) \S+$", recipe))
    names = {name for line in copied for name in line.split()}
    want(all(os.path.exists(os.path.join(repo, ADDON, name)) for name in names - {"install.sh"}), names)
    return f"{len(told)} keys, {len(told['schema'])} options"


def translations(repo):
    """Each option has a name and a description in every language, and there are no words for others."""
    schema, seen = set(_load(repo, "config.yaml")["schema"]), []
    for name in sorted(os.listdir(os.path.join(repo, ADDON, "translations"))):
        told = _load(repo, "translations/" + name)
        words = told["configuration"]
        want(set(words) == schema, f"{name}: {set(words) ^ schema}")
        want(all(word.get("name") and word.get("description") for word in words.values()), f"{name}: a name or description is empty")
        want(set(told["network"]) == {"8099/tcp"}, told["network"])
        seen.append(name)
    with open(os.path.join(repo, ADDON, "run.sh"), encoding="utf-8") as file:
        read = set(re.findall(r"option (\w+)", file.read()))
    want(read == schema, f"run.sh reads {read ^ schema} that the schema has not, or the other way round")
    return f"{', '.join(seen)}; run.sh reads every one"


@contextlib.contextmanager
def supervisor(answer, token="t0ken"):
    """A Supervisor that answers /services/mqtt. Gives its address."""
    class Handler(http.server.BaseHTTPRequestHandler):
        """One path."""

        def log_message(self, *_):
            """Nothing."""

        def do_GET(self):  # noqa: N802
            """As the Supervisor: only who has the token is told anything."""
            good = answer is not None and self.path == "/services/mqtt" and self.headers.get("Authorization") == "Bearer " + token
            body = json.dumps({"result": "ok", "data": answer} if good else {"result": "error"}).encode()
            self.send_response(200 if good else 400)
            self.end_headers()
            self.wfile.write(body)

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        try:
            yield f"http://127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()


def _start(repo, folder, options, api, token="t0ken"):
    """run.sh, with a stand-in for setpriv that tells what it was given and then checks the configuration as leptond would take it."""
    for program in ("jq", "curl"):
        if shutil.which(program) is None:
            raise Skipped(f"{program} is missing: apt-get install {program}")
    program = os.environ.get("LEPTOND", os.path.join(repo, "target/debug/leptond"))
    if not os.access(program, os.X_OK):
        raise Skipped(f"{program} is not built")
    binaries = os.path.join(folder, "bin")
    os.makedirs(binaries, exist_ok=True)
    if not os.path.exists(binaries + "/leptond"):
        os.symlink(os.path.abspath(program), binaries + "/leptond")
    for name, text in (("setpriv", '#!/bin/sh\necho "setpriv $*"\nenv | grep ^LEPTOND__ | sort\nfor a; do last=$a; done\nexec leptond check --config "$last"\n'),
                       ("chown", "#!/bin/sh\nexit 0\n")):
        with open(os.path.join(binaries, name), "w", encoding="utf-8") as file:
            file.write(text)
        os.chmod(os.path.join(binaries, name), 0o755)
    with open(os.path.join(folder, "options.json"), "w", encoding="utf-8") as file:
        json.dump(options, file)
    environment = {**os.environ, "PATH": binaries + ":" + os.environ["PATH"], "ADDON_OPTIONS": folder + "/options.json", "ADDON_SUPERVISOR": api,
                   "ADDON_CONFIG": folder + "/config", "ADDON_STATE": folder + "/state", "ADDON_SECRETS": folder + "/secrets", "SUPERVISOR_TOKEN": token,
                   "no_proxy": "127.0.0.1"}
    done = subprocess.run(["sh", os.path.join(repo, ADDON, "run.sh")], check=False, env=environment, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, text=True, timeout=120)
    return done.returncode, done.stdout


DEFAULTS = {"source": "machine", "model": "machine-anomaly", "name": "machine", "log_level": "info"}


def first_start(repo, work):
    """The broker of the Supervisor, the first configuration, the page; the second start leaves the file alone."""
    folder = os.path.join(work, "addon")
    os.makedirs(folder)
    broker = {"host": "core-mosquitto", "port": 1883, "username": "addons", "password": "se cret'$x", "ssl": False, "protocol": "3.1.1"}
    with supervisor(broker) as api:
        status, said = _start(repo, folder, {**DEFAULTS, "page_password": "a long password"}, api)
        want(status == 0, said)
        for word in ("LEPTOND__MQTT__HOST=core-mosquitto", "LEPTOND__MQTT__USERNAME=addons", "LEPTOND__PAGE__ENABLED=true", "LEPTOND__NODE__NAME=home-assistant",
                     "--bounding-set=-all", "--reuid 10001"):
            want(word in said, f"no {word} in {said}")
        want(broker["password"] not in said, "the broker's password is in the environment or in what is said")
        with open(folder + "/secrets/mqtt-password", encoding="utf-8") as file:
            want(file.read() == broker["password"] + "\n", "the password's file")
        want(oct(os.stat(folder + "/secrets/mqtt-password").st_mode)[-3:] == "600", "the password's file can be read by others")
        path = folder + "/config/leptond.toml"
        with open(path, "a", encoding="utf-8") as file:
            file.write("\n# mine\n")
        status, said = _start(repo, folder, {**DEFAULTS, "source": "/dev/video0", "node": "attic", "mqtt_host": "other", "mqtt_port": 1884}, api)
        with open(path, encoding="utf-8") as file:
            text = file.read()
        want(status == 0 and "# mine" in text and "video0" not in text, said + text)
        want("LEPTOND__MQTT__HOST=other" in said and "LEPTOND__MQTT__PORT=1884" in said and "LEPTOND__NODE__NAME=attic" in said and "PAGE" not in said, said)
        shutil.rmtree(folder + "/config")
        status, said = _start(repo, folder, {**DEFAULTS, "source": "type=synthetic fps=2", "model": "leptonnet-digits", "name": "water"}, api)
        with open(path, encoding="utf-8") as file:
            text = file.read()
        want(status == 0 and 'type = "synthetic"' in text and 'name = "water"' in text, said + text)
    with supervisor({**broker, "ssl": True, "port": 8883}) as api:
        status, said = _start(repo, folder, DEFAULTS, api)
        want(status == 0 and "LEPTOND__MQTT__TLS__CA_FILE=" in said, said)
    return "broker by the Supervisor (with and without TLS) and by options, password in a file, page, node, source of several words; the file is written once"


def without(repo, work):
    """No broker, a wrong token, options that make no configuration, no options at all: said, and nothing starts."""
    folder, seen = os.path.join(work, "addon-without"), []
    os.makedirs(folder)
    broker = {"host": "core-mosquitto", "port": 1883, "username": "a", "password": "b", "ssl": False}
    cases = (("no broker", None, DEFAULTS, "t0ken", "mqtt_host"), ("another token", broker, DEFAULTS, "wrong", "mqtt_host"),
             ("no host", {}, DEFAULTS, "t0ken", "mqtt_host"), ("no such source", broker, {**DEFAULTS, "source": "nonsense"}, "t0ken", "source"),
             ("no such model", broker, {**DEFAULTS, "model": "no/model"}, "t0ken", "model"))
    for name, answer, options, token, word in cases:
        with supervisor(answer) as api:
            status, said = _start(repo, folder, options, api, token)
        want(status != 0 and word in said and "setpriv" not in said and not os.path.exists(folder + "/config/leptond.toml"), f"{name}: exit {status}: {said}")
        seen.append(f"{name}: {said.strip().splitlines()[-1].replace('leptond add-on: ', '')}")
    return "; ".join(seen)
