"""A full disk: one message, exit code 2, nothing that looks finished, and the same command works once there is room."""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from limits import file_size


def run(*arguments: object, limit: int | None = None) -> subprocess.CompletedProcess[str]:
    """A command in a process of its own; with a limit on the size of a file, which fails a write in its middle."""
    command = [sys.executable, "-m", "compliancectl", *map(str, arguments)]
    return subprocess.run(file_size(limit, command), check=False, capture_output=True, text=True)


def assert_full(done: subprocess.CompletedProcess[str], place: Path) -> None:
    assert done.returncode == 2, done
    assert done.stderr.count("error: ") == 1 and "Traceback" not in done.stderr and "nanobind" not in done.stderr
    assert str(place) in done.stderr and "\nhint: " in done.stderr, done.stderr
    assert "No space left on device" in done.stderr or "File too large" in done.stderr
    assert done.stdout == ""


@pytest.fixture
def many(project: Path) -> Path:
    """A project whose evidence fills more than a few disk blocks."""
    documents = project.parent / "documents"
    sidecar = (documents / "report.pdf.yaml").read_text()
    for number in range(150):
        (documents / f"report-{number}.pdf").write_bytes(b"%PDF")
        (documents / f"report-{number}.pdf.yaml").write_text(sidecar)
    return project


@pytest.fixture
def tiny(tmp_path: Path) -> Iterator[Callable[[int], Path]]:
    """Give a file system of so many KiB of its own."""
    place = tmp_path / "tiny"
    place.mkdir()

    def size(kibibytes: int) -> Path:
        options = f"size={kibibytes}k" if not place.is_mount() else f"remount,size={kibibytes}k"
        done = subprocess.run(["mount", "-t", "tmpfs", "-o", options, "tmpfs", place], check=False, capture_output=True)
        if done.returncode:
            pytest.skip("this account may not mount a file system; the limit on file size stands for it")
        return place

    try:
        yield size
    finally:
        if place.is_mount():
            subprocess.run(["umount", place], check=True)


@pytest.mark.parametrize("room", [8, 160])
def test_collect_on_a_full_file_system(tiny: Callable[[int], Path], many: Path, room: int) -> None:
    place = tiny(room)
    assert_full(run("collect", "--scope", many, "-o", place / "run"), place / "run")
    assert not list(place.rglob("item.json"))
    assert run("evaluate", place / "run", "--scope", many).returncode == 3, "an open run is not judged"
    tiny(4096)
    done = run("collect", "--scope", many, "-o", place / "run", "--resume")
    assert done.returncode == 0, done.stderr


def test_evaluate_on_a_full_file_system(tiny: Callable[[int], Path], many: Path) -> None:
    place = tiny(4096)
    assert run("collect", "--scope", many, "-o", place / "run").returncode == 0
    tiny(sum(f.stat().st_size // 4096 + 1 for f in place.rglob("*")) * 4 + 60)
    assert_full(run("evaluate", place / "run", "--scope", many), place / "run")
    assert sorted(f.name for f in (place / "run").iterdir()) == [".lock", "evidence", "run.json"]
    tiny(8192)
    assert run("evaluate", place / "run", "--scope", many).returncode == 0


def test_collect_with_a_limit_on_file_size(many: Path, tmp_path: Path) -> None:
    assert_full(run("collect", "--scope", many, "-o", tmp_path / "run", limit=4_000), tmp_path / "run")
    assert not list(tmp_path.rglob("item.json"))
    assert run("collect", "--scope", many, "-o", tmp_path / "run", "--resume").returncode == 0


COMMANDS: dict[str, tuple[Callable[[object, Path], list[object]], int]] = {
    "evaluate": (lambda p, out: ["evaluate", p.run, "--scope", p.scope], 1_000),
    "bundle": (lambda p, out: ["bundle", p.run, "-o", out / "b", "--zip", out / "b.zip", "--key", p.key], 3_000),
    "report": (lambda p, out: ["report", "assessment", p.bundle, "-o", out / "report.pdf"], 200_000),
    "init": (lambda p, out: ["init", out / "compliancectl.yaml"], 100),
    "keys new": (lambda p, out: ["keys", "new", out / "key"], 100),
    "run": (lambda p, out: ["run", "--scope", p.scope, "-o", out / "all", "--key", p.key], 8_000),
}


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_that_writes(mine, tmp_path: Path, name: str) -> None:
    make, limit = COMMANDS[name]
    out = tmp_path / "out"
    out.mkdir()
    if name == "evaluate":
        shutil.rmtree(mine.run / "results")
    done = run(*make(mine, out), limit=limit)
    assert_full(done, mine.run if name == "evaluate" else out)
    left = [f for f in out.rglob("*") if f.is_file() and not f.name.startswith(".") and "run" not in f.parts]
    assert left == [], "what is unfinished does not stand under its own name"
    assert not (mine.run / "results").exists() or name != "evaluate"
    again = run(*make(mine, out), *(["--resume"] if name == "run" else []))
    assert again.returncode == 0, again.stderr
