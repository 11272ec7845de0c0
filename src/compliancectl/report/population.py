"""The items of one test: the first of them for the pages, all of them as a table that spreadsheets read.

A population can have 100,000 items and a page has room for 25, so that a report grows with its controls. What is
not printed is enclosed as CSV, with its digest on the page.
"""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from compliancectl import canonical
from compliancectl.model.result import ItemResult
from compliancectl.report.text import compact

ORDER = {"fail": 0, "unknown": 1, "waived": 2, "excluded": 3, "pass": 4}
"""The order of the pages: what does not pass comes first."""
_FORMULA = ("=", "+", "-", "@", "\t", "\r")


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


NOTHING = Population((), None)


def read(data: bytes, *, name: str, shown: int, enclose: bool = True) -> Population:
    """Read `results/items/*.jsonl`.

    Args:
        data: JSON Lines, sorted by resource.
        name: file name of the CSV.
        shown: how many items are printed.
        enclose: whether a longer population is made into a table; an HTML report refers to the bundle instead.
    """
    lines = data.splitlines()
    if len(lines) <= shown:
        return Population(_first((ItemResult.model_validate_json(line) for line in lines), shown), None)
    # Validating is for what is printed: the digest has shown already that these are the lines that evaluate wrote.
    outcomes, checks, columns = _survey(lines)
    ranked = sorted(range(len(lines)), key=lambda i: (ORDER[outcomes[i]], i))[:shown]
    first = tuple(ItemResult.model_validate_json(lines[i]) for i in ranked)
    if not enclose:
        return Population(first, None)
    table = as_csv(lines, checks, columns)
    return Population(first, Table(name, table, canonical.sha256(table), len(lines)))


def _first(items: Iterator[ItemResult], shown: int) -> tuple[ItemResult, ...]:
    return tuple(sorted(items, key=lambda i: (ORDER[i.outcome], i.resource))[:shown])


def as_csv(lines: list[bytes], checks: list[str], columns: list[str]) -> bytes:
    """All items as CSV: resource, outcome, findings, reason, then one column for each check and each observed value.

    A cell that a spreadsheet would take for a formula begins with an apostrophe; the JSON Lines in the bundle have the
    exact value.
    """
    stream = io.StringIO()
    writer = csv.writer(stream, lineterminator="\r\n")
    header = [*(f"check {name}" for name in checks), *columns]
    writer.writerow(_safe(cell) for cell in ("resource", "outcome", "findings", "reason", *header))
    for line in lines:
        item = _item(line)
        said = " ".join(finding["sentence"] for finding in item.get("findings", ()))
        found, observed = item.get("checks", {}), item.get("observed", {})
        row = [item["resource"], item["outcome"], said, item.get("reason") or ""]
        row += [found.get(name, "") for name in checks]
        row += [_cell(observed.get(name)) for name in columns]
        writer.writerow([_safe(cell) for cell in row])
    return stream.getvalue().encode("utf-8", "surrogatepass")


def _item(line: bytes) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(str(line, "utf-8", "surrogatepass"))
    return found


def _survey(lines: list[bytes]) -> tuple[list[str], list[str], list[str]]:
    """The outcome of each item, and the names of checks and of observed values.

    All items of a test come from one query, but an unknown one lacks them.
    """
    outcomes = []
    checks: dict[str, Any] = {}
    columns: dict[str, Any] = {}
    for line in lines:
        item = _item(line)
        outcomes.append(item["outcome"])
        checks.update(item.get("checks", {}))
        columns.update(item.get("observed", {}))
    return outcomes, sorted(checks), sorted(columns.keys() - {"resource"})


def _cell(value: Any) -> str:
    return "" if value is None else compact(value)


def _safe(cell: str) -> str:
    if not cell.startswith(_FORMULA) or _is_number(cell):
        return cell
    return f"'{cell}"


def _is_number(cell: str) -> bool:
    return cell[:1] in "+-" and cell[1:].replace(".", "", 1).isascii() and cell[1:].replace(".", "", 1).isdigit()
