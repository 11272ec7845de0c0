"""L1 and L2 at work: sessions as the application makes them, each asked about every table.

Four states beside the declared contexts: settings never made (a connection of its own, because a setting once made
stays as an empty string), made empty, made for a tenant that does not exist, and switches that only policies know.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any

from compliancectl.collectors.postgres import redact
from compliancectl.collectors.postgres.isolation import forged, predicates, rows, through, variants
from compliancectl.collectors.postgres.isolation.model import Facts
from compliancectl.collectors.postgres.isolation.objects import UUID, Relation
from compliancectl.collectors.postgres.isolation.variants import Person, Row
from compliancectl.errors import Denied

if TYPE_CHECKING:
    from collections.abc import Callable

    import psycopg

    from compliancectl.collectors.postgres.config import Database
    from compliancectl.collectors.postgres.session import PostgresSession

SWITCHED_ON = ("on", "true", "1", "admin", "system", "service_role", "*")
"""What is tried for a setting that policies read and the scope does not declare."""


WILDCARDS = ("%", ".*")
"""What is tried for a setting that a policy compares by pattern."""


@dataclass(frozen=True)
class State:
    """One way in which a session can be."""

    name: str
    kind: str
    """`tenant`, `nobody`, `unset`, `empty`, `unknown` or `switch`."""
    settings: Mapping[str, str]
    tenant: str | None = None
    only: frozenset[str] | None = None
    """Tables that it is about; None: all."""


@dataclass
class Probe:
    """Probes one database; `found` is what is kept."""

    session: PostgresSession
    database: Database
    facts: Facts
    paths: Mapping[str, str]
    found: list[dict[str, Any]] = field(default_factory=list)
    tell: Callable[[str], None] = lambda text: None
    _stalled: dict[str, str] = field(default_factory=dict)
    """Table → the SQLSTATE with which it once ran out of time; it is not asked again."""

    def run(self) -> list[dict[str, Any]]:
        """Probe every application role; returns one record per role, state, table and level."""
        for role in self.database.app_roles:
            self._role(role)
        return self.found

    @cached_property
    def _ways(self) -> list[through.Way]:
        return through.ways(self.facts)

    @property
    def _people(self) -> list[Person]:
        return people(self.database)

    def _tables(self, role: str, state: State | None = None) -> list[Relation]:
        return [
            relation
            for relation in self.facts.relations.values()
            if relation.is_table
            and self.facts.holds_tenants(relation.qualified)
            and relation.reachable(role)
            and (state is None or state.only is None or relation.qualified in state.only)
        ]

    def _through(self, role: str) -> list[Relation]:
        """Tables that the role reaches only through what works with an owner's rights, and that owner is bound there."""
        tables = {way.table for way in self._ways if role in way.roles and way.owner != role}
        return [self.facts.relations[name] for name in sorted(tables) if not self.facts.relations[name].reachable(role)]

    def _role(self, role: str) -> None:
        people = self._people
        own = [person for person in people if person.role in (None, role)]
        taken_from: dict[str, rows.Samples] = {}
        with self.session.door.connect(self.database) as connection:
            for person in people:
                taken = person.role or role
                with self._as(connection, taken, _state_of(person)):
                    taken_from[person.name] = rows.samples(connection, self.facts, self._tables(taken), taken, person)
            samples = self._attributed(connection, role, taken_from)
            for state in self._states(role, own):
                self._try(connection, role, state, own, samples)
            if own:
                self._forge(connection, role, own[0], samples)
        # Where the role itself is the identity, a session without settings is nobody in particular's.
        if not own or any(person.settings for person in own):
            with self.session.door.connect(self.database) as fresh:
                self._try(fresh, role, State("unset", "unset", {}), own, samples)

    def _attributed(
        self, connection: psycopg.Connection[Any], role: str, samples: Mapping[str, rows.Samples]
    ) -> dict[str, dict[str, Row]]:
        """Samples without those of tables without a tenant key that another tenant's session sees too: whose are they?"""
        found = {name: dict(sample.rows) for name, sample in samples.items()}
        for person in self._people:
            loose = samples[person.name].loose
            for other in self._people if loose else ():
                if other.tenant != person.tenant:
                    with self._as(connection, other.role or role, _state_of(other)):
                        for name in rows.seen(connection, self.facts, loose, found[person.name]):
                            found[person.name].pop(name, None)
        return found

    def _try(
        self,
        connection: psycopg.Connection[Any],
        role: str,
        state: State,
        own: Sequence[Person],
        samples: Mapping[str, Mapping[str, Row]],
    ) -> None:
        self.tell(f"{role}: {state.name}")
        people = self._people
        mine = next((person for person in own if person.name == state.name), own[0] if own else people[0])
        other = next(person for person in people if person.tenant != mine.tenant)
        with self._as(connection, role, state):
            self._state(connection, role, state, (mine, other), samples)

    def _forge(
        self,
        connection: psycopg.Connection[Any],
        role: str,
        mine: Person,
        samples: Mapping[str, Mapping[str, Row]],
    ) -> None:
        """Ask again as if columns that policies believe, and that the role may write, held what they look for."""
        other = next(person for person in self._people if person.tenant != mine.tenant)
        ways = [way for relation in self._tables(role) for way in forged.forgeries(self.facts, relation, role)]
        if not ways:
            return
        shown: dict[str, int] = {}
        with self._as(connection, role, State(mine.name, "tenant", mine.settings, mine.tenant)):
            active = rows.active(connection, [self.facts.relations[way.relation] for way in ways])
            for way in ways:
                relation = self.facts.relations[way.relation]
                if relation.qualified in self._stalled or not active[relation.qualified]:
                    continue
                title = f"{way.column} written"
                shown[title] = shown.get(title, 0) + 1
                title += f" ({shown[title]})" if shown[title] > 1 else ""
                tried = variants.make(self.facts, relation, mine, other, samples[mine.name], samples[other.name])
                results = predicates.Asker(connection, role).evaluate(relation, way.clauses, tried)
                self.found.append(
                    {
                        "level": "predicate",
                        "role": role,
                        "state": title,
                        "kind": "forged",
                        "relation": relation.qualified,
                        "active": True,
                        "rows": [[variant.kind, variant.note] for variant in tried],
                        "results": {name: " ".join(outcomes) for name, outcomes in results.items()},
                    }
                )

    def _note(self, relation: str, outcomes: set[str]) -> None:
        for state in outcomes & set(predicates.STALLED):
            self._stalled[relation] = state

    def _states(self, role: str, own: Sequence[Person]) -> Iterator[State]:
        for person in own:
            yield State(person.name, "tenant", person.settings, person.tenant)
        for name, context in self.database.contexts.items():
            if context.tenant is None and context.role in (None, role):
                yield State(name, "nobody", context.settings)
        first = next((person for person in own if person.settings), None)
        if first is not None:
            yield State("empty", "empty", dict.fromkeys(first.settings, ""))
            yield State("unknown", "unknown", {n: unknown(v, first.tenant) for n, v in first.settings.items()})
        if own:
            yield from self._switches(role, own[0])

    def _switches(self, role: str, person: Person) -> Iterator[State]:
        """A state for each setting and value that policies know and the scope does not declare."""
        declared = {name for context in self.database.contexts.values() for name in context.settings}
        # request.jwt.claims and request.jwt.claim.role come from one token, that the gateway has checked.
        same_token = tuple(f"{name.removesuffix('s')}." for name in declared if name.endswith(".claims"))
        wanted: dict[tuple[str, str], set[str]] = {}
        for relation in self._tables(role):
            policies = [p for p in self.facts.policies.get(relation.qualified, ()) if role in p.applies_to]
            constants = variants.literals(policies, self.facts)
            if any("~" in f"{p.using} {p.check}" for p in policies):  # LIKE is written ~~
                constants = (*constants, *WILDCARDS)
            for name in variants.settings_read(policies, self.facts):
                if ("." in name or name == "application_name") and not name.startswith(same_token):
                    values = constants if name in declared else (*SWITCHED_ON, *constants)
                    for value in set(values) - {one.tenant for one in self._people}:
                        wanted.setdefault((name, value), set()).add(relation.qualified)
        shown: dict[str, int] = {}
        for (name, value), tables in sorted(wanted.items()):
            # The value is a constant of a policy: it is told only when it is a plain word.
            told = value if value in WILDCARDS else str(redact.literals(quote(value))[0])[1:-1]
            title = f"{name} = {told}"
            shown[title] = shown.get(title, 0) + 1
            title += f" ({shown[title]})" if shown[title] > 1 else ""
            yield State(title, "switch", {**person.settings, name: value}, person.tenant, frozenset(tables))

    @contextmanager
    def _as(self, connection: psycopg.Connection[Any], role: str, state: State) -> Iterator[None]:
        """One read-only transaction as the role, with the state's settings; always rolled back.

        Raises:
            Denied: if the collector may not take the role.
        """
        try:
            become(connection, self.database, self.paths, role, state)
            yield
        finally:
            if not connection.closed and not connection.broken:
                connection.rollback()

    def _state(
        self,
        connection: psycopg.Connection[Any],
        role: str,
        state: State,
        pair: tuple[Person, Person],
        samples: Mapping[str, Mapping[str, Row]],
    ) -> None:
        tables = self._tables(role, state)
        through = self._through(role) if state.only is None else []
        active = rows.active(connection, tables) | {relation.qualified: True for relation in through}
        mine, other = pair
        for relation in (*tables, *through):
            record: dict[str, Any] = {
                "level": "predicate",
                "role": role,
                "state": state.name,
                "kind": state.kind,
                "relation": relation.qualified,
                "active": active[relation.qualified],
            }
            if relation in through:
                record["through"] = True
            if active[relation.qualified]:
                tried = variants.make(self.facts, relation, mine, other, samples[mine.name], samples[other.name])
                if state.kind == "switch":
                    # A session whose tenant is such a constant owns the row that has it for a key.
                    tried = [variant for variant in tried if variant.kind not in ("hard-coded", "pattern")]
                asked = predicates.clauses(self.facts.policies.get(relation.qualified, ()))
                stalled = self._stalled.get(relation.qualified)
                if stalled is None:
                    results = predicates.Asker(connection, role).evaluate(relation, asked, tried)
                    self._note(relation.qualified, {o for outcomes in results.values() for o in outcomes})
                else:
                    results = {clause.name: [stalled] * len(tried) for clause in asked}
                record["rows"] = [[variant.kind, variant.note] for variant in tried]
                record["results"] = {name: " ".join(outcomes) for name, outcomes in results.items()}
            self.found.append(record)
        if state.kind != "switch":
            for record in rows.count(connection, self.facts, role, state.tenant, self._stalled):
                self._note(record["relation"], {record.get("sqlstate", "")})
                self.found.append({**record, "role": role, "state": state.name, "kind": state.kind})


def _state_of(person: Person) -> State:
    return State(person.name, "tenant", person.settings, person.tenant)


def people(database: Database) -> list[Person]:
    """Everybody whom the scope declares as a member of a tenant."""
    takers: dict[str | None, set[str | None]] = {}
    for context in database.contexts.values():
        takers.setdefault(context.role, set()).add(context.tenant)
    return [
        Person(name, context.tenant, context.settings, context.role, alone=len(takers[context.role]) == 1)
        for name, context in database.contexts.items()
        if context.tenant is not None
    ]


def become(
    connection: psycopg.Connection[Any], database: Database, paths: Mapping[str, str], role: str, state: State
) -> None:
    """Take a role and a state's settings for the rest of the transaction.

    Raises:
        Denied: if the collector may not take the role.
    """
    import psycopg

    local = {"row_security": "on", "search_path": paths.get(role, "public"), **state.settings}
    for name, value in local.items():
        connection.execute("select pg_catalog.set_config(%s, %s, true)", (name, value))
    try:
        connection.execute("select pg_catalog.set_config('role', %s, true)", (role,))
    except psycopg.errors.InsufficientPrivilege:
        raise Denied(
            f"database {database.name}: the collector may not take the role {role} (42501)",
            hint=f"GRANT {role} TO the collector's role WITH INHERIT FALSE, SET TRUE (before PostgreSQL 16 plainly).",
        ) from None


def unknown(value: str, tenant: str) -> str:
    """A setting's value for a tenant and a user that do not exist, of the same form."""
    stranger = UUID.sub("ffffffff-ffff-4fff-bfff-ffffffffffff", value)
    if stranger != value:
        return stranger
    return "2147480001" if value.isdigit() else value.replace(tenant, "no-such-tenant")


def quote(value: str) -> str:
    """An SQL string literal."""
    return "'" + value.replace("'", "''") + "'"
