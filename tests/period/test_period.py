"""What else a period must say: gaps, doubles, bundles that do not verify, controls that come and go."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from pathlib import Path
from typing import Any

import daily
import pytest

from compliancectl import clock
from compliancectl.cli import app
from compliancectl.model.evidence import Window
from compliancectl.model.period import Period
from compliancectl.period.spans import gaps, missed, slots
from compliancectl.seal import keys

START = datetime(2026, 3, 1, tzinfo=UTC)
Night = Callable[..., Path]


def night(number: int) -> datetime:
    return START + timedelta(days=number, hours=2)


@pytest.fixture
def run_night(tmp_path: Path) -> Night:
    """Seals one night with branches, and merges when a window is given."""
    private = keys.new_key(tmp_path / "keys").private

    def one(number: int, *, protected: bool | None = True, window: Window | None = None, **more: Any) -> Path:
        name = more.get("name", f"{number:02}")
        day = daily.Day(tmp_path / "run" / name, night(number), f"run-{name}", Window(start=START, end=night(number)))
        day.add("git.branch", [{"resource": "main", "protected": protected, "archived": False}])
        ids = ["TST-01"]
        if window is not None:
            for target in more.get("targets", ("larkspur",)):
                day.add("git.merge", [], window=window, target=target)
            ids.append("TST-02")
        controls = [daily.write_control(tmp_path / name, id, frequency=more.get("frequency", "daily")) for id in ids]
        daily.judge(day, controls[more.get("skip", 0) :])
        return daily.seal(day, tmp_path / "bundles" / name, private, more.get("archive"))

    return one


def judged(tmp_path: Path, days: int = 3) -> tuple[int, Period]:
    out = tmp_path / "period.json"
    last = f"2026-03-{1 + days:02}"
    code = app.run(["period", str(tmp_path / "bundles"), "--from", "2026-03-01", "--to", last, "-o", str(out)])
    return code, Period.model_validate_json(out.read_bytes())


def test_a_period_in_which_all_is_well(run_night: Night, tmp_path: Path) -> None:
    for number in range(3):
        run_night(number)
    code, period = judged(tmp_path)
    (control,) = period.controls
    assert (code, period.outcome, control.outcome, control.missed) == (0, "no deviations", "no deviations", ())
    assert {entry.verdict for entry in period.ledger} == {"not established"}


def test_a_deviation_that_goes_on_is_open_until_the_end(run_night: Night, tmp_path: Path) -> None:
    # Not knowing in between does not end it.
    for number, protected in enumerate([True, False, None, False]):
        run_night(number, protected=protected)
    code, period = judged(tmp_path, 4)
    (item,) = period.controls[0].tests[0].deviations
    assert (code, item.first, item.last, item.until, item.captures) == (3, night(1), night(3), None, 2)
    assert item.hours == 70
    assert [part.outcome for part in period.controls[0].timeline] == [
        "no deviations", "deviations", "inconclusive", "deviations",
    ]  # fmt: skip


def test_a_gap_between_windows_is_found(run_night: Night, tmp_path: Path) -> None:
    run_night(0, window=Window(start=START, end=night(0)))
    run_night(1, window=Window(start=night(0), end=night(1)))
    # Beside whole seconds: nobody reads microseconds, and a gap is never said shorter than it is.
    run_night(
        2, window=Window(start=night(1) + timedelta(hours=5, minutes=59, seconds=59, milliseconds=97), end=night(2))
    )
    run_night(3, window=Window(start=night(2), end=night(3)))
    code, period = judged(tmp_path)
    control = next(c for c in period.controls if c.id == "TST-02")
    assert (code, control.outcome) == (3, "inconclusive")
    assert control.reasons == ("git/merges/larkspur leaves a gap from 2026-03-02T02:00:00Z to 2026-03-02T08:00:00Z.",)


def test_what_lacks_the_same_hours_is_said_once_and_to_the_second(run_night: Night, tmp_path: Path) -> None:
    ends = night(0) + timedelta(milliseconds=25)
    run_night(0, window=Window(start=START, end=ends), targets=("first", "second", "third"))
    _, period = judged(tmp_path, 1)
    control = next(c for c in period.controls if c.id == "TST-02")
    assert control.reasons == (
        "git/merges/first and 2 more of git/merges leave a gap from 2026-03-01T02:00:00Z to 2026-03-02T00:00:00Z.",
    )
    assert [part.gaps[0].start for part in control.tests[0].coverage] == [ends] * 3


def test_a_folder_beside_its_archive_is_one_run(run_night: Night, tmp_path: Path) -> None:
    for number in range(3):
        run_night(number, archive=tmp_path / "bundles" / f"{number}.zip")
    code, period = judged(tmp_path)
    assert code == 0 and period.controls[0].captures == 3
    assert sum("twice" in (entry.why_not or "") for entry in period.ledger) == 3


def test_a_bundle_that_does_not_verify_is_no_capture(run_night: Night, tmp_path: Path) -> None:
    for number in range(3):
        run_night(number)
    results = tmp_path / "bundles" / "01" / "results" / "results.json"
    results.write_bytes(results.read_bytes().replace(b"run-01", b"run-02"))
    code, period = judged(tmp_path)
    assert code == 4
    (refused,) = [entry for entry in period.ledger if entry.verdict == "does not verify"]
    assert refused.bundle == "01" and "results/results.json" in str(refused.problem) and not refused.counted
    assert [(gap.start.day, gap.slots) for gap in period.controls[0].missed] == [(2, 1)]


def test_controls_that_come_and_go_are_changes(run_night: Night, tmp_path: Path) -> None:
    run_night(0)
    run_night(1, window=Window(start=START, end=night(1)))
    run_night(2, window=Window(start=night(1), end=night(2)), skip=1)
    _, period = judged(tmp_path)
    changes = [(c.id, change.kind, change.at) for c in period.controls for change in c.changes]
    assert changes == [("TST-01", "removed", night(2)), ("TST-02", "added", night(1))]
    assert [gap.slots for gap in period.controls[0].missed] == [1]


def test_bundles_of_several_systems_are_not_mixed(
    run_night: Night, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    run_night(0)
    finish = daily.Day.finish

    def elsewhere(day: daily.Day) -> Path:
        folder = finish(day)
        file = folder / "run.json"
        file.write_bytes(file.read_bytes().replace(b"Larkspur Study Companion", b"Another System"))
        return folder

    monkeypatch.setattr(daily.Day, "finish", elsewhere)
    run_night(1)
    assert app.run(["period", str(tmp_path / "bundles"), "--from", "2026-03-01", "--to", "2026-03-03"]) == 2
    assert "Another System" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "code", "part"),
    [
        (["no-such", "--from", "2026-03-01", "--to", "2026-03-02"], 2, "not a folder"),
        ([".", "--from", "2026-03-01", "--to", "2026-03-02"], 2, "no bundle"),
        (["bundles", "--from", "2026-03-01", "--to", "soon"], 2, "--to"),
        (["bundles", "--from", "2026-03-02", "--to", "2026-03-01"], 2, "ends before it begins"),
        (["bundles", "--from", "2020-03-01", "--to", "2020-03-02"], 3, "no run within the period"),
    ],
)
def test_mistakes(
    arguments: list[str],
    code: int,
    part: str,
    run_night: Night,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    if arguments[0] == "bundles":
        run_night(0)
    monkeypatch.chdir(tmp_path if arguments[0] == "bundles" else Path(__file__).parent)
    assert app.run(["period", *arguments]) == code
    assert part in capsys.readouterr().err


def test_the_text_says_the_same(run_night: Night, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run_night(0)
    run_night(2, protected=False)
    assert app.run(["period", str(tmp_path / "bundles"), "--from", "2026-03-01", "--to", "2026-03-04"]) == 3
    said = capsys.readouterr().out
    assert "2 of 3 daily captures" in said
    assert "no capture from 2026-03-02T00:00:00Z to 2026-03-03T00:00:00Z" in said
    assert "main: Branch main is not protected." in said and "still open" in said


@pytest.mark.parametrize(
    ("frequency", "count", "last"),
    [("daily", 59, 1), ("weekly", 9, 3), ("monthly", 2, 28), ("quarterly", 1, 59), ("annual", 1, 59)],
)
def test_slots_are_counted_from_the_start_of_the_period(frequency: Any, count: int, last: int) -> None:
    opens, closes = datetime(2026, 1, 1, tzinfo=UTC), datetime(2026, 3, 1, tzinfo=UTC)
    found = list(slots(frequency, opens, closes))
    assert len(found) == count and (found[-1][1] - found[-1][0]).days == last
    assert found[0][0] == opens and found[-1][1] == closes
    assert all(before[1] == after[0] for before, after in pairwise(found))


def test_months_of_different_lengths() -> None:
    opens, closes = datetime(2026, 1, 31, tzinfo=UTC), datetime(2026, 5, 31, tzinfo=UTC)
    assert [(a.month, a.day) for a, _ in slots("monthly", opens, closes)] == [(1, 31), (2, 28), (3, 31), (4, 30)]


def test_missed_slots_in_a_row_are_one_gap() -> None:
    captured = [night(0), night(3), night(4), night(4) + timedelta(hours=1)]
    found = missed("daily", START, START + timedelta(days=7), captured)
    assert [(gap.start.day, gap.end.day, gap.slots) for gap in found] == [(2, 4, 2), (6, 8, 2)]


def test_windows_may_overlap_and_come_in_any_order() -> None:
    def window(start: str, end: str) -> Window:
        return Window(start=clock.parse(start), end=clock.parse(end))

    spans = [window("2026-03-02", "2026-03-04"), window("2026-02-20", "2026-03-02"), window("2026-03-03", "2026-03-05")]
    assert gaps(spans, clock.parse("2026-03-01"), clock.parse("2026-03-05")) == ()
    assert gaps(spans, clock.parse("2026-02-10"), clock.parse("2026-03-07")) == (
        window("2026-02-10", "2026-02-20"),
        window("2026-03-05", "2026-03-07"),
    )
    assert gaps([], clock.parse("2026-03-01"), clock.parse("2026-03-02")) == (window("2026-03-01", "2026-03-02"),)
