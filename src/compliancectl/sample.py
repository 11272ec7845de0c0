"""Samples: items drawn from a sealed population in the order of md5(seed || resource).

The order depends on the seed and the names and on nothing else: no generator, no library, no order of rows. Whoever
has the bundle and the seed draws the same items with one SQL statement, with `md5sum`, or by hand. MD5 only spreads
here; the seed is the assessor's to choose, after the population was sealed, so that nobody could aim at it.
"""

from __future__ import annotations

import heapq
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from fractions import Fraction
from hashlib import md5
from typing import Any

from compliancectl.errors import NotReadyError, UsageError
from compliancectl.export import tables
from compliancectl.export.source import Bundle
from compliancectl.export.tables import Row, Sheet
from compliancectl.load.problems import nearest
from compliancectl.model.control import Frequency
from compliancectl.model.result import ControlResult, ItemResult, TestResult
from compliancectl.model.sample import DrawnItem, Sample, Stratum

SIZES: dict[Frequency, int] = {"hourly": 40, "daily": 25, "weekly": 8, "monthly": 3, "quarterly": 2, "annual": 1}
"""Items to draw when no size is given, by how often the control is due. A house rule within the customary ranges."""
_A: dict[Frequency, str] = {
    "hourly": "an hourly", "daily": "a daily", "weekly": "a weekly", "monthly": "a monthly", "quarterly": "a quarterly",
    "annual": "an annual",
}  # fmt: skip
MAX_STRATA = 50
Drawn = tuple[str, ItemResult]
"""The md5 that orders an item, and the item."""


@dataclass(frozen=True)
class Wanted:
    """What to draw."""

    control: str
    seed: str
    test: str | None = None
    size: int | None = None
    by: str | None = None
    """Column of the population to divide it by."""


def draw(bundle: Bundle, wanted: Wanted) -> Sample:
    """Draw a sample from a population of a bundle. The caller has verified the bundle.

    Raises:
        UsageError: the control, test or column does not exist, or the size or seed is none.
        NotReadyError: the population was not determined in this run.
    """
    control, test = find(bundle, wanted)
    if not wanted.seed:
        raise UsageError("the seed is empty", hint="Choose any text, and write it down.")
    if wanted.size is not None and wanted.size < 1:
        raise UsageError("a sample has at least one item", hint="Give a larger --size.")
    if test.items_path is None or test.items_sha256 is None:
        reason = test.reason or "it was not judged"
        raise NotReadyError(
            f"{control.id}.{test.id} has no population in this run: {reason}", hint="Take a run in which it was judged."
        )
    size = wanted.size or SIZES[control.frequency]
    strata, drawn = _draw(bundle, test, wanted, size)
    counts = test.counts
    return Sample(
        organization=bundle.results.organization,
        system=bundle.results.system,
        run_id=bundle.results.run_id,
        bundle_sha256=bundle.sums_sha256,
        period=bundle.results.period,
        as_of=bundle.results.as_of,
        control=control.id,
        title=control.title,
        test=test.id,
        frequency=control.frequency,
        checks=tuple(check.name for check in test.checks),
        items_path=test.items_path,
        items_sha256=test.items_sha256,
        population=counts.total,
        excluded=counts.excluded,
        frame=counts.total - counts.excluded,
        seed=wanted.seed,
        size=len(drawn),
        rule=_rule(wanted, control.frequency, size, counts.total - counts.excluded),
        strata_column=wanted.by,
        strata=strata if wanted.by is not None else (),
        sql=_sql(test.items_path, wanted, strata),
        items=tuple(_drawn(n, digest, item, wanted.by) for n, (digest, item) in enumerate(drawn, 1)),
    )


def find(bundle: Bundle, wanted: Wanted) -> tuple[ControlResult, TestResult]:
    """The test to draw from: the one named, or the control's only one.

    Raises:
        UsageError: if it does not exist, or none is named and there are several.
    """
    controls = {control.id: control for control in bundle.results.controls}
    if wanted.control not in controls:
        close = nearest(wanted.control, controls)
        hint = f"Did you mean {close}?" if close else f"There are {', '.join(controls) or 'none'}."
        raise UsageError(f"the bundle has no control {wanted.control!r}", hint=hint)
    control = controls[wanted.control]
    tests = {test.id: test for test in control.tests}
    sizes = ", ".join(f"{test.id} ({test.counts.total:,} items)" for test in control.tests)
    if wanted.test is None and len(tests) > 1:
        raise UsageError(
            f"{control.id} has {len(tests)} populations", hint=f"Name one of them as {control.id}.TEST: {sizes}."
        )
    if wanted.test is not None and wanted.test not in tests:
        raise UsageError(f"{control.id} has no test {wanted.test!r}", hint=f"There are {sizes}.")
    return control, tests[wanted.test] if wanted.test else control.tests[0]


def _draw(bundle: Bundle, test: TestResult, wanted: Wanted, size: int) -> tuple[tuple[Stratum, ...], list[Drawn]]:
    frame: dict[str | None, int] = {}
    for value, _ in _frame(bundle, test, wanted):
        frame[value] = frame.get(value, 0) + 1
        if len(frame) > MAX_STRATA:
            raise UsageError(
                f"{wanted.by} has more than {MAX_STRATA} values", hint="Divide by a column with fewer, or not at all."
            )
    shares = allot(frame, size)
    # A heap per stratum holds the few that come first, so that a million items need no memory.
    heaps: dict[str | None, list[tuple[int, str, ItemResult]]] = {value: [] for value in frame}
    for value, item in _frame(bundle, test, wanted):
        key = order(wanted.seed, item.resource)
        _keep(heaps[value], shares[value], key, item)
    strata = tuple(Stratum(value=v, items=frame[v], drawn=shares[v]) for v in _sorted(frame))
    found = [(digest, item) for heap in heaps.values() for _, digest, item in heap]
    return strata, sorted(found, key=lambda drawn: (drawn[0], drawn[1].resource))


def _keep(heap: list[tuple[int, str, ItemResult]], most: int, digest: str, item: ItemResult) -> None:
    entry = (-int(digest, 16), digest, item)
    if len(heap) < most:
        heapq.heappush(heap, entry)
    elif most and entry[0] > heap[0][0]:
        heapq.heapreplace(heap, entry)


def _frame(bundle: Bundle, test: TestResult, wanted: Wanted) -> Iterator[tuple[str | None, ItemResult]]:
    for item in bundle.items(test):
        if item.outcome == "excluded":
            continue
        if wanted.by is not None and item.observed and wanted.by not in item.observed:
            known = ", ".join(sorted(item.observed))
            raise UsageError(f"the population has no column {wanted.by!r}", hint=f"It has {known}.")
        yield stratum(item, wanted.by), item


def stratum(item: ItemResult, by: str | None) -> str | None:
    """The value that an item is divided by, as text."""
    value = item.observed.get(by) if by is not None else None
    return None if value is None else str(_as_json(value))


def _as_json(value: Any) -> Any:
    return {True: "true", False: "false"}[value] if isinstance(value, bool) else tables.value_of(value)


def order(seed: str, resource: str) -> str:
    """What items are ordered by: the MD5 of the seed followed by the name, in hexadecimal."""
    return md5((seed + resource).encode("utf-8", "surrogatepass"), usedforsecurity=False).hexdigest()


def allot(frame: dict[str | None, int], size: int) -> dict[str | None, int]:
    """How many to draw from each stratum: one each if that is possible, the rest by size (largest remainder)."""
    size = min(size, sum(frame.values()))
    values = _sorted(frame)
    each = 1 if size >= len(values) else 0
    shares = dict.fromkeys(values, each)
    left, rest = size - each * len(values), sum(frame.values()) - each * len(values)
    if rest:
        exact = {value: Fraction(left * (frame[value] - each), rest) for value in values}
        for value in values:
            shares[value] += int(exact[value])
        short = size - sum(shares.values())
        by_remainder = sorted(values, key=lambda v: (-(exact[v] - int(exact[v])), values.index(v)))
        for value in by_remainder[:short]:
            shares[value] += 1
    return shares


def _sorted(values: Iterable[str | None]) -> list[str | None]:
    return sorted(values, key=lambda value: (value is None, value or ""))


def _drawn(number: int, digest: str, item: ItemResult, by: str | None) -> DrawnItem:
    return DrawnItem(
        number=number,
        resource=item.resource,
        md5=digest,
        stratum=stratum(item, by),
        outcome=item.outcome,
        reason=item.reason,
        findings=tuple(finding.sentence for finding in item.findings),
        observed=item.observed,
    )


def _rule(wanted: Wanted, frequency: Frequency, size: int, frame: int) -> str:
    said = f"{size} asked for" if wanted.size else f"{size}, the size for {_A[frequency]} control"
    return f"{said}; the frame has only {frame}, so all of it." if frame <= size else f"{said}."


def _sql(path: str, wanted: Wanted, strata: tuple[Stratum, ...]) -> str:
    seed = "'" + wanted.seed.replace("'", "''") + "'"
    source = (
        f"read_json('{path}', format = 'newline_delimited', columns = "
        "{resource: 'VARCHAR', outcome: 'VARCHAR', observed: 'JSON'})"
    )
    key = f"md5({seed} || resource)"
    if wanted.by is None:
        size = sum(part.drawn for part in strata)
        return f"SELECT resource FROM {source} WHERE outcome <> 'excluded' ORDER BY {key}, resource LIMIT {size}"
    column = wanted.by.replace("'", "''").replace('"', '\\"')
    value = f"observed ->> '$.\"{column}\"'"
    whens = " ".join(f"WHEN {_literal(part.value)} THEN {part.drawn}" for part in strata if part.value is not None)
    none = next((part.drawn for part in strata if part.value is None), 0)
    shares = f"CASE stratum {whens} ELSE {none} END" if whens else str(none)
    return (
        f"SELECT resource FROM (SELECT resource, stratum, {key} AS drawn, row_number() OVER (PARTITION BY stratum "
        f"ORDER BY {key}, resource) AS n FROM (SELECT resource, {value} AS stratum FROM {source} "
        f"WHERE outcome <> 'excluded')) WHERE n <= {shares} ORDER BY drawn, resource"
    )


def _literal(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"


def about(sample: Sample) -> Iterator[Row]:
    """Everything that is needed to draw the sample again."""
    yield "Organization", sample.organization
    yield "System", sample.system
    yield "Control", f"{sample.control} {sample.title}"
    yield "Test", sample.test
    yield "Population", sample.population
    yield "Excluded (each with its reason, not in the frame)", sample.excluded
    yield "Frame", sample.frame
    yield "Drawn", sample.size
    yield "Size", sample.rule
    yield "Seed", sample.seed
    yield "Order", "MD5 of the seed followed by the resource, ascending"
    for part in sample.strata:
        yield f"Stratum {sample.strata_column} = {part.value}", f"{part.drawn} of {part.items}"
    yield "Population file", sample.items_path
    yield "Population file, SHA-256", sample.items_sha256
    yield "Bundle (SHA-256 of SHA256SUMS)", sample.bundle_sha256
    yield "Run", sample.run_id
    yield "Draw again, in the folder of the bundle or package, with DuckDB", sample.sql


def attributes(sample: Sample) -> tuple[Sheet, Iterator[Row]]:
    """The attribute sheet: one row per item, what is known of it, and a cell per attribute for the tester to fill in."""
    observed = sorted({name for item in sample.items for name in item.observed} - {"resource"})
    blank = tuple(f"[{chr(65 + n % 26)}] {check}" for n, check in enumerate(sample.checks))
    own = ("Exception", "Tested by", "Tested on", "Reference", "Notes")
    known = ("No.", "Resource", *(("Stratum",) if sample.strata_column else ()), "Judged", "Findings", *observed)
    return Sheet("attributes", "Attributes", (*known, *blank, *own)), _rows(sample, observed, len(blank) + len(own))


def _rows(sample: Sample, observed: list[str], blanks: int) -> Iterator[Row]:
    for item in sample.items:
        values = [tables.value_of(item.observed.get(name)) for name in observed]
        strata = [item.stratum] if sample.strata_column else []
        said = " ".join(item.findings) or item.reason
        yield (item.number, item.resource, *strata, item.outcome, said, *values, *[None] * blanks)
