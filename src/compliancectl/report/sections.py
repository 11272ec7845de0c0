"""One control and its tests, as a section of the report shows them."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from itertools import groupby

from compliancectl import canonical
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
from compliancectl.report.calendar import Calendar
from compliancectl.report.counts import add, check_sentence, control_sentence, item_parts, population
from compliancectl.report.evidence import EvidenceView
from compliancectl.report.figures import Bar, bar
from compliancectl.report.population import Population, Table
from compliancectl.report.text import compact, count

EVIDENCE_PRINTED = 12
"""Evidence items listed beside a table; all of them are in the index."""
OBSERVED = 320
"""Characters of observed values printed for an item."""
CELL = 90
"""Characters of one value in a column."""
COLUMNS = 3
"""Observed values that get a column of their own: those that the checks read."""


_WORD = re.compile(r"[A-Za-z_][A-Za-z_0-9]*")
_LITERAL = re.compile(r"'[^']*'")


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
    anchor: str
    """Where it stands in an HTML report: the same in every report about this item."""
    sentences: tuple[str, ...]
    cells: tuple[str, ...]
    """One for each column of the test."""
    observed: tuple[tuple[str, str], ...]
    """The other values, of an item that does not pass."""


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
class Family:
    """Names that begin alike, so that what they share is printed once."""

    parent: str
    """Up to and with the last slash; empty for names that are printed whole."""
    names: tuple[str, ...]


@dataclass(frozen=True)
class TestView:
    """One test."""

    result: TestResult
    anchor: str
    number: int
    population: str
    bar: Bar
    calendar: Calendar | None
    """The items by day, of a population that has a date for each."""
    checks: tuple[CheckView, ...]
    tables: tuple[TableView, ...]
    columns: tuple[str, ...]
    """Names of the observed values that are shown for every item."""
    items: tuple[ItemView, ...]
    """Those that are printed, what does not pass first."""
    passing: tuple[Family, ...]
    """Of a population that is not printed whole, the first that pass: by name alone, since all values are enclosed."""
    shown: str | None
    """How many of how many are printed, when not all are."""
    table: Table | None
    """All items as CSV, when not all are printed."""


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
    populations: Mapping[tuple[str, str], Population],
    calendars: Mapping[str, Calendar],
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
            _test(control, number, test, evidence, populations[control.id, test.id], calendars.get(test.id))
            for number, test in enumerate(control.tests, start=1)
        ),
        waivers=tuple(w for w in waivers if w.control == control.id),
    )


def _test(
    control: ControlResult,
    number: int,
    test: TestResult,
    evidence: Mapping[str, EvidenceView],
    items: Population,
    calendar: Calendar | None,
) -> TestView:
    columns = _columns(test, items)
    whole = items.table is None
    return TestView(
        result=test,
        anchor=f"test-{control.id}-{number}",
        number=number,
        population=population(test),
        bar=bar(item_parts(test.counts)),
        calendar=calendar,
        checks=tuple(CheckView(c, check_sentence(c), _worst(c)) for c in test.checks),
        tables=tuple(_table(use, evidence) for use in test.tables),
        columns=columns,
        items=tuple(
            _item(f"{control.id}\0{test.id}", item, columns) for item in items.first if whole or item.outcome != "pass"
        ),
        passing=() if whole else families(item.resource for item in items.first if item.outcome == "pass"),
        shown=_shown(len(items.first), test.counts),
        table=items.table,
    )


def families(names: Iterable[str]) -> tuple[Family, ...]:
    """Gather names that follow each other and have the same parent; one without such neighbours stays whole."""
    found: list[Family] = []
    for parent, group in groupby(names, key=lambda name: name[: name.rfind("/") + 1]):
        whole = tuple(group)
        if parent and len(whole) > 1:
            found.append(Family(parent, tuple(name[len(parent) :] for name in whole)))
        elif found and not found[-1].parent:
            found[-1] = Family("", found[-1].names + whole)
        else:
            found.append(Family("", whole))
    return tuple(found)


def _columns(test: TestResult, items: Population) -> tuple[str, ...]:
    """The observed values that the checks read, in the order in which the checks name them."""
    known = {name for item in items.first for name in item.observed} - {"resource", "excluded"}
    named = (word for check in test.checks for word in _WORD.findall(_LITERAL.sub("", check.expect)))
    return tuple(dict.fromkeys(word for word in named if word in known))[:COLUMNS]


def _shown(shown: int, counts: Counts) -> str | None:
    if shown == counts.total:
        return None
    other = counts.failed + counts.unknown + counts.waived
    first = ", those that do not pass first" if other and counts.passed + counts.excluded else ""
    return f"The first {shown:,} of {counts.total:,} are shown{first}."


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


def _item(test: str, item: ItemResult, columns: tuple[str, ...]) -> ItemView:
    name = f"{test}\0{item.resource}".encode("utf-8", "surrogatepass")
    anchor = f"item-{canonical.sha256(name)[:12]}"
    sentences = [f.sentence + (f" [waiver {f.waiver}]" if f.waiver else "") for f in item.findings]
    if item.reason and item.reason not in sentences:
        sentences.append(item.reason)
    cells = tuple(_short(compact(item.observed[name]), CELL) if name in item.observed else "" for name in columns)
    plain = item.outcome in ("pass", "excluded")
    return ItemView(item, anchor, tuple(sentences), cells, () if plain else _observed(item, columns))


def _observed(item: ItemResult, columns: tuple[str, ...]) -> tuple[tuple[str, str], ...]:
    """The item's other values while there is room; what is left out is counted."""
    left_out = {"resource", "excluded", *columns}
    pairs = [(name, compact(value)) for name, value in item.observed.items() if name not in left_out]
    shown: list[tuple[str, str]] = []
    room = OBSERVED
    for index, (key, value) in enumerate(pairs):
        if shown and len(key) + len(value) + 3 > room:
            return (*shown, ("", f"and {count(len(pairs) - index, 'more value')}"))
        shown.append((key, _short(value, OBSERVED)))
        room -= len(key) + len(value) + 3
    return tuple(shown)


def _short(value: str, limit: int) -> str:
    return value if len(value) <= limit else f"{value[:limit]} … ({len(value) - limit:,} more characters)"
