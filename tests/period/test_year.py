"""The simulated year: the period says exactly what was planted, and nothing else."""

from __future__ import annotations

import json
from typing import Any

import pytest

from compliancectl import clock
from compliancectl.cli import app
from compliancectl.model.period import Period

pytestmark = [pytest.mark.timeout(900), pytest.mark.year]


def at(text: str) -> Any:
    return clock.parse(text)


@pytest.fixture(scope="module")
def found(year: Any, tmp_path_factory: pytest.TempPathFactory) -> tuple[int, Period]:
    out = tmp_path_factory.mktemp("judged") / "period.json"
    arguments = ["period", str(year.folder), "--from", "2025-01-01", "--to", "2026-01-01", "--key", str(year.public)]
    code = app.run([*arguments, "-o", str(out)])
    return code, Period.model_validate_json(out.read_bytes())


def test_the_weekend_is_missing_from_every_control(found: tuple[int, Period]) -> None:
    code, period = found
    assert (code, period.outcome) == (3, "inconclusive")
    weekend = ("2025-03-15T00:00:00Z", "2025-03-17T00:00:00Z", 2)
    for control in period.controls:
        gaps = [(clock.text(gap.start), clock.text(gap.end), gap.slots) for gap in control.missed]
        assert (control.expected, control.captured, gaps) == (365, 363, [weekend]), control.id


def test_every_run_is_in_the_ledger_and_only_the_one_after_the_year_is_not_counted(found: tuple[int, Period]) -> None:
    _, period = found
    assert len(period.ledger) == 364 and {entry.verdict for entry in period.ledger} == {"verified"}
    (after,) = [entry for entry in period.ledger if not entry.counted]
    assert after.as_of == at("2026-01-01T02:00:00Z") and "outside the period" in str(after.why_not)


def test_deviations_are_those_that_were_planted(found: tuple[int, Period]) -> None:
    _, period = found
    seen = {
        (control.id, item.resource): (clock.text(item.first), item.until and clock.text(item.until), item.hours)
        for control in period.controls
        for test in control.tests
        for item in test.deviations
    }
    assert seen == {
        ("TST-01", "app/main"): ("2025-05-01T02:00:00Z", "2025-05-10T02:00:00Z", 9 * 24),
        ("TST-02", "app#hotfix-1"): ("2025-07-20T02:00:00Z", None, None),
        ("TST-02", "app#hotfix-2"): ("2025-07-21T02:00:00Z", None, None),
        ("TST-03", "app-db/250"): ("2025-09-08T02:00:00Z", None, None),
    }


def test_outcomes_over_the_year(found: tuple[int, Period]) -> None:
    _, period = found
    outcomes = {control.id: (control.outcome, control.reasons) for control in period.controls}
    missing = "2 captures that were due are missing."
    assert outcomes == {
        "TST-01": ("inconclusive", (missing,)),
        "TST-02": ("deviations", ()),  # its windows leave no gap, so the weekend is covered
        "TST-03": ("deviations", ()),
        "TST-04": ("inconclusive", (missing, "7 captures are inconclusive.")),
    }


def test_the_timeline_of_a_control_that_was_broken_for_nine_days(found: tuple[int, Period]) -> None:
    control = next(c for c in found[1].controls if c.id == "TST-01")
    assert [(part.outcome, clock.text(part.start), part.captures) for part in control.timeline] == [
        ("no deviations", "2025-01-01T02:00:00Z", 118),
        ("deviations", "2025-05-01T02:00:00Z", 9),
        ("no deviations", "2025-05-10T02:00:00Z", 236),
    ]


def test_populations_are_united_without_doubles_and_without_gaps(found: tuple[int, Period]) -> None:
    tests = {control.id: control.tests[0] for control in found[1].controls}
    # one merge a day, the two of the weekend found on Monday, the one of the night after, and the two emergencies
    assert tests["TST-02"].population.model_dump() == {
        "passed": 366, "failed": 2, "waived": 0, "excluded": 0, "unknown": 0,
    }  # fmt: skip
    assert (tests["TST-01"].kind, tests["TST-01"].population.total, tests["TST-01"].occurrences) == ("state", 1, 363)
    (coverage,) = tests["TST-02"].coverage
    assert (clock.text(coverage.start), clock.text(coverage.end), coverage.gaps) == (
        "2025-01-01T00:00:00Z",
        "2026-01-01T02:00:00Z",
        (),
    )


def test_the_control_that_was_edited_and_the_collector_that_was_denied(found: tuple[int, Period]) -> None:
    _, period = found
    changes = [(c.id, change.kind, clock.text(change.at)) for c in period.controls for change in c.changes]
    assert changes == [("TST-04", "definition", "2025-06-30T02:00:00Z")]
    (unread,) = period.unread
    assert (unread.table, clock.text(unread.start), clock.text(unread.end), unread.captures) == (
        "cloud.bucket",
        "2025-10-28T02:00:00Z",
        "2025-11-04T02:00:00Z",
        7,
    )
    assert "storage.buckets.list was denied" in unread.problem


def test_the_same_bundles_give_the_same_findings(
    found: tuple[int, Period], year: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = ["period", str(year.folder), "--from", "2025-01-01", "--to", "2026-01-01", "--key", str(year.public)]
    assert app.run([*arguments, "--format", "json"]) == 3
    assert json.loads(capsys.readouterr().out) == found[1].to_json()
