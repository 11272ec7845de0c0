"""L3: writes across tenants, tried for real and rolled back. Only for a database that the scope calls a clone.

One transaction per table and session, each statement in a savepoint, never committed: what stays is dead rows for the
next vacuum. No number is drawn from a sequence, for a rollback would not give it back. A write counts as a breach by its
effect: the other tenant's own session looks at its rows before and after. Each write is tried blindly, because a WHERE or
RETURNING would apply the SELECT policies too and hide an open policy for UPDATE or DELETE.
"""

from __future__ import annotations

import json
import secrets
import uuid
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from compliancectl.collectors.postgres.isolation.cells import refuses
from compliancectl.collectors.postgres.isolation.model import Facts
from compliancectl.collectors.postgres.isolation.objects import Relation
from compliancectl.collectors.postgres.isolation.predicates import STALLED
from compliancectl.collectors.postgres.isolation.probe import State, become, people
from compliancectl.collectors.postgres.isolation.variants import Person
from compliancectl.collectors.postgres.purge import quoted
from compliancectl.errors import Missing

if TYPE_CHECKING:
    import psycopg

    from compliancectl.collectors.postgres.config import Database
    from compliancectl.collectors.postgres.session import PostgresSession

Look = tuple[int, str | None]
"""How many rows a tenant has, and a digest of where they lie and who wrote them."""


@dataclass(frozen=True)
class Attempt:
    """One write to try."""

    name: str
    operation: str
    statement: str
    values: tuple[Any, ...] = ()
    needs_rows: bool = True
    """Whether it can only harm rows that are there."""


@dataclass
class WriteProbe:
    """Tries writes in one database."""

    session: PostgresSession
    database: Database
    facts: Facts
    paths: Mapping[str, str]
    _stalled: dict[str, str] = field(default_factory=dict)
    """Table → the SQLSTATE with which a write once ran out of time; its rows are not tried again."""

    def run(self) -> Iterator[dict[str, Any]]:
        """Yield one row per attempt, in the form of `postgres.isolation_probe`.

        Raises:
            Missing: if the database is a replica, where nobody can write: that would prove nothing.
        """
        with self.session.snapshot(self.database) as snapshot:
            if snapshot.facts["is_replica"] == "t":
                raise Missing(
                    f"database {self.database.name} is a replica, where no write can be tried",
                    hint="Name a clone that takes writes, or leave --write-probes out.",
                )
        everybody = people(self.database)
        for role in self.database.app_roles:
            for mine in (person for person in everybody if person.role in (None, role)):
                other = next(person for person in everybody if person.tenant != mine.tenant)
                with self.session.door.connect(self.database, writable=True) as connection:
                    for relation in self._tables(role):
                        yield from self._table(connection, relation, role, mine, other)

    def _tables(self, role: str) -> list[Relation]:
        return [
            relation
            for relation in self.facts.relations.values()
            if relation.is_table
            and relation.tenant_key
            and self.facts.holds_tenants(relation.qualified)
            and any(relation.allows(role, operation) for operation in ("INSERT", "UPDATE", "DELETE"))
        ]

    def _table(
        self, connection: psycopg.Connection[Any], relation: Relation, role: str, mine: Person, other: Person
    ) -> Iterator[dict[str, Any]]:
        if not relation.columns[relation.tenant_key or ""].fits(other.tenant):
            return
        try:
            self._become(connection, role, mine, other)
            row = self._row(connection, relation, role, other)
            for attempt in attempts(relation, role, mine, other, row):
                known = self._stalled.get(relation.qualified) if attempt.operation != "INSERT" else None
                if known is not None:
                    yield _row_of(self.database.name, relation, role, mine, other, attempt, None, None, known)
                    continue
                found = self._try(connection, relation, role, mine, other, attempt)
                if found["sqlstate"] in STALLED:
                    self._stalled[relation.qualified] = found["sqlstate"]
                yield found
        finally:
            if not connection.closed and not connection.broken:
                connection.rollback()

    def _become(self, connection: psycopg.Connection[Any], role: str, who: Person, not_who: Person) -> None:
        settings = {**dict.fromkeys(not_who.settings, ""), **who.settings}
        state = State(who.name, "tenant", settings, who.tenant)
        become(connection, self.database, self.paths, who.role or role, state)

    def _row(self, connection: psycopg.Connection[Any], relation: Relation, role: str, other: Person) -> dict[str, Any]:
        """A row like the other tenant's, to be written in its name; empty when it has none or nobody may look."""
        import psycopg

        key = relation.columns[relation.tenant_key or ""]
        statement = (
            f"select pg_catalog.to_jsonb(t)::pg_catalog.text from {relation.qualified} t "
            f"where {quoted(key.name)} = $1::pg_catalog.text::{key.type} limit 1"
        )
        try:
            with connection.transaction(force_rollback=True):
                self._become(connection, role, other, other)
                with psycopg.RawCursor(connection) as cursor:
                    found = cursor.execute(statement.encode(), [other.tenant]).fetchone()
        except psycopg.Error as error:
            if connection.broken or error.sqlstate is None:
                raise
            return {}
        return dict(json.loads(found[0])) if found else {}

    def _try(
        self,
        connection: psycopg.Connection[Any],
        relation: Relation,
        role: str,
        mine: Person,
        other: Person,
        attempt: Attempt,
    ) -> dict[str, Any]:
        import psycopg

        before = after = None
        state: str | None = None
        try:
            with connection.transaction(force_rollback=True):
                before = self._look(connection, relation, role, other, mine)
                self._become(connection, role, mine, other)
                with psycopg.RawCursor(connection) as cursor:
                    cursor.execute(attempt.statement.encode(), list(attempt.values))
                after = self._look(connection, relation, role, other, mine)
        except psycopg.Error as error:
            if connection.broken or error.sqlstate is None:
                raise
            state = error.sqlstate
        return _row_of(self.database.name, relation, role, mine, other, attempt, before, after, state)

    def _look(
        self, connection: psycopg.Connection[Any], relation: Relation, role: str, other: Person, mine: Person
    ) -> Look:
        """What the other tenant's own session sees of its rows."""
        import psycopg

        self._become(connection, role, other, mine)
        key = quoted(relation.tenant_key or "")
        statement = (
            "select pg_catalog.count(*), pg_catalog.md5(pg_catalog.string_agg(ctid::pg_catalog.text || xmin::pg_catalog.text, ',' order by ctid)) "
            f"from {relation.qualified} where {key}::pg_catalog.text = $1"
        )
        with psycopg.RawCursor(connection) as cursor:
            count, digest = cursor.execute(statement.encode(), [other.tenant]).fetchone() or (0, None)
        return int(count), digest


def attempts(relation: Relation, role: str, mine: Person, other: Person, row: dict[str, Any]) -> Iterator[Attempt]:
    """The writes to try on a table, as far as the role has the privilege."""
    table, key = relation.qualified, relation.columns[relation.tenant_key or ""]
    name, cast = quoted(key.name), f"$1::pg_catalog.text::{key.type}"
    access = relation.access[role]
    updatable = [c for c in access["updatable"] if relation.columns[c].made not in ("generated", "identity")]
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
    if relation.allows(role, "INSERT") and row and not _counts(relation, access["insertable"]):
        columns = [c for c in access["insertable"] if relation.columns[c].made != "generated"]
        listed = ", ".join(map(quoted, columns))
        statement = (
            f"insert into {table} ({listed}) overriding system value "
            f"select {listed} from pg_catalog.jsonb_populate_record(null::{table}, $1::pg_catalog.jsonb)"
        )
        yield Attempt("insert", "INSERT", statement, (json.dumps({**row, **_fresh(relation)}),), needs_rows=False)


def _resets(relation: Relation, name: str) -> bool:
    """Whether a column can be set to its default without a number from a sequence and without breaking NOT NULL."""
    column = relation.columns[name]
    return name != relation.tenant_key and (column.made == "default" or (column.made is None and not column.not_null))


def _counts(relation: Relation, insertable: list[str]) -> bool:
    """Whether an insert would draw a number from a sequence, which no rollback gives back."""
    own = [c for c in relation.columns.values() if c.made in ("identity", "random") and c.type != "uuid"]
    return any(column.name not in insertable for column in own)


def _fresh(relation: Relation) -> dict[str, Any]:
    """Values of its own for columns that fill themselves, so that a copy is not refused for being one."""
    made = [c for c in relation.columns.values() if c.made in ("identity", "random") and c.name != relation.tenant_key]
    return {c.name: str(uuid.uuid4()) if c.type == "uuid" else -1 - secrets.randbelow(30_000) for c in made}


def _row_of(
    database: str,
    relation: Relation,
    role: str,
    mine: Person,
    other: Person,
    attempt: Attempt,
    before: Look | None,
    after: Look | None,
    state: str | None,
) -> dict[str, Any]:
    rows = before[0] if before else 0
    if state is not None:
        refused = refuses(state) and before is not None
        verdict, observed = "isolated" if refused else "inconclusive", f"error {state}"
    elif before != after:
        verdict, observed = (
            "open",
            f"rows of {other.name} were changed: {rows} before, {after[0] if after else 0} after",
        )
    elif attempt.needs_rows and not rows:
        verdict, observed = "inconclusive", f"{other.name} has no row that could be changed"
    else:
        verdict, observed = "isolated", f"the {rows} rows of {other.name} are as before"
    broken = verdict == "open"
    return {
        "database": database,
        "resource": f"{database}/write:{role}/{mine.name}/{relation.qualified}/{attempt.name}",
        "level": "write",
        "relation": relation.qualified,
        "operation": attempt.operation,
        "role": role,
        "context": mine.name,
        "context_kind": "tenant",
        "statement": attempt.statement,
        "expected": f"no row of {other.name} changes",
        "observed": observed,
        "sqlstate": state,
        "own_rows": None,
        "foreign_rows": None,
        "denominator": rows,
        "verdict": verdict,
        "rule": f"write.{attempt.name.replace(' ', '_')}" if broken else None,
        "sentence": f"{role} as {mine.name} wrote rows of {other.name} in {relation.qualified} ({attempt.name})."
        if broken
        else None,
        "policies": [],
        "repair": None,
        "references_accepted": None,
    }
