"""The simulated year: the period says exactly what was planted, and nothing else. Eight days of it are in `make test`."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

import pytest
import yearly
from yearly import CONTROLS, DATABASE, DENIED, EDITED, UNPROTECTED, Chain, hotfix, night, weekdays

from compliancectl import clock
from compliancectl.cli import app
from compliancectl.model.ledger import Coverage
from compliancectl.model.period import Period, PeriodControl, PeriodTest

PLANS = [
    pytest.param(yearly.EIGHT_DAYS, id="eight-days"),
    pytest.param(yearly.YEAR, id="year", marks=[pytest.mark.year, pytest.mark.timeout(7200)]),
]


@dataclass(frozen=True)
class Judged:
    """What `period` found in the chain of runs."""

    chain: Chain
    code: int
    period: Period

    def control(self, id: str) -> PeriodControl:
        return next(control for control in self.period.controls if control.id == id)

    def test(self, control: str, id: str) -> PeriodTest:
        return next(test for test in self.control(control).tests if test.id == id)


@pytest.fixture(scope="module", params=PLANS)
def judged(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Judged]:
    place = tmp_path_factory.mktemp("chain")
    chain = yearly.simulate(request.param, place)
    out = place / "period.json"
    code = app.run([*command(chain), "-o", str(out)])
    yield Judged(chain, code, Period.model_validate_json(out.read_bytes()))


def command(chain: Chain) -> list[str]:
    return ["period", str(chain.folder), "--from", chain.start, "--to", chain.end, "--key", str(chain.public)]


def gap(chain: Chain) -> tuple[str, str, int]:
    days = chain.plan.no_runs
    start = night(days[0]).replace(hour=0)
    return clock.text(start), clock.text(start + timedelta(days=len(days))), len(days)


def test_days_without_a_run_are_missing_from_every_daily_control(judged: Judged) -> None:
    assert (judged.code, judged.period.outcome) == (3, "inconclusive")
    days = judged.chain.plan.days
    found = {
        control.id: (
            control.frequency,
            control.expected,
            control.captured,
            [(clock.text(gap.start), clock.text(gap.end), gap.slots) for gap in control.missed],
        )
        for control in judged.period.controls
    }
    daily = ("daily", days, days - 2, [gap(judged.chain)])
    weeks = -(-days // 7)
    assert found == {"BCP-01": daily, "NET-02": daily, "SDL-03": daily, "SDL-04": ("weekly", weeks, weeks, [])}


def test_every_run_is_in_the_ledger_of_the_period_and_only_the_one_after_it_is_not_counted(judged: Judged) -> None:
    plan, entries = judged.chain.plan, judged.period.ledger
    assert len(entries) == plan.days + 1 - len(plan.no_runs) and {entry.verdict for entry in entries} == {"verified"}
    (after,) = [entry for entry in entries if not entry.counted]
    assert after.as_of == night(plan.days) and "outside the period" in str(after.why_not)


def test_deviations_are_those_that_were_planted(judged: Judged) -> None:
    plan = judged.chain.plan
    seen = {
        (control.id, test.id, item.resource): (item.first, item.until, item.hours)
        for control in judged.period.controls
        for test in control.tests
        for item in test.deviations
    }
    on, off = night(plan.unprotected[0]), night(plan.unprotected[-1] + 1)
    failed, gone = plan.failed_backup + 1, plan.failed_backup + 31  # the day after, until the run has expired
    until = night(gone) if gone < plan.days else None
    over = until or night(plan.days).replace(hour=0)
    day = f"{night(plan.failed_backup):%Y-%m-%d}"
    assert seen == {
        ("SDL-03", "branch-rules", UNPROTECTED): (on, off, len(plan.unprotected) * 24),
        **{
            ("SDL-04", "changes-reviewed", hotfix(plan, number)): (night(number + 1), None, None)
            for number in plan.emergencies
        },
        ("BCP-01", "daily-success", f"{DATABASE}/backupDays/{day}"): (
            night(failed),
            until,
            int((over - night(failed)).total_seconds() // 3600),
        ),
    }


def test_outcomes(judged: Judged) -> None:
    missing = "2 captures that were due are missing."
    denied = len(judged.chain.plan.denied)
    unsure = f"{denied} captures are inconclusive." if denied > 1 else "1 capture is inconclusive."
    assert {control.id: (control.outcome, control.reasons) for control in judged.period.controls} == {
        "BCP-01": ("inconclusive", (missing,)),
        "NET-02": ("inconclusive", (missing, unsure)),
        "SDL-03": ("inconclusive", (missing,)),
        "SDL-04": ("deviations", ()),  # weekly, and its windows leave no gap
    }


def test_the_timeline_of_a_protection_that_was_off(judged: Judged) -> None:
    plan = judged.chain.plan
    before, during = plan.unprotected[0], len(plan.unprotected)
    runs = plan.days - len(plan.no_runs)
    lost = sum(number < before for number in plan.no_runs)
    assert [(part.outcome, part.start, part.captures) for part in judged.control("SDL-03").timeline] == [
        ("no deviations", night(0), before - lost),
        ("deviations", night(before), during),
        ("no deviations", night(before + during), runs - during - (before - lost)),
    ]


def test_populations_are_united_without_doubles_and_without_gaps(judged: Judged) -> None:
    plan = judged.chain.plan
    merged = len(weekdays(plan))
    for test in ("changes-reviewed", "no-direct-push", "pushes"):
        found = judged.test("SDL-04", test)
        failed = len(plan.emergencies) if test == "changes-reviewed" else 0
        passed = merged + len(plan.emergencies) - failed
        counts = {name: count for name, count in found.population.model_dump().items() if count}
        assert (found.kind, counts) == ("events", {"passed": passed, **({"failed": failed} if failed else {})}), test
        assert found.coverage and not any(part.gaps for part in found.coverage), test
    # Every emergency merge went past the rules, and the record of each came in time; one in the month before is judged there.
    bypasses = judged.test("SDL-04", "bypasses").population
    assert (bypasses.passed, bypasses.failed, bypasses.unknown) == (len(plan.emergencies), 0, 0)
    # A backup is due on each whole day before a run within the period.
    days = judged.test("BCP-01", "daily-success").population
    assert (days.passed, days.failed) == (plan.days - 2, 1)


def test_the_control_that_was_edited_and_the_collector_that_was_denied(judged: Judged) -> None:
    plan = judged.chain.plan
    changes = [(c.id, change.kind, change.at) for c in judged.period.controls for change in c.changes]
    assert changes == [(EDITED, "definition", night(plan.edited_from))]
    (unread,) = judged.period.unread
    assert (unread.table, unread.start, unread.end, unread.captures) == (
        "gcp.firewall_rule",
        night(plan.denied[0]),
        night(plan.denied[-1] + 1),
        len(plan.denied),
    )
    assert DENIED in unread.problem


def test_the_ledger_of_runs_lacks_the_days_without_one(judged: Judged, capsys: pytest.CaptureFixture[str]) -> None:
    chain = judged.chain
    arguments = ["ledger", "coverage", str(chain.ledger), "--key", chain.verifier, "--every", "daily"]
    code = app.run([*arguments, "--from", chain.start, "--to", chain.end, "--format", "json"])
    found = Coverage.model_validate_json(capsys.readouterr().out)
    plan = chain.plan
    assert code == 3 and found.dropped == ()
    assert [number for number, slot in enumerate(found.slots) if not slot.sealed] == list(plan.no_runs)
    assert [entry.at for entry in found.partial] == [night(number) for number in plan.denied]
    assert len(found.changes) == 1 and f"{clock.text(night(plan.edited_from))}, entry" in found.changes[0]


def test_the_same_bundles_give_the_same_findings(judged: Judged, capsys: pytest.CaptureFixture[str]) -> None:
    assert app.run([*command(judged.chain), "--format", "json"]) == 3
    assert json.loads(capsys.readouterr().out) == judged.period.to_json()
    assert sorted(control.id for control in judged.period.controls) == sorted(CONTROLS)
    assert len(list(Path(judged.chain.folder).iterdir())) == len(judged.period.ledger)
