"""L2: what a session really sees: how many rows, of whom; and the one row that L1 borrows the keys of."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from compliancectl.collectors.postgres.isolation.model import Facts
from compliancectl.collectors.postgres.isolation.objects import Column, Relation
from compliancectl.collectors.postgres.isolation.variants import Person, Row, relevant
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


@dataclass(frozen=True)
class Samples:
    """One row of a person's tenant from each table."""

    rows: Mapping[str, Row]
    """Table → the row, reduced to the columns that policies and foreign keys read."""
    loose: frozenset[str]
    """Tables of which nothing says that the row is this tenant's, but that its session sees it."""


def samples(
    connection: psycopg.Connection[Any], facts: Facts, tables: Sequence[Relation], role: str, person: Person
) -> Samples:
    """Take the samples in a session of the person.

    Tables that the role cannot read, or where the tenant has no row, are left out. Tables with a tenant key come first,
    then those that belong to them by a foreign key, then the others.
    """
    found: dict[str, Row] = {}
    loose: set[str] = set()
    readable = [relation for relation in tables if relation.allows(role, "select")]
    order = sorted(readable, key=lambda r: (r.tenant_key is None, r.qualified not in facts.derived))
    for relation in order:
        hidden = set(relation.access[role]["hidden"])
        wanted = [name for name in relevant(facts, relation) if name not in hidden]
        if relation.tenant_key is None and wanted:
            row = _owned(connection, facts, relation, wanted, person, found)
            if row is None:
                row = _sample(connection, relation, wanted, "", [])
                loose.add(relation.qualified)
        else:
            row = _keyed(connection, relation, wanted, person)
        if row is not None:
            found[relation.qualified] = row
    return Samples(found, frozenset(loose & set(found)))


def _keyed(
    connection: psycopg.Connection[Any], relation: Relation, wanted: Sequence[str], person: Person
) -> Row | None:
    key = relation.tenant_key
    if key is None or key not in wanted or not relation.columns[key].fits(person.tenant):
        return None
    condition = f"{quoted(key)} = $1::pg_catalog.text::{relation.columns[key].type}"
    return _sample(connection, relation, wanted, condition, [person.tenant])


def _owned(
    connection: psycopg.Connection[Any],
    facts: Facts,
    relation: Relation,
    wanted: Sequence[str],
    person: Person,
    found: Mapping[str, Row],
) -> Row | None:
    """A row that names the person, or that refers to a row of the person's, in a table without a tenant key."""
    read = {name for policy in facts.policies.get(relation.qualified, ()) for name in policy.columns}
    values: dict[str, set[str]] = {}
    for name in read & set(wanted):
        known = {v for v in (person.tenant, *person.identities) if relation.columns[name].fits(v)}
        if relation.columns[name].category != "S" and known:
            values[name] = known
    for key in facts.keys:
        if (
            key.parent
            and key.parent in found
            and key.relation == relation.qualified
            and set(key.columns) <= set(wanted)
        ):
            for name, there in zip(key.columns, key.parent_columns, strict=True):
                if found[key.parent].get(there) is not None:
                    values.setdefault(name, set()).add(str(found[key.parent][there]))
    if not values:
        return None
    conditions = [
        f"{quoted(name)}::pg_catalog.text = any (${n}::pg_catalog.text[])" for n, name in enumerate(values, 1)
    ]
    return _sample(connection, relation, wanted, " or ".join(conditions), [sorted(found) for found in values.values()])


def _sample(
    connection: psycopg.Connection[Any],
    relation: Relation,
    wanted: Sequence[str],
    condition: str,
    values: Sequence[Any],
) -> Row | None:
    where = f" where {condition}" if condition else ""
    statement = (
        f"select pg_catalog.to_jsonb(s)::pg_catalog.text from (select {', '.join(map(quoted, wanted))} "
        f"from {relation.qualified}{where} limit 1) s"
    )
    answer = _ask(connection, statement, values)
    return json.loads(answer[0][0]) if not isinstance(answer, str) and answer else None


def seen(
    connection: psycopg.Connection[Any], facts: Facts, tables: Iterable[str], rows: Mapping[str, Row]
) -> Iterator[str]:
    """Tables of which the session sees a row that looks like the given one."""
    for name in sorted(tables):
        row = rows.get(name)
        if row is not None:
            columns = ", ".join(map(quoted, row))
            statement = (
                f"select exists (select from (select {columns} from {facts.relations[name].qualified}) s "
                "where pg_catalog.to_jsonb(s) = $1::pg_catalog.jsonb)"
            )
            answer = _ask(connection, statement, [json.dumps(row)])
            if isinstance(answer, str) or answer[0][0]:
                yield name


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
    for name, opening in sorted(facts.declared["shared_columns"].items()):
        column_name = name.removeprefix(prefix)
        if name.startswith(prefix) and column_name in relation.columns:
            condition += f" and {_unopened(relation.columns[column_name], opening)}"
    return (
        f"select pg_catalog.count(*) filter (where {column} = $1::pg_catalog.text), "
        f"pg_catalog.count(*) filter (where {condition}) from {relation.qualified}"
    )


def _unopened(column: Column, opening: Sequence[str] | None) -> str:
    """The condition that a row is not one that a declared column opens to everybody."""
    name = quoted(column.name)
    if opening is not None:
        listed = ", ".join("'" + value.replace("'", "''") + "'" for value in opening)
        return f"({name}::pg_catalog.text in ({listed})) is not true"
    return f"{name} is not true" if column.category == "B" else f"{name} is null"


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
