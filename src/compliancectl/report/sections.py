"""One control and its tests, as a section of the report shows them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from compliancectl.model.result import (
    CheckResult,
    ControlOutcome,
    ControlResult,
    Counts,
    ItemResult,
    TableUse,
    TestResult,
    WaiverUse,
)
from compliancectl.report.counts import add, check_sentence, control_sentence, item_parts, population
from compliancectl.report.evidence import EvidenceView
from compliancectl.report.figures import Bar, bar
from compliancectl.report.source import PASSES_PRINTED
from compliancectl.report.text import compact, count

EVIDENCE_PRINTED = 12
"""Evidence items listed beside a table; all of them are in the index."""
OBSERVED = 320
"""Characters of observed values printed for an item."""
OBSERVED_PASS = 110


@dataclass(frozen=True)
class CriterionLink:
    """A criterion that a control serves."""

    id: str
    title: str
    anchor: str | None
    """Where it stands in the matrix; None if its framework's file does not have it."""


@dataclass(frozen=True)
class CheckView:
    """One check over the population."""

    result: CheckResult
    sentence: str
    outcome: str
    """The worst outcome of an item in it."""


@dataclass(frozen=True)
class ItemView:
    """One item that is printed."""

    result: ItemResult
    sentences: tuple[str, ...]
    observed: tuple[tuple[str, str], ...]


@dataclass(frozen=True)
class TableView:
    """A table that a test read."""

    use: TableUse
    evidence: tuple[EvidenceView, ...]
    more: int
    """Evidence items beyond those listed."""
    missing: tuple[str, ...]
    """Ids that the results name and the bundle does not hold."""


@dataclass(frozen=True)
class TestView:
    """One test."""

    result: TestResult
    anchor: str
    number: int
    population: str
    bar: Bar
    checks: tuple[CheckView, ...]
    tables: tuple[TableView, ...]
    deviations: tuple[ItemView, ...]
    deviations_note: str | None
    passes: tuple[ItemView, ...]
    passes_note: str | None


@dataclass(frozen=True)
class ControlView:
    """One control: a section of the report."""

    result: ControlResult
    anchor: str
    counts: Counts
    """Of all its tests."""
    sentence: str
    criteria: tuple[tuple[str, tuple[CriterionLink, ...]], ...]
    """(short name of the framework, its criteria)."""
    tests: tuple[TestView, ...]
    waivers: tuple[WaiverUse, ...]

    @property
    def outcome(self) -> ControlOutcome:
        return self.result.outcome


def control_view(
    control: ControlResult,
    *,
    criteria: tuple[tuple[str, tuple[CriterionLink, ...]], ...],
    evidence: Mapping[str, EvidenceView],
    passes: Mapping[tuple[str, str], tuple[ItemResult, ...]],
    waivers: tuple[WaiverUse, ...],
) -> ControlView:
    """Prepare one control."""
    counts = add(test.counts for test in control.tests)
    return ControlView(
        result=control,
        anchor=f"control-{control.id}",
        counts=counts,
        sentence=control_sentence(control, counts),
        criteria=criteria,
        tests=tuple(
            _test(control, number, test, evidence, passes.get((control.id, test.id), ()))
            for number, test in enumerate(control.tests, start=1)
        ),
        waivers=tuple(w for w in waivers if w.control == control.id),
    )


def _test(
    control: ControlResult,
    number: int,
    test: TestResult,
    evidence: Mapping[str, EvidenceView],
    passes: tuple[ItemResult, ...],
) -> TestView:
    others = test.counts.total - test.counts.passed
    return TestView(
        result=test,
        anchor=f"test-{control.id}-{number}",
        number=number,
        population=population(test),
        bar=bar(item_parts(test.counts)),
        checks=tuple(CheckView(c, check_sentence(c), _worst(c)) for c in test.checks),
        tables=tuple(_table(use, evidence) for use in test.tables),
        deviations=tuple(_item(item, OBSERVED) for item in test.deviations),
        deviations_note=_note(len(test.deviations), others),
        passes=tuple(_item(item, OBSERVED_PASS) for item in passes),
        passes_note=_note(len(passes), test.counts.passed),
    )


def _note(shown: int, total: int) -> str | None:
    return f"First {shown:,} of {total:,}." if shown < total else None


def _worst(check: CheckResult) -> str:
    if check.failed:
        return "fail"
    if check.unknown:
        return "unknown"
    if check.waived:
        return "waived"
    return "pass" if check.passed else "excluded"


def _table(use: TableUse, evidence: Mapping[str, EvidenceView]) -> TableView:
    found = [evidence[id] for id in use.items if id in evidence]
    shown = tuple(found[:EVIDENCE_PRINTED])
    return TableView(use, shown, len(found) - len(shown), tuple(id for id in use.items if id not in evidence))


def _item(item: ItemResult, limit: int) -> ItemView:
    sentences = [f.sentence + (f" [waiver {f.waiver}]" if f.waiver else "") for f in item.findings]
    if item.reason and item.reason not in sentences:
        sentences.append(item.reason)
    return ItemView(item, tuple(sentences), _observed(item, limit))


def _observed(item: ItemResult, limit: int) -> tuple[tuple[str, str], ...]:
    """The item's other columns while there is room; what is left out is counted."""
    pairs = [(k, compact(v)) for k, v in item.observed.items() if k not in ("resource", "excluded")]
    shown: list[tuple[str, str]] = []
    room = limit
    for index, (key, value) in enumerate(pairs):
        if shown and len(key) + len(value) + 3 > room:
            return (*shown, ("", f"and {count(len(pairs) - index, 'more column')}"))
        shown.append(
            (key, value if len(value) <= limit else f"{value[:limit]} … ({len(value) - limit:,} more characters)")
        )
        room -= len(key) + len(value) + 3
    return tuple(shown)


__all__ = ["PASSES_PRINTED", "ControlView", "CriterionLink", "TestView", "control_view"]
