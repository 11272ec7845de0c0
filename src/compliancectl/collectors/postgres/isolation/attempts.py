"""The writes to try on one table, as far as a role has the privileges. Pure."""

from __future__ import annotations

import json
import secrets
import uuid
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from compliancectl.collectors.postgres.isolation.apart import apart
from compliancectl.collectors.postgres.isolation.model import Facts
from compliancectl.collectors.postgres.isolation.objects import Column, Function, Key, Relation
from compliancectl.collectors.postgres.isolation.variants import Person
from compliancectl.collectors.postgres.purge import quoted

Row = dict[str, Any]


@dataclass(frozen=True)
class Attempt:
    """One write to try."""

    name: str
    operation: str
    statement: str
    values: tuple[Any, ...] = ()
    needs_rows: bool = True
    """Whether it can only harm rows that are there."""
    key: str | None = None
    """The unique or foreign key that it is about."""
    way: str = "write"
    """`write`; `read`: what it returns says whether the row is the other tenant's; `take`: whether the key was taken is told
    by how many rows it writes; `refer`: to be accepted is no harm by itself, but told."""
    why_not: str | None = None
    """Why it cannot be tried without leaving something behind."""

    @property
    def meets_rows(self) -> bool:
        """Whether it looks for rows that are there, on which somebody else may hold a lock."""
        return self.operation != "INSERT" or self.updates

    @property
    def updates(self) -> bool:
        """Whether it is an INSERT that changes the row it meets."""
        return self.name.startswith("insert or update")


@dataclass(frozen=True)
class Known:
    """Rows that the two tenants have, to make rows of; each empty when there is none or nobody may look."""

    mine: Row = field(default_factory=dict)
    theirs: Row = field(default_factory=dict)
    parents: Mapping[str, Row] = field(default_factory=dict)
    """Parent table → a row of the other tenant."""


def attempts(
    facts: Facts, relation: Relation, role: str, mine: Person, other: Person, known: Known
) -> Iterator[Attempt]:
    """Every write to try on a table; those that would draw a number from a sequence say so and are not tried."""
    drawing = {op: draws(facts, relation, role, op) for op in ("INSERT", "UPDATE", "DELETE")}
    found = (
        *_changes(relation, role, mine, other),
        *_inserts(facts, relation, role, mine, other, known),
        *_references(facts, relation, role, mine, known),
    )
    for attempt in found:
        # INSERT … ON CONFLICT DO UPDATE fires the triggers of both.
        ways = (attempt.operation, *(("UPDATE",) if attempt.updates else ()))
        reason = next((drawing[way] for way in ways if drawing[way]), None)
        yield Attempt(**{**attempt.__dict__, "why_not": reason})


def _changes(relation: Relation, role: str, mine: Person, other: Person) -> Iterator[Attempt]:
    table, key = relation.qualified, relation.columns[relation.tenant_key or ""]
    name, cast = quoted(key.name), f"$1::pg_catalog.text::{key.type}"
    updatable = _updatable(relation, role)
    if relation.allows(role, "UPDATE") and updatable:
        column = quoted(key.name if key.name in updatable else updatable[0])
        # To name a column on the right is to read it, and whoever reads meets the SELECT policies: DEFAULT reads nothing.
        blind = next((c for c in updatable if _resets(relation, c)), None)
        if blind is not None:
            yield Attempt("blind update", "UPDATE", f"update {table} set {quoted(blind)} = default")
        yield Attempt(
            "keyed update", "UPDATE", f"update {table} set {column} = {column} where {name} = {cast}", (other.tenant,)
        )
        if key.name in updatable:
            take = f"update {table} set {name} = {cast}"
            yield Attempt("take over", "UPDATE", take, (mine.tenant,))
            yield Attempt("move", "UPDATE", take, (other.tenant,), needs_rows=False)
    if relation.allows(role, "DELETE"):
        yield Attempt("blind delete", "DELETE", f"delete from {table}")
        yield Attempt("keyed delete", "DELETE", f"delete from {table} where {name} = {cast}", (other.tenant,))


def _inserts(
    facts: Facts, relation: Relation, role: str, mine: Person, other: Person, known: Known
) -> Iterator[Attempt]:
    insertable, key = set(relation.access[role]["insertable"]), relation.tenant_key or ""
    if not relation.allows(role, "INSERT"):
        return
    if not known.theirs:
        # Policies are asked before constraints are: a row with nothing but the tenant in it shows what they say.
        if key in insertable:
            row = {key: other.tenant, **{n: v for n, v in _fresh(relation).items() if n in insertable}}
            yield Attempt("insert", "INSERT", _insert(relation, list(row)), (json.dumps(row),), needs_rows=False)
        return
    statement = _insert(relation, relation.access[role]["insertable"])
    yield Attempt("insert", "INSERT", statement, (json.dumps({**known.theirs, **_fresh(relation)}),), needs_rows=False)
    own = {**(known.mine or known.theirs), **_fresh(relation), key: mine.tenant}
    for unique in _unique(facts, relation):
        columns = set(unique.columns)
        if not columns <= insertable or any(known.theirs.get(name) is None for name in columns):
            continue
        taken = {**own, **{name: known.theirs[name] for name in unique.columns}}
        if key not in columns and key in insertable:
            ignore = f"{statement} on conflict do nothing"
            yield Attempt("insert or ignore", "INSERT", ignore, (json.dumps(taken),), key=unique.name, way="take")
        target = _target(relation, role, key)
        if relation.allows(role, "UPDATE") and relation.allows(role, "SELECT") and target is not None:
            listed = ", ".join(map(quoted, unique.columns))
            update = f"{statement} on conflict ({listed}) do update set {target}"
            proposed = json.dumps(taken if key not in columns else known.theirs)
            yield Attempt("insert or update", "INSERT", update, (proposed,), key=unique.name)
            back = f"{update} returning {quoted(key)}::pg_catalog.text = $2"
            theirs = (proposed, str(known.theirs.get(key)))
            if key not in columns:
                yield Attempt("insert or update, read back", "INSERT", back, theirs, key=unique.name, way="read")


def _insert(relation: Relation, names: Sequence[str]) -> str:
    columns = [c for c in names if relation.columns[c].made != "generated"]
    listed = ", ".join(map(quoted, columns))
    return (
        f"insert into {relation.qualified} ({listed}) overriding system value "
        f"select {listed} from pg_catalog.jsonb_populate_record(null::{relation.qualified}, $1::pg_catalog.jsonb)"
    )


def _target(relation: Relation, role: str, key: str) -> str | None:
    """What to set in a row that is there: something that says no tenant, so that the row stays whose it is."""
    updatable = [name for name in _updatable(relation, role) if name != key]
    blind = next((name for name in updatable if _resets(relation, name)), None)
    if blind is not None:
        return f"{quoted(blind)} = default"
    return f"{quoted(updatable[0])} = excluded.{quoted(updatable[0])}" if updatable else None


def _references(facts: Facts, relation: Relation, role: str, mine: Person, known: Known) -> Iterator[Attempt]:
    """A row of the tenant's own that refers to another tenant's row, by each foreign key that leaves the tenant out."""
    key, table = relation.columns[relation.tenant_key or ""], relation.qualified
    for foreign in facts.keys:
        theirs = known.parents.get(foreign.parent or "", {})
        if foreign.kind != "foreign key" or foreign.relation != table or key.name in foreign.columns:
            continue
        if any(theirs.get(name) is None for name in foreign.parent_columns):
            continue
        values = {c: theirs[p] for c, p in zip(foreign.columns, foreign.parent_columns, strict=True)}
        listed, access = ", ".join(map(quoted, foreign.columns)), relation.access[role]
        if relation.allows(role, "UPDATE") and set(foreign.columns) <= set(_updatable(relation, role)) and known.mine:
            statement = (
                f"update {table} set ({listed}) = (select {listed} from pg_catalog.jsonb_populate_record(null::{table}, $1::pg_catalog.jsonb)) "
                f"where ctid in (select ctid from {table} where {quoted(key.name)} = $2::pg_catalog.text::{key.type} limit 1)"
            )
            said = (json.dumps(values), mine.tenant)
            yield Attempt("refer", "UPDATE", statement, said, needs_rows=False, key=foreign.name, way="refer")
        elif relation.allows(role, "INSERT") and known.mine and set(foreign.columns) <= set(access["insertable"]):
            row = apart(facts, relation, {**known.mine, **values}, {}, same=True)
            row = {**row, **{name: v for name, v in _fresh(relation).items() if name not in foreign.columns}}
            statement = _insert(relation, access["insertable"])
            yield Attempt(
                "refer", "INSERT", statement, (json.dumps(row),), needs_rows=False, key=foreign.name, way="refer"
            )


def _updatable(relation: Relation, role: str) -> list[str]:
    return [c for c in relation.access[role]["updatable"] if relation.columns[c].made not in ("generated", "identity")]


def _resets(relation: Relation, name: str) -> bool:
    """Whether a column can be set to its default without a number from a sequence and without breaking NOT NULL."""
    column = relation.columns[name]
    return name != relation.tenant_key and (column.made == "default" or (column.made is None and not column.not_null))


def _unique(facts: Facts, relation: Relation) -> Iterator[Key]:
    for key in facts.keys:
        if key.kind == "unique" and key.relation == relation.qualified and not key.partial:
            yield key


def _fresh(relation: Relation) -> Row:
    """Values of its own for columns that fill themselves, so that a copy is not refused for being one."""
    made = [c for c in relation.columns.values() if c.made in ("identity", "random") and c.name != relation.tenant_key]
    return {c.name: str(uuid.uuid4()) if c.type == "uuid" else -1 - secrets.randbelow(30_000) for c in made}


def draws(facts: Facts, relation: Relation, role: str, operation: str) -> str | None:
    """What draws a number from a sequence when a role writes; None: nothing, so that a rollback gives everything back.

    An INSERT names the numbers of the table itself, where the role may.
    """
    made = {c.name for c in relation.columns.values() if _numbered(c)}
    if operation == "INSERT" and made - set(relation.access[role]["insertable"]):
        return f"column {min(made)}"
    for trigger in facts.triggers:
        fired = trigger.relation == relation.qualified and operation in trigger.operations
        if fired and any(numbers(facts, function) for function in facts.called([trigger.function])):
            return f"trigger {trigger.name}"
    return None


def numbers(facts: Facts, function: Function) -> bool:
    """Whether a function draws numbers from sequences: itself, or by inserting into a table that numbers its rows."""
    if function.calls & {"nextval", "setval", "pg_catalog.nextval", "pg_catalog.setval"}:
        return True
    return any(counts(facts.relations[name]) for name in facts.named(function.written))


def counts(relation: Relation) -> bool:
    """Whether a table numbers its rows by a sequence."""
    return any(_numbered(column) for column in relation.columns.values())


def _numbered(column: Column) -> bool:
    return column.made in ("identity", "random") and column.type != "uuid"
