"""The catalogue as the rules see it, and what a rule says."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Literal

from compliancectl.collectors.postgres.isolation.objects import (
    Channel,
    Function,
    Key,
    Policy,
    Reader,
    Relation,
    Role,
    Trigger,
)


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
        known = relation.tenant_key or qualified in self.derived or relation.rls_enabled
        return bool(known or (relation.is_table and qualified in self._above))

    @cached_property
    def _above(self) -> frozenset[str]:
        """Tables through which rows of children with a tenant key are read, though they have none themselves."""
        found: set[str] = set()
        todo = [parent for r in self.relations.values() if r.tenant_key and not r.shared for parent in r.parents]
        while todo:
            name = todo.pop()
            if name not in found and name in self.relations:
                found.add(name)
                todo += self.relations[name].parents
        return frozenset(found)

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
