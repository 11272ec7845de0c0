"""Reperformance: does a source say the same to somebody else? A sample of evidence items, fetched again and compared.

What the seal cannot show, that the source really answered this, an assessor can look at with read-only credentials of
their own. Sources go on living, so a difference is not yet a fault: it is what to ask about. Personal values are removed or
replaced on either side, in ways that depend on who collects, and do not count as differences.
"""

from __future__ import annotations

import heapq
import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from compliancectl.model.evidence import EvidenceItem
from compliancectl.model.reperform import ItemAgain, RowChange, TableAgain
from compliancectl.model.table import Table
from compliancectl.query.rows import read_rows
from compliancectl.sample import order

_PERSON = re.compile(r"\(redacted\)(#[0-9]+)?|person-[a-z2-7]{26}")
_LISTED = 100
"""Changes of one table that are listed; `rows_then`, `rows_now` and `same` count them all."""


def frame(items: Iterable[EvidenceItem]) -> tuple[EvidenceItem, ...]:
    """The items that can be fetched again: all but those that the scope gave nothing to collect from."""
    return tuple(item for item in items if item.status != "skipped")


def draw(items: Iterable[EvidenceItem], seed: str, size: int) -> tuple[EvidenceItem, ...]:
    """The first `size` items in the order of md5(seed || id)."""
    return tuple(heapq.nsmallest(size, items, key=lambda item: (order(seed, item.id), item.id)))


def compare(
    number: int,
    seed: str,
    then: EvidenceItem,
    now: EvidenceItem | None,
    folders: tuple[Path, Path],
    tables: Mapping[str, Table],
) -> ItemAgain:
    """Compare one item with what the source says now.

    Args:
        number: its place in the sample.
        seed: what it was drawn by.
        then: the item in the bundle.
        now: the item of this run; None if nothing was fetched.
        folders: where the files of each lie.
        tables: the declared tables.
    """
    files = {table.table: folders[1] / table.path for table in now.tables} if now is not None else {}
    found = [
        _table(tables[old.table], folders[0] / old.path, files.get(old.table))
        for old in then.tables
        if old.table in tables
    ]
    return ItemAgain(
        number=number,
        id=then.id,
        md5=order(seed, then.id),
        status_then=then.status,
        status_now=now.status if now is not None else "failed",
        reason=now.reason if now is not None else "the scope file does not name it",
        tables=tuple(found) if now is not None else (),
    )


def _table(table: Table, then: Path, now: Path | None) -> TableAgain:
    old, new = _keyed(table, then), _keyed(table, now)
    changes: list[RowChange] = []
    same = 0
    for key in sorted(old.keys() | new.keys()):
        alike, found = _rows(key, old[key], new[key])
        same += alike
        changes += found
    return TableAgain(
        table=table.name,
        rows_then=sum(map(len, old.values())),
        rows_now=sum(map(len, new.values())),
        same=same,
        changes=tuple(changes[:_LISTED]),
    )


Rows = list[dict[str, Any]]


def _keyed(table: Table, file: Path | None) -> defaultdict[str, Rows]:
    """Rows by key. Without what told people apart, several may share one."""
    found: defaultdict[str, Rows] = defaultdict(list)
    for row in read_rows(file) if file is not None else ():
        plain = {name: _plain(value) for name, value in row.items()}
        found[", ".join(str(plain[name]) for name in table.key)].append(plain)
    return found


def _plain(value: Any) -> Any:
    if isinstance(value, str):
        return _PERSON.sub("(person)", value)
    if isinstance(value, list):
        return [_plain(part) for part in value]
    if isinstance(value, dict):
        return {name: _plain(part) for name, part in value.items()}
    return value


def _rows(key: str, old: Rows, new: Rows) -> tuple[int, list[RowChange]]:
    """How many rows of one key are alike, and what changed."""
    was, now = Counter(map(repr, old)), Counter(map(repr, new))
    alike = (was & now).total()
    left = _others(old, was & now)
    right = _others(new, was & now)
    changes = []
    for one, other in zip(left, right, strict=False):
        columns = tuple(sorted(name for name in one.keys() | other.keys() if one.get(name) != other.get(name)))
        changes.append(RowChange(key=key, kind="changed", columns=columns))
    paired = len(changes)
    changes += [RowChange(key=key, kind="only then") for _ in left[paired:]]
    changes += [RowChange(key=key, kind="only now") for _ in right[paired:]]
    return alike, changes


def _others(rows: Rows, alike: Counter[str]) -> Rows:
    return list(_without(rows, Counter(alike)))


def _without(rows: Rows, alike: Counter[str]) -> Iterator[dict[str, Any]]:
    for row in rows:
        if alike[repr(row)]:
            alike[repr(row)] -= 1
        else:
            yield row
