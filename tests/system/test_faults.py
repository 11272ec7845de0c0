"""Every named fault of the company turns exactly the checks that it names, and no other."""

from __future__ import annotations

from pathlib import Path

import fault_groups
import pytest
from assessment import SOURCES, Assessment, reassess

from compliancectl.model.result import Results
from compliancectl.sandbox import company as definition

FAULTS = definition.faults()


def bad_checks(results: Results) -> dict[str, dict[str, int]]:
    """`CONTROL.test` → check → how many items it fails or leaves unknown; `*` when the test could not be judged."""
    found: dict[str, dict[str, int]] = {}
    for control in results.controls:
        for test in control.tests:
            bad = {c.name: c.failed + c.unknown for c in test.checks if c.failed + c.unknown}
            if test.outcome == "inconclusive" and not bad:
                bad = {"*": 1}
            found[f"{control.id}.{test.id}"] = bad
    return found


def test_the_company_without_faults_keeps_every_promise(healthy: Assessment) -> None:
    outcomes = {c.id: c.outcome for c in healthy.results.controls if c.outcome != "no deviations"}
    assert outcomes == {}, {k: v for k, v in bad_checks(healthy.results).items() if v}
    assert len(healthy.results.controls) >= 17 and healthy.results.exit_code == 0


@pytest.mark.parametrize("names", fault_groups.together(FAULTS.values()), ids=lambda names: "+".join(names)[:60])
def test_faults_turn_what_they_name_and_nothing_else(
    names: tuple[str, ...], healthy: Assessment, tmp_path: Path
) -> None:
    """Faults that have nothing in common are switched on together; if that comes out otherwise, in halves, down to one."""
    try:
        turned, reasons = turned_by(names, healthy, tmp_path / "together")
    except Exception:
        # Statements of two faults may get into each other's way; alone they must not.
        if len(names) == 1:
            raise
        turned, reasons = {}, []
    if turned == expected(names):
        return
    assert len(names) > 1, reasons
    for place, half in enumerate((names[: len(names) // 2], names[len(names) // 2 :])):
        (tmp_path / str(place)).mkdir()
        test_faults_turn_what_they_name_and_nothing_else(half, healthy, tmp_path / str(place))


@pytest.mark.faults
@pytest.mark.parametrize("name", FAULTS)
def test_a_fault_alone_turns_what_it_names_and_nothing_else(name: str, healthy: Assessment, tmp_path: Path) -> None:
    turned, reasons = turned_by((name,), healthy, tmp_path / "alone")
    assert turned == expected((name,)), reasons


def turned_by(names: tuple[str, ...], healthy: Assessment, folder: Path) -> tuple[dict[str, list[str]], list[str]]:
    """Test → checks that turn when these faults are on, and why tests could not be judged."""
    folder.mkdir()
    broken = definition.load(names, now=healthy.company.now)
    found = reassess(broken, folder, healthy, SOURCES.get(FAULTS[names[0]].section, "documents"))
    before, after = bad_checks(healthy.results), bad_checks(found.results)
    turned = {
        test: sorted(check for check, count in checks.items() if count > before[test].get(check, 0))
        for test, checks in after.items()
    }
    reasons = [f"{c.id}.{t.id}: {t.reason}" for c in found.results.controls for t in c.tests if t.reason]
    return {test: checks for test, checks in turned.items() if checks}, reasons


def expected(names: tuple[str, ...]) -> dict[str, list[str]]:
    """Test → checks that these faults say they turn."""
    turns: dict[str, set[str]] = {}
    for name in names:
        for test, checks in FAULTS[name].turns.items():
            turns.setdefault(test, set()).update(checks)
    return {test: sorted(checks) for test, checks in turns.items()}


def test_every_check_has_a_fault_that_turns_it(healthy: Assessment) -> None:
    turned = {(test, check) for fault in FAULTS.values() for test, checks in fault.turns.items() for check in checks}
    checks = {(f"{c.id}.{t.id}", check.name) for c in healthy.results.controls for t in c.tests for check in t.checks}
    assert sorted(checks - turned) == []
