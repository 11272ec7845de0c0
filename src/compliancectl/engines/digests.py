"""The digest of what a table's rows say, asked of an engine: so that rows are held to the seal where they lie.

`query/content.py` has the form, and two ways to it on this machine; this is the same in an engine's SQL. The engine gives
at most 256 groups for each evidence item, and the rest is done here. An engine that wrote a value otherwise, or read
another one, comes to another digest, and nothing is judged by what it read: a mistake can't look like the right rows.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from itertools import groupby
from typing import Any

from compliancectl.engines.base import EngineFailed
from compliancectl.model.lake import ITEM
from compliancectl.model.table import ListOf, Struct, Table, Type
from compliancectl.query.content import Content, columns_of, of_groups


@dataclass(frozen=True)
class Words:
    """How an engine's SQL says it. A value, an entry and a name are SQL too."""

    name: Callable[[str], str]
    """A name in the engine's quotes."""
    scalar: Mapping[str, str]
    """Declared type → the text of `{value}`. A value of another type must be an error, or make another text."""
    list: Callable[[str, int, Callable[[str], str]], str]
    """A list's count, `:` and the texts of its entries: from the list, how deep it lies, and what writes an entry."""
    sha256: str
    """The digest of `{text}`, in hexadecimal."""
    together: str
    """All values of `digest` in a group, sorted, one after another."""


def question(table: Table, source: str, words: Words) -> str:
    """SQL that gives the groups of every evidence item: item, two letters, how many rows, digest.

    Args:
        table: the declared columns.
        source: the rows, as FROM takes them.
        words: how the engine says it.
    """
    parts = [_written(words.name(name), kind, words, 0) for name, kind in columns_of(table)]
    digest = words.sha256.format(text=f"CONCAT({', '.join(parts)})")
    rows = f"SELECT {words.name(ITEM)} AS item, {digest} AS digest FROM {source}"
    whole = words.sha256.format(text=words.together)
    return (
        f"SELECT item, start, COUNT(*) AS n, {whole} AS whole\n"
        f"FROM (SELECT item, SUBSTR(digest, 1, 2) AS start, digest FROM ({rows}))\n"
        "GROUP BY item, start"
    )


def _written(value: str, kind: Type, words: Words, depth: int) -> str:
    return f"CASE WHEN {value} IS NULL THEN 'n' ELSE {_value(value, kind, words, depth)} END"


def _value(value: str, kind: Type, words: Words, depth: int) -> str:
    if isinstance(kind, ListOf):
        entries = words.list(value, depth, lambda entry: _written(entry, kind.item, words, depth + 1))
        return f"CONCAT('[', {entries})"
    if isinstance(kind, Struct):
        fields = (_written(f"{value}.{words.name(name)}", inner, words, depth) for name, inner in sorted(kind.fields))
        return f"CONCAT('(', {', '.join(fields)})"
    return words.scalar[kind.sql].format(value=value)


def contents(table: Table, rows: Iterable[tuple[Any, ...]]) -> dict[str, Content]:
    """What the rows of each evidence item say, from the answer to `question`.

    Raises:
        EngineFailed: a row names no item.
    """
    found = {}
    for item, groups in groupby(sorted(rows, key=lambda row: (row[0] or "", row[1])), key=lambda row: row[0]):
        if not item:
            raise EngineFailed(f"A row of {table.name} does not say in {ITEM} which evidence it came from.")
        found[str(item)] = of_groups(table, ((row[1], row[2], row[3]) for row in groups))
    return found
