"""Calls of SECURITY DEFINER functions with another tenant's keys, for the write probes. Pure but for `uuid`."""

from __future__ import annotations

import re
import uuid
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from compliancectl.collectors.postgres.isolation import doors
from compliancectl.collectors.postgres.isolation.attempts import numbers
from compliancectl.collectors.postgres.isolation.model import Facts
from compliancectl.collectors.postgres.isolation.objects import UUID, WHOLE, Function

MOST = 5
"""So many different keys of the other tenant are tried in one function at the most."""
_OUTSIDE = (
    "dblink", "http", "lo_", "pg_advisory", "pg_sleep", "pg_terminate", "pg_cancel", "pg_reload", "pg_logical_emit",
    "pg_read_", "pg_write_", "pg_ls_", "pg_file_", "net.",
)  # fmt: skip
"""Beginnings of the names of functions whose work a rollback does not take back, or that wait."""


_FILLERS = {
    **dict.fromkeys((*WHOLE, "real", "double precision"), "0"), **dict.fromkeys(("text", "character varying", "name"), "x"),
    **dict.fromkeys(("date", "timestamp with time zone", "timestamp without time zone"), "1970-01-01"),
    "boolean": "true", "json": "{}", "jsonb": "{}", "interval": "0", "uuid": "00000000-0000-0000-0000-000000000000",
}  # fmt: skip
"""Type → something to give where no key fits."""
_NAME = re.compile(r'((?:"(?:[^"]|"")*"|[^"(])*)\(')


@dataclass(frozen=True)
class Call:
    """One function, to be called with one set of arguments."""

    function: Function
    statement: str
    """`$1` … are the arguments, each as text; the last parameter is the other tenant's key."""
    tables: tuple[str, ...]
    """Tables with tenants' rows that it names, so that there is something to look at."""
    types: tuple[str, ...]
    """Of the arguments that are given; those behind them keep their defaults."""
    reads: bool
    """Whether the statement counts rows that it gave, and those of the other tenant."""
    why_not: str | None = None
    """Why it is not called."""


def calls(facts: Facts, role: str) -> Iterator[Call]:
    """Every SECURITY DEFINER function that a role may call and that touches tenants' rows; reviewed ones are left out."""
    for function in facts.functions.values():
        if not function.definer or function.fires or role not in function.callers or doors.is_trusted(facts, function):
            continue
        tables, types = doors.reached(facts, function), _types(function)
        if tables or function.dynamic:
            statement, reads = _statement(facts, function, types)
            yield Call(function, statement, tuple(tables), types, reads, _why_not(facts, function, types))


def _types(function: Function) -> tuple[str, ...]:
    """The arguments to give: all but those at the end that have a default and a type of which nothing is known."""
    kinds = list(function.arguments)
    while len(kinds) > function.required and kinds[-1] not in _FILLERS:
        kinds.pop()
    return tuple(kinds)


def _why_not(facts: Facts, function: Function, types: Sequence[str]) -> str | None:
    for other in facts.called([function.signature]):
        if other.language not in ("sql", "plpgsql"):
            return f"{other.signature} is written in {other.language}{_FOR_GOOD}"
        if other.dynamic:
            return f"{other.signature} runs SQL that is made while it runs{_FOR_GOOD}"
        if numbers(facts, other):
            return f"{other.signature} would draw a number from a sequence{_FOR_GOOD}"
        outside = sorted(name for name in other.calls if name.removeprefix("pg_catalog.").startswith(_OUTSIDE))
        if outside:
            return f"{other.signature} calls {outside[0]}{_FOR_GOOD}"
    odd = sorted({kind for kind in types if kind not in _FILLERS})
    return f"it wants {', '.join(odd)}, and nothing is known that would fit" if odd else None


_FOR_GOOD = ", which no rollback may take back"


def _statement(facts: Facts, function: Function, types: Sequence[str]) -> tuple[str, bool]:
    matched = _NAME.match(function.signature)
    name = matched[1] if matched else function.signature
    places = ", ".join(f"${n}::pg_catalog.text::{kind}" for n, kind in enumerate(types, 1))
    if function.procedure:
        return f"call {name}({places})", False
    if function.returns == "void":
        return f"select pg_catalog.count(*), 0, null from {name}({places})", False
    keys = sorted({r.tenant_key for r in facts.relations.values() if r.tenant_key and not r.shared})
    last = f"${len(types) + 1}::pg_catalog.text"
    theirs = " or ".join(f"pg_catalog.to_jsonb(r) ->> '{key.replace(chr(39), chr(39) * 2)}' = {last}" for key in keys)
    return (
        f"select pg_catalog.count(*), pg_catalog.count(*) filter (where {theirs or f'{last} is null'}), "
        f"pg_catalog.md5(pg_catalog.string_agg(pg_catalog.to_jsonb(r)::pg_catalog.text, ',')) from {name}({places}) as r"
    ), True


def arguments(types: Sequence[str], keys: Sequence[str]) -> list[list[str]]:
    """Arguments to call a function with: each of the other tenant's keys in every place that takes it.

    Args:
        types: what the function takes.
        keys: the other tenant's key, its identities, and keys of its rows.

    Returns:
        One list for each call. Without a place for a key there is one call, with fillers alone.
    """
    fitting = [key for key in dict.fromkeys(keys) if any(_takes(kind, key) for kind in types)]
    found = [[key if _takes(kind, key) else _FILLERS[kind] for kind in types] for key in fitting[:MOST]]
    return found or [[_FILLERS[kind] for kind in types]]


def stranger(types: Sequence[str]) -> list[str]:
    """Arguments that belong to nobody."""
    return arguments(types, [str(uuid.uuid4()), "31999"])[0]


def _takes(kind: str, key: str) -> bool:
    if kind == "uuid":
        return bool(UUID.fullmatch(key))
    if kind in WHOLE:
        return key.isdigit() and len(key) < (5 if kind == "smallint" else 10)
    return kind in ("text", "character varying", "name")
