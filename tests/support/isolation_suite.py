"""Schemas that are faulty and schemas that only look so, all in one database, each in a schema of its own."""

from __future__ import annotations

import copy
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from compliancectl import clock
from compliancectl.collectors.base import Context, Reply
from compliancectl.collectors.postgres import collector
from compliancectl.contract import RowContract
from compliancectl.model.evidence import Window
from compliancectl.sandbox.yamlfile import read_yaml

FOLDER = Path(__file__).parents[1] / "postgres" / "isolation"
A = "00000000-0000-4000-8000-00000000000a"
B = "00000000-0000-4000-8000-00000000000b"
UA = "00000000-0000-4000-8000-0000000000a1"
UB = "00000000-0000-4000-8000-0000000000b1"
TENANT = "nullif(current_setting('app.tenant_id', true), '')::uuid"
USER = "nullif(current_setting('app.user_id', true), '')::uuid"
CONTRACTS = {table.name: RowContract(table) for table in collector.tables}

ROLES = """
create role schema_owner nologin; create role app login; create role auditor login noinherit;
create role reporting nologin bypassrls; create role viewer nologin; create role auditor_role nologin;
create role inherited_owner nologin; create role settable_owner nologin; create role settable_reader nologin;
create role authenticated nologin; create role anon nologin; create role tenant_a nologin; create role tenant_b nologin;
"""
JWT = """
create schema auth; grant usage on schema auth to public;
create function auth.uid() returns uuid language sql stable as
  $f$ select (nullif(current_setting('request.jwt.claims', true), '')::jsonb ->> 'sub')::uuid $f$;
create function auth.role() returns text language sql stable as
  $f$ select nullif(current_setting('request.jwt.claims', true), '')::jsonb ->> 'role' $f$;
"""


def _claims(user: str) -> dict[str, str]:
    return {"request.jwt.claims": f'{{"sub": "{user}", "role": "authenticated"}}'}


DECLARED: dict[str, dict[str, Any]] = {
    "": {
        "app_roles": ["app"],
        "tenant_keys": ["tenant_id"],
        "contexts": {
            "tenant-a": {"tenant": A, "settings": {"app.tenant_id": A, "app.user_id": UA}},
            "tenant-b": {"tenant": B, "settings": {"app.tenant_id": B, "app.user_id": UB}},
        },
    },
    "_jwt": {
        "app_roles": ["authenticated", "anon"],
        "tenant_keys": ["user_id"],
        "contexts": {
            "user-a": {"tenant": A, "role": "authenticated", "settings": _claims(A)},
            "user-b": {"tenant": B, "role": "authenticated", "settings": _claims(B)},
            "anonymous": {"role": "anon", "settings": {"request.jwt.claims": '{"role": "anon"}'}},
        },
    },
    "_text": {
        "app_roles": ["app"],
        "tenant_keys": ["tenant_id"],
        "contexts": {
            "acme": {"tenant": "acme", "settings": {"app.tenant_id": "acme"}},
            "acme-two": {"tenant": "acme-two", "settings": {"app.tenant_id": "acme-two"}},
        },
    },
    "_roles": {
        "app_roles": ["tenant_a", "tenant_b"],
        "tenant_keys": ["tenant_id"],
        "contexts": {"a": {"tenant": "tenant_a", "role": "tenant_a"}, "b": {"tenant": "tenant_b", "role": "tenant_b"}},
    },
}
DECLARED["_deep"] = DECLARED["_wide"] = DECLARED[""]
"""Family of variants → what the scope says of it; `variants<family>.yaml` and `base<family>.sql` hold the rest."""
BASES = {"_deep": "", "_wide": ""}
"""Family → whose base it begins with, when not its own."""


@dataclass(frozen=True)
class Variant:
    """One schema."""

    id: str
    sql: str
    finds: tuple[str, ...] = ()
    declares: dict[str, Any] = field(default_factory=dict)
    since: int = 0

    @property
    def schema(self) -> str:
        return f"v_{self.id}"


@dataclass
class Score:
    """What the product said about all variants."""

    found: dict[str, list[str]]
    """Variant → rules that are broken, sorted."""
    faulty: list[Variant]
    safe: list[Variant]

    @property
    def missed(self) -> dict[str, list[str]]:
        return {v.id: self.found[v.id] for v in self.faulty if not set(v.finds) & set(self.found[v.id])}

    @property
    def false_alarms(self) -> dict[str, list[str]]:
        return {v.id: self.found[v.id] for v in self.safe if self.found[v.id]}

    def __str__(self) -> str:
        found = len(self.faulty) - len(self.missed)
        return (
            f"{found} of {len(self.faulty)} faults found, {len(self.missed)} missed, "
            f"{len(self.false_alarms)} false alarms on {len(self.safe)} safe schemas"
        )


def load(family: str = "") -> list[Variant]:
    entries = read_yaml(FOLDER / f"variants{family}.yaml")
    return [
        Variant(e["id"], e["sql"], tuple(e.get("finds", ())), e.get("declares", {}), e.get("from", 0)) for e in entries
    ]


def fill(text: str, schema: str) -> str:
    values = {
        "s": schema,
        "tenant": TENANT,
        "user": USER,
        "A": A,
        "B": B,
        "ua": UA,
        "ub": UB,
        "TA": "acme",
        "TB": "acme-two",
    }
    return re.sub(r"\{(s|tenant|user|A|B|ua|ub|TA|TB)\}", lambda match: values[match[1]], text)


def declared(variants: Iterable[Variant], family: str = "") -> dict[str, Any]:
    """What the scope says, each variant's own declarations joined."""
    said = copy.deepcopy(DECLARED[family])
    for variant in variants:
        for key, entries in variant.declares.items():
            if isinstance(entries, str):
                said[key] = fill(entries, variant.schema)
            else:
                said.setdefault(key, {}).update({fill(name, variant.schema): value for name, value in entries.items()})
    return said


def build(connection: Any, variants: Iterable[Variant], family: str = "") -> None:
    """Make every variant's schema in an empty database."""
    base = (FOLDER / f"base{BASES.get(family, family)}.sql").read_text("utf-8")
    if family == "_jwt":
        connection.execute(JWT.encode())
    for variant in variants:
        connection.execute(fill(base, variant.schema).encode())
        connection.execute(f"set search_path = {variant.schema}".encode())
        connection.execute(fill(variant.sql, variant.schema).encode())
        connection.execute(b"reset search_path; reset role")


def read(section: dict[str, Any], feed: str) -> tuple[list[dict[str, Any]], Reply]:
    """Fetch and shape one feed; every row keeps its table's contract, and no row's value is in the reply."""
    wanted = next(f for f in collector.feeds if f.name == feed)
    now = clock.now()
    context = Context(Window(start=now, end=now.replace(year=now.year + 1)), now, "production", Path())
    with collector.open(collector.config.model_validate(section), context) as session:
        (target,) = wanted.targets(session)
        (reply,) = list(_replies(wanted.fetch(session, target)))
    assert b"SEEDED-SECRET" not in reply.body
    rows = []
    for table, row in wanted.shape(reply):
        CONTRACTS[table].encode(row)
        rows.append(dict(row))
    return rows, reply


def _replies(stream: Any) -> Iterator[Reply]:
    while True:
        try:
            yield next(stream)
        except StopIteration:
            return


def broken(section: dict[str, Any]) -> list[dict[str, Any]]:
    """Everything that is found in one database: rules that are broken and probes that came through."""
    rules, _ = read(section, "isolation_rules")
    probes, _ = read(section, "isolation_probes")
    found = [row for row in rules if row["broken"] and row["kind"] != "server"]
    found += [{**row, "object": row["relation"]} for row in probes if row["rule"] and row["verdict"] != "isolated"]
    for row in probes:
        for name in row["references_accepted"] or ():
            found.append({**row, "rule": "fk.cross_tenant_reference", "object": f"{row['relation']}/{name}"})
    return found


def score(section: dict[str, Any], variants: list[Variant]) -> Score:
    """Judge every variant."""
    found: dict[str, set[str]] = {variant.id: set() for variant in variants}
    owners = {variant.schema: variant.id for variant in variants}
    for row in broken(section):
        schemas = {re.sub(r"_(private|pub)$", "", name) for name in re.findall(r"v_[a-z0-9_]+", row["object"])}
        for schema in schemas & set(owners):
            found[owners[schema]].add(row["rule"])
    return Score(
        {name: sorted(rules) for name, rules in found.items()},
        [v for v in variants if v.finds],
        [v for v in variants if not v.finds],
    )
