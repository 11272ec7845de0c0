"""A second process reads a bundle before anybody asks; what it says, or that it says nothing, changes no answer."""

from __future__ import annotations

import hashlib
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from compliancectl.model.manifest import VerifyStep
from compliancectl.seal import ahead, container, names, trust
from compliancectl.seal.container import Folder
from compliancectl.verify import verify

CORES = ("sched_getaffinity", lambda process: {0, 1})


@pytest.fixture(autouse=True)
def two_cores(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(container.os, *CORES, raising=False)


def hashed(folder: Path) -> dict[str, tuple[str, int]]:
    files = {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    return {name: (hashlib.sha256(data).hexdigest(), len(data)) for name, data in files.items()}


def test_it_reads_what_verification_needs(sealed) -> None:
    with ahead.begun(["--key", str(sealed.public), str(sealed.folder)]):
        begun = ahead.of(sealed.folder)
        assert begun is not None and ahead.of(sealed.archive) is None
        read = begun.wait()
        assert read.digests == hashed(sealed.folder)
        assert read.records == {n: (sealed.folder / n).read_bytes() for n in read.digests if names.is_record(n)}
        assert verify(sealed.folder, trust=trust.load(public_keys=[sealed.public]), ahead=begun).verdict == "verified"
    assert ahead.of(sealed.folder) is None
    with pytest.raises(ChildProcessError):
        os.waitpid(begun._process, os.WNOHANG)  # no process is left behind


def test_what_it_finds_altered_is_altered(sealed, tmp_path: Path) -> None:
    folder = sealed.copy(tmp_path / "bundle")
    (folder / "README.txt").write_bytes(b"All is well.")
    with ahead.begun([str(folder)]):
        found = verify(folder, trust=trust.load(public_keys=[sealed.public]), ahead=ahead.of(folder))
    assert found.failure is not None and found.failure.step == VerifyStep.DIGESTS
    assert "files were altered: README.txt" in found.failure.message


def test_when_it_is_ended_everything_is_read_here(sealed) -> None:
    with ahead.begun([str(sealed.folder)]):
        begun = ahead.of(sealed.folder)
        assert begun is not None
        os.kill(begun._process, signal.SIGKILL)
        begun._data = begun._data[:-1]  # or it had ended already: then as if it had not been able to say all
        read = begun.wait()
        begun._data = begun._data[:-1]
        assert begun.wait() == ahead.Read() and read.digests in ({}, hashed(sealed.folder))
        assert verify(sealed.folder, trust=trust.load(public_keys=[sealed.public]), ahead=begun).verdict == "verified"


def test_it_says_nothing_about_a_folder_that_is_no_bundle(sealed, tmp_path: Path) -> None:
    folder = sealed.copy(tmp_path / "bundle")
    os.mkfifo(folder / "evidence/pipe")
    with ahead.begun([str(folder)]):
        begun = ahead.of(folder)
        assert begun is not None and begun.wait() == ahead.Read()
        found = verify(folder, trust=trust.load(public_keys=[sealed.public]), ahead=begun)
    assert found.failure is not None and found.failure.step == VerifyStep.CONTAINER


@pytest.mark.parametrize("argument", ["", "nowhere", "x" * 5000, "--format=json"])
def test_it_begins_with_nothing_but_a_bundle(argument: str) -> None:
    with ahead.begun([argument]):
        assert ahead.of(Path(argument)) is None


def test_the_command_answers_alike_with_one_processor_and_with_two(sealed, tmp_path: Path) -> None:
    """The command as people call it; a second process is begun only if there is a processor for it."""
    folder = sealed.copy(tmp_path / "bundle")
    (folder / "README.txt").write_bytes(b"All is well.")
    program = "import os, sys\nif sys.argv.pop(1) == '1': os.sched_getaffinity = lambda process: {0}\n"
    program += "else: os.sched_getaffinity = lambda process: {0, 1}\nfrom compliancectl.cli import main\nmain()"
    said = [
        subprocess.run(
            [sys.executable, "-c", program, count, "verify", path, "--key", sealed.public],
            capture_output=True,
            text=True,
            check=False,
        )
        for path in (sealed.folder, folder)
        for count in ("1", "2")
    ]
    assert [(one.returncode, one.stderr) for one in said] == [(0, ""), (0, ""), (4, ""), (4, "")]
    assert said[0].stdout == said[1].stdout and said[2].stdout == said[3].stdout
    assert "README.txt" in said[2].stdout


def test_large_files_are_hashed_in_threads_and_come_out_the_same(
    sealed, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(container, "LARGE", 500)
    monkeypatch.setattr(container, "PIECE", 300)
    folder = Folder(sealed.folder)
    assert sum(size >= container.LARGE for size in folder.sizes.values()) > 2
    found = list(folder.digests(folder.sizes))
    assert {name: (digest, size) for name, digest, size in found} == hashed(sealed.folder)
    assert len(found) == len(folder.sizes)
    copy = sealed.copy(tmp_path / "bundle")
    folder = Folder(copy)
    (copy / "README.txt").unlink()
    with pytest.raises(container.Problem, match="cannot be read"):
        list(folder.digests(folder.sizes))
