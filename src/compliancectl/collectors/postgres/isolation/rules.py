"""L0: the rules over facts of the catalogue. Each speaks of every object of its population, broken or not.

Whether a policy's expression is right is not decided here: a text that looks right may be wrong, and the other way
round (`predicates`).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import Literal

from compliancectl.collectors.postgres.isolation import doors, engine, leaks, repairs
from compliancectl.collectors.postgres.isolation.model import Facts, Finding
from compliancectl.collectors.postgres.isolation.objects import OPERATIONS, Relation, Role
from compliancectl.collectors.postgres.purge import quoted

Rule = Callable[[Facts], Iterator[Finding]]


def findings(facts: Facts) -> list[Finding]:
    """What every rule says, sorted by rule and object."""
    found = [finding for rule in RULES for finding in rule(facts)]
    return sorted(found, key=lambda f: (f.rule, f.object, f.sentence))


def _tables(facts: Facts) -> Iterator[Relation]:
    for relation in facts.relations.values():
        if relation.is_table and facts.holds_tenants(relation.qualified):
            yield relation


def disabled(facts: Facts) -> Iterator[Finding]:
    """A table with tenants' rows that an application role reaches has row-level security."""
    for relation in _tables(facts):
        roles = [role for role in facts.app_roles if relation.reachable(role) and not facts.roles[role].unbound]
        rule = "rls.partition_child" if relation.parents else "rls.disabled"
        past = f" past its parent {relation.parents[0]}" if relation.parents else ""
        yield Finding(
            rule,
            "gap",
            relation.qualified,
            bool(roles) and not relation.rls_enabled,
            f"Row-level security is off on {relation.qualified}, which {', '.join(roles)} reaches{past}.",
            repair=repairs.protect(facts, relation),
        )


_TENANT = re.compile(
    r"(tenant|org(ani[sz]ation)?|account|company|customer|client|workspace|school|team)_?(id|uuid|key|ref)$", re.I
)
_PERSONAL = re.compile(
    r"(e_?mail|phone|first_?name|last_?name|full_?name|birth|address|iban|passport|ssn|password|token)", re.I
)


def unclassified(facts: Facts) -> Iterator[Finding]:
    """A table that an application role reaches has a tenant key, belongs to one that has, or is declared shared.

    With a column that looks like a tenant's key or like personal data it is a gap; otherwise nobody has said anything.
    """
    for relation in facts.relations.values():
        if relation.kind not in ("r", "p", "f") or relation.shared or relation.in_extension:
            continue
        known = facts.holds_tenants(relation.qualified)
        reached = any(relation.reachable(role) for role in facts.app_roles)
        telling = sorted(name for name in relation.columns if _TENANT.search(name) or _PERSONAL.search(name))
        yield Finding(
            "table.unclassified",
            "gap" if telling else "weakness",
            relation.qualified,
            reached and not known,
            f"{relation.qualified} has no tenant key and no policies, and is not declared shared"
            + (f", though it has {', '.join(telling)}." if telling else "."),
            repair=repairs.declare(relation),
        )


def metadata(facts: Facts) -> Iterator[Finding]:
    """No policy believes what users may write about themselves into their token."""
    for policies in facts.policies.values():
        for policy in policies:
            yield Finding(
                "policy.trusts_user_metadata",
                "gap",
                f"{policy.relation}/{policy.name}",
                "user_metadata" in f"{policy.using} {policy.check}",
                f"Policy {policy.name} on {policy.relation} believes user_metadata, which users themselves may change.",
                policy.text,
                "-- read app_metadata, or a table of memberships, instead of user_metadata",
            )


def forced(facts: Facts) -> Iterator[Finding]:
    """No application role acts as owner of a table, or can become it: the owner may switch the policies off."""
    for relation in _tables(facts):
        for role in facts.declared["declared_roles"]:
            acts = role == relation.owner or relation.owner in facts.reach(role, "inherit")
            becomes = acts or relation.owner in facts.reach(role, "set")
            yield Finding(
                "rls.not_forced",
                "gap",
                f"{relation.qualified} for {role}",
                acts and relation.rls_enabled and not relation.rls_forced,
                f"{role} acts as owner {relation.owner} of {relation.qualified}, whom the policies do not bind.",
                repair=f"ALTER TABLE {relation.qualified} FORCE ROW LEVEL SECURITY;",
            )
            leave = (
                f"ALTER TABLE {relation.qualified} OWNER TO {repairs.keeper(facts)};"
                if role == relation.owner
                else f"REVOKE {quoted(relation.owner)} FROM {quoted(role)};"
            )
            yield Finding(
                "rls.owner_can_disable",
                "gap",
                f"{relation.qualified} for {role}",
                becomes,
                f"{role} is or can become {relation.owner}, the owner of {relation.qualified}, and switch its policies off.",
                repair=leave,
            )


def powers(facts: Facts) -> Iterator[Finding]:
    """No application role is beyond policies, or can become a role that is."""
    for name in facts.declared["declared_roles"]:
        role = facts.roles[name]
        yield Finding(
            "role.bypassrls",
            "gap",
            name,
            role.unbound,
            f"The application's role {name} is {'a superuser' if role.superuser else 'BYPASSRLS'}: no policy binds it.",
            repair=f"ALTER ROLE {quoted(name)} NOSUPERUSER NOBYPASSRLS;",
        )
        reached = sorted(facts.reach(name, "set") | facts.reach(name, "inherit"))
        unbound = [other for other in reached if facts.roles[other].unbound]
        yield Finding(
            "role.superuser_reachable",
            "gap",
            name,
            bool(unbound),
            f"{name} can become {', '.join(unbound)}, whom no policy binds.",
            repair=" ".join(f"REVOKE {quoted(other)} FROM {quoted(name)};" for other in unbound),
        )
        yield from _attributes(facts, role, reached)


def _attributes(facts: Facts, role: Role, reached: list[str]) -> Iterator[Finding]:
    everyone = [role, *(facts.roles[other] for other in reached)]
    makers = [r.name for r in everyone if r.create_role and not r.superuser]
    yield Finding(
        "role.create_role",
        "gap",
        role.name,
        bool(makers) and facts.version < 160000,
        f"{', '.join(makers)} may create roles, and before PostgreSQL 16 that means to join almost any role.",
        repair=" ".join(f"ALTER ROLE {quoted(name)} NOCREATEROLE;" for name in makers),
    )
    copiers = [r.name for r in everyone if r.replication and not r.superuser]
    yield Finding(
        "role.replication",
        "gap",
        role.name,
        bool(copiers),
        f"{', '.join(copiers)} may replicate, that is read every row of every tenant.",
        repair=" ".join(f"ALTER ROLE {quoted(name)} NOREPLICATION;" for name in copiers),
    )
    servers = sorted({"pg_execute_server_program", "pg_read_server_files", "pg_write_server_files"} & set(reached))
    yield Finding(
        "role.server_access",
        "gap",
        role.name,
        bool(servers),
        f"{role.name} is in {', '.join(servers)} and reaches the files beneath the tables.",
        repair=" ".join(f"REVOKE {name} FROM {quoted(role.name)};" for name in servers),
    )


def grants(facts: Facts) -> Iterator[Finding]:
    """No application role holds a table privilege that policies do not restrict."""
    for relation in _tables(facts):
        for role in facts.app_roles:
            if facts.roles[role].unbound or role == relation.owner or relation.owner in facts.reach(role, "inherit"):
                continue
            for privilege, rule, kind, harm in _BEYOND:
                yield Finding(
                    rule,
                    kind,
                    f"{relation.qualified} for {role}",
                    relation.allows(role, privilege),
                    f"{role} holds {privilege} on {relation.qualified}: {harm}.",
                    repair=f"REVOKE {privilege} ON {relation.qualified} FROM {quoted(role)}, PUBLIC;",
                )


_BEYOND: tuple[tuple[str, str, Literal["gap", "weakness"], str], ...] = (
    ("TRUNCATE", "rls.truncate_granted", "gap", "it removes every tenant's rows, and no policy is asked"),
    ("REFERENCES", "rls.can_reference", "weakness", "a foreign key tells which rows of others exist"),
    ("MAINTAIN", "rls.can_maintain", "weakness", "it can lock the table against the sessions of every other tenant"),
    ("TRIGGER", "rls.can_trigger", "weakness", "a trigger sees the rows that other sessions write"),
)


def contexts(facts: Facts) -> Iterator[Finding]:
    """No preset puts a session into a tenant, or row security off, before the application has said a word."""
    settings = {name for context in facts.declared["contexts"].values() for name in context["settings"]}
    watched = settings | {"row_security", "session_replication_role"}
    presets = {(c.name, c.role, c.detail) for c in facts.channels if c.kind == "preset"}
    for name in sorted(watched):
        found = sorted((role, database) for preset, role, database in presets if preset == name)
        yield Finding(
            "context.preset",
            "gap",
            name,
            bool(found),
            f"{name} is preset for {', '.join(f'role {r} in database {d}' for r, d in found)}: a session that says nothing is somebody.",
            repair=" ".join(f"ALTER ROLE {'ALL' if r == '*' else quoted(r)} RESET {name};" for r, _ in found),
        )


def presets(facts: Facts) -> Iterator[Finding]:
    """No function that touches tenants' rows makes its caller somebody while it runs."""
    settings = {name for context in facts.declared["contexts"].values() for name in context["settings"]}
    fired = {trigger.function for trigger in facts.triggers}
    for function in facts.functions.values():
        usable = function.callers or function.signature in fired
        for name in sorted(function.presets & settings):
            yield Finding(
                "context.preset",
                "gap",
                f"{name} in {function.signature}",
                bool(usable and (doors.reached(facts, function) or function.dynamic)),
                f"{function.signature} sets {name} for itself: whoever calls it is another tenant while it runs.",
                repair=f"ALTER ROUTINE {function.signature} RESET {name};",
            )


def owned_helpers(facts: Facts) -> Iterator[Finding]:
    """No policy believes a function that an application role owns, or can become the owner of, and so may redefine."""
    for policies in facts.policies.values():
        for policy in policies:
            for function in facts.called(policy.functions):
                owners = [
                    role
                    for role in facts.declared["declared_roles"]
                    if function.owner in {role} | facts.reach(role, "inherit") | facts.reach(role, "set")
                ]
                yield Finding(
                    "policy.trusts_own_function",
                    "gap",
                    f"{policy.relation}/{policy.name}/{function.signature}",
                    bool(owners),
                    f"Policy {policy.name} on {policy.relation} believes {function.signature}, which {', '.join(owners)} owns or "
                    "can become the owner of, and so may redefine.",
                    policy.text,
                    f"ALTER ROUTINE {function.signature} OWNER TO {repairs.keeper(facts)};",
                )


def immutable(facts: Facts) -> Iterator[Finding]:
    """No function in a policy is IMMUTABLE and reads a setting: a cached plan would keep the first tenant."""
    for policies in facts.policies.values():
        for policy in policies:
            for signature in policy.functions:
                function = facts.functions.get(signature)
                if function is not None:
                    yield Finding(
                        "policy.immutable_context",
                        "gap",
                        f"{policy.relation}/{policy.name}/{signature}",
                        function.volatility == "i" and bool(function.settings or function.tables or function.functions),
                        f"Policy {policy.name} on {policy.relation} calls {signature}, which is declared IMMUTABLE but "
                        "reads the session: a cached plan keeps the first tenant.",
                        policy.text,
                        f"ALTER ROUTINE {signature} STABLE;",
                    )


def unreachable(facts: Facts) -> Iterator[Finding]:
    """A table with tenants' rows whose key may be NULL holds rows that belong to nobody."""
    for relation in _tables(facts):
        key = relation.columns.get(relation.tenant_key or "")
        if key is not None:
            reached = any(relation.allows(role, op) for role in facts.app_roles for op in OPERATIONS)
            yield Finding(
                "policy.tenant_key_nullable",
                "weakness",
                relation.qualified,
                not key.not_null and reached,
                f"The tenant key {key.name} of {relation.qualified} may be empty: such rows belong to no tenant.",
                repair=f"ALTER TABLE {relation.qualified} ALTER COLUMN {quoted(key.name)} SET NOT NULL;",
            )


RULES: tuple[Rule, ...] = (
    disabled,
    unclassified,
    forced,
    powers,
    grants,
    contexts,
    presets,
    owned_helpers,
    immutable,
    metadata,
    unreachable,
    doors.views,
    doors.functions,
    doors.triggers,
    doors.rules,
    doors.lookups,
    leaks.references,
    leaks.cascades,
    leaks.uniqueness,
    leaks.channels,
    leaks.notifications,
    leaks.leakproof,
    engine.vulnerabilities,
)
