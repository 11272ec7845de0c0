"""Rules about what reads or writes with rights other than the caller's: views, functions, triggers, rules, lookups."""

from __future__ import annotations

from collections.abc import Iterator

from compliancectl.collectors.postgres.isolation import reasons, repairs
from compliancectl.collectors.postgres.isolation.model import Facts, Finding
from compliancectl.collectors.postgres.isolation.objects import Function, Policy, Relation
from compliancectl.collectors.postgres.purge import quoted


def views(facts: Facts) -> Iterator[Finding]:
    """No view, materialized view or foreign table shows an application role what policies would hide."""
    for relation in facts.relations.values():
        users = [role for role in facts.app_roles if relation.reachable(role)]
        if relation.in_extension or relation.shared:
            continue
        if relation.kind == "v":
            yield _view(facts, relation, users)
        elif relation.kind == "m":
            tenants = sorted(b for b in facts.bases(relation.qualified) if facts.holds_tenants(b))
            yield Finding(
                "view.materialized",
                "gap",
                relation.qualified,
                bool(users and tenants),
                f"{', '.join(users)} reads materialized view {relation.qualified}, a copy of {', '.join(tenants)} without policies.",
                repair=f"REVOKE ALL ON {relation.qualified} FROM {', '.join(map(quoted, users or ['PUBLIC']))};",
            )
        elif relation.kind == "f" and relation.tenant_key:
            yield Finding(
                "view.foreign_table",
                "gap",
                relation.qualified,
                bool(users),
                f"{', '.join(users)} reaches foreign table {relation.qualified}, which cannot have policies.",
                repair=f"REVOKE ALL ON {relation.qualified} FROM {', '.join(map(quoted, users or ['PUBLIC']))};",
            )


def _view(facts: Facts, view: Relation, users: list[str]) -> Finding:
    unbound = sorted(
        {
            (owner, table)
            for owner, table in reasons.readers_as(facts, view.qualified)
            if facts.holds_tenants(table) and owner in facts.roles and not facts.binds(owner, table)
        }
    )
    reads = ", ".join(f"{table} as {owner}" for owner, table in unbound)
    below = sorted(b for b in facts.bases(view.qualified) if facts.relations[b].kind == "v")
    repair = repairs.invoke(
        facts, [name for name in (view.qualified, *below) if not reasons.invoker(facts.relations[name])]
    )
    sentence = f"View {view.qualified}, open to {', '.join(users)}, reads {reads}, whom the policies do not bind."
    return Finding("view.bypass", "gap", view.qualified, bool(users and unbound), sentence, repair=repair)


def functions(facts: Facts) -> Iterator[Finding]:
    """No SECURITY DEFINER function lends an application role the eyes of somebody whom policies do not bind."""
    helpers = {name for policies in facts.policies.values() for policy in policies for name in policy.functions}
    for function in facts.functions.values():
        if not function.definer:
            continue
        callers = sorted(function.callers)
        trusted = is_trusted(facts, function)
        tables = [t for t in reached(facts, function) if not facts.binds(function.owner, t)]
        helper = function.signature in helpers and is_helper(function)
        blind = function.dynamic and _beyond(facts, function.owner)
        shows = bool(callers) and not trusted and not helper and not function.fires and bool(tables or blind)
        what = ", ".join(tables) or "tables that only its dynamic SQL knows"
        yield Finding(
            "function.definer_reads",
            "gap",
            function.signature,
            shows,
            f"{', '.join(callers)} may call {function.signature}, which touches {what} with the rights of {function.owner}.",
            repair=invoker(function),
        )
        yield Finding(
            "function.definer_search_path",
            "gap",
            function.signature,
            bool(callers) and not function.fires and hijackable(facts, function),
            f"{function.signature} runs with the rights of {function.owner} and finds its tables by a path that the caller can bend.",
            repair=f"ALTER ROUTINE {function.signature} SET search_path = pg_catalog, pg_temp;",
        )


_SCALARS = ("boolean", "uuid", "integer", "bigint", "text", "character varying")


def is_helper(function: Function) -> bool:
    """Whether a function that a policy calls answers with keys alone, so that what it says is tried where it is used.

    A list of keys counts only if nobody can ask for somebody else's: it takes no key.
    """
    if function.dynamic or function.returns not in _SCALARS:
        return False
    return not function.returns_set or not set(function.arguments) & set(_SCALARS[1:])


def _beyond(facts: Facts, owner: str) -> bool:
    """Whether policies leave a role unbound on some table with tenants' rows."""
    tables = (r.qualified for r in facts.relations.values() if r.is_table and facts.holds_tenants(r.qualified))
    return owner not in facts.roles or any(not facts.binds(owner, table) for table in tables)


def invoker(function: Function) -> str:
    """SQL that takes its owner's rights from a function."""
    return f"ALTER ROUTINE {function.signature} SECURITY INVOKER; {_reviewed(function)}"


def _reviewed(function: Function) -> str:
    return f"-- or review it and declare it under trusted_definers with body_sha256 {function.body_sha256}"


def is_trusted(facts: Facts, function: Function) -> bool:
    """Whether the scope declares the function as reviewed, with the body that was reviewed."""
    trusted = facts.declared["trusted_definers"]
    name = function.signature.replace(" ", "")
    return name in trusted and trusted[name] in (None, function.body_sha256)


def reached(facts: Facts, function: Function) -> list[str]:
    """Tables with tenants' rows that a function's body names, through views and what it calls with its own rights too."""
    return facts.tenant_tables_named(
        frozenset().union(*(f.tables | f.written for f in with_its_rights(facts, function)))
    )


def with_its_rights(facts: Facts, function: Function) -> list[Function]:
    """A function, and those it calls that have no rights of their own."""
    return [other for other in facts.called([function.signature]) if other is function or not other.definer]


def hijackable(facts: Facts, function: Function) -> bool:
    """Whether an application role can put an object of its own before one that a function names without schema.

    Temporary tables come first unless pg_temp stands last in the path; a SQL-standard body is bound when it is made.
    """
    if function.sql_body:
        return False
    if function.search_path is None:
        return bool(function.tables | function.written | function.bare) or function.dynamic
    path = [part.strip().strip('"') for part in function.search_path.split(",")]
    if path in ([""], []) or path[-1] == "pg_temp":
        open_schemas = {s for role in facts.app_roles for s in facts.roles[role].creates_in}
        return bool(set(path) & open_schemas) and bool(function.bare)
    temporary = any(facts.roles[role].temporary for role in facts.app_roles)
    return temporary and any(facts.names.get(name.lower()) for name in function.bare)


def triggers(facts: Facts) -> Iterator[Finding]:
    """No trigger function reads or changes tenants' rows with rights beyond the policies."""
    for trigger in facts.triggers:
        function = facts.functions.get(trigger.function)
        relation = facts.relations.get(trigger.relation)
        if function is None or relation is None:
            continue
        fires = any(relation.allows(role, op) for role in facts.app_roles for op in ("INSERT", "UPDATE", "DELETE"))
        tables = [t for t in looked_at(facts, function) if not facts.binds(function.owner, t)]
        yield Finding(
            "trigger.definer",
            "gap",
            f"{trigger.relation}/{trigger.name}",
            function.definer and fires and bool(tables) and not is_trusted(facts, function),
            f"Trigger {trigger.name} on {trigger.relation} touches {', '.join(tables)} with the rights of {function.owner}.",
            repair=invoker(function),
        )


def looked_at(facts: Facts, function: Function) -> list[str]:
    """Tables with tenants' rows that a trigger's function reads or changes; what it only inserts into is a log."""
    return facts.tenant_tables_named(frozenset().union(*(f.tables for f in with_its_rights(facts, function))))


def rules(facts: Facts) -> Iterator[Finding]:
    """No rewrite rule touches tenants' rows with the rights of an owner whom policies do not bind."""
    for reader in facts.readers:
        relation = facts.relations.get(reader.reader)
        if reader.kind != "rule" or relation is None:
            continue
        fires = any(relation.allows(role, reader.event) for role in facts.app_roles)
        unbound = facts.holds_tenants(reader.base) and not facts.binds(relation.owner, reader.base)
        yield Finding(
            "rule.action",
            "gap",
            f"{reader.reader}/{reader.rule}/{reader.base}",
            fires and unbound and not _same_row(facts, reader.reader, reader.base),
            f"Rule {reader.rule} on {reader.reader} touches {reader.base} with the rights of {relation.owner}, whom the policies do not bind.",
            repair=f"DROP RULE {quoted(reader.rule)} ON {reader.reader};",
        )


def _same_row(facts: Facts, reader: str, base: str) -> bool:
    """Whether a rule on a view leads back to what the view reads: then the view itself is judged."""
    return base in facts.bases(reader)


def lookups(facts: Facts) -> Iterator[Finding]:
    """No policy trusts a table that an application role may write without being held back."""
    for policies in facts.policies.values():
        for policy in policies:
            for table in sorted(_consulted(facts, policy)):
                yield _lookup(facts, policy, table)


def _consulted(facts: Facts, policy: Policy) -> set[str]:
    """Other tables that a policy reads, itself or through its functions."""
    tables = {q for q in facts.looked_into(policy) if q in facts.relations and facts.relations[q].is_table}
    return tables - {policy.relation}


def _lookup(facts: Facts, policy: Policy, table: str) -> Finding:
    relation = facts.relations[table]
    columns = {column for other, column in policy.lookups if other == table and column}
    writers = []
    for role in facts.app_roles:
        access = relation.access.get(role, {})
        update = columns & set(access.get("updatable", ())) or (not columns and access.get("update"))
        if role in policy.applies_to and access.get("usage") and (access.get("insert") or update):
            writers.append(role)
    open_to = [role for role in writers if not facts.binds(role, table)]
    return Finding(
        "policy.trusts_writable_table",
        "gap",
        f"{policy.relation}/{policy.name}/{table}",
        bool(open_to),
        f"Policy {policy.name} on {policy.relation} believes {table}, which {', '.join(open_to)} may write without any policy.",
        policy.text,
        f"REVOKE INSERT, UPDATE ON {table} FROM {', '.join(map(quoted, open_to or ['PUBLIC']))};",
    )
