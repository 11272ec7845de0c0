"""Rules about what tells that other tenants' rows exist, or carries them out by another way."""

from __future__ import annotations

from collections.abc import Iterator

from compliancectl.collectors.postgres.isolation import repairs
from compliancectl.collectors.postgres.isolation.model import Facts, Finding
from compliancectl.collectors.postgres.isolation.objects import Channel, Key, Relation
from compliancectl.collectors.postgres.purge import quoted


def references(facts: Facts) -> Iterator[Finding]:
    """A foreign key between tenants' tables contains the tenant key on both sides.

    Foreign keys ignore row-level security: one without the tenant key tells whether another tenant's row exists, and
    unless the policy's check looks at the parent, a row can be hung on it (level 1 tries that).
    """
    for key in facts.keys:
        child, parent = facts.relations.get(key.relation), facts.relations.get(key.parent or "")
        if key.kind != "foreign key" or child is None or parent is None or not child.tenant_key:
            continue
        if not facts.holds_tenants(child.qualified) or not facts.holds_tenants(parent.qualified):
            continue
        root = parent.qualified == facts.declared["tenant_root"]
        writers = [r for r in facts.app_roles if _writes(child, r, key)]
        broken = bool(writers) and not root and not _carries_tenant(child, parent, key) and bool(parent.tenant_key)
        yield Finding(
            "fk.existence_oracle",
            "weakness",
            f"{key.relation}/{key.name}",
            broken,
            f"Foreign key {key.name} of {key.relation} leaves the tenant key out, so that it tells which rows of "
            f"{key.parent} exist at other tenants.",
            repair=repairs.composite(child, parent, key),
        )


def _writes(relation: Relation, role: str, key: Key) -> bool:
    access = relation.access.get(role, {})
    return bool(access.get("usage")) and any(
        set(key.columns) <= set(access.get(way, ())) for way in ("insertable", "updatable")
    )


def _carries_tenant(child: Relation, parent: Relation, key: Key) -> bool:
    pairs = set(zip(key.columns, key.parent_columns, strict=True))
    return (child.tenant_key, parent.tenant_key) in pairs


def cascades(facts: Facts) -> Iterator[Finding]:
    """No foreign key lets the deletion or change of a row that is nobody's reach into tenants' tables.

    The server follows a foreign key with rights of its own, whatever the policies of the child say.
    """
    for key in facts.keys:
        parent = facts.relations.get(key.parent or "")
        if key.kind != "foreign key" or parent is None or not facts.holds_tenants(key.relation):
            continue
        for operation, follows in (("DELETE", key.deletes_along), ("UPDATE", key.changes_along)):
            for role in facts.app_roles if follows else ():
                broken = _may_start(facts, parent, role, operation, key)
                verb = "delete" if operation == "DELETE" else "change the key of"
                yield Finding(
                    "fk.cascade",
                    "gap",
                    f"{key.relation}/{key.name}/{operation} for {role}",
                    broken,
                    f"{role} may {verb} rows of {parent.qualified}, which are no tenant's, and {key.name} then deletes or changes "
                    f"every tenant's rows of {key.relation} that refer to them.",
                    repair=f"REVOKE {operation} ON {parent.qualified} FROM {quoted(role)}, PUBLIC;",
                )


def _may_start(facts: Facts, parent: Relation, role: str, operation: str, key: Key) -> bool | None:
    """Whether a role can delete a parent row, or change its key, whatever tenant it works for; None: a condition decides."""
    touches = operation == "DELETE" or set(key.parent_columns) & set(parent.access.get(role, {}).get("updatable", ()))
    if facts.holds_tenants(parent.qualified) or not parent.allows(role, operation) or not touches:
        return False
    if not facts.binds(role, parent.qualified):
        return True
    serving = [p for p in facts.policies.get(parent.qualified, ()) if p.serves(role, operation)]
    if not any(p.permissive and p.using for p in serving):
        return False
    return True if {p.using for p in serving} == {"true"} else None


def uniqueness(facts: Facts) -> Iterator[Finding]:
    """What must be unique is unique within a tenant, unless the server itself makes the value."""
    for key in facts.keys:
        relation = facts.relations.get(key.relation)
        if key.kind != "unique" or relation is None or not relation.tenant_key or relation.shared:
            continue
        if relation.tenant_key in key.columns or not facts.holds_tenants(relation.qualified):
            continue
        columns = [relation.columns[name] for name in key.columns if name in relation.columns]
        chosen = not columns or any(c.made not in ("identity", "generated", "random") for c in columns)
        # A key of random values (UUIDs) cannot be guessed; one that people choose can.
        guessable = not columns or any(c.type != "uuid" for c in columns)
        writers = [r for r in facts.app_roles if relation.allows(r, "INSERT") or relation.allows(r, "UPDATE")]
        yield Finding(
            "unique.existence_oracle",
            "weakness",
            f"{key.relation}/{key.name}",
            bool(writers) and chosen and guessable,
            f"{', '.join(key.columns)} of {key.relation} must be unique over all tenants, so that a refusal tells what others have.",
            repair=repairs.within_tenant(relation, key),
        )


def channels(facts: Facts) -> Iterator[Finding]:
    """Sequences, grants on what is to come, publications, and large objects."""
    for channel in facts.channels:
        if channel.kind == "sequence" and facts.holds_tenants(channel.detail):
            yield Finding(
                "sequence.volume_leak",
                "weakness",
                f"{channel.name} for {channel.role}",
                True,
                f"{channel.role} may read sequence {channel.name}, which tells how many rows all tenants make in {channel.detail}.",
                repair=f"REVOKE SELECT ON SEQUENCE {channel.name} FROM {quoted(channel.role)};",
            )
        elif channel.kind == "default grant":
            yield Finding(
                "grant.default_privileges",
                "weakness",
                f"{channel.name} to {channel.role}: {channel.detail}",
                True,
                f"{channel.role} will hold {channel.detail} in {channel.name}, before anybody has given them policies.",
                repair=repairs.default_grant(channel),
            )
        elif channel.kind == "publication":
            yield from _publication(facts, channel)
        elif channel.kind == "large objects":
            yield Finding(
                "large_object.unbound",
                "gap",
                f"{channel.name} for {channel.role}",
                True,
                f"{channel.role} may read or change large objects ({channel.detail} of them), which no policy covers: whoever "
                "knows a number, and every session may list them, has the content.",
                repair=f"-- keep such content in a bytea column of a table with policies, and take the objects from {quoted(channel.role)}",
            )


def _publication(facts: Facts, channel: Channel) -> Iterator[Finding]:
    table, _, columns = channel.detail.removesuffix(")").partition(" (filtered by ")
    if facts.holds_tenants(table):
        key = facts.relations[table].tenant_key
        yield Finding(
            "publication.rls_bypass",
            "weakness",
            f"{channel.name}/{table}",
            key not in columns.split(", "),
            f"Publication {channel.name} sends every tenant's rows of {table} to its subscribers.",
            repair=repairs.unpublish(channel, table),
        )


def notifications(facts: Facts) -> Iterator[Finding]:
    """No trigger sends rows by NOTIFY: any session of the database may LISTEN."""
    for trigger in facts.triggers:
        function = facts.functions.get(trigger.function)
        if function is not None and facts.holds_tenants(trigger.relation):
            yield Finding(
                "notify.leak",
                "gap",
                f"{trigger.relation}/{trigger.name}",
                function.notifies_rows,
                f"Trigger {trigger.name} sends rows of {trigger.relation} by NOTIFY, and every session may LISTEN.",
                repair=f"DROP TRIGGER {quoted(trigger.name)} ON {trigger.relation};",
            )


def leakproof(facts: Facts) -> Iterator[Finding]:
    """No function of the application is LEAKPROOF: the server would run it on rows that policies have not yet judged."""
    for function in facts.functions.values():
        yield Finding(
            "function.leakproof",
            "gap",
            function.signature,
            function.leakproof and bool(function.callers),
            f"{function.signature} is marked LEAKPROOF, so it may see rows before the policies do.",
            repair=f"ALTER ROUTINE {function.signature} NOT LEAKPROOF;",
        )
