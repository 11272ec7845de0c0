"""Counts of the application's rows by class, and what is left of tenants that left, through functions of the scope.

A class must be a plain word. A function that returns anything else (an address, a key, a text) is refused whole: so
nothing of a row can come into evidence through it.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from datetime import UTC, date, datetime
from typing import Any

from compliancectl import canonical, clock
from compliancectl.collectors.base import Fetched, Reply, Row, Target
from compliancectl.collectors.postgres import shape
from compliancectl.collectors.postgres.purge import qualified
from compliancectl.collectors.postgres.queries import Query, of
from compliancectl.collectors.postgres.session import Answer, PostgresSession, reply
from compliancectl.errors import Garbage, Missing
from compliancectl.model.evidence import Completeness

_WORD = re.compile(r"[a-z0-9][a-z0-9_ .-]{0,39}")
HOW = "`compliancectl postgres install-views --print` writes the functions for the schema map of the scope."


def question(kind: str, function: str) -> Query:
    """The statement that asks one function."""
    return of(
        f"aggregate_{kind}",
        f'select c."class"::text as "class", c."rows"::bigint as "rows" from {qualified(function)}() c order by 1',
    )


def fetch(session: PostgresSession, target: Target) -> Fetched:
    """Ask every function, all in one snapshot.

    Raises:
        Missing: if the scope names none.
        Garbage: if a class is no plain word.
    """
    database = session.database(target.name)
    functions = database.aggregates.functions()
    if not functions:
        raise Missing(f"database {database.name}: the scope names no aggregate functions", hint=HOW)
    total = counted = 0
    with session.snapshot(database) as snapshot:
        for kind, function in functions.items():
            asked = clock.now()
            answer = snapshot.ask(question(kind, function))
            _plain(answer, database.name, function)
            total, counted = total + len(answer.rows), counted + answer.count
            yield reply(snapshot, answer, asked, {"declared": _text({"kind": kind})})
    return Completeness(
        method="every function that the scope names, counted again in the same snapshot",
        pages=len(functions),
        items=total,
        independent_count=counted,
    )


def shaped(kept: Reply) -> Iterator[Row]:
    """Rows of `postgres.aggregate`."""
    database, kind = kept.context["database"], shape.declared(kept)["kind"]
    for record in shape.records(kept):
        yield (
            "postgres.aggregate",
            {
                "database": database,
                "resource": f"{database}/{kind}/{record['class']}",
                "kind": kind,
                "class": record["class"],
                "count": shape.number(record["rows"]),
            },
        )


def fetch_departed(session: PostgresSession, target: Target) -> Fetched:
    """What is left of each tenant that left, all in one snapshot.

    Raises:
        Missing: if the scope does not say who left, be it nobody.
        Garbage: if a function returns something that is no table of the database.
    """
    database = session.database(target.name)
    said = database.departed_tenants
    if said is None:
        raise Missing(
            f"database {database.name}: the scope does not say which tenants left",
            hint=f"Declare departed_tenants, with an empty list if none did. {HOW}",
        )
    total = counted = 0
    with session.snapshot(database) as snapshot:
        asked = clock.now()
        tables = snapshot.ask(_TABLES)
        known = {str(row["name"]) for row in tables.records()}
        yield reply(snapshot, tables, asked, {})
        for tenant, ended in sorted(said.ended.items()):
            answer = snapshot.ask(departed(said.function), (tenant,))
            strange = [row["relation"] for row in answer.records() if row["relation"] not in known]
            if strange:
                raise Garbage(f"database {database.name}: {said.function} counts what is no table of the database")
            total, counted = total + len(answer.rows), counted + answer.count
            yield reply(snapshot, answer, asked, {"declared": _text({"tenant": tenant, "ended": ended.isoformat()})})
    return Completeness(
        method="every tenant that the scope names as departed, counted again in the same snapshot",
        pages=len(said.ended) + 1,
        items=total,
        independent_count=counted,
    )


_TABLES = of(
    "table_names",
    "select format('%I.%I', schemaname, tablename) as name from pg_tables order by 1",
)


def departed(function: str) -> Query:
    """The statement that counts what is left of one tenant."""
    return of(
        "departed_tenant",
        "-- parameters: tenant\n"
        'select r."relation"::text as relation, r."rows"::bigint as "rows", r."total"::bigint as total '
        f"from {qualified(function)}($1::text) r order by 1",
    )


def shaped_departed(kept: Reply) -> Iterator[Row]:
    """Rows of `postgres.departed_tenant_row`."""
    if kept.context["query"] == _TABLES.name:
        return
    database, said = kept.context["database"], shape.declared(kept)
    day = date.fromisoformat(said["ended"])
    for record in shape.records(kept):
        yield (
            "postgres.departed_tenant_row",
            {
                "database": database,
                "resource": f"{database}/{said['tenant']}/{record['relation']}",
                "tenant": said["tenant"],
                "ended": datetime(day.year, day.month, day.day, tzinfo=UTC),
                "relation": record["relation"],
                "rows": shape.number(record["rows"]),
                "total": shape.number(record["total"]),
            },
        )


def _plain(answer: Answer, database: str, function: str) -> None:
    if not all(_WORD.fullmatch(str(record["class"])) for record in answer.records()):
        raise Garbage(
            f"database {database}: {function} returns a class that is no plain word, so its answer is not kept",
            hint="A class is a word such as `bcrypt`; return `other` for anything else.",
        )


def _text(value: Mapping[str, Any]) -> str:
    return canonical.to_bytes(value).decode()
