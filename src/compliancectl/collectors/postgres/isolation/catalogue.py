"""Reads the catalogue for isolation, and makes facts of what was read."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from compliancectl.collectors.postgres.isolation.model import Facts
from compliancectl.collectors.postgres.isolation.objects import (
    Channel,
    Column,
    Function,
    Key,
    Membership,
    Policy,
    Reader,
    Relation,
    Role,
    Trigger,
)
from compliancectl.collectors.postgres.queries import query

if TYPE_CHECKING:
    from compliancectl.collectors.postgres.config import Database
    from compliancectl.collectors.postgres.session import Answer, Snapshot

Record = Mapping[str, Any]
PARTS = {
    "relations": True,
    "policies": True,
    "roles": False,
    "functions": True,
    "readers": False,
    "triggers": False,
    "keys": False,
    "channels": True,
    "paths": True,
}
"""Query → whether it takes the application's roles."""


def read(snapshot: Snapshot, database: Database) -> dict[str, Answer]:
    """Ask every query of the catalogue in one snapshot."""
    roles = (sorted(database.app_roles),)
    return {part: snapshot.ask(query(f"isolation_{part}"), roles if takes else ()) for part, takes in PARTS.items()}


def widened(snapshot: Snapshot) -> Database:
    """The database, its application roles joined by every role that they can become.

    A role that no policy binds stays out: that it can be reached is a finding of its own, and there is nothing to probe.
    """
    database = snapshot.database
    rows = snapshot.ask(query("isolation_reach"), (sorted(database.app_roles),)).records()
    reached = sorted({str(row["role"]) for row in rows} - set(database.app_roles))
    return database.model_copy(update={"app_roles": (*database.app_roles, *reached)})


def said(database: Database, declared: Database) -> dict[str, Any]:
    """The declarations that the rules need, as they are kept beside the reply.

    Args:
        database: with every role that matters.
        declared: as the scope declares it.
    """
    return {
        "name": database.name,
        "app_roles": list(database.app_roles),
        "declared_roles": list(declared.app_roles),
        "tenant_keys": list(database.tenant_keys),
        "tenant_key_of": dict(database.tenant_key_of),
        "tenant_root": database.tenant_root,
        "shared_tables": dict(database.shared_tables),
        "shared_columns": {
            name: None if isinstance(said, str) else list(said.values) for name, said in database.shared_columns.items()
        },
        "shared_tenants": dict(database.shared_tenants),
        "trusted_definers": {
            name.replace(" ", ""): None if isinstance(said, str) else said.body_sha256
            for name, said in database.trusted_definers.items()
        },
        "contexts": {name: context.model_dump() for name, context in database.contexts.items()},
    }


def facts(parts: Mapping[str, Sequence[Record]], declared: Mapping[str, Any], version: int) -> Facts:
    """Make facts of the queries' rows, each column in the server's own text form."""
    relations = [_relation(record, declared) for record in parts["relations"]]
    policies: dict[str, list[Policy]] = {}
    for record in parts["policies"]:
        policies.setdefault(str(record["relation"]), []).append(_policy(record))
    return Facts(
        database=declared["name"],
        version=version,
        app_roles=tuple(declared["app_roles"]),
        relations={relation.qualified: relation for relation in relations},
        policies={name: tuple(found) for name, found in policies.items()},
        roles={str(record["name"]): _role(record) for record in parts["roles"]},
        functions={str(record["signature"]): _function(record) for record in parts["functions"]},
        keys=tuple(_key(record) for record in parts["keys"]),
        readers=tuple(Reader(**record) for record in parts["readers"]),
        triggers=tuple(_trigger(record) for record in parts["triggers"]),
        channels=tuple(Channel(**record) for record in parts["channels"]),
        declared=declared,
    )


def _flag(value: Any) -> bool:
    return bool(value == "t")


def _relation(record: Record, declared: Mapping[str, Any]) -> Relation:
    columns = {c["name"]: Column(**{**c, "labels": tuple(c["labels"] or ())}) for c in json.loads(record["columns"])}
    name = record["qualified"]
    return Relation(
        qualified=name,
        name=record["name"],
        kind=record["kind"],
        owner=record["owner"],
        rls_enabled=_flag(record["rls_enabled"]),
        rls_forced=_flag(record["rls_forced"]),
        parents=tuple(json.loads(record["parents"])),
        in_extension=_flag(record["in_extension"]),
        options=json.loads(record["options"]),
        columns=columns,
        access=json.loads(record["access"] or "{}"),
        tenant_key=_tenant_key(name, columns, declared),
        shared=name in declared["shared_tables"],
    )


def _tenant_key(name: str, columns: Mapping[str, Column], declared: Mapping[str, Any]) -> str | None:
    own = declared["tenant_key_of"].get(name)
    if own is not None:
        return own if own in columns else None
    return next((key for key in declared["tenant_keys"] if key in columns), None)


def _policy(record: Record) -> Policy:
    return Policy(
        relation=record["relation"],
        name=record["name"],
        permissive=_flag(record["permissive"]),
        command=record["command"],
        roles=tuple(json.loads(record["roles"])),
        applies_to=frozenset(json.loads(record["applies_to"])),
        using=record["using_expression"],
        check=record["check_expression"],
        columns=tuple(json.loads(record["columns"])),
        lookups=tuple((relation, column) for relation, column in json.loads(record["lookups"])),
        functions=tuple(json.loads(record["functions"])),
    )


def _role(record: Record) -> Role:
    return Role(
        name=record["name"],
        superuser=_flag(record["superuser"]),
        bypass_rls=_flag(record["bypass_rls"]),
        create_role=_flag(record["create_role"]),
        replication=_flag(record["replication"]),
        can_login=_flag(record["can_login"]),
        memberships=tuple(Membership(**membership) for membership in json.loads(record["memberships"])),
        creates_in=tuple(json.loads(record["creates_in"])),
        temporary=_flag(record["temporary"]),
    )


def _function(record: Record) -> Function:
    sets = ("tables", "written", "bare", "settings", "presets", "callers", "executors", "calls", "constants")
    words = {key: frozenset(json.loads(record[key])) for key in sets}
    return Function(
        signature=record["signature"],
        owner=record["owner"],
        definer=_flag(record["definer"]),
        volatility=record["volatility"],
        leakproof=_flag(record["leakproof"]),
        returns=record["returns"],
        returns_set=_flag(record["returns_set"]),
        sql_body=_flag(record["sql_body"]),
        search_path=record["search_path"],
        body_sha256=record["body_sha256"],
        arguments=tuple(json.loads(record["arguments"])),
        settings_by_name=_flag(record["settings_by_name"]),
        dynamic=_flag(record["dynamic"]),
        notifies_rows=_flag(record["notifies_rows"]),
        functions=tuple(json.loads(record["functions"])),
        language=record["language"],
        procedure=_flag(record["procedure"]),
        required=int(record["required"]),
        **words,
    )


def _trigger(record: Record) -> Trigger:
    fired = frozenset(op for op in ("INSERT", "UPDATE", "DELETE") if _flag(record[f"on_{op.lower()}"]))
    return Trigger(record["relation"], record["name"], record["function"], fired)


def _key(record: Record) -> Key:
    return Key(
        kind=record["kind"],
        relation=record["relation"],
        name=record["name"],
        columns=tuple(json.loads(record["columns"])),
        parent=record["parent"],
        parent_columns=tuple(json.loads(record["parent_columns"] or "[]")),
        is_primary=_flag(record["is_primary"]),
        partial=_flag(record["partial"]),
        is_constraint=_flag(record["is_constraint"]),
        deletes_along=_flag(record["deletes_along"]),
        changes_along=_flag(record["changes_along"]),
    )
