"""One cell of the matrix, and the words for rows and errors that it is made with."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

Record = Mapping[str, Any]
KEYED = frozenset(
    {
        "other",
        "sample",
        "stored",
        "copy",
        "mixed",
        "moved",
        "shared",
        "flag",
        "literal",
        "user",
        "hard-coded",
        "pattern",
    }
)
"""Kinds of rows that belong to another tenant."""
NEW = frozenset({"copy", "moved"})
"""Kinds of rows that cannot be there yet, for something in them must be unique."""


@dataclass(frozen=True)
class Cell:
    """What one role in one state can do to one table by one operation."""

    level: str
    relation: str
    operation: str
    role: str
    state: str
    kind: str
    statement: str
    expected: str
    observed: str
    verdict: str
    own: int | None = None
    """Rows of its own that were accepted, or counted."""
    foreign: int | None = None
    """Rows of others that were accepted, or counted."""
    denominator: int | None = None
    """Rows of others that were tried, or that their owners count."""
    sqlstate: str | None = None
    rule: str | None = None
    sentence: str | None = None
    policies: tuple[str, ...] = ()
    repair: str | None = None
    notes: tuple[str, ...] = field(default=())
    """Weaknesses seen on the way: foreign keys that lead to another tenant's row."""


def plain(sqlstate: str | None) -> str | None:
    """An SQLSTATE as the server wrote it."""
    return sqlstate.rstrip("*") if sqlstate else None


def refuses(sqlstate: str) -> bool:
    """Whether an error is the policy's way to refuse: no such setting, a value that is none, a privilege, an exception."""
    return sqlstate[:2] == "22" or sqlstate in ("42704", "42501", "P0001", "28000")


def meant(kind: str, operation: str) -> bool:
    """Whether a row tells anything about an operation."""
    if operation == "INSERT":
        return kind != "stored"
    return operation == "UPDATE" or not (kind in NEW or (kind == "shared" and operation == "SELECT"))


def of_tenant(record: Record) -> bool:
    """Whether the session is a tenant's, so that it may reach rows of its own."""
    return record["kind"] in ("tenant", "switch", "forged")
