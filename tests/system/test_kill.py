"""kill -9 in the middle of a run: nothing sealed is lost or changed, nothing unfinished verifies, the ledger shows it."""

from __future__ import annotations

import hashlib
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from compliancectl import ledger
from compliancectl.cli import app
from compliancectl.sandbox import company as definition
from compliancectl.sandbox.run import running
from compliancectl.seal import keys

FEW, MANY = (0.7,), 50


@dataclass
class Desk:
    """One company, key and ledger; runs that ended and runs that were killed."""

    place: Path
    scope: Path
    verifier: str
    length_s: float = 0.0
    more: tuple[str, ...] = ()
    """Further options of every run."""
    sealed: dict[Path, str] = field(default_factory=dict)

    def command(self, folder: Path, *more: str) -> list[str]:
        named = ["--scope", self.scope, "--key", self.place / "ci.pem", "-o", folder, "--only", "VND-02"]
        book = ["--ledger", self.place / "ledger", "--ledger-key", self.place / "ledger.pem"]
        return [sys.executable, "-m", "compliancectl", "run", *map(str, (*named, *book)), *self.more, *more]

    def start(self, folder: Path, *more: str) -> subprocess.Popen[bytes]:
        with (self.place / "talk").open("ab") as talk:
            return subprocess.Popen(self.command(folder, *more), stdout=talk, stderr=talk, start_new_session=True)

    def whole(self, folder: Path, *more: str) -> None:
        """A run to its end; what it sealed is remembered."""
        began = time.perf_counter()
        assert self.start(folder, *more).wait() == 0, (self.place / "talk").read_text()
        self.length_s = time.perf_counter() - began
        self.sealed[folder] = tree(folder / "bundle")

    def kill(self, folder: Path, after_s: float) -> None:
        """A run that is killed at a moment, unless it has ended by then."""
        process = self.start(folder)
        try:
            process.wait(timeout=after_s)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()

    def look(self, folder: Path) -> None:
        """What must hold whenever somebody looks after a kill."""
        for bundle in (folder / "bundle", folder / "bundle.zip"):
            if bundle.exists():  # under its own name, so it is whole
                assert app.run(["verify", str(bundle), "--key", str(self.place / "ci.pub.pem")]) == 0
        for left in folder.glob(".*.partial"):
            assert app.run(["verify", str(left), "--key", str(self.place / "ci.pub.pem")]) != 0, left
        for other, digest in self.sealed.items():
            assert tree(other / "bundle") == digest
        assert app.run(["ledger", "check", str(self.place / "ledger"), "--key", self.verifier]) == 0

    def abandoned(self) -> int:
        """Runs that the ledger has as opened and never sealed."""
        entries = ledger.read(self.place / "ledger").entries
        closed = {entry.opens for entry in entries if entry.kind == "seal"}
        return sum(1 for entry in entries if entry.kind == "open" and entry.sequence not in closed)


def tree(folder: Path) -> str:
    digest = hashlib.sha256()
    for file in sorted(file for file in folder.rglob("*") if file.is_file()):
        digest.update(f"{file.relative_to(folder)} {hashlib.sha256(file.read_bytes()).hexdigest()}\n".encode())
    return digest.hexdigest()


@pytest.fixture(scope="module")
def desk(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Desk]:
    place = tmp_path_factory.mktemp("kill")
    keys.new_key(place / "ci")
    made = ledger.create(place / "ledger", "larkspur.example/evidence", place / "ledger.pem")
    with running(definition.load(), place / "company", only=("documents",)) as box:
        yield Desk(place, box.scope_file, made.verifier)


def kill_at(desk: Desk, name: str, fractions: tuple[float, ...]) -> None:
    before = desk.abandoned()
    folders = []
    for number, fraction in enumerate(fractions):
        folders.append(desk.place / f"{name}-{number}")
        opened = len(ledger.read(desk.place / "ledger").entries)
        desk.kill(folders[-1], fraction * desk.length_s)
        desk.look(folders[-1])
        entered = [entry.kind for entry in ledger.read(desk.place / "ledger").entries[opened:]]
        assert entered in ([], ["open"], ["open", "seal"]), "nothing is collected that was not entered before"
        assert entered or not (folders[-1] / "run").exists()
        if (folders[-1] / "bundle").exists():
            desk.sealed[folders[-1]] = tree(folders[-1] / "bundle")
    unsealed = next((folder for folder in reversed(folders) if not (folder / "bundle").exists()), None)
    if unsealed is not None:
        desk.whole(unsealed, "--resume")  # the next run in the same folder succeeds
    else:
        desk.whole(desk.place / f"{name}-next")
    desk.look(unsealed or desk.place / f"{name}-next")
    assert desk.abandoned() > before or unsealed is None, "the ledger shows what was abandoned"


def test_a_run_that_is_killed_leaves_nothing_half_done(desk: Desk) -> None:
    desk.more = ("--no-report",)
    desk.whole(desk.place / "short")
    kill_at(desk, "few", FEW)


@pytest.mark.kills
def test_a_run_that_is_killed_at_any_of_fifty_moments_leaves_nothing_half_done(desk: Desk) -> None:
    desk.more = ()
    desk.whole(desk.place / "first")
    chosen = random.Random(20261101)
    kill_at(desk, "many", tuple(chosen.uniform(0.02, 1.05) for _ in range(MANY)))
