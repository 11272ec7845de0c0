"""L3: writes across tenants, tried for real and rolled back. Only for a database that the scope calls a clone.

One transaction per table and session, each statement in a savepoint, never committed: what stays is dead rows for the
next vacuum. No number is drawn from a sequence, for a rollback would not give it back: what would draw one is not tried,
and says so. A write counts as a breach by its effect: the other tenant's own session looks at its rows before and after.
Each write is tried blindly, because a WHERE or RETURNING would apply the SELECT policies too and hide an open policy for
UPDATE or DELETE.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from compliancectl.collectors.postgres.isolation.attempts import Attempt, Known, Row, attempts
from compliancectl.collectors.postgres.isolation.calls import Call, arguments, calls, stranger
from compliancectl.collectors.postgres.isolation.model import Facts
from compliancectl.collectors.postgres.isolation.objects import Relation
from compliancectl.collectors.postgres.isolation.predicates import STALLED
from compliancectl.collectors.postgres.isolation.probe import State, become, people
from compliancectl.collectors.postgres.isolation.variants import Person
from compliancectl.collectors.postgres.isolation.written import Effect, Look, of_attempt, of_call
from compliancectl.collectors.postgres.purge import quoted
from compliancectl.errors import Missing

if TYPE_CHECKING:
    import psycopg

    from compliancectl.collectors.postgres.config import Database
    from compliancectl.collectors.postgres.session import PostgresSession


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
                    session = _Session(self, connection, role, mine, other)
                    for relation in self._tables(role):
                        yield from session.table(relation)
                    for call in calls(self.facts, role):
                        yield session.call(call)

    def _tables(self, role: str) -> list[Relation]:
        return [
            relation
            for relation in self.facts.relations.values()
            if _has_owners(self.facts, relation)
            and any(relation.allows(role, operation) for operation in ("INSERT", "UPDATE", "DELETE"))
        ]

    def stalled(self, relation: str) -> str | None:
        """The SQLSTATE with which a table once ran out of time."""
        return self._stalled.get(relation)

    def note(self, relation: str, state: str | None) -> None:
        """Remember a table that ran out of time."""
        if state in STALLED:
            self._stalled[relation] = state


@dataclass(frozen=True)
class _Session:
    """One tenant's session, with another tenant to harm."""

    probe: WriteProbe
    connection: psycopg.Connection[Any]
    role: str
    mine: Person
    other: Person

    @property
    def facts(self) -> Facts:
        return self.probe.facts

    def table(self, relation: Relation) -> Iterator[dict[str, Any]]:
        """Try every write on a table."""
        if not relation.columns[relation.tenant_key or ""].fits(self.other.tenant):
            return
        try:
            self._become(self.mine, self.other)
            known = self._known(relation)
            for attempt in attempts(self.facts, relation, self.role, self.mine, self.other, known):
                yield of_attempt(self.facts, relation, self._names(), attempt, self._tried(relation, attempt))
        finally:
            self._leave()

    def _names(self) -> tuple[str, str, Person, Person]:
        return self.probe.database.name, self.role, self.mine, self.other

    def _tried(self, relation: Relation, attempt: Attempt) -> Effect:
        if attempt.why_not is not None:
            return Effect()
        known = self.probe.stalled(relation.qualified)
        if known is not None and attempt.meets_rows:
            return Effect(state=known)
        watched = [relation.qualified, *_hanging(self.facts, relation.qualified)]
        found = self._try(watched, attempt.statement, attempt.values)
        self.probe.note(relation.qualified, found.state)
        return found

    def call(self, call: Call) -> dict[str, Any]:
        """Call a function with each of the other tenant's keys; the worst that came of it."""
        found: list[Effect] = []
        same = True
        try:
            self._become(self.mine, self.other)
            if call.why_not is None:
                last = [self.other.tenant] if call.reads else []
                for given in arguments(call.types, self._keys(call)):
                    found.append(self._try(call.tables, call.statement, [*given, *last]))
                if call.reads and call.types and found:
                    nobody = self._try(call.tables, call.statement, [*stranger(call.types), *last])
                    same = all(effect.answer == nobody.answer for effect in found if effect.state is None)
        finally:
            self._leave()
        return of_call(self.facts, self._names(), call, found, same=same)

    def _keys(self, call: Call) -> list[str]:
        keys = [self.other.tenant, *self.other.identities]
        for name in call.tables:
            relation = self.facts.relations[name]
            if _has_owners(self.facts, relation):
                row = self._row(relation, self.other)
                keys += [str(value) for value in row.values() if isinstance(value, (str, int))]
        return keys

    def _leave(self) -> None:
        if not self.connection.closed and not self.connection.broken:
            self.connection.rollback()

    def _become(self, who: Person, not_who: Person) -> None:
        settings = {**dict.fromkeys(not_who.settings, ""), **who.settings}
        state = State(who.name, "tenant", settings, who.tenant)
        become(self.connection, self.probe.database, self.probe.paths, who.role or self.role, state)

    def _known(self, relation: Relation) -> Known:
        parents = {}
        for key in self.facts.keys:
            parent = self.facts.relations.get(key.parent or "")
            if key.relation != relation.qualified or parent is None or not _has_owners(self.facts, parent):
                continue
            if parent.qualified != self.facts.declared["tenant_root"]:
                parents[parent.qualified] = self._row(parent, self.other)
        return Known(self._row(relation, self.mine), self._row(relation, self.other), parents)

    def _row(self, relation: Relation, person: Person) -> Row:
        """A row of a tenant, to make rows of; empty when it has none or nobody may look."""
        import psycopg

        key = relation.columns[relation.tenant_key or ""]
        if not key.fits(person.tenant):
            return {}
        statement = (
            f"select pg_catalog.to_jsonb(t)::pg_catalog.text from {relation.qualified} t "
            f"where {quoted(key.name)} = $1::pg_catalog.text::{key.type} limit 1"
        )
        try:
            with self.connection.transaction(force_rollback=True):
                self._become(person, self.other if person is self.mine else self.mine)
                with psycopg.RawCursor(self.connection) as cursor:
                    found = cursor.execute(statement.encode(), [person.tenant]).fetchone()
        except psycopg.Error as error:
            if self.connection.broken or error.sqlstate is None:
                raise
            return {}
        return dict(json.loads(found[0])) if found else {}

    def _try(self, watched: Sequence[str], statement: str, values: Iterable[Any]) -> Effect:
        import psycopg

        effect = Effect()
        try:
            with self.connection.transaction(force_rollback=True):
                effect.before = self._look(watched)
                self._become(self.mine, self.other)
                # What is put off to the end of the transaction would never be asked.
                self.connection.execute("set constraints all immediate")
                with psycopg.RawCursor(self.connection) as cursor:
                    cursor.execute(statement.encode(), list(values))
                    effect.wrote = max(cursor.rowcount, 0)
                    effect.answer = cursor.fetchall() if cursor.description else None
                effect.after = self._look(watched)
        except psycopg.Error as error:
            if self.connection.broken or error.sqlstate is None:
                raise
            effect.state = error.sqlstate
        return effect

    def _look(self, watched: Sequence[str]) -> tuple[Look, ...]:
        """What the other tenant's own session sees of its rows, table by table."""
        import psycopg

        self._become(self.other, self.mine)
        looks = []
        for name in watched:
            relation, role = self.facts.relations[name], self.other.role or self.role
            if not _has_owners(self.facts, relation) or not relation.allows(role, "SELECT"):
                continue
            if relation.tenant_key in relation.access[role]["hidden"]:
                continue
            statement = (
                "select pg_catalog.count(*), pg_catalog.md5(pg_catalog.string_agg(ctid::pg_catalog.text || xmin::pg_catalog.text, ',' order by ctid)) "
                f"from {name} where {quoted(relation.tenant_key or '')}::pg_catalog.text = $1"
            )
            with psycopg.RawCursor(self.connection) as cursor:
                count, digest = cursor.execute(statement.encode(), [self.other.tenant]).fetchone() or (0, None)
            looks.append(Look(name, int(count), digest))
        return tuple(looks)


def _has_owners(facts: Facts, relation: Relation) -> bool:
    """Whether each of a table's rows says whose it is."""
    return bool(relation.is_table and relation.tenant_key and facts.holds_tenants(relation.qualified))


def _hanging(facts: Facts, table: str) -> list[str]:
    """Tables whose rows are deleted or changed along with those of a table."""
    found = {k.relation for k in facts.keys if k.parent == table and (k.deletes_along or k.changes_along)}
    return sorted(found - {table})
