"""Runs one bound test on the evidence database and writes what it found about every item."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from compliancectl.model.result import CheckResult, Counts, ItemResult
from compliancectl.model.waiver import Waiver
from compliancectl.query.bind import Bound
from compliancectl.query.limits import Stopped
from compliancectl.query.render import canonical_escapes, judged_sql, line_sql, waiver_sql
from compliancectl.query.syntax import text_literal
from compliancectl.query.tables import EvidenceDatabase

SHOWN = 200
"""How many items that did not pass are repeated in results.json."""

_CHUNK = 1 << 20
_STATES = ("pass", "fail", "waived", "unknown")
_WRITTEN = {"passed": "pass", "failed": "fail"}
"""Name of a count → how the outcome is written, where that differs."""
_RANK = "CASE __outcome WHEN 'fail' THEN 0 WHEN 'unknown' THEN 1 WHEN 'waived' THEN 2 ELSE 3 END"


@dataclass(frozen=True)
class UnknownItem:
    """A record that broke its table's contract, as an item of the test."""

    resource: str
    reason: str


@dataclass(frozen=True)
class Judgement:
    """What a test found. `fault` says why it cannot be relied on, if it cannot."""

    counts: Counts
    checks: tuple[CheckResult, ...]
    deviations: tuple[ItemResult, ...]
    waived_by: dict[str, int]
    """Waiver id → findings that it accepted."""
    sha256: str | None = None
    """Of the file of items; none if there is a fault."""
    fault: str | None = None


def judge(
    database: EvidenceDatabase,
    bound: Bound,
    waivers: Sequence[Waiver],
    extra: Iterable[UnknownItem],
    out: Path,
    answer: Path | None = None,
) -> Judgement:
    """Run a test and write its items to `out`, one JSON object a line, sorted by resource.

    `answer` is a folder with the Parquet files that another engine answered with; then nothing is asked here.

    Raises:
        Stopped: if the SQL did not finish.
    """
    answered = f"read_parquet({text_literal(str(answer.resolve() / '*.parquet'))})" if answer is not None else None
    judged = judged_sql(bound, waivers, answered)
    try:
        # Sorting the columns here is half the work of sorting while the lines are written.
        database.run(f"CREATE OR REPLACE TEMP TABLE judged AS\nFROM (\n{judged}\n)\nORDER BY resource")
        unknown = list(extra)
        _add(database, unknown)
        (nameless, doubles), counts, checks = _totals(database, bound)
        fault = _double(database) if doubles else None
        if nameless:
            fault = f"The population holds {nameless} items without a resource name."
        lines = line_sql(bound, waivers)
        digest = _write(database, lines, out, sort=bool(unknown)) if fault is None else None
        return Judgement(
            counts=counts,
            checks=checks,
            deviations=_deviations(database, lines) if fault is None and counts.passed < counts.total else (),
            waived_by=_waived_by(database, bound, waivers),
            sha256=digest,
            fault=fault,
        )
    finally:
        database.run("DROP TABLE IF EXISTS temp.judged")


def _double(database: EvidenceDatabase) -> str:
    """Every item has a name of its own; otherwise nobody can say how many there are."""
    name, times = database.run(
        "SELECT resource, count(*) FROM judged WHERE __reason IS NULL "
        "GROUP BY resource HAVING count(*) > 1 ORDER BY resource LIMIT 1"
    )[0]
    return f'The population names "{name}" {times} times; each item must occur once.'


def _add(database: EvidenceDatabase, extra: Sequence[UnknownItem]) -> None:
    if not extra:
        return
    database.run(
        "INSERT INTO judged BY NAME SELECT unnest($1) AS resource, 'unknown' AS __outcome, unnest($2) AS __reason",
        [[item.resource for item in extra], [item.reason for item in extra]],
    )


def _write(database: EvidenceDatabase, lines: str, out: Path, *, sort: bool) -> str:
    items = "(SELECT * FROM judged ORDER BY resource)" if sort else "judged"
    _copy(database, f"SELECT {lines} AS line FROM {items}", out)
    digest, escapes = _read_back(out)
    if not escapes:
        return digest
    # Control characters in names are rare; looking for them in the file is far cheaper than mending every line.
    _copy(database, f"SELECT {canonical_escapes('line')} FROM (SELECT {lines} AS line FROM {items})", out)
    return _read_back(out)[0]


def _copy(database: EvidenceDatabase, select: str, out: Path) -> None:
    # JSON escapes line feeds and every sign below 0x20, so a line needs no CSV quoting.
    database.run(
        f"COPY ({select}) TO {text_literal(str(out.resolve()))} "
        "(FORMAT csv, HEADER false, QUOTE '', ESCAPE '', DELIMITER '\x01')"
    )


def _read_back(file: Path) -> tuple[str, bool]:
    """The file's SHA-256, and whether it holds escapes of control characters."""
    digest, escapes, mark, tail = hashlib.sha256(), False, rb"\u00", b""
    with file.open("rb") as stream:
        while chunk := stream.read(_CHUNK):
            digest.update(chunk)
            # A single sign is found ten times faster than four, and most files hold no backslash at all.
            if not escapes and (b"\\" in chunk or tail):
                escapes = mark in tail + chunk
            tail = chunk[1 - len(mark) :] if b"\\" in chunk[1 - len(mark) :] else b""
    return digest.hexdigest(), escapes


def _totals(database: EvidenceDatabase, bound: Bound) -> tuple[tuple[int, int], Counts, tuple[CheckResult, ...]]:
    """Items without a name and with another's, items by outcome, and each check's results.

    All in one reading: most populations are small.
    """
    # `trim` only where it can matter: on a million names it costs as much as grouping them.
    blank = "resource IS NULL OR resource = '' OR (starts_with(resource, ' ') AND trim(resource) = '')"
    columns = [f"count(*) FILTER (__reason IS NULL AND ({blank}))"]
    columns += [f"count({what} resource) FILTER (__reason IS NULL)" for what in ("", "DISTINCT")]
    columns += [f"count(*) FILTER (__outcome = '{_WRITTEN.get(name, name)}')" for name in Counts.model_fields]
    own = "__reason IS NULL AND"
    columns += [f"count(*) FILTER ({own} __s{n} = '{s}')" for n in range(len(bound.checks)) for s in _STATES]
    nameless, named, names, *numbers = (
        int(str(value)) for value in database.run(f"SELECT {', '.join(columns)} FROM judged")[0]
    )
    counts = Counts(**dict(zip(Counts.model_fields, numbers, strict=False)))
    rest = iter(numbers[len(Counts.model_fields) :])
    checks = tuple(
        CheckResult(
            name=check.name,
            expect=check.expect,
            finding=check.finding,
            passed=next(rest),
            failed=next(rest),
            waived=next(rest),
            unknown=next(rest),
        )
        for check in bound.checks
    )
    return (nameless, named - names), counts, checks


def _deviations(database: EvidenceDatabase, lines: str) -> tuple[ItemResult, ...]:
    rows = database.run(
        f"SELECT {lines} FROM (SELECT * FROM judged WHERE __outcome <> 'pass' ORDER BY {_RANK}, resource LIMIT {SHOWN}) "
        f"ORDER BY {_RANK}, resource"
    )
    return tuple(ItemResult.model_validate(_portable(json.loads(str(row[0])))) for row in rows)


def _portable(value: Any) -> Any:
    """JSON data whose integers RFC 8785 can carry; larger ones become text."""
    if isinstance(value, dict):
        return {key: _portable(entry) for key, entry in value.items()}
    if isinstance(value, list):
        return [_portable(entry) for entry in value]
    return str(value) if isinstance(value, int) and abs(value) >= 2**53 else value


def _waived_by(database: EvidenceDatabase, bound: Bound, waivers: Sequence[Waiver]) -> dict[str, int]:
    applied: dict[str, int] = {}
    for n, check in enumerate(bound.checks):
        if not any(check.name in waiver.checks for waiver in waivers):
            continue
        rows = database.run(
            f"SELECT {waiver_sql(check, waivers)} AS id, count(*) FROM judged "
            f"WHERE __s{n} = 'waived' AND __reason IS NULL GROUP BY 1"
        )
        for id, count in rows:
            applied[str(id)] = applied.get(str(id), 0) + int(str(count))
    return applied


__all__ = ["SHOWN", "Judgement", "Stopped", "UnknownItem", "judge"]
