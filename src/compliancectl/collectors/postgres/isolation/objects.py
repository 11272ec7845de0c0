"""The objects of the catalogue, each as the rules see it."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from compliancectl.collectors.postgres.purge import quoted

WHOLE = ("integer", "bigint", "smallint", "numeric")
UUID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}", re.IGNORECASE)
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
            return bool(UUID.fullmatch(value))
        if self.type in (*WHOLE, "real", "double precision"):
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
    can_login: bool
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
    presets: frozenset[str]
    """Settings that it makes for itself while it runs (`SET` in its definition)."""
    settings_by_name: bool
    """Whether it reads settings whose names its callers give."""
    constants: frozenset[str]
    """Strings of its body; known while probing, not kept."""
    dynamic: bool
    notifies_rows: bool
    functions: tuple[str, ...]
    language: str
    procedure: bool
    required: int
    """How many of the arguments have no default."""

    @property
    def fires(self) -> bool:
        """Whether it is a trigger's, which nobody can call."""
        return self.returns in ("trigger", "event_trigger")


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
    deletes_along: bool = False
    """Of a foreign key: deleting the parent row deletes or changes rows here."""
    changes_along: bool = False
    """The same for changing the parent's key."""


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
    operations: frozenset[str] = frozenset()
    """What fires it."""


@dataclass(frozen=True)
class Channel:
    """One of the other ways out: kind, name, role, detail."""

    kind: str
    name: str
    role: str
    detail: str
