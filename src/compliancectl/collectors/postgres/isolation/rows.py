"""L2: what a session really sees: how many rows, of whom; and the one row that L1 borrows the keys of."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from compliancectl.collectors.postgres.isolation.model import Facts, Relation
from compliancectl.collectors.postgres.isolation.variants import Person, Row, fits, relevant
from compliancectl.collectors.postgres.purge import quoted

if TYPE_CHECKING:
    import psycopg


def active(connection: psycopg.Connection[Any], tables: Sequence[Relation]) -> dict[str, bool]:
    """Table → whether policies bind this session there; False means that no expression matters."""
    names = [relation.qualified for relation in tables]
    found = connection.execute(
        "select name, pg_catalog.row_security_active(pg_catalog.to_regclass(name)::oid) "
        "from pg_catalog.unnest(%s::pg_catalog.text[]) name",
        (names,),
    ).fetchall()
    return {str(name): bool(bound) for name, bound in found}


def samples(
    connection: psycopg.Connection[Any], facts: Facts, tables: Sequence[Relation], role: str, person: Person
) -> dict[str, Row]:
    """Table → one row of the person's tenant, reduced to the columns that policies and foreign keys read.

    Tables that the role cannot read, or where the tenant has no row, are left out.
    """
    found: dict[str, Row] = {}
    for relation in tables:
        if relation.allows(role, "select"):
            row = _sample(connection, facts, relation, role, person)
            if row is not None:
                found[relation.qualified] = row
    return found


def _sample(
    connection: psycopg.Connection[Any], facts: Facts, relation: Relation, role: str, person: Person
) -> Row | None:
    hidden = set(relation.access[role]["hidden"])
    wanted = [name for name in relevant(facts, relation) if name not in hidden]
    key = relation.tenant_key
    if not wanted or (key is not None and (key in hidden or not fits(relation.columns[key], person.tenant))):
        return None
    where, values = "", []
    if key is not None:
        where = f" where {quoted(key)} = $1::pg_catalog.text::{relation.columns[key].type}"
        values = [person.tenant]
    statement = (
        f"select pg_catalog.to_jsonb(s)::pg_catalog.text from (select {', '.join(map(quoted, wanted))} "
        f"from {relation.qualified}{where} limit 1) s"
    )
    answer = _ask(connection, statement, values)
    return json.loads(answer[0][0]) if not isinstance(answer, str) and answer else None


def count(
    connection: psycopg.Connection[Any], facts: Facts, role: str, tenant: str | None, stalled: Mapping[str, str]
) -> Iterator[dict[str, Any]]:
    """One record per relation with a tenant key that the role can read: rows of the tenant, and of others.

    A table that has stalled before is not asked again.
    """
    for relation in facts.relations.values():
        key = relation.tenant_key
        if key is None or relation.shared or relation.in_extension or relation.kind == "f":
            continue
        if not relation.allows(role, "select") or key in relation.access[role]["hidden"]:
            continue
        statement = _counting(facts, relation, key)
        values = [tenant, sorted(facts.declared["shared_tenants"])]
        answer = stalled.get(relation.qualified) or _ask(connection, statement, values)
        record: dict[str, Any] = {"level": "rows", "relation": relation.qualified, "statement": statement}
        if isinstance(answer, str):
            yield {**record, "sqlstate": answer}
        else:
            yield {**record, "own": answer[0][0], "foreign": answer[0][1]}


def _counting(facts: Facts, relation: Relation, key: str) -> str:
    column = f"{quoted(key)}::pg_catalog.text"
    foreign = [f"{column} is distinct from $1::pg_catalog.text", f"{column} <> all ($2::pg_catalog.text[])"]
    # IS DISTINCT counts rows without a tenant as foreign too; a shared tenant's are nobody's.
    condition = f"{foreign[0]} and ({foreign[1]}) is not false"
    prefix = f"{relation.qualified}."
    for name in sorted(facts.declared["shared_columns"]):
        column_name = name.removeprefix(prefix)
        if name.startswith(prefix) and column_name in relation.columns:
            switch = quoted(column_name)
            boolean = relation.columns[column_name].category == "B"
            condition += f" and {switch} is not true" if boolean else f" and {switch} is null"
    return (
        f"select pg_catalog.count(*) filter (where {column} = $1::pg_catalog.text), "
        f"pg_catalog.count(*) filter (where {condition}) from {relation.qualified}"
    )


def _ask(connection: psycopg.Connection[Any], statement: str, values: Sequence[Any]) -> list[Any] | str:
    """The rows, or the SQLSTATE."""
    import psycopg

    try:
        with connection.transaction(), psycopg.RawCursor(connection) as cursor:
            cursor.execute(statement.encode(), list(values))
            return cursor.fetchall()
    except psycopg.Error as error:
        if error.sqlstate is None or connection.broken:
            raise
        return error.sqlstate
