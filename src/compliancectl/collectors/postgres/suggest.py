"""Proposes the scope's section on a database from its catalogue. Every guess is marked as one; nobody's data is read."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from compliancectl.collectors.postgres.isolation import catalogue
from compliancectl.collectors.postgres.isolation.model import Facts
from compliancectl.collectors.postgres.isolation.objects import Relation
from compliancectl.collectors.postgres.isolation.variants import settings_read

if TYPE_CHECKING:
    from compliancectl.collectors.postgres.config import Database
    from compliancectl.collectors.postgres.session import PostgresSession

_TENANT = re.compile(
    r"(tenant|org(ani[sz]ation)?|account|company|customer|client|workspace|school|team|group|site)_?(id|uuid|key)$",
    re.I,
)
_OWNER = re.compile(r"(user|owner|author|creator|member|profile|person|uid)(_?(id|uuid|uid))?$|^created_by$", re.I)
_ROLE_ASKED = re.compile(r"\b(CURRENT_USER|SESSION_USER|CURRENT_ROLE)\b", re.I)
_USERS = re.compile(r"(user|account|people|person|member|profile|login|identit)", re.I)
_PEOPLE = re.compile(r"(e_?mail|password|first_?name|last_?name|last_login)", re.I)


@dataclass
class Guess:
    """What is proposed."""

    app_roles: list[tuple[str, str]] = field(default_factory=list)
    """Role and why."""
    tenant_keys: list[tuple[str, str]] = field(default_factory=list)
    root: tuple[str, str] | None = None
    """Table of the tenants and its key."""
    key_of: dict[str, str] = field(default_factory=dict)
    """Table → its tenant key, where that has another name."""
    settings: list[str] = field(default_factory=list)
    by_role: bool = False
    """Whether policies ask for the database role instead of a setting."""
    shared: list[str] = field(default_factory=list)
    definers: list[tuple[str, str]] = field(default_factory=list)
    """Signature and digest of the body."""
    people: str | None = None
    personal: list[str] = field(default_factory=list)
    """Tables without a tenant key that have columns about people."""
    unbound: list[str] = field(default_factory=list)
    """Roles that no policy binds."""


def read(session: PostgresSession, database: Database) -> Facts:
    """The catalogue with every role that could be the application's; nothing needs to be declared yet.

    Raises:
        CollectError: if the database cannot be read.
    """
    from compliancectl.collectors.postgres.session import Snapshot

    with session.door.connect(database) as connection:
        snapshot = Snapshot(connection, database)
        parts = catalogue.read(snapshot, database.model_copy(update={"app_roles": ()}))
        roles = [
            r["name"]
            for r in parts["roles"].records()
            if not str(r["name"]).startswith("pg_") and r["superuser"] == "f"
        ]
        everyone = database.model_copy(update={"app_roles": tuple(sorted(map(str, roles)))})
        parts = catalogue.read(snapshot, everyone)
        records = {part: answer.records() for part, answer in parts.items()}
        said = catalogue.said(everyone, everyone)
        return catalogue.facts(records, said, int(snapshot.facts["server_version_num"] or 0))


def guess(facts: Facts) -> Guess:
    """Guess from facts."""
    own = [r for r in facts.relations.values() if r.is_table and not r.in_extension]
    keys = _keys(own) or _owners(facts, own)
    found = Guess(tenant_keys=keys)
    key = keys[0][0] if keys else None
    found.root = _root(facts, key) if key else None
    found.key_of = _keys_of(facts, own, {name for name, _ in keys}, found.root)
    views = [r for r in facts.relations.values() if r.kind == "v" and not r.in_extension]
    found.app_roles = list(_app_roles(facts, [*own, *views]))
    found.settings = sorted(
        name for policies in facts.policies.values() for name in settings_read(policies, facts) if "." in name
    )
    found.settings = list(dict.fromkeys(found.settings))
    if "request.jwt.claims" in found.settings:
        # What older gateways set beside it.
        found.settings = [name for name in found.settings if not name.startswith("request.jwt.claim.")]
    texts = " ".join(f"{p.using} {p.check}" for policies in facts.policies.values() for p in policies)
    found.by_role = not found.settings and bool(_ROLE_ASKED.search(texts))
    names = {name for name, _ in keys}
    linked = {k.relation for k in facts.keys if k.parent and names & set(facts.relations[k.parent].columns)}
    root = found.root[0] if found.root else None
    keyless = [
        r
        for r in own
        if not names & set(r.columns) and r.qualified not in {*linked, root, *found.key_of}
        if not r.rls_enabled or _for_everybody(facts, r)
    ]
    found.personal = [r.qualified for r in keyless if any(_PEOPLE.search(c) for c in r.columns)]
    found.shared = [r.qualified for r in keyless if r.qualified not in found.personal]
    found.definers = [(f.signature, f.body_sha256) for f in facts.functions.values() if f.definer]
    people = [(len([c for c in r.columns if _PEOPLE.search(c)]), bool(_USERS.search(r.name)), r.qualified) for r in own]
    best = max(((bool(count >= 2), named, count, name) for count, named, name in people), default=None)
    found.people = best[3] if best and best[0] else None
    found.unbound = sorted(r.name for r in facts.roles.values() if r.unbound and not r.name.startswith("pg_"))
    return found


def _keys(tables: list[Relation]) -> list[tuple[str, str]]:
    """Columns that look like the tenant's key, the most frequent first."""
    counted = Counter(name for table in tables for name in table.columns if _TENANT.search(name))
    ranked = sorted(counted.items(), key=lambda item: (-item[1], item[0]))
    found: list[tuple[str, str]] = []
    for name, count in ranked:
        # A second key is worth a line only if it tells the tenant of tables that have none of those before it.
        more = [t for t in tables if name in t.columns and not any(known in t.columns for known, _ in found)]
        if (count > 1 or len(tables) < 4) and (not found or len(more) > 1) and len(found) < 3:
            found.append((name, f"in {count} of {len(tables)} tables"))
    return found


def _owners(facts: Facts, tables: list[Relation]) -> list[tuple[str, str]]:
    """Columns with people's keys that policies read, where each user is a tenant."""
    read = {t.qualified: {c for p in facts.policies.get(t.qualified, ()) for c in p.columns} for t in tables}
    counted = Counter(name for columns in read.values() for name in columns if _OWNER.search(name))
    ranked = sorted(counted.items(), key=lambda item: (-item[1], item[0]))
    return [(name, f"policies of {count} tables read it") for name, count in ranked][:2]


def _keys_of(facts: Facts, tables: list[Relation], keys: set[str], root: tuple[str, str] | None) -> dict[str, str]:
    """Tables whose key has another name: the tenants', and those whose policies look at their own identifier alone."""
    found = {root[0]: root[1]} if root else {}
    for table in tables:
        policies = [p for p in facts.policies.get(table.qualified, ()) if p.columns]
        own = {p.columns for p in policies} == {("id",)} and not any(p.lookups for p in policies)
        if keys and not keys & set(table.columns) and own and table.qualified not in found:
            found[table.qualified] = "id"
    return found


def _for_everybody(facts: Facts, table: Relation) -> bool:
    """Whether the policies say that everybody may read every row, and nothing more."""
    policies = facts.policies.get(table.qualified, ())
    return bool(policies) and all(p.command == "SELECT" and p.using == "true" for p in policies)


def _root(facts: Facts, key: str) -> tuple[str, str] | None:
    """The table that most foreign keys of the tenant's key lead to."""
    targets = Counter(
        (k.parent, k.parent_columns[0])
        for k in facts.keys
        if k.parent and k.columns == (key,) and k.parent != k.relation
    )
    best = targets.most_common(1)
    return (str(best[0][0][0]), best[0][0][1]) if best else None


def _app_roles(facts: Facts, tables: list[Relation]) -> Iterator[tuple[str, str]]:
    """Roles that read or write many tables which they do not own."""
    counted = []
    # Whom nobody can log in as, or become, is not what the application works as: counting, for one.
    taken = {m.role for other in facts.roles.values() for m in other.memberships if m.set or m.inherit}
    for role in facts.app_roles:
        if not (facts.roles[role].can_login or role in taken) or any(
            facts.roles[other].unbound for other in facts.reach(role, "inherit")
        ):
            continue
        written = sum(t.allows(role, "insert") or t.allows(role, "update") for t in tables if t.owner != role)
        seen = sum(t.allows(role, "select") for t in tables if t.owner != role)
        if (written or seen) and not facts.roles[role].unbound:
            counted.append((written, seen, role))
    most = max((written + seen for written, seen, _ in counted), default=0)
    likely = [one for one in counted if (one[0] + one[1]) * 10 >= most]
    for written, seen, role in sorted(likely, key=lambda one: (-one[0], -one[1], one[2]))[:4]:
        yield role, f"reads {seen} and writes {written} tables and views of others"


def write(database: str, dsn: str, found: Guess) -> str:
    """The section as YAML, each guess with a comment that says why."""
    lines = ["sources:", "  postgres:", "    databases:", f"      - name: {_q(database)}", f"        dsn: {_q(dsn)}"]
    lines.append("        # Every line with GUESS is one: check it, then take the word away.")
    lines.append(f"        app_roles: [{', '.join(_q(role) for role, _ in found.app_roles)}]")
    lines += [f"          # GUESS {_c(role)}: {why}" for role, why in found.app_roles]
    if not found.app_roles:
        lines.append("          # GUESS: no role reads tables of others; name what the application logs in as")
    lines.append(f"        tenant_keys: [{', '.join(_q(key) for key, _ in found.tenant_keys)}]")
    lines += [f"          # GUESS {_c(key)}: {why}" for key, why in found.tenant_keys]
    if found.root:
        table, _ = found.root
        lines.append(f"        tenant_root: {_q(table)}   # GUESS: most foreign keys of the tenant key lead there")
    if found.key_of:
        keys = ", ".join(f"{_q(table)}: {_q(key)}" for table, key in found.key_of.items())
        lines.append(f"        tenant_key_of: {{{keys}}}   # GUESS")
    lines += _mapping("shared_tables", ((t, "GUESS: say why it holds nothing of any tenant") for t in found.shared))
    lines += [
        f"        # {_c(table)} has columns about people and no tenant key: whose are they?" for table in found.personal
    ]
    if found.people:
        lines.append(f"        identity_table: {_q(found.people)}   # GUESS: it has columns about people")
    if found.unbound:
        lines.append(
            f"        break_glass_roles: [{', '.join(map(_q, found.unbound))}]   # GUESS: no policy binds them"
        )
    lines += _definers(found)
    lines += _contexts(found)
    return "\n".join(lines) + "\n"


def _mapping(name: str, items: Iterator[tuple[str, str]]) -> list[str]:
    rows = [f"          {_q(key)}: {_q(value)}" for key, value in items]
    return [f"        {name}:", *rows] if rows else []


def _definers(found: Guess) -> list[str]:
    """Commented out: nobody has reviewed them yet."""
    if not found.definers:
        return []
    lines = [
        "        # trusted_definers:   # GUESS: none; review each, then declare it with the body that you have seen"
    ]
    lines += [
        f"        #   {_q(name)}: {{reason: {_q('reviewed by …')}, body_sha256: {digest}}}"
        for name, digest in found.definers
    ]
    return lines


def _contexts(found: Guess) -> list[str]:
    why = (
        "the policies read these settings"
        if found.settings
        else "the policies ask for the database role"
        if found.by_role
        else "no policy reads a setting; say how a session gets its tenant"
    )
    return [
        f"        # contexts:   # GUESS: {why}; put two tenants made for tests in their places",
        *(
            f"        #   tenant-{letter}: {{tenant: {_q('…')}, {_way(found, place)}}}"
            for place, letter in enumerate("ab")
        ),
    ]


def _way(found: Guess, place: int) -> str:
    """How a session becomes a tenant's."""
    if found.by_role:
        roles = [role for role, _ in found.app_roles]
        return f"role: {_q(roles[place] if place < len(roles) else '…')}"
    claims = json.dumps({"sub": "…"}, ensure_ascii=False)
    values = {name: claims if name == "request.jwt.claims" else "…" for name in found.settings}
    return f"settings: {{{', '.join(f'{_q(name)}: {_q(value)}' for name, value in values.items())}}}"


def _q(text: str) -> str:
    """A YAML string; JSON's form is one, and no name can break out of it."""
    return json.dumps(text, ensure_ascii=True) if not re.fullmatch(r"[A-Za-z_][\w.]*", text) else text


def _c(text: str) -> str:
    """A name within a comment: on one line whatever it holds."""
    return json.dumps(text, ensure_ascii=True)[1:-1]


def declared(found: Guess) -> Mapping[str, Any]:
    """The proposal as data, for scripts."""
    return {
        "app_roles": [role for role, _ in found.app_roles],
        "tenant_keys": [key for key, _ in found.tenant_keys],
        "tenant_root": found.root[0] if found.root else None,
        "tenant_key_of": found.key_of,
        "shared_tables": found.shared,
        "identity_table": found.people,
        "unclassified_tables": found.personal,
        "settings": found.settings,
        "definers": [name for name, _ in found.definers],
        "unbound_roles": found.unbound,
    }
