"""Proposes the scope's section on a database from its catalogue. Every guess is marked as one; nobody's data is read."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from compliancectl.collectors.postgres.isolation import catalogue
from compliancectl.collectors.postgres.isolation.model import Facts, Relation
from compliancectl.collectors.postgres.isolation.variants import settings_read

if TYPE_CHECKING:
    from compliancectl.collectors.postgres.config import Database
    from compliancectl.collectors.postgres.session import PostgresSession

_TENANT = re.compile(
    r"(tenant|org(ani[sz]ation)?|account|company|customer|client|workspace|school|team|group|site)_?(id|uuid|key)$",
    re.I,
)
_PEOPLE = re.compile(r"(e_?mail|password|first_?name|last_?name|last_login)", re.I)


@dataclass
class Guess:
    """What is proposed."""

    app_roles: list[tuple[str, str]] = field(default_factory=list)
    """Role and why."""
    tenant_keys: list[tuple[str, str]] = field(default_factory=list)
    root: tuple[str, str] | None = None
    """Table of the tenants and its key."""
    settings: list[str] = field(default_factory=list)
    shared: list[str] = field(default_factory=list)
    definers: list[tuple[str, str]] = field(default_factory=list)
    """Signature and digest of the body."""
    people: str | None = None
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
    keys = _keys(own)
    found = Guess(tenant_keys=keys)
    key = keys[0][0] if keys else None
    found.root = _root(facts, key) if key else None
    found.app_roles = list(_app_roles(facts, own))
    found.settings = sorted(
        name for policies in facts.policies.values() for name in settings_read(policies, facts) if "." in name
    )
    found.settings = list(dict.fromkeys(found.settings))
    names = {name for name, _ in keys}
    linked = {k.relation for k in facts.keys if k.parent and names & set(facts.relations[k.parent].columns)}
    root = found.root[0] if found.root else None
    found.shared = [
        r.qualified
        for r in own
        if not names & set(r.columns) and not r.rls_enabled and r.qualified not in linked and r.qualified != root
    ]
    found.definers = [(f.signature, f.body_sha256) for f in facts.functions.values() if f.definer]
    people = [(len([c for c in r.columns if _PEOPLE.search(c)]), r.qualified) for r in own]
    best = max(people, default=(0, ""))
    found.people = best[1] if best[0] >= 2 else None
    found.unbound = sorted(r.name for r in facts.roles.values() if r.unbound and not r.name.startswith("pg_"))
    return found


def _keys(tables: list[Relation]) -> list[tuple[str, str]]:
    """Columns that look like the tenant's key, the most frequent first."""
    counted = Counter(name for table in tables for name in table.columns if _TENANT.search(name))
    ranked = sorted(counted.items(), key=lambda item: (-item[1], item[0]))
    return [(name, f"in {count} of {len(tables)} tables") for name, count in ranked if count > 1 or len(tables) < 4][:3]


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
    for role in facts.app_roles:
        written = sum(t.allows(role, "insert") or t.allows(role, "update") for t in tables if t.owner != role)
        seen = sum(t.allows(role, "select") for t in tables if t.owner != role)
        if (written or seen) and not facts.roles[role].unbound:
            counted.append((written, seen, role))
    for written, seen, role in sorted(counted, reverse=True)[:4]:
        yield role, f"reads {seen} and writes {written} tables of others"


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
        table, key = found.root
        lines.append(f"        tenant_root: {_q(table)}   # GUESS: most foreign keys of the tenant key lead there")
        lines.append(f"        tenant_key_of: {{{_q(table)}: {_q(key)}}}   # GUESS")
    lines += _mapping("shared_tables", ((t, "GUESS: say why it holds nothing of any tenant") for t in found.shared))
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
    settings = ", ".join(f"{_q(name)}: {_q('…')}" for name in found.settings)
    why = (
        "the policies read these settings"
        if found.settings
        else "no policy reads a setting; say how a session gets its tenant"
    )
    return [
        f"        # contexts:   # GUESS: {why}; put two tenants made for tests in their places",
        f"        #   tenant-a: {{tenant: {_q('…')}, settings: {{{settings}}}}}",
        f"        #   tenant-b: {{tenant: {_q('…')}, settings: {{{settings}}}}}",
    ]


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
        "tenant_key_of": {found.root[0]: found.root[1]} if found.root else {},
        "shared_tables": found.shared,
        "identity_table": found.people,
        "settings": found.settings,
        "definers": [name for name, _ in found.definers],
        "unbound_roles": found.unbound,
    }
