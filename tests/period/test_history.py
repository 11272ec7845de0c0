"""Outcomes over many runs."""

from __future__ import annotations

import json
import shutil
from datetime import timedelta
from pathlib import Path
from typing import Any

import daily
import pytest

from compliancectl import clock
from compliancectl.cli import app
from compliancectl.errors import FileError
from compliancectl.history import glance, read, sparkline
from compliancectl.model.evidence import Window
from compliancectl.seal import keys

START = clock.parse("2026-03-01T02:00:00Z")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Five runs: a folder with its archive beside it, two archives alone, two folders."""
    place = tmp_path_factory.mktemp("history")
    private = keys.new_key(place / "keys").private
    controls = [daily.write_control(place, id) for id in ("TST-01", "TST-03")]
    for number, broken in enumerate([0, 2, 5, None, 1]):
        at = START + timedelta(days=number, milliseconds=250 if number == 4 else 0)
        day = daily.Day(place / "run" / str(number), at, f"run-{number}", Window(start=START, end=at + timedelta(1)))
        day.add("git.branch", [{"resource": f"b{n}", "protected": n >= (broken or 0)} for n in range(6)])
        backups = [{"resource": "db", "ended": at, "successful": True}]
        day.add("cloud.backup", backups, denied="No." if broken is None else None)
        daily.judge(day, controls)
        out = place / "bundles" / str(number)
        daily.seal(day, out, private, place / "bundles" / f"{number}.zip" if number < 3 else None)
        if number in (1, 2):
            shutil.rmtree(out)
    return place / "bundles"


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where the index goes."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return tmp_path / "cache" / "compliancectl" / "history"


def test_history_has_each_run_once_in_the_order_of_time(folder: Path) -> None:
    found = read(folder)
    assert [run.run_id for run in found.runs] == [f"run-{n}" for n in range(5)]
    assert found.runs[4].as_of == START + timedelta(days=4, milliseconds=250)
    branches, backups = found.controls
    assert [point.outcome for point in branches.points] == [
        "no deviations", "deviations", "deviations", "no deviations", "deviations",
    ]  # fmt: skip
    assert [point.items.failed for point in branches.points] == [0, 2, 5, 0, 1]
    assert [point.outcome for point in backups.points][3] == "inconclusive"
    assert (branches.turns, backups.turns) == (3, 2)
    assert found.runs[3].controls == {"inconclusive": 1, "no deviations": 1}


def test_history_as_text_and_json(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert app.run(["history", str(folder)]) == 0
    said = capsys.readouterr().out
    assert "TST-01   ●✕✕●✕  Branches are protected  turned 3 times" in said
    assert "TST-03   ●●●○●" in said and "5 runs, 2026-03-01T02:00:00Z to 2026-03-05T02:00:00Z\n" in said
    assert "● no deviations   ✕ deviations   ○ inconclusive   – no occurrences" in said
    assert app.run(["history", str(folder), "--format", "json", "--control", "TST-03", "--since", "2026-03-03"]) == 0
    data = json.loads(capsys.readouterr().out)
    assert [run["run_id"] for run in data["runs"]] == ["run-2", "run-3", "run-4"]
    assert [control["id"] for control in data["controls"]] == ["TST-03"]


def test_a_line_with_more_runs_than_signs_says_what_a_sign_stands_for(
    folder: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("compliancectl.cli.histories.WIDTH", 2)
    assert app.run(["history", str(folder)]) == 0
    said = capsys.readouterr().out
    assert "5 runs" in said and "; each sign is the worst of 2 or 3 runs\n" in said and "TST-01   ✕✕  Branches" in said


def test_trend_as_text_and_json(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert app.run(["trend", str(folder)]) == 0
    assert "TST-01    ▄█ ▂│  Branches are protected  0 items → 1, at most 5" in capsys.readouterr().out
    assert app.run(["trend", str(folder), "--format", "json"]) == 0
    branches = json.loads(capsys.readouterr().out)[0]
    assert [point["open"] for point in branches["points"]] == [0, 2, 5, 0, 1]


def test_a_control_that_came_later_and_could_not_be_judged(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    private = keys.new_key(tmp_path / "keys").private
    controls = [daily.write_control(tmp_path, id) for id in ("TST-01", "TST-02")]
    for number in range(2):
        day = daily.Day(
            tmp_path / "run" / str(number),
            START + timedelta(number),
            f"run-{number}",
            Window(start=START, end=START + timedelta(1)),
        )
        day.add("git.branch", [{"resource": "main", "protected": True}])
        daily.judge(day, controls[: number + 1])
        daily.seal(day, tmp_path / "bundles" / str(number), private)
    assert app.run(["history", str(tmp_path / "bundles")]) == app.run(["trend", str(tmp_path / "bundles")]) == 0
    lines = [line for line in capsys.readouterr().out.splitlines() if "TST-02" in line]
    assert [line.split()[1] for line in lines] == ["·○", "·?│"] and "turned 0 times" in lines[0]


def test_a_bad_run_is_not_lost_between_good_ones(folder: Path) -> None:
    line = glance(folder, 2).lines[0]
    assert line.points == (("deviations", 2), ("deviations", 5)), "of two runs, and of three, the worst"
    whole = [(point.outcome, point.items.failed + point.items.unknown) for point in read(folder).controls[0].points]
    assert list(glance(folder, 5).lines[0].points) == list(glance(folder, 99).lines[0].points) == whole
    later = glance(folder, 5, since=START + timedelta(days=3), only=["TST-01"])
    assert (later.runs, [line.control for line in later.lines], later.lines[0].points) == (
        2, ["TST-01"], (("no deviations", 0), ("deviations", 1)),
    )  # fmt: skip


@pytest.mark.parametrize(
    ("values", "bars"), [([], ""), ([0, 0], "  "), ([1, 8], "▁█"), ([3, 3], "██"), ([1, 1000], "▁█")]
)
def test_sparklines(values: list[int], bars: str) -> None:
    assert sparkline(values) == bars


@pytest.mark.parametrize(
    ("arguments", "code", "part"),
    [
        (["no-such"], 2, "not a folder"),
        (["{folder}", "--control", "TST-9"], 2, "TST-01"),
        (["{folder}", "--since", "2030-01-01"], 3, "no run"),
        (["{folder}", "--since", "soon"], 2, "--since"),
    ],
)
def test_mistakes(arguments: list[str], code: int, part: str, folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert app.run(["history", *[a.format(folder=folder) for a in arguments]]) == code
    assert part in capsys.readouterr().err


def test_results_that_cannot_be_read(folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    copy = Path(shutil.copytree(folder, tmp_path / "bundles"))
    results = copy / "3" / "results" / "results.json"
    results.write_bytes(results.read_bytes()[:-20])
    assert app.run(["trend", str(copy)]) == 2
    said: Any = capsys.readouterr()
    assert said.out == "" and "cannot be read" in said.err


def test_what_was_read_is_not_read_again_unless_it_changed(folder: Path, tmp_path: Path) -> None:
    here, index = Path(shutil.copytree(folder, tmp_path / "bundles")), tmp_path / "index.parquet"
    first = read(here, index=index)
    assert first == read(here) and index.is_file()
    written = index.stat().st_mtime_ns
    assert read(here, index=index) == first and index.stat().st_mtime_ns == written, "nothing was new"
    # An exchanged bundle is read anew, one that is gone is no longer told, one that is damaged is not overlooked.
    results = here / "3" / "results" / "results.json"
    results.write_bytes(results.read_bytes().replace(b'"run-3"', b'"run-3b"'))
    shutil.rmtree(here / "4")
    assert [run.run_id for run in read(here, index=index).runs] == ["run-0", "run-1", "run-2", "run-3b"]
    assert [run.run_id for run in read(here, index=index, only=["TST-01"], since=START + timedelta(1)).runs] == [
        "run-1", "run-2", "run-3b",
    ]  # fmt: skip
    index.write_bytes(b"no index")
    assert len(read(here, index=index).runs) == 4, "a damaged index is as good as none"
    results.write_text("no results")
    with pytest.raises(FileError, match="cannot be read"):
        read(here, index=index)


def test_the_commands_keep_an_index_and_do_without_one(
    folder: Path, cache: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert app.run(["history", str(folder)]) == 0
    said = capsys.readouterr().out
    assert len(list(cache.glob("*.parquet"))) == 1 and len(list(cache.iterdir())) == 1
    assert app.run(["history", str(folder)]) == 0 and capsys.readouterr().out == said
    monkeypatch.setenv("XDG_CACHE_HOME", "/dev/null/nowhere")
    assert app.run(["history", str(folder)]) == 0 and capsys.readouterr().out == said
