"""SQL that would close a gap, for the owner to review and run. Pure."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Sequence

from compliancectl.collectors.postgres.isolation.model import Facts
from compliancectl.collectors.postgres.isolation.objects import Channel, Key, Policy, Relation
from compliancectl.collectors.postgres.purge import quoted
from compliancectl.collectors.postgres.redact import GONE

_LOOSE = re.compile(r"\bOR\b|\bIS\b|\bCOALESCE\b|\bCASE\b|\bTRUE\b|~|'[^']*" + GONE, re.IGNORECASE)
"""What a condition must not hold to be taken as an example for other tables."""
_TELLS = re.compile(r"current_setting\(|\bSELECT\b|\bCURRENT_USER\b|\bSESSION_USER\b|\w\(", re.IGNORECASE)
KEY = "\N{NULL}"


def protect(facts: Facts, relation: Relation) -> str:
    """SQL that puts a table under row-level security, and under a policy if it has none."""
    table, condition = f"ALTER TABLE {relation.qualified}", scope(facts, relation)
    enable = f"{table} ENABLE ROW LEVEL SECURITY; {table} FORCE ROW LEVEL SECURITY;"
    if facts.policies.get(relation.qualified):
        return enable
    if condition is None:
        return f"{enable} {declare(relation)}"
    return f"{enable} CREATE POLICY tenant ON {relation.qualified} USING ({condition}) WITH CHECK ({condition});"


def declare(relation: Relation) -> str:
    """What to do where the declarations tell no condition: say whose the table is, or how a session gets its tenant."""
    if relation.tenant_key:
        return f"-- bind {relation.tenant_key} of {relation.qualified} to the session's tenant in its policies"
    return f"-- declare {relation.qualified} under shared_tables with the reason, or give it a tenant key"


def scope(facts: Facts, relation: Relation) -> str | None:
    """The condition that binds a table to the session's tenant; None: nothing tells it.

    By the setting that holds the tenant, if the contexts declare one; as policies of other tables have it; or by the
    row of a parent, which its own policies restrict.
    """
    key = relation.tenant_key
    if key is None:
        return _by_parent(facts, relation)
    settings = {
        name
        for context in facts.declared["contexts"].values()
        if context["tenant"]
        for name, value in context["settings"].items()
        if value == context["tenant"]
    }
    if settings:
        name = min(settings).replace("'", "''")
        return f"{quoted(key)} = nullif(current_setting('{name}', true), '')::{relation.columns[key].type}"
    return _as_others(facts, relation, key)


def _by_parent(facts: Facts, relation: Relation) -> str | None:
    for key in facts.keys:
        parent = facts.relations.get(key.parent or "")
        if key.relation != relation.qualified or parent is None or parent.qualified == relation.qualified:
            continue
        if (parent.tenant_key and not parent.shared) or parent.qualified in facts.derived:
            pairs = zip(key.columns, key.parent_columns, strict=True)
            same = " AND ".join(f"p.{quoted(there)} = {quoted(relation.name)}.{quoted(here)}" for here, there in pairs)
            return f"EXISTS (SELECT FROM {parent.qualified} p WHERE {same})"
    return None


def _as_others(facts: Facts, relation: Relation, key: str) -> str | None:
    """The condition on the tenant key alone that most policies of other tables have."""
    seen: Counter[str] = Counter()
    for policies in facts.policies.values():
        for policy in policies:
            text = _example(facts, policy)
            if text is not None and relation.qualified not in facts.looked_into(policy):
                seen[text] += 1
    best = min(seen.items(), key=lambda item: (-item[1], item[0]), default=None)
    return best[0].replace(KEY, f"{quoted(relation.name)}.{quoted(key)}") if best else None


def _example(facts: Facts, policy: Policy) -> str | None:
    """A policy's condition with the tenant key taken out, if it looks at that key alone and binds it to the session."""
    relation = facts.relations.get(policy.relation)
    text = policy.using or policy.check
    if relation is None or relation.tenant_key is None or text is None or not policy.permissive:
        return None
    if policy.columns != (relation.tenant_key,) or _LOOSE.search(text) or not _TELLS.search(text):
        return None
    name = relation.tenant_key
    ways = "|".join(re.escape(way) for way in {name, quoted(name)})
    before = "|".join(re.escape(way) for way in {relation.name, quoted(relation.name)})
    return re.sub(rf'(?:(?<![\w".])(?:{before})\.|(?<![\w".]))(?:{ways})(?![\w".(])', KEY, text)


def alter(facts: Facts, relation: Relation, rule: str, policies: Sequence[Policy]) -> str:
    """SQL for policies that are open for a reason."""
    if rule == "policy.not_for_role":
        restrictive = [p for p in facts.policies[relation.qualified] if not p.permissive]
        return " ".join(f"ALTER POLICY {quoted(p.name)} ON {relation.qualified} TO PUBLIC;" for p in restrictive)
    if rule == "policy.trusts_writable_table":
        return " ".join(_tied(facts, relation)) or "-- " + _TIE.format(relation=relation.qualified)
    condition = scope(facts, relation)
    if rule == "policy.shared_writable" and condition is not None:
        return " ".join(_restricted(relation, condition))
    if condition is None and rule != "policy.second_permissive":
        return declare(relation)
    return " ".join(_statement(relation, rule, policy, condition or "") for policy in policies)


def _restricted(relation: Relation, condition: str) -> Iterator[str]:
    """Restrictive policies for writing alone; what may be read stays as it is."""
    for command, clause in (("INSERT", "WITH CHECK"), ("UPDATE", "USING"), ("DELETE", "USING")):
        name = f"own_rows_{command.lower()}"
        yield f"CREATE POLICY {name} ON {relation.qualified} AS RESTRICTIVE FOR {command} {clause} ({condition});"


_TIE = "give {relation} the tenant key, and put it into the foreign key to the row that a row here opens"


def _statement(relation: Relation, rule: str, policy: Policy, condition: str) -> str:
    name = f"{quoted(policy.name)} ON {relation.qualified}"
    if rule == "policy.second_permissive":
        return f"DROP POLICY {name};"
    if rule == "policy.write_gap":
        return f"ALTER POLICY {name} WITH CHECK ({condition});"
    # What such a policy asks for besides the tenant stays.
    keep = rule == "policy.tenant_key_uncovered"
    using = f" USING ({_both(policy.using, condition, keep)})" if policy.command != "INSERT" else ""
    written = policy.check or policy.command == "INSERT"
    check = f" WITH CHECK ({_both(policy.check, condition, keep)})" if written else ""
    return f"ALTER POLICY {name}{using}{check};"


def _both(text: str | None, condition: str, keep: bool) -> str:
    return f"{text} AND {condition}" if keep and text and GONE not in text else condition


def _tied(facts: Facts, relation: Relation) -> Iterator[str]:
    """Foreign keys with the tenant key in them, to tables whose policies look into this one."""
    for key in facts.keys:
        parent = facts.relations.get(key.parent or "")
        if key.relation != relation.qualified or parent is None or not (relation.tenant_key and parent.tenant_key):
            continue
        opens = any(relation.qualified in facts.looked_into(p) for p in facts.policies.get(parent.qualified, ()))
        if opens and relation.tenant_key not in key.columns:
            yield composite(relation, parent, key)


def composite(child: Relation, parent: Relation, key: Key) -> str:
    """SQL that puts the tenant key into a foreign key."""
    ours, theirs = child.tenant_key or "", parent.tenant_key or ""
    there = ", ".join(map(quoted, (theirs, *key.parent_columns)))
    here = ", ".join(map(quoted, (ours, *key.columns)))
    return (
        f"ALTER TABLE {parent.qualified} ADD UNIQUE ({there}); ALTER TABLE {child.qualified} "
        f"DROP CONSTRAINT {quoted(key.name)}, ADD FOREIGN KEY ({here}) REFERENCES {parent.qualified} ({there});"
    )


def within_tenant(relation: Relation, key: Key) -> str:
    """SQL that makes unique within a tenant what is unique over all of them."""
    tenant = relation.tenant_key or ""
    if key.partial:
        return f"-- put {tenant} first into what {key.name} makes unique"
    columns = ", ".join(map(quoted, (tenant, *key.columns)))
    if not key.is_constraint:
        schema = relation.qualified.removesuffix(relation.qualified.rpartition(".")[2])
        return f"DROP INDEX {schema}{quoted(key.name)}; CREATE UNIQUE INDEX ON {key.relation} ({columns});"
    kind = "PRIMARY KEY" if key.is_primary else "UNIQUE"
    return f"ALTER TABLE {key.relation} DROP CONSTRAINT {quoted(key.name)}, ADD {kind} ({columns});"


def default_grant(channel: Channel) -> str:
    """SQL that takes back a privilege on what is yet to come."""
    privilege, _, owner = channel.detail.partition(" on tables of ")
    where = "" if channel.name.startswith("(") else f" IN SCHEMA {channel.name}"
    whom = channel.role if channel.role == "PUBLIC" else quoted(channel.role)
    return f"ALTER DEFAULT PRIVILEGES FOR ROLE {quoted(owner)}{where} REVOKE {privilege} ON TABLES FROM {whom};"


def unpublish(channel: Channel, table: str) -> str:
    """SQL that takes a table out of a publication, as far as the publication was made of tables."""
    name = quoted(channel.name)
    if channel.role == "schema":
        return f"ALTER PUBLICATION {name} DROP TABLES IN SCHEMA {table.partition('.')[0]};"
    if channel.role == "table":
        return f"ALTER PUBLICATION {name} DROP TABLE {table};"
    return f"-- {name} publishes all tables: make one of those that hold nothing of any tenant instead"


def invoke(facts: Facts, views: Sequence[str]) -> str:
    """SQL that makes views read with the rights of their callers."""
    if facts.version >= 150000:
        return " ".join(f"ALTER VIEW {view} SET (security_invoker = true);" for view in views)
    return " ".join(f"ALTER VIEW {view} OWNER TO {keeper(facts)};" for view in views)


def keeper(facts: Facts) -> str:
    """A role to own things that no application role is or can become; the one that owns most already, if there is one."""
    taken = set(facts.app_roles).union(*(facts.reach(r, "set") | facts.reach(r, "inherit") for r in facts.app_roles))
    owners = Counter(
        relation.owner
        for relation in facts.relations.values()
        if relation.owner in facts.roles and relation.owner not in taken and not facts.roles[relation.owner].unbound
    )
    best = min(owners.items(), key=lambda item: (-item[1], item[0]), default=None)
    return quoted(best[0]) if best else "a_role_that_nobody_is_in"
