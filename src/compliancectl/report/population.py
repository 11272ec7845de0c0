"""The items of one test: the first of them for the pages, all of them as a table that spreadsheets read.

A population can have 100,000 items and a page has room for 25, so that a report grows with its controls. What is
not printed is enclosed as CSV, with its digest on the page.
"""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date
from typing import Any

from compliancectl import canonical
from compliancectl.model.result import ItemResult
from compliancectl.report.calendar import Days, Tally
from compliancectl.report.text import compact

ORDER = {"fail": 0, "unknown": 1, "waived": 2, "excluded": 3, "pass": 4}
"""The order of the pages: what does not pass comes first."""
_FORMULA = frozenset("=+-@\t\r")
AHEAD = 20
"""Lines that are read for the names of columns before anything is written."""


@dataclass(frozen=True)
class Table:
    """The whole population as CSV: UTF-8, a header, one line for each item, sorted by resource."""

    name: str
    data: bytes
    sha256: str
    rows: int


@dataclass(frozen=True)
class Population:
    """What is read of a population's file."""

    first: tuple[ItemResult, ...]
    """The first items in the order of the pages."""
    table: Table | None
    """All of them, when not all are in `first`."""
    days: Days | None = None
    """All of them by day, of a population whose items have one."""


NOTHING = Population((), None)


def read(
    data: bytes, *, name: str, shown: int, enclose: bool = True, period: tuple[date, date] | None = None
) -> Population:
    """Read `results/items/*.jsonl`.

    Args:
        data: JSON Lines, sorted by resource.
        name: file name of the CSV.
        shown: how many items are printed.
        enclose: whether a longer population is made into a table; an HTML report refers to the bundle instead.
        period: first and last day of the observation period; left out, items are not looked at by day.
    """
    lines = data.splitlines()
    table: Table | None = None
    if enclose and len(lines) > shown:
        written, outcomes, tally = _as_csv(lines)
        table = Table(name, written, canonical.sha256(written), len(lines))
    else:
        outcomes, tally = [], Tally()
        for line in lines:
            found = item(line)
            tally.add(found)
            outcomes.append(found["outcome"])
    # Validating is for what is printed: the digest has shown already that these are the lines that evaluate wrote.
    ranked = sorted(range(len(lines)), key=lambda i: (ORDER[outcomes[i]], i))[:shown]
    first = tuple(ItemResult.model_validate_json(lines[i]) for i in ranked)
    return Population(first, table, tally.days(*period) if period else None)


def item(line: bytes) -> dict[str, Any]:
    """An item as its line of JSON has it."""
    from pydantic_core import from_json

    found: dict[str, Any]
    try:
        found = from_json(line)
    except ValueError:  # half of a pair of UTF-16, which a name at a source can have
        found = json.loads(str(line, "utf-8", "surrogatepass"))
    return found


def _as_csv(lines: list[bytes]) -> tuple[bytes, list[str], Tally]:
    """All items as CSV, the outcome of each, and how many each day has.

    The columns: resource, outcome, findings, reason, each check, each observed value.

    A cell that a spreadsheet would take for a formula begins with an apostrophe; the JSON Lines in the bundle have the
    exact value.

    The header comes first, and an unknown item lacks checks and values. The first lines nearly always have them all, so
    that reading every line twice is for the rare file in which a later one has more.
    """
    checks, columns = _names(lines[:AHEAD])
    while True:
        data, outcomes, tally, also = _written(lines, sorted(checks), sorted(columns))
        if also[0] <= checks and also[1] <= columns:
            return data, outcomes, tally
        checks, columns = checks | also[0], columns | also[1]


def _names(lines: Iterable[bytes]) -> tuple[set[str], set[str]]:
    """The names of checks and of observed values."""
    checks: set[str] = set()
    columns: set[str] = set()
    for line in lines:
        found = item(line)
        checks.update(found.get("checks", ()))
        columns.update(found.get("observed", ()))
    return checks, columns - {"resource"}


def _written(
    lines: list[bytes], checks: list[str], columns: list[str]
) -> tuple[bytes, list[str], Tally, tuple[set[str], set[str]]]:
    """The CSV with these columns, the outcomes, the items by day, and (checks, values) that have no column."""
    stream = io.StringIO()
    write, tally = csv.writer(stream, lineterminator="\r\n").writerow, Tally()
    header = [*(f"check {name}" for name in checks), *columns]
    write(_safe(["resource", "outcome", "findings", "reason", *header]))
    known_checks, known_columns = frozenset(checks), frozenset([*columns, "resource"])
    more_checks: set[str] = set()
    more_columns: set[str] = set()
    outcomes = []
    for line in lines:
        found = item(line)
        tally.add(found)
        said, checked, observed = found.get("findings"), found.get("checks", {}), found.get("observed", {})
        if not (checked.keys() <= known_checks and observed.keys() <= known_columns):
            more_checks |= checked.keys() - known_checks
            more_columns |= observed.keys() - known_columns
        outcomes.append(found["outcome"])
        row = [found["resource"], found["outcome"], " ".join([f["sentence"] for f in said]) if said else ""]
        row.append(found.get("reason") or "")
        row += [checked.get(name, "") for name in checks]
        row += [_cell(observed.get(name)) for name in columns]
        write(_safe(row))
    return stream.getvalue().encode("utf-8", "surrogatepass"), outcomes, tally, (more_checks, more_columns)


def _cell(value: Any) -> str:
    if value is None:
        return ""
    if value is True or value is False:
        return "true" if value else "false"
    return compact(value)


def _safe(row: list[str]) -> list[str]:
    return [f"'{cell}" if cell[:1] in _FORMULA and not _is_number(cell) else cell for cell in row]


def _is_number(cell: str) -> bool:
    return cell[0] in "+-" and cell[1:].replace(".", "", 1).isascii() and cell[1:].replace(".", "", 1).isdigit()
