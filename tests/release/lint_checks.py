"""Workflows, shell scripts, recipes and YAML: by linters where they are, and in any case by the rules that no linter knows."""
import copy
import glob
import os
import re
import shutil
import subprocess

from report import Skipped, want

SCRIPTS = ("cross/release", "cross/publish", "cross/apt-repo", "cross/install.sh", "cross/container/build", "cross/home-assistant-addon/run.sh",
           "tests/release/check", "tests/package", "tests/hour")
YAML_RULES = "{extends: default, rules: {line-length: {max: 160}, comments: {min-spaces-from-content: 1}}}"


def _yaml():
    try:
        import yaml  # pylint: disable=import-outside-toplevel
    except ImportError:
        raise Skipped("PyYAML is missing: apt-get install yamllint") from None
    return yaml


def _lint(program, package, command):
    if shutil.which(program) is None:
        raise Skipped(f"{program} is missing: {package}")
    done = subprocess.run(command, check=False, capture_output=True, text=True)
    want(done.returncode == 0, f"{done.stdout}{done.stderr}"[:1500] or f"exit {done.returncode}")
    return f"{program} has nothing to say"


def shell(repo):
    """shellcheck, over the scripts of a release."""
    return _lint("shellcheck", "apt-get install shellcheck", ["shellcheck", *[os.path.join(repo, name) for name in SCRIPTS]])


def yaml_files(repo):
    """yamllint, over workflows and the add-on."""
    names = glob.glob(os.path.join(repo, ".github/workflows/*.yml")) + [os.path.join(repo, "cross/home-assistant-addon")]
    want(len(names) >= 3, names)
    return _lint("yamllint", "apt-get install yamllint", ["yamllint", "--strict", "-d", YAML_RULES, *names])


def actionlint(repo):
    """actionlint, over the workflows."""
    return _lint("actionlint", "a single program of github.com/rhysd/actionlint", ["actionlint", *glob.glob(os.path.join(repo, ".github/workflows/*.yml"))])


def hadolint(repo):
    """hadolint, over the recipes of images."""
    names = [os.path.join(repo, name) for name in ("cross/container/Containerfile", "cross/home-assistant-addon/Dockerfile")]
    return _lint("hadolint", "a single program of github.com/hadolint/hadolint", ["hadolint", *names])


def wrong(flow, scripts):
    """Faults of one workflow: `flow` as YAML gives it, `scripts` the files of the project that a step may run."""
    found = []
    # YAML 1.1 reads the key "on" as true where it is not quoted.
    if "on" not in flow:
        found.append("no \"on\" in quotes")
    if flow.get("permissions") != {"contents": "read"}:
        found.append(f"permissions of the whole are {flow.get('permissions')}, not contents: read")
    for name, job in flow.get("jobs", {}).items():
        allowed = job.get("permissions", {"contents": "read"})
        secrets = "secrets." in str(job)
        if allowed != {"contents": "read"} and not (allowed == {"contents": "write"} and name == "publish"):
            found.append(f"{name}: permissions {allowed}")
        if secrets and (name != "publish" or not job.get("environment")):
            found.append(f"{name}: secrets outside of publish and its environment")
        if not job.get("timeout-minutes"):
            found.append(f"{name}: no timeout-minutes")
        if not str(job.get("runs-on", "")).startswith("ubuntu-2"):
            found.append(f"{name}: runs on {job.get('runs-on')}, which changes by itself")
        needs = job.get("needs", [])
        for need in [needs] if isinstance(needs, str) else needs:
            if need not in flow["jobs"]:
                found.append(f"{name}: needs {need}, which is no job")
        for step in job.get("steps", []):
            uses, run = step.get("uses", ""), step.get("run", "")
            if uses and not re.fullmatch(r"[\w.-]+/[\w./-]+@[0-9a-f]{40}", uses):
                found.append(f"{name}: {uses} is not pinned by a commit")
            if uses.startswith("actions/checkout@") and (step.get("with") or {}).get("persist-credentials") is not False:
                found.append(f"{name}: checkout keeps the token for every later step")
            # What a pull request or a tag is called would become a part of the script.
            if "${{" in run:
                found.append(f"{name}: an expression inside a script: {run.splitlines()[0]}")
            # Logic belongs into scripts of the project, which are run and tested anywhere.
            if len(run.strip().splitlines()) > 6 or re.search(r"\b(if|for|while|case)\b.*(;|then|do|in)\b", run):
                found.append(f"{name}: a script inside the workflow: {run.splitlines()[0]}")
            for script in re.findall(r"(?:^|\s)((?:cross|tests|\.ci)/[\w./-]+)", run):
                if script not in scripts:
                    found.append(f"{name}: {script} is no program of the project")
    return found


def _programs(repo):
    names = subprocess.run(["git", "-C", repo, "ls-files", "--cached", "--others", "--exclude-standard", "cross", "tests", ".ci"], check=True, capture_output=True, text=True)
    return {name for name in names.stdout.splitlines() if os.access(os.path.join(repo, name), os.X_OK)}


def workflows(repo):
    """Pinned actions, least permissions, secrets in one job, no logic in YAML, and scripts that are there."""
    yaml, seen = _yaml(), []
    scripts = _programs(repo)
    for path in sorted(glob.glob(os.path.join(repo, ".github/workflows/*.yml"))):
        with open(path, encoding="utf-8") as file:
            flow = yaml.safe_load(file)
        found = wrong(flow, scripts)
        want(not found, f"{os.path.basename(path)}: {'; '.join(found)}")
        seen.append(f"{os.path.basename(path)}: {', '.join(flow['jobs'])}")
    with open(os.path.join(repo, ".github/workflows/release.yml"), encoding="utf-8") as file:
        text = file.read()
    flow = yaml.safe_load(text)
    jobs = flow["jobs"]
    targets = set(jobs["build"]["strategy"]["matrix"]["target"])
    want(targets == {"aarch64-unknown-linux-gnu", "armv7-unknown-linux-gnueabihf", "x86_64-unknown-linux-gnu"}, f"builds {targets}")
    want(flow["on"] == {"push": {"tags": ["v*"]}}, f"starts on {flow['on']}")

    def before(job):
        needs = jobs[job].get("needs", [])
        needs = [needs] if isinstance(needs, str) else needs
        return set(needs).union(*[before(need) for need in needs])

    want(before("publish") == {"tag", "test", "build", "package"}, f"publish waits for {before('publish')}")
    for word in (".ci/run", "--deb --tar", "cross/release release --tag", "cross/publish release"):
        want(word in text, f"release.yml does not run {word}")
    return "; ".join(seen)


def faults_are_found(repo):
    """The rules above find what they are for."""
    good = {"on": {}, "permissions": {"contents": "read"}, "jobs": {"publish": {
        "runs-on": "ubuntu-24.04", "timeout-minutes": 5, "environment": "release", "permissions": {"contents": "write"},
        "steps": [{"uses": "actions/checkout@" + "0" * 40, "with": {"persist-credentials": False}}, {"run": ".ci/run", "env": {"K": "${{ secrets.K }}"}}]}}}
    scripts = _programs(repo)
    want(wrong(good, scripts) == [], wrong(good, scripts))

    def changed(change):
        flow = copy.deepcopy(good)
        change(flow, flow["jobs"]["publish"])
        return wrong(flow, scripts)

    def steps(job, step):
        job["steps"] = [step]

    cases = {
        "a tag instead of a commit": lambda _, job: steps(job, {"uses": "actions/cache@v4"}),
        "a token that stays": lambda _, job: steps(job, {"uses": "actions/checkout@" + "0" * 40}),
        "all permissions": lambda flow, _: flow.pop("permissions"),
        "write in another job": lambda flow, job: flow.update(jobs={"build": job}),
        "secrets without an environment": lambda _, job: job.pop("environment"),
        "no time limit": lambda _, job: job.pop("timeout-minutes"),
        "a runner that changes": lambda _, job: job.update({"runs-on": "ubuntu-latest"}),
        "an expression in a script": lambda _, job: steps(job, {"run": "echo ${{ github.ref }}"}),
        "logic": lambda _, job: steps(job, {"run": "if true; then echo; fi"}),
        "a script that is not there": lambda _, job: steps(job, {"run": "cross/nothing here"}),
        "a job that is not there": lambda _, job: job.update(needs=["nothing"]),
    }
    missed = [name for name, change in cases.items() if not changed(change)]
    want(not missed, f"not found: {', '.join(missed)}")
    return f"{len(cases)} faults found"


CHECKS = (
    ("workflows: pinned, least permissions, scripts of the project", workflows),
    ("workflows: faults are found", faults_are_found),
    ("workflows: actionlint", actionlint),
    ("shell scripts: shellcheck", shell),
    ("YAML: yamllint", yaml_files),
    ("images: hadolint", hadolint),
)
