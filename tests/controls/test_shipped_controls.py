"""Every shipped control: it loads, binds and lints, its examples hold, and no missing value lets an item pass."""

from __future__ import annotations

from pathlib import Path

import pytest

from compliancectl import load, plugins
from compliancectl.model.control import Control
from compliancectl.model.framework import Framework
from compliancectl.query.examples import Workbench
from compliancectl.query.explain import tables_read
from compliancectl.resources import controls_folder

FILES = sorted(
    path
    for path in controls_folder().rglob("*.yaml")
    if path.parent.name != "frameworks"
    and path.name != "claims.yaml"
    and not any(part.startswith(".") for part in path.relative_to(controls_folder()).parts)
)
each = pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)


@each
def test_its_examples_hold_and_no_missing_value_lets_an_item_pass(path: Path, workbench: Workbench) -> None:
    report = workbench.test(load.load_control(path))
    assert [str(problem) for problem in report.problems] == []
    assert report.examples > 0


@each
def test_it_answers_for_a_criterion_of_each_framework_that_it_names(
    path: Path, frameworks: tuple[Framework, ...]
) -> None:
    control = load.load_control(path)
    load.check_criteria([control], frameworks)
    for id, criteria in control.satisfies.items():
        framework = next(framework for framework in frameworks if framework.id == id)
        assert all(framework.criterion(criterion) for criterion in criteria)


@each
def test_every_table_that_it_reads_has_a_collector(path: Path) -> None:
    tables = plugins.all_tables()
    names = tables_read([load.load_control(path)], tables)
    assert names
    assert {name.partition(".")[0] for name in names} <= {table.source for table in tables.values()}


@each
def test_its_file_is_named_after_it_and_lies_in_a_folder_of_its_topic(path: Path) -> None:
    control = load.load_control(path)
    assert path.name.startswith(f"{control.id}-")
    assert control.topic == path.parent.name
    assert path.parent.parent == controls_folder()


@each
def test_its_texts_are_plain_sentences(path: Path) -> None:
    control = load.load_control(path)
    assert not control.title.endswith(".")
    assert control.objective.endswith(".")
    texts = [control.title, control.objective, control.remediation, *_findings(control)]
    assert [text for text in texts if not text.isprintable()] == []
    assert [text for text in _findings(control) if not text.endswith(".")] == []


@each
def test_a_check_that_cannot_fail_is_found(path: Path, workbench: Workbench) -> None:
    """The harness is not blind: with its first check always true, the control's own examples no longer hold."""
    control = load.load_control(path)
    first = control.tests[0]
    blind = first.checks[0].model_copy(update={"expect": "true"})
    mutant = control.model_copy(
        update={"tests": (first.model_copy(update={"checks": (blind, *first.checks[1:])}), *control.tests[1:])}
    )
    assert workbench.test(mutant).problems


def test_a_check_that_passes_by_absence_is_found(workbench: Workbench) -> None:
    control = load.load_control(next(path for path in FILES if path.stem.startswith("BCP-01")))
    first = control.tests[0]
    open_check = first.checks[0].model_copy(update={"expect": "coalesce(backup_enabled, true)"})
    mutant = control.model_copy(
        update={"tests": (first.model_copy(update={"checks": (open_check,)}), *control.tests[1:])}
    )
    assert "p1/silent" in " ".join(str(problem) for problem in workbench.test(mutant).problems)


def test_ids_occur_once() -> None:
    controls = load.load_controls([controls_folder()])
    assert len(controls) == len(FILES)
    assert [control.id for control in controls] == sorted({control.id for control in controls})


def test_no_two_controls_ask_for_the_same_document_with_different_ages() -> None:
    asked: dict[tuple[str, str], int] = {}
    for control in load.load_controls([controls_folder()]):
        for need in control.evidence:
            assert asked.setdefault((need.kind, need.subject), need.max_age_days) == need.max_age_days


def _findings(control: Control) -> list[str]:
    return [check.finding for test in control.tests for check in test.checks]
