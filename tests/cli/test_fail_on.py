"""The exit code policy: it lowers a code, says so, and hides nothing that does not verify."""

from __future__ import annotations

from datetime import datetime, timedelta
from pathlib import Path

import daily
import pytest

from compliancectl import clock
from compliancectl.cli.policy import FailOn, Least, Policy
from compliancectl.model.evidence import Window
from compliancectl.model.result import Results

NOW: datetime = clock.parse("2026-03-01T02:00:00Z")


@pytest.fixture(scope="module")
def both(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Results]:
    """`deviating`: a high control deviates. `open`: a medium one could not be determined as well."""
    found = {}
    for name, denied in (("deviating", None), ("open", "No.")):
        place = tmp_path_factory.mktemp(name)
        day = daily.Day(place / "run", NOW, "run", Window(start=NOW - timedelta(days=1), end=NOW))
        day.add("git.branch", [{"resource": "main", "protected": False}])
        day.add("cloud.bucket", [] if denied else [{"resource": "b", "public": False}], denied=denied)
        found[name] = daily.judge(day, [daily.write_control(place, id) for id in ("TST-01", "TST-04")])
    return found


@pytest.mark.parametrize(
    ("name", "fail_on", "least", "code"),
    [
        ("open", "inconclusive", "low", 3),
        ("open", "inconclusive", "medium", 3),
        ("open", "inconclusive", "high", 1),
        ("open", "inconclusive", "critical", 0),
        ("open", "deviations", "low", 1),
        ("open", "deviations", "critical", 0),
        ("open", "never", "low", 0),
        ("deviating", "inconclusive", "low", 1),
        ("deviating", "deviations", "high", 1),
        ("deviating", "never", "low", 0),
    ],
)
def test_exit_codes(
    name: str,
    fail_on: str,
    least: str,
    code: int,
    both: dict[str, Results],
    capsys: pytest.CaptureFixture[str],
) -> None:
    results = both[name]
    assert Policy(FailOn(fail_on), Least(least)).exit_code(results) == code
    said = capsys.readouterr().err
    assert ("TST-01 (high, deviations)" in said) == (code < results.exit_code)


def test_a_control_that_deviates_and_is_not_determined_still_counts_as_a_deviation(tmp_path: Path) -> None:
    day = daily.Day(tmp_path / "run", NOW, "run", Window(start=NOW - timedelta(days=1), end=NOW))
    day.add("git.branch", [{"resource": "a", "protected": False}, {"resource": "b", "protected": None}])
    results = daily.judge(day, [daily.write_control(tmp_path, "TST-01")])
    assert results.outcome == "inconclusive"
    assert Policy(FailOn.deviations).exit_code(results) == 1


def test_no_control_at_all_is_not_excused_by_severity(both: dict[str, Results]) -> None:
    nothing = both["open"].model_copy(update={"controls": ()})
    assert Policy(FailOn.deviations, Least.critical).exit_code(nothing) == 3
