"""A bundle whose tables and replies lie elsewhere: what verification can still say, and what it then holds them to.

Replies are held to their bytes, tables to what their rows say. Until that was done, their digests are those that were
sealed; so the steps before stand only together with this one.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING

from compliancectl.errors import CollectError, Missing
from compliancectl.model.evidence import ReplyRecord, TableRows
from compliancectl.seal import Problem, Skipped
from compliancectl.seal.records import Files, Records
from compliancectl.seal.steps import some

if TYPE_CHECKING:
    from compliancectl.lake.reading import RunTables

Away = Callable[[str], "RunTables"]
"""Gives what lies elsewhere of a run, by its id."""
_HINT = "What could not be read is not verified."


def assumed(files: Files, records: Records, away: Iterable[str], listed: Mapping[str, str]) -> Files:
    """The files of a bundle, as if those that are away were what the seal says of them."""
    sizes: dict[str, int] = {}
    for id, item in records.items.items():
        parts: tuple[ReplyRecord | TableRows, ...] = (*item.replies, *item.tables)
        sizes |= {f"evidence/{id}/{part.path}": part.bytes for part in parts}
    digests = {name: listed[name] for name in away}
    return Files(
        {**files.digests, **digests}, {**files.sizes, **{name: sizes.get(name, 0) for name in digests}}, files.records
    )


def hold(
    opened: Away | None,
    run: str,
    records: Records,
    away: Iterable[str],
    listed: Mapping[str, str],
) -> str:
    """Hold what lies elsewhere to what was sealed of it; returns a sentence about it.

    Args:
        opened: gives what lies elsewhere of a run.
        run: its id.
        records: those of the bundle.
        away: the files of the bundle that are not in it.
        listed: the digest of each file that was sealed.

    Raises:
        Problem: something differs, or is missing.
        Skipped: something could not be read, or was sealed without a digest of its content.
    """
    gone = set(away)
    if not gone or opened is None:
        return "Nothing of this bundle lies elsewhere."
    try:
        tables = opened(run)
        if tables.record() is None:
            raise Skipped(f"{tables.title} has no run {tables.run}, or not all of it.", "Look at --tables.")
        replies = _replies(tables, gone, records, listed)
    except CollectError as error:
        raise Skipped(f"NOT VERIFIED: {error.message}.", f"{_HINT} {error.hint or ''}".strip()) from error
    names = sorted({rows.table for name, rows in _rows(records) if name in gone})
    wrong, unread = [], []
    for table in names:
        found = tables.held(table, {name.split("/", 1)[1].rpartition("/")[0]: r for name, r in _rows(records, table)})
        if found.wrong:
            wrong.append(found.problem or table)
        elif found.problem is not None:
            unread.append(f"{table}: {found.problem}")
    if wrong:
        raise Problem(f"{len(wrong)} of {len(names)} tables are not what was sealed: {' '.join(wrong[:5])}")
    if unread:
        raise Skipped(f"NOT VERIFIED: {len(unread)} of {len(names)} tables. {' '.join(unread[:3])}", _HINT)
    count = sum(rows.rows for name, rows in _rows(records) if name in gone)
    return f"In {tables.title}, {count:,} rows say what was sealed, and {replies} replies are unaltered: {some(names)}."


def _rows(records: Records, table: str | None = None) -> list[tuple[str, TableRows]]:
    return [
        (f"evidence/{id}/{rows.path}", rows)
        for id, item in records.items.items()
        for rows in item.tables
        if table in (None, rows.table)
    ]


def _replies(tables: RunTables, gone: set[str], records: Records, listed: Mapping[str, str]) -> int:
    names = [
        f"evidence/{id}/{reply.path}"
        for id, item in records.items.items()
        for reply in item.replies
        if f"evidence/{id}/{reply.path}" in gone
    ]
    for name in names:
        try:
            digest = tables.reply_digest(name.removeprefix("evidence/"))
        except Missing:
            raise Problem(f"is missing, here and in {tables.title}", member=name) from None
        if digest != listed[name]:
            raise Problem(f"was altered in {tables.title}", member=name)
    return len(names)
