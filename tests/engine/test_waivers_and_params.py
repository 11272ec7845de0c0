"""Waivers accept what they name, until their date; overrides keep their type and are shown."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import pytest

from compliancectl import load
from compliancectl.errors import FileError
from compliancectl.evaluate import evaluate
from compliancectl.model.control import Control
from compliancectl.model.result import Results

POPULATION = "SELECT d.resource, d.public, d.days, $min_days AS wanted FROM test.database AS d"
CHECKS = {
    "hidden": ("NOT public", "{resource} is open."),
    "kept": ("days >= $min_days", "{resource} keeps {days} days; {wanted} are promised."),
}
HEAD = """\
id: TST-01
title: Databases are private
objective: Nobody outside reaches them.
satisfies: {soc2: [CC6.6]}
owner: platform
severity: high
frequency: daily
params: {min_days: 7}
remediation: Make them private.
"""
ROWS = [
    {"resource": "p1/good", "public": False, "days": 9},
    {"resource": "p1/open", "public": True, "days": 9},
    {"resource": "p2/both", "public": True, "days": 1},
    {"resource": "p2/dark", "public": None, "days": 9},
]
WAIVER = """\
waivers:
  - id: W-1
    control: TST-01
    items: [p1/open]
    checks: [hidden]
    approver: Head of security
    reason: Being replaced.
    approved: 2026-07-01
    expires: 2026-08-31
"""


@pytest.fixture
def control(write_control: Callable[..., Path], text_of_control: Callable[..., str]) -> Control:
    return load.load_control(write_control(text_of_control(POPULATION, CHECKS, head=HEAD)))


@pytest.fixture
def judge(run: Any, control: Control, tables: dict, tmp_path: Path) -> Callable[..., Results]:
    run.add("test.database", ROWS)
    run.finish()

    def judged(waivers: str | None = None, scope: str | None = None, **options: Any) -> Results:
        found: tuple = ()
        if waivers is not None:
            file = tmp_path / "waivers.yaml"
            file.write_text(waivers)
            found = load.load_waivers(file, [control])
        if scope is not None:
            file = tmp_path / "compliancectl.yaml"
            file.write_text(scope)
            options["scope"] = load.load_scope(file)
        return evaluate(run.folder, [control], tables, waivers=found, **options)

    return judged


def outcomes(run: Any) -> dict[str, str]:
    (file,) = (run.folder / "results" / "items").iterdir()
    return {item["resource"]: item["outcome"] for item in map(json.loads, file.read_text().splitlines())}


def test_without_a_waiver_what_fails_fails(judge: Callable[..., Results], run: Any) -> None:
    assert judge().waivers == ()
    assert outcomes(run) == {"p1/good": "pass", "p1/open": "fail", "p2/both": "fail", "p2/dark": "unknown"}


def test_a_waiver_accepts_the_named_check_of_the_named_item(judge: Callable[..., Results], run: Any) -> None:
    results = judge(WAIVER)
    assert outcomes(run) == {"p1/good": "pass", "p1/open": "waived", "p2/both": "fail", "p2/dark": "unknown"}
    (use,) = results.waivers
    assert (use.applied, use.expired, use.approver) == (1, False, "Head of security")
    waived = next(item for item in results.controls[0].tests[0].deviations if item.outcome == "waived")
    assert (waived.resource, waived.findings[0].waiver, waived.findings[0].sentence) == (
        "p1/open",
        "W-1",
        "p1/open is open.",
    )


def test_a_waiver_of_one_check_does_not_cover_another(judge: Callable[..., Results], run: Any) -> None:
    judge(WAIVER.replace("[p1/open]", "['p*']"))
    assert outcomes(run)["p2/both"] == "fail"
    judge(WAIVER.replace("[p1/open]", "['p*']").replace("[hidden]", "[hidden, kept]"))
    assert outcomes(run)["p2/both"] == "waived"


def test_a_waiver_never_covers_what_is_not_known(judge: Callable[..., Results], run: Any) -> None:
    judge(WAIVER.replace("[p1/open]", "['*']"))
    assert outcomes(run)["p2/dark"] == "unknown"


def test_only_a_star_is_a_pattern(judge: Callable[..., Results], run: Any) -> None:
    for literal in ("p1_open", "p1%", "p1/o.en", "P1/OPEN", "p1/ope"):
        assert judge(WAIVER.replace("[p1/open]", f"['{literal}', '{literal}*x']")).waivers[0].applied == 0
        assert outcomes(run)["p1/open"] == "fail"


@pytest.mark.parametrize(
    ("as_of", "outcome", "expired"),
    [
        ("2026-08-31T23:59:59+00:00", "waived", False),
        ("2026-09-01T00:00:00+00:00", "fail", True),
        ("2026-06-30T23:59:59+00:00", "fail", False),
        ("2026-07-01T00:00:00+00:00", "waived", False),
    ],
)
def test_a_waiver_holds_from_its_approval_to_the_end_of_its_last_day(
    as_of: str, outcome: str, expired: bool, control: Control, run: Any, tables: dict, tmp_path: Path
) -> None:
    instant = datetime.fromisoformat(as_of)
    run.finished = instant
    run.add("test.database", ROWS)
    run.finish()
    file = tmp_path / "waivers.yaml"
    file.write_text(WAIVER)
    results = evaluate(run.folder, [control], tables, waivers=load.load_waivers(file, [control]))
    assert (outcomes(run)["p1/open"], results.waivers[0].expired) == (outcome, expired)
    assert (results.waivers[0].applied > 0) == (outcome == "waived"), "an expired one is reported, and does nothing"
    assert (run.folder / "catalog" / "waivers.yaml").read_text() == WAIVER


def test_the_first_of_two_waivers_is_named(judge: Callable[..., Results]) -> None:
    second = WAIVER.removeprefix("waivers:\n").replace("W-1", "W-0")
    results = judge(WAIVER + second)
    assert {use.id: use.applied for use in results.waivers} == {"W-0": 1, "W-1": 0}


@pytest.mark.parametrize(
    ("old", "new", "line", "part"),
    [
        ("TST-01", "TST-10", 3, 'Did you mean "TST-01"?'),
        ("[hidden]", "[hiden]", 5, 'Did you mean "hidden"?'),
        ("[hidden]", "[]", 5, "is empty"),
        ("[p1/open]", "[]", 4, "is empty"),
        ("    control: TST-01\n", "    control: TST-01\n    test: public\n", 4, 'has no test "public"'),
        ("    approver: Head of security\n", "", 2, 'The key "approver" is missing'),
        ("    reason: Being replaced.\n", "", 2, 'The key "reason" is missing'),
        ("    expires: 2026-08-31\n", "", 2, 'The key "expires" is missing'),
        ("expires: 2026-08-31", "expires: never", 9, "a date such as 2026-08-01"),
        ("expires: 2026-08-31", "expires: 2026-06-30", 9, "before it was approved"),
        ("approver:", "aprover:", 6, 'Did you mean "approver"?'),
    ],
)
def test_a_mistaken_waiver_is_refused_at_its_line(
    old: str, new: str, line: int, part: str, control: Control, tmp_path: Path
) -> None:
    file = tmp_path / "waivers.yaml"
    assert WAIVER.count(old) == 1
    file.write_text(WAIVER.replace(old, new))
    with pytest.raises(FileError) as caught:
        load.load_waivers(file, [control])
    assert (caught.value.file, caught.value.line) == (str(file), line)
    assert part in f"{caught.value.message} {caught.value.hint}"


def test_two_waivers_of_one_name_are_refused(control: Control, tmp_path: Path) -> None:
    file = tmp_path / "waivers.yaml"
    file.write_text(WAIVER + WAIVER.removeprefix("waivers:\n"))
    with pytest.raises(FileError, match="the first is on line 2") as caught:
        load.load_waivers(file, [control])
    assert caught.value.line == 10


SCOPE = """\
organization: Larkspur
system: Study
controls:
  params:
    TST-01:
      min_days: 10
sources:
  gcp: {}
"""


def test_an_override_decides_and_is_shown(judge: Callable[..., Results], run: Any) -> None:
    results = judge(scope=SCOPE)
    assert outcomes(run)["p1/good"] == "fail"
    (use,) = results.controls[0].params
    assert (use.name, use.value, use.default, use.overridden) == ("min_days", 10, 7, True)
    test = results.controls[0].tests[0]
    assert "10 AS wanted" in test.population_sql and "p1/good keeps 9 days; 10 are promised." in {
        finding.sentence for item in test.deviations for finding in item.findings
    }
    frozen = json.loads((run.folder / "catalog" / "config.json").read_text())
    assert frozen["params"]["TST-01"][0]["overridden"] is True


@pytest.mark.parametrize(
    ("old", "new", "line", "part"),
    [
        ("min_days: 10", "min_days: '10'", 6, "must be a whole number, but it is the text"),
        ("min_days: 10", "min_days: true", 6, "must be a whole number, but it is the truth value true"),
        ("min_days: 10", "min_days: 10.5", 6, "is the number 10.5"),
        ("min_days: 10", "min_day: 10", 6, 'Did you mean "min_days"?'),
        ("TST-01", "TST-10", 5, 'Did you mean "TST-01"?'),
    ],
)
def test_a_mistaken_override_is_refused_at_its_line(
    old: str, new: str, line: int, part: str, judge: Callable[..., Results]
) -> None:
    with pytest.raises(FileError) as caught:
        judge(scope=SCOPE.replace(old, new))
    assert str(caught.value.file).endswith("compliancectl.yaml") and caught.value.line == line
    assert part in f"{caught.value.message} {caught.value.hint}"


def test_waivers_are_dates_not_texts(control: Control, tmp_path: Path) -> None:
    file = tmp_path / "waivers.yaml"
    file.write_text(WAIVER)
    (waiver,) = load.load_waivers(file, [control])
    assert (waiver.approved, waiver.expires) == (date(2026, 7, 1), date(2026, 8, 31))
    assert datetime(2026, 8, 1, tzinfo=UTC).date() < waiver.expires
