"""The catalogue as the rules see it, and what a rule says."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Literal

from compliancectl.collectors.postgres.purge import quoted

WHOLE = ("integer", "bigint", "smallint", "numeric")
_UUID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}", re.IGNORECASE)
OPERATIONS = ("SELECT", "INSERT", "UPDATE", "DELETE")


@dataclass(frozen=True)
class Column:
    """A column of a relation."""

    name: str
    type: str
    category: str
    """`pg_type.typcategory`: B boolean, N number, S string, U other."""
    not_null: bool
    made: str | None
    """How it fills itself: `identity`, `generated`, `random` (a sequence or a random UUID), `default`, or None."""
    labels: tuple[str, ...] = ()
    """Of an enumeration."""

    def fits(self, value: str) -> bool:
        """Whether a text can be a value of it."""
        if self.type == "uuid":
            return bool(_UUID.fullmatch(value))
        if self.type in WHOLE:
            return value.lstrip("-").isdigit() and len(value) < 10
        return self.category == "S"


@dataclass(frozen=True)
class Relation:
    """A table, partitioned table, view, materialized view or foreign table."""

    qualified: str
    name: str
    kind: str
    """`pg_class.relkind`: r, p, v, m, f."""
    owner: str
    rls_enabled: bool
    rls_forced: bool
    parents: tuple[str, ...]
    in_extension: bool
    options: Mapping[str, str]
    columns: Mapping[str, Column]
    access: Mapping[str, Mapping[str, Any]]
    """Application role → what it may do."""
    tenant_key: str | None = None
    shared: bool = False

    @property
    def is_table(self) -> bool:
        """Whether it can have policies."""
        return self.kind in ("r", "p")

    @property
    def word(self) -> str:
        """Its kind in words."""
        words = {"r": "table", "p": "partitioned table", "v": "view", "m": "materialized view", "f": "foreign table"}
        return words[self.kind]

    def allows(self, role: str, privilege: str) -> bool:
        """Whether an application role can use a privilege on it, the schema included."""
        access = self.access.get(role, {})
        return bool(access.get("usage") and access.get(privilege.lower()))

    def reachable(self, role: str) -> bool:
        """Whether an application role can do anything to its rows."""
        return any(self.allows(role, operation) for operation in OPERATIONS)


@dataclass(frozen=True)
class Policy:
    """A row-level security policy."""

    relation: str
    name: str
    permissive: bool
    command: str
    roles: tuple[str, ...]
    applies_to: frozenset[str]
    using: str | None
    check: str | None
    columns: tuple[str, ...]
    """Columns of its own table that its expressions read."""
    lookups: tuple[tuple[str, str | None], ...]
    """(other relation, column) that its expressions read."""
    functions: tuple[str, ...]

    def serves(self, role: str, operation: str) -> bool:
        """Whether it counts for a role and an operation."""
        return role in self.applies_to and self.command in ("ALL", operation)

    @property
    def text(self) -> str:
        """It as SQL would create it, for people."""
        parts = [f"CREATE POLICY {quoted(self.name)} ON {self.relation}"]
        parts.append(f"AS {'PERMISSIVE' if self.permissive else 'RESTRICTIVE'} FOR {self.command}")
        parts.append(f"TO {', '.join(self.roles)}")
        parts += [f"USING ({self.using})"] if self.using else []
        parts += [f"WITH CHECK ({self.check})"] if self.check else []
        return " ".join(parts)


@dataclass(frozen=True)
class Membership:
    """One role's direct membership in another."""

    role: str
    inherit: bool
    set: bool
    admin: bool


@dataclass(frozen=True)
class Role:
    """A role."""

    name: str
    superuser: bool
    bypass_rls: bool
    create_role: bool
    replication: bool
    memberships: tuple[Membership, ...]
    creates_in: tuple[str, ...]
    temporary: bool

    @property
    def unbound(self) -> bool:
        """Whether no policy ever binds it."""
        return self.superuser or self.bypass_rls


@dataclass(frozen=True)
class Function:
    """A function of the application."""

    signature: str
    owner: str
    definer: bool
    volatility: str
    leakproof: bool
    returns: str
    returns_set: bool
    sql_body: bool
    search_path: str | None
    arguments: tuple[str, ...]
    """Types of what it takes."""
    callers: frozenset[str]
    """Application roles that can call it by its name."""
    executors: frozenset[str]
    """Application roles that a policy or view can call it for: the schema's name is not asked for then."""
    body_sha256: str
    tables: frozenset[str]
    written: frozenset[str]
    bare: frozenset[str]
    calls: frozenset[str]
    """Names before a parenthesis in its body."""
    settings: frozenset[str]
    settings_by_name: bool
    """Whether it reads settings whose names its callers give."""
    constants: frozenset[str]
    """Strings of its body; known while probing, not kept."""
    dynamic: bool
    notifies_rows: bool
    functions: tuple[str, ...]


@dataclass(frozen=True)
class Key:
    """A foreign key or something that must be unique."""

    kind: str
    relation: str
    name: str
    columns: tuple[str, ...]
    parent: str | None
    parent_columns: tuple[str, ...]
    is_primary: bool
    partial: bool
    """Whether it holds for some rows only, or for an expression: then two rows may share its columns."""
    is_constraint: bool = True
    """False: an index alone."""


@dataclass(frozen=True)
class Reader:
    """A view or rule and one relation that it touches."""

    reader: str
    kind: str
    rule: str
    event: str
    base: str


@dataclass(frozen=True)
class Trigger:
    """A trigger."""

    relation: str
    name: str
    function: str


@dataclass(frozen=True)
class Channel:
    """One of the other ways out: kind, name, role, detail."""

    kind: str
    name: str
    role: str
    detail: str


@dataclass(frozen=True)
class Facts:
    """Everything that the rules may know."""

    database: str
    version: int
    app_roles: tuple[str, ...]
    relations: Mapping[str, Relation]
    policies: Mapping[str, tuple[Policy, ...]]
    roles: Mapping[str, Role]
    functions: Mapping[str, Function]
    keys: tuple[Key, ...]
    readers: tuple[Reader, ...]
    triggers: tuple[Trigger, ...]
    channels: tuple[Channel, ...]
    declared: Mapping[str, Any] = field(default_factory=dict)
    """What the scope says: `trusted_definers`, `shared_columns`, `shared_tenants`, `contexts`."""

    @cached_property
    def names(self) -> Mapping[str, tuple[str, ...]]:
        """Unqualified name in lower case → relations that are called so."""
        found: dict[str, tuple[str, ...]] = {}
        for relation in self.relations.values():
            found[relation.name.lower()] = (*found.get(relation.name.lower(), ()), relation.qualified)
        return found

    @cached_property
    def derived(self) -> frozenset[str]:
        """Tables without a tenant key whose foreign keys lead to one that has it."""
        keyed = {r.qualified for r in self.relations.values() if r.tenant_key and not r.shared}
        found: set[str] = set()
        grown = True
        while grown:
            grown = False
            for key in self.keys:
                relation = self.relations.get(key.relation)
                if relation is None or relation.shared or relation.qualified in keyed | found or key.parent is None:
                    continue
                if key.parent in keyed | found:
                    found.add(relation.qualified)
                    grown = True
        return frozenset(found)

    @cached_property
    def consulted(self) -> frozenset[str]:
        """Tables that policies of other tables look into.

        A row there that names another tenant and this user is a membership of this user, not a row of others.
        """
        return frozenset(
            name
            for relation, policies in self.policies.items()
            for policy in policies
            for name in self.looked_into(policy) - {relation}
        )

    def looked_into(self, policy: Policy) -> frozenset[str]:
        """Relations that a policy reads, itself or through its functions."""
        found = {name for name, _ in policy.lookups}
        for function in self.called(policy.functions):
            found |= self.named(function.tables)
        return frozenset(found)

    def called(self, signatures: Iterable[str]) -> list[Function]:
        """Functions and those that their bodies call, however deep, sorted by signature."""
        seen: set[str] = set()
        todo = [signature for signature in signatures if signature in self.functions]
        while todo:
            signature = todo.pop()
            if signature not in seen:
                seen.add(signature)
                function = self.functions[signature]
                todo += [other for other in function.functions if other in self.functions]
                todo += [other for name in function.calls for other in self._overloads.get(name, ())]
        return [self.functions[signature] for signature in sorted(seen)]

    @cached_property
    def _overloads(self) -> Mapping[str, tuple[str, ...]]:
        """Name in lower case, with its schema and without → functions that it may mean."""
        found: dict[str, tuple[str, ...]] = {}
        for signature in self.functions:
            name = signature.partition("(")[0].replace('"', "").lower()
            for way in {name, name.rpartition(".")[2]}:
                found[way] = (*found.get(way, ()), signature)
        return found

    def holds_tenants(self, qualified: str) -> bool:
        """Whether a relation holds tenants' rows: it has the key, belongs to a table that has, or carries policies."""
        relation = self.relations.get(qualified)
        if relation is None or relation.shared or relation.in_extension or relation.kind in ("v", "m"):
            return False
        return bool(relation.tenant_key) or qualified in self.derived or relation.rls_enabled

    def named(self, names: frozenset[str]) -> frozenset[str]:
        """Relations that names in a function's body may mean: the one, with a schema; all that are called so, without."""
        found: set[str] = set()
        for name in names:
            schema, _, table = name.rpartition(".")
            called = self.names.get(table, ())
            found |= {q for q in called if not schema or q.replace('"', "").lower() == name}
        return frozenset(found)

    def tenant_tables_named(self, names: frozenset[str]) -> list[str]:
        """Tables with tenants' rows among the names of a function's body, views followed to them, sorted."""
        found = self.named(names)
        return sorted(q for q in found | {b for q in found for b in self.bases(q)} if self.holds_tenants(q))

    def bases(self, qualified: str) -> frozenset[str]:
        """Every relation that a view reads, through other views."""
        return self._bases.get(qualified, frozenset())

    @cached_property
    def direct(self) -> Mapping[str, tuple[str, ...]]:
        """View → relations that it reads itself."""
        found: dict[str, list[str]] = {}
        for reader in self.readers:
            if reader.kind == "view":
                found.setdefault(reader.reader, []).append(reader.base)
        return {name: tuple(bases) for name, bases in found.items()}

    @cached_property
    def _bases(self) -> Mapping[str, frozenset[str]]:
        found: dict[str, frozenset[str]] = {}

        def follow(name: str, path: frozenset[str]) -> frozenset[str]:
            if name not in found:
                below = [b for b in self.direct.get(name, ()) if b not in path]
                found[name] = frozenset(below) | {x for b in below for x in follow(b, path | {name})}
            return found[name]

        for name in self.direct:
            follow(name, frozenset())
        return found

    def reach(self, role: str, way: Literal["set", "inherit"]) -> frozenset[str]:
        """Roles that a role can become (`set`, an admin grants itself that) or acts as without doing anything."""
        seen: set[str] = set()
        todo = [role]
        while todo:
            for membership in self.roles[todo.pop()].memberships:
                usable = membership.set or membership.admin if way == "set" else membership.inherit
                if usable and membership.role not in seen and membership.role in self.roles:
                    seen.add(membership.role)
                    todo.append(membership.role)
        return frozenset(seen)

    def binds(self, role: str, table: str) -> bool:
        """Whether policies bind a role on a table: not when it is unbound, or acts as owner of a table not forced."""
        relation, who = self.relations[table], self.roles.get(role)
        if who is None or who.unbound or not relation.rls_enabled:
            return False
        if relation.rls_forced:
            return True
        return role != relation.owner and relation.owner not in self.reach(role, "inherit")


@dataclass(frozen=True)
class Finding:
    """What one rule says about one object."""

    rule: str
    """`policy.always_true`, `view.bypass` …"""
    kind: Literal["gap", "weakness", "server"]
    """A gap lets a session reach another tenant's rows. A weakness tells that they exist, or waits for one more step.
    `server`: of the server, whatever the schema."""
    object: str
    broken: bool | None
    """None: cannot be told."""
    sentence: str = ""
    policy: str = ""
    repair: str = ""
    """SQL that would close it."""
