"""A small project of documents, taken through every stage by the command line itself."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from compliancectl.cli import app

SIDECAR = """\
kind: penetration-test
subject: study-companion
title: Penetration test by Fernhill Security
owner: security
issued: {day}
status: performed
performed_by: Fernhill Security
independent: true
"""
SCOPE = """\
organization: Larkspur Learning, Inc.
system: Study Companion
controls:
  only: [VUL-04]
sources:
  documents: {folder: documents}
"""


def write_project(place: Path) -> Path:
    """A scope file over a folder with one document; returns the scope file."""
    from compliancectl import clock

    documents = place / "documents"
    documents.mkdir(parents=True)
    (documents / "report.pdf").write_bytes(b"%PDF no finding")
    (documents / "report.pdf.yaml").write_text(SIDECAR.format(day=f"{clock.now():%Y-%m-%d}"))
    scope = place / "compliancectl.yaml"
    scope.write_text(SCOPE)
    return scope


@dataclass(frozen=True)
class Said:
    """How a command ended and what it said."""

    code: int
    out: str
    err: str

    @property
    def hint(self) -> str:
        """What it says to do next."""
        return self.err.partition("\nhint: ")[2].strip()

    def refused(self, code: int, *parts: str) -> None:
        """One message and one hint, no traceback, nothing on stdout; every part is in the message."""
        assert self.code == code, self
        assert self.err.count("error: ") == 1 and "Traceback" not in self.err and self.hint, self
        assert self.out == "", "what is not there is not announced"
        for part in parts:
            assert part in self.err, self


Call = Callable[..., Said]


@pytest.fixture
def call(capfd: pytest.CaptureFixture[str]) -> Call:
    """Run one command line in this process."""

    def run(*arguments: object) -> Said:
        capfd.readouterr()
        code = app.run([str(argument) for argument in arguments])
        said = capfd.readouterr()
        return Said(code, said.out, said.err)

    return run


@dataclass(frozen=True)
class Finished:
    """A project taken to its sealed bundle. Copy it before changing it."""

    place: Path

    @property
    def scope(self) -> Path:
        return self.place / "compliancectl.yaml"

    @property
    def run(self) -> Path:
        return self.place / "run"

    @property
    def bundle(self) -> Path:
        return self.place / "bundle"

    @property
    def archive(self) -> Path:
        return self.place / "bundle.zip"

    @property
    def key(self) -> Path:
        return self.place / "key.pem"

    @property
    def public(self) -> Path:
        return self.place / "key.pub.pem"


@pytest.fixture(scope="session")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Finished:
    """Collected, evaluated and sealed once for all tests that only look at it."""
    made = Finished(tmp_path_factory.mktemp("finished"))
    scope = write_project(made.place)
    for arguments in (
        ["keys", "new", made.place / "key"],
        ["collect", "--scope", scope, "--output", made.run],
        ["evaluate", made.run, "--scope", scope],
        ["bundle", made.run, "--output", made.bundle, "--zip", made.archive, "--key", made.key],
    ):
        assert app.run([str(argument) for argument in arguments]) == 0, arguments
    return made


@pytest.fixture
def mine(finished: Finished, tmp_path: Path) -> Finished:
    """A copy of the finished project that a test may change."""
    return Finished(Path(shutil.copytree(finished.place, tmp_path / "mine")))


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A scope file that nothing was done with yet."""
    return write_project(tmp_path / "project")


def tree(place: Path) -> dict[str, bytes]:
    """Every file below a folder with its bytes."""
    return {str(f.relative_to(place)): f.read_bytes() for f in sorted(place.rglob("*")) if f.is_file()}


@pytest.fixture(name="tree")
def _tree() -> Callable[[Path], dict[str, bytes]]:
    return tree
