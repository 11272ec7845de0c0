"""Calls of SECURITY DEFINER functions with another tenant's keys, for the write probes. Pure but for `uuid`."""

from __future__ import annotations

import uuid
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from compliancectl.collectors.postgres.isolation import doors
from compliancectl.collectors.postgres.isolation.attempts import numbers
from compliancectl.collectors.postgres.isolation.model import Facts
from compliancectl.collectors.postgres.isolation.objects import WHOLE, Function
from compliancectl.collectors.postgres.purge import quoted

MOST = 5
"""So many different keys of the other tenant are tried in one function at the most."""
_OUTSIDE = (
    "dblink", "http", "lo_", "pg_advisory", "pg_sleep", "pg_terminate", "pg_cancel", "pg_reload", "pg_logical_emit",
    "pg_read_", "pg_write_", "pg_ls_", "pg_file_", "net.",
)  # fmt: skip
"""Beginnings of the names of functions whose work a rollback does not take back, or that wait."""


@dataclass(frozen=True)
class Call:
    """One function, to be called with one set of arguments."""

    function: Function
    statement: str
    """`$1` … are the arguments, each as text; the last parameter is the other tenant's key."""
    tables: tuple[str, ...]
    """Tables with tenants' rows that it names, so that there is something to look at."""
    arguments: int
    reads: bool
    """Whether the statement counts rows that it gave, and those of the other tenant."""
    why_not: str | None = None


def calls(facts: Facts, role: str) -> Iterator[Call]:
    """Every SECURITY DEFINER function that a role may call and that touches tenants' rows; reviewed ones are left out."""
    for function in facts.functions.values():
        if not function.definer or function.fires or role not in function.callers or doors.is_trusted(facts, function):
            continue
        tables = doors.reached(facts, function)
        if tables or function.dynamic:
            statement, reads = _statement(facts, function)
            why = _why_not(facts, function)
            yield Call(function, statement, tuple(tables), len(function.arguments), reads, why)


def _why_not(facts: Facts, function: Function) -> str | None:
    """Why a function is not called: a rollback would not take everything back."""
    for other in facts.called([function.signature]):
        if other.language not in ("sql", "plpgsql"):
            return f"{other.signature} is written in {other.language}"
        if other.dynamic:
            return f"{other.signature} runs SQL that is made while it runs"
        if numbers(facts, other):
            return f"{other.signature} would draw a number from a sequence"
        outside = sorted(name for name in other.calls if name.removeprefix("pg_catalog.").startswith(_OUTSIDE))
        if outside:
            return f"{other.signature} calls {outside[0]}"
    return None


def _statement(facts: Facts, function: Function) -> tuple[str, bool]:
    name = function.signature.partition("(")[0]
    places = ", ".join(f"${n}::pg_catalog.text::{kind}" for n, kind in enumerate(function.arguments, 1))
    if function.procedure:
        return f"call {name}({places})", False
    keys = sorted({r.tenant_key for r in facts.relations.values() if r.tenant_key and not r.shared})
    if function.returns == "void":
        return f"select pg_catalog.count(*), 0, null from {name}({places})", False
    last = f"${len(function.arguments) + 1}::pg_catalog.text"
    theirs = " or ".join(f"pg_catalog.to_jsonb(r) ->> '{key.replace(chr(39), chr(39) * 2)}' = {last}" for key in keys)
    return (
        f"select pg_catalog.count(*), pg_catalog.count(*) filter (where {theirs or f'{last} is null'}), "
        f"pg_catalog.md5(pg_catalog.string_agg(pg_catalog.to_jsonb(r)::pg_catalog.text, ',')) from {name}({places}) as {quoted('r')}"
    ), True


def arguments(function: Function, keys: Sequence[str]) -> list[list[str | None]]:
    """Arguments to call a function with: each key of the other tenant in every place that takes it; `[[]]` when there is none.

    Args:
        function: the function.
        keys: the other tenant's key, its identities, and keys of its rows.
    """
    found: list[list[str | None]] = []
    for key in keys:
        values = [_value(kind, key) for kind in function.arguments]
        if values not in found:
            found.append(values)
    return found[:MOST] or [[]]


def stranger(function: Function) -> list[str | None]:
    """Arguments that belong to nobody."""
    nobody = str(uuid.uuid4())
    return [_value(kind, "2147480001" if kind in WHOLE else nobody) for kind in function.arguments]


def _value(kind: str, key: str) -> str | None:
    if kind == "uuid":
        try:
            return str(uuid.UUID(key))
        except ValueError:
            return None
    if kind in WHOLE:
        return key if key.isdigit() and len(key) < (5 if kind == "smallint" else 10) else None
    if kind in ("text", "character varying", "name"):
        return key
    return {"boolean": "true", "json": "{}", "jsonb": "{}"}.get(kind)
