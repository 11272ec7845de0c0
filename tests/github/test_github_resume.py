"""A collection that is killed in the middle of a branch goes on there, if nothing moved, and trusts nothing that is not whole."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from compliancectl import clock, store
from compliancectl.cli import app
from compliancectl.sandbox.github.server import describe
from compliancectl.sandbox.run import environment
from compliancectl.sandbox.web import Misbehaviour

MERGED = 260
"""Six pages of pull requests, three of commits."""
TABLES = ("pull_request", "review", "commit", "status_check")


class Log(list[Any]):
    """The server's log; tells when a page of one operation was asked for so often."""

    def __init__(self, operation: str, times: int) -> None:
        super().__init__()
        self.operation, self.times, self.arrived = operation, times, threading.Event()

    def append(self, request: Any) -> None:
        super().append(request)
        if self.count(self.operation) >= self.times:
            self.arrived.set()

    def count(self, operation: str) -> int:
        return sum(describe(request) == f"POST /graphql {operation}" for request in self)


@pytest.fixture
def long(start: Any) -> Any:
    """A company of which one repository has many changes, older than the minute within which GitHub may contradict itself."""
    return start(lambda github: github.update(generated={"repositories": 1, "merged": MERGED}))


def killed(hub: Any, run: Path, operation: str, times: int) -> None:
    """Collect until that page is asked for, which GitHub never answers; then kill -9."""
    web = hub.part.web
    web.log = log = Log(operation, times)
    hold = Misbehaviour(f"POST /graphql {operation}$", "slow", seconds=3600.0)
    web.misbehaviours = [Misbehaviour(hold.path, "slow", seconds=0.0, times=times - 1), hold]
    scope = hub.scope(cache="answers", production={"service-001": ["main"]})
    command = [sys.executable, "-m", "compliancectl", "collect", "--scope", scope, "--only", "SDL-04", "-o", run]
    with subprocess.Popen(command, env={**os.environ, **hub.sandbox.env}, stderr=subprocess.DEVNULL) as process:
        try:
            assert log.arrived.wait(60)
        finally:
            process.send_signal(signal.SIGKILL)
    web.misbehaviours = []


def resumed(hub: Any, run: Path) -> Log:
    """Go on; returns what was asked."""
    hub.part.web.log = log = Log("", 1)
    with environment(hub.sandbox.env):
        code = app.run(
            ["collect", "--scope", str(hub.sandbox.scope_file), "--only", "SDL-04", "-o", str(run), "--resume"]
        )
    assert code == 0
    return log


@pytest.mark.parametrize(
    ("operation", "times", "asked"),
    [
        ("PullRequests", 5, {"PullRequests": 2, "Commits": 3, "BranchSignature": 1}),
        ("Commits", 3, {"PullRequests": 0, "Commits": 1, "BranchSignature": 1}),
        ("PullRequests", 1, {"PullRequests": 6, "Commits": 3, "BranchSignature": 0}),
    ],
)
def test_it_goes_on_where_it_was_killed(long, tmp_path, operation, times, asked):
    run = tmp_path / "run"
    killed(long, run, operation, times)
    assert not [item for item in store.read_items(run) if item.feed == "github.changes"], "nothing partial is trusted"
    log = resumed(long, run)
    assert {name: log.count(name) for name in asked} == asked
    (item,) = [item for item in store.read_items(run) if item.feed == "github.changes"]
    assert (item.status, item.completeness.complete) == ("collected", True)
    again = [reply for reply in item.replies if "reused" in reply.context]
    assert len(again) == 9 - asked["PullRequests"] - asked["Commits"]
    assert all("a collection broke off since, but no merged pull request" in reply.context["reused"] for reply in again)
    plain = long.collect(*TABLES, production={"service-001": ["main"]})
    same_folder = type(plain)(run)
    assert all(same_folder.rows(table) == plain.rows(table) for table in TABLES)
    assert len(plain.rows("pull_request")) == MERGED


@pytest.mark.parametrize("what", ["moved", "damaged", "withheld"])
def test_what_may_not_hold_any_more_is_asked_anew(long, tmp_path, what):
    if what == "withheld":
        long.state.withheld.add("PullRequest.mergedBy")
    killed(long, tmp_path / "run", "PullRequests", 5)
    if what == "moved":
        at = clock.text(long.state.now - timedelta(hours=1))
        pulls = long.state.repositories["service-001"]["pull_requests"]
        pulls[-1].update(updated=at, reviews=[{"by": "chen-wei", "state": "DISMISSED"}])
        del long.state.changes
    elif what == "damaged":
        (first,) = [
            file
            for file in (long.sandbox.folder / "answers").glob(".branch-*.part/*.json")
            if b'\\"after\\": null' in file.read_bytes() or b'"after": null' in file.read_bytes()
        ]
        first.write_bytes(first.read_bytes() + b" ")
    else:
        long.state.withheld.clear()
    log = resumed(long, tmp_path / "run")
    assert log.count("PullRequests") == 6
    (item,) = [item for item in store.read_items(tmp_path / "run") if item.feed == "github.changes"]
    assert not [reply for reply in item.replies if "reused" in reply.context]
