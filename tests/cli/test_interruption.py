"""Ctrl-C and kill -9 in the middle: what was whole is kept, the rest is fetched again, nothing looks finished."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from limits import file_size

from compliancectl import store
from compliancectl.cli import app
from compliancectl.sandbox import company as definition
from compliancectl.sandbox.run import Sandbox, environment, running
from compliancectl.sandbox.web import Misbehaviour, Request

ONLY = ["--only", "BCP-01", "--only", "NET-02"]
HELD = "projects/larkspur-prod/global/networks/prod/getEffectiveFirewalls"
"""The last request of its evidence item: all replies before it have arrived."""
HELD_ITEM = "gcp/firewall_rules/larkspur-prod"
WHOLE = {
    f"gcp/{feed}/{project}"
    for feed in ("sql_instances", "sql_backup_runs", "firewall_rules")
    for project in ("larkspur-prod", "larkspur-logs")
} - {HELD_ITEM}


class Log(list[Request]):
    """The server's log, which tells when the request that is held has arrived."""

    def __init__(self) -> None:
        super().__init__()
        self.arrived = threading.Event()

    def append(self, request: Request) -> None:
        super().append(request)
        if HELD in request.path:
            self.arrived.set()

    def asked(self) -> set[str]:
        """Paths of the requests to the APIs that give evidence."""
        return {r.path for r in self if r.path.startswith(("/compute.", "/sqladmin."))}


@pytest.fixture(scope="module")
def cloud(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sandbox]:
    with running(definition.load(), tmp_path_factory.mktemp("company"), ("gcp",)) as sandbox:
        yield sandbox


def interrupted(cloud: Sandbox, run: Path, sign: signal.Signals) -> tuple[subprocess.Popen[str], str]:
    """Collect until all is whole but the one item whose last request is held; then send the signal."""
    web: Any = cloud.parts["gcp"].web
    web.log = log = Log()
    web.misbehaviours = [Misbehaviour(HELD, "slow", seconds=3600.0, times=1)]
    command = [sys.executable, "-m", "compliancectl", "collect", "--scope", cloud.scope_file, *ONLY, "-o", run]
    process = subprocess.Popen(
        command, env={**os.environ, **cloud.env}, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    assert process.stderr is not None
    try:
        for _ in WHOLE:
            assert process.stderr.readline().startswith("● collected"), process.stderr.read()
        assert log.arrived.wait(60)
        process.send_signal(sign)
        process.wait(60)
    finally:
        process.kill()
    rest = process.stderr.read()
    process.stderr.close()
    assert process.stdout is not None
    assert process.stdout.read() == ""
    process.stdout.close()
    return process, rest


@pytest.mark.parametrize("sign", [signal.SIGINT, signal.SIGKILL])
def test_an_interrupted_collection_goes_on_where_it_stopped(
    call, cloud: Sandbox, finished, tmp_path: Path, sign: signal.Signals
) -> None:
    run = tmp_path / "run"
    process, said = interrupted(cloud, run, sign)
    assert process.returncode == (130 if sign == signal.SIGINT else -signal.SIGKILL)
    assert "Traceback" not in said and ("--resume" in said) == (sign == signal.SIGINT)
    assert {item.id for item in store.read_items(run)} == WHOLE
    assert all(store.is_intact(run, item) for item in store.read_items(run))
    assert store.read_run(run).status == "open"
    with environment(cloud.env):
        for stage in (
            ["evaluate", run, "--scope", cloud.scope_file, *ONLY],
            ["bundle", run, "-o", tmp_path / "b", "--key", finished.key],
            ["report", "assessment", run, "-o", tmp_path / "r.pdf"],
        ):
            call(*stage).refused(3)
        call("collect", "--scope", cloud.scope_file, *ONLY, "-o", run).refused(2, "already holds the run")
    assert sorted(p.name for p in tmp_path.iterdir()) == ["run"]
    before = {item.id: item for item in store.read_items(run)}

    web: Any = cloud.parts["gcp"].web
    first, web.log, web.misbehaviours = web.log, Log(), []
    with environment(cloud.env):
        done = call("collect", "--scope", cloud.scope_file, *ONLY, "-o", run, "--resume")
    assert done.code == 0 and done.err.count("● kept") == len(WHOLE)
    of_held = {path for path in first.asked() if "/compute/v1/projects/larkspur-prod/" in path}
    assert len(of_held) > 1 and web.log.asked() == of_held, "what was partial is fetched again from its beginning"
    items = {item.id: item for item in store.read_items(run)}
    assert set(items) == WHOLE | {HELD_ITEM} and all(items[id] == item for id, item in before.items())
    assert not list(run.rglob("*.part"))


CHILD = """
import signal, sys
signal.signal(signal.SIGXFSZ, signal.SIG_DFL)
from compliancectl.cli import app
sys.exit(app.run(sys.argv[1:]))
"""
"""With a limit on file size the kernel kills this process in the middle of a write: a kill -9 at the worst moment."""

COMMANDS: dict[str, tuple[Callable[[Any, Path], list[object]], int]] = {
    "evaluate": (lambda p, out: ["evaluate", p.run, "--scope", p.scope], 1_000),
    "bundle": (lambda p, out: ["bundle", p.run, "-o", out / "b", "--zip", out / "b.zip", "--key", p.key], 3_000),
    "archive": (lambda p, out: ["bundle", p.run, "-o", out / "b", "--zip", out / "b.zip", "--key", p.key], 25_000),
    "report": (lambda p, out: ["report", "assessment", p.bundle, "-o", out / "r.pdf"], 200_000),
}


@pytest.mark.parametrize("name", COMMANDS)
def test_a_kill_in_the_middle_of_a_write_leaves_nothing_that_looks_finished(
    call, mine, tmp_path: Path, name: str
) -> None:
    make, limit = COMMANDS[name]
    out = tmp_path / "out"
    out.mkdir()
    if name == "evaluate":
        shutil.rmtree(mine.run / "results")

    command = [sys.executable, "-c", CHILD, *map(str, make(mine, out))]
    done = subprocess.run(file_size(limit, command), check=False, capture_output=True, text=True)
    assert done.returncode == -signal.SIGXFSZ, done
    assert [f.name for f in out.iterdir() if not f.name.startswith(".")] == []
    assert not (mine.run / "results").exists() or name != "evaluate"
    assert call(*make(mine, out)).code == 0, "what was left behind does not stand in the way"
    if name in ("bundle", "archive"):
        assert call("verify", out / "b.zip", "--key", mine.public).code == 0
        assert sorted(f.name for f in out.iterdir()) == ["b", "b.zip"]


def test_an_interrupted_bundle_is_exit_130_and_leaves_nothing(mine, tmp_path: Path) -> None:
    """The key comes through a pipe that nobody writes to, so the command waits there when the signal comes."""
    pipe = tmp_path / "key.pem"
    os.mkfifo(pipe)
    command = [sys.executable, "-m", "compliancectl", "bundle", mine.run, "-o", tmp_path / "b", "--key", pipe]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    with pipe.open("wb"):  # returns when the command has opened the other end
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=60)
    assert process.returncode == 130 and out == "" and "Traceback" not in err and "nothing was written" in err
    assert not (tmp_path / "b").exists()


@pytest.mark.parametrize("moment", ["reading", "writing"])
def test_an_interrupted_report_leaves_what_was_there(mine, tmp_path: Path, moment: str) -> None:
    from compliancectl.report import render

    out = tmp_path / "r.pdf"
    out.write_bytes(b"the report of last week")

    def interrupt(text: str) -> None:
        if text == moment:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        render("assessment", mine.bundle, out, progress=interrupt)
    assert out.read_bytes() == b"the report of last week"
    assert [f.name for f in tmp_path.iterdir() if f.is_file()] == ["r.pdf"]


def test_ctrl_c_is_exit_130(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    def interrupt(*arguments: object, **more: object) -> None:
        os.kill(os.getpid(), signal.SIGINT)

    monkeypatch.setattr("compliancectl.sandbox.company.faults", interrupt)
    assert app.run(["demo", "--list-faults"]) == 130
    said = capsys.readouterr().err
    assert "interrupted" in said and "Traceback" not in said
