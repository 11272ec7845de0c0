"""From a kept reply to rows: pure, so that anybody can derive the rows again."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from compliancectl import clock
from compliancectl.collectors.base import Reply, Row

Record = dict[str, str | None]
_KINDS = {"r": "table", "p": "partitioned table"}
_PERSISTENCE = {"p": "permanent", "u": "unlogged", "t": "temporary"}


def records(reply: Reply) -> Iterator[Record]:
    """The rows of a kept reply, as text by column name."""
    document = json.loads(reply.body)
    for row in document["rows"]:
        yield dict(zip(document["columns"], row, strict=True))


def flag(value: str | None) -> bool | None:
    """PostgreSQL's `t` and `f`."""
    return None if value is None else value == "t"


def number(value: str | None) -> int | None:
    """An integer."""
    return None if value is None else int(value)


def moment(value: str | None) -> Any:
    """An instant as the queries write it, in UTC."""
    return None if value is None else clock.parse(value)


def items(value: str | None) -> Any:
    """A list that the query wrote as JSON."""
    return None if value is None else json.loads(value)


def declared(reply: Reply) -> Any:
    """What the scope said, as `fetch` kept it beside the reply."""
    return json.loads(reply.context["declared"])


def shaper(table: str, values: Callable[[Record, Reply], Mapping[str, Any]]) -> Callable[[Reply], Iterator[Row]]:
    """A `shape` that makes one row of each record; `values` gives `resource` without the database."""

    def shape(reply: Reply) -> Iterator[Row]:
        database = reply.context["database"]
        for record in records(reply):
            row = dict(values(record, reply))
            yield table, {**row, "database": database, "resource": f"{database}/{row['resource']}"}

    return shape


def server(reply: Reply) -> Iterator[Row]:
    """The one row of `postgres.server`."""
    database = reply.context["database"]
    facts = json.loads(reply.body)["server"]
    yield (
        "postgres.server",
        {
            "database": database,
            "resource": database,
            "version": facts["server_version"],
            "version_num": number(facts["server_version_num"]),
            "is_replica": flag(facts["is_replica"]),
            "managed": reply.context["managed"] == "true",
            "collected_by": facts["session_role"],
            "collector_superuser": flag(facts["effective_superuser"]),
            "system_identifier": facts.get("system_identifier"),
        },
    )


def relation(record: Record, reply: Reply) -> Mapping[str, Any]:
    """A row of `postgres.relation`."""
    said, name = declared(reply), record["qualified"]
    return {
        "resource": name,
        "kind": _KINDS[str(record["kind"])],
        "persistence": _PERSISTENCE[str(record["persistence"])],
        **{key: record[key] for key in ("schema", "name", "owner", "tenant_column", "extension")},
        **{
            key: flag(record[key])
            for key in (
                "rls_enabled",
                "rls_forced",
                "is_partition",
                "tenant_not_null",
                "tenant_leading_index",
                "tenant_fk",
            )
        },
        "policy_count": number(record["policy_count"]),
        "estimated_rows": number(record["estimated_rows"]),
        "tenant_root": name == said["tenant_root"],
        "declared_shared": said["shared_tables"].get(name),
        "temporary_content": name in said["temporary_tables"],
    }


def policy(record: Record, reply: Reply) -> Mapping[str, Any]:
    """A row of `postgres.policy`."""
    return {
        "resource": f"{record['qualified']}/{record['name']}",
        "table": record["table_name"],
        **{key: record[key] for key in ("schema", "name", "command", "using_expression", "check_expression")},
        "permissive": flag(record["permissive"]),
        "roles": items(record["roles"]),
    }


def role(record: Record, reply: Reply) -> Mapping[str, Any]:
    """A row of `postgres.role`."""
    said, name = declared(reply), record["name"]
    return {
        "resource": name,
        "name": name,
        **{
            key: flag(record[key])
            for key in ("can_login", "superuser", "create_role", "create_db", "replication", "bypass_rls")
        },
        "member_of": items(record["member_of"]),
        "bypass_through": items(record["bypass_through"]),
        "valid_until": moment(record["valid_until"]),
        "declared_app": name in said["app_roles"],
        "break_glass": name in said["break_glass_roles"],
        "owns_rls_tables": number(record["owns_rls_tables"]),
        "unforced_rls_tables_owned": number(record["unforced_rls_tables_owned"]),
    }


def public_grant(record: Record, reply: Reply) -> Mapping[str, Any]:
    """A row of `postgres.public_grant`."""
    return {"resource": f"{record['kind']}:{record['object']}/{record['privilege']}", **record}


def bypass_object(record: Record, reply: Reply) -> Mapping[str, Any]:
    """A row of `postgres.bypass_object`."""
    return {
        "resource": record["qualified"],
        **{key: record[key] for key in ("kind", "schema", "name", "owner", "search_path", "body_sha256")},
        "options": items(record["options"]),
        **{
            key: flag(record[key])
            for key in ("reads_tenant_tables", "granted_to_app", "security_invoker", "owner_bound")
        },
        "trusted": _trusted(record, declared(reply)["trusted_definers"]),
    }


def _trusted(record: Record, definers: Mapping[str, Any]) -> str | None:
    wanted = str(record["qualified"]).replace(" ", "")
    for signature, said in definers.items():
        if signature.replace(" ", "") == wanted:
            pinned = said["body_sha256"]
            return said["reason"] if pinned in (None, record["body_sha256"]) else None
    return None


def setting(record: Record, reply: Reply) -> Mapping[str, Any]:
    """A row of `postgres.setting`."""
    return {
        "resource": record["name"],
        **{key: record[key] for key in ("name", "setting", "unit", "source", "visibility")},
        "pending_restart": flag(record["pending_restart"]),
        "managed": reply.context["managed"] == "true",
    }


def setting_override(record: Record, reply: Reply) -> Mapping[str, Any]:
    """A row of `postgres.setting_override`."""
    return {"resource": f"{record['scope_database']}/{record['role']}/{record['name']}", **record}


def hba_rule(record: Record, reply: Reply) -> Mapping[str, Any]:
    """A row of `postgres.hba_rule`; for a managed server the one that says so."""
    if reply.context["query"] == "hba_managed":
        return {"resource": "hba:managed", "managed": True}
    file = f"{record['file']}:" if record["file"] else ""
    return {
        "resource": f"hba:{file}{record['line_number']}",
        "managed": False,
        "line": number(record["line_number"]),
        "method": record["auth_method"],
        **{key: record[key] for key in ("file", "type", "address", "netmask", "error")},
        **{key: items(record[key]) for key in ("databases", "users", "options")},
    }


def extension(record: Record, reply: Reply) -> Mapping[str, Any]:
    """A row of `postgres.extension`."""
    return {"resource": record["name"], **record, "installed": flag(record["installed"])}


def column(record: Record, reply: Reply) -> Mapping[str, Any]:
    """A row of `postgres.column`."""
    return {
        "resource": f"{record['qualified']}.{record['name']}",
        "table": record["table_name"],
        **{key: record[key] for key in ("schema", "name", "type")},
        "nullable": flag(record["nullable"]),
        "default": record["default_expression"],
        "identity_table": record["qualified"] == declared(reply)["identity_table"],
    }


def foreign_key(record: Record, reply: Reply) -> Mapping[str, Any]:
    """A row of `postgres.foreign_key`."""
    return {
        "resource": f"{record['child']}/{record['name']}",
        **{key: record[key] for key in ("name", "child", "parent", "on_delete")},
        "columns": items(record["columns"]),
        "validated": flag(record["validated"]),
    }


def cron_run(reply: Reply) -> Iterator[Row]:
    """Rows of `postgres.cron_run`; none when pg_cron is not installed, which the reply itself says."""
    if reply.context["query"] != "cron_present":
        yield from _cron_rows(reply)


def _cron_values(record: Record, reply: Reply) -> Mapping[str, Any]:
    return {
        "resource": f"cron:{record['job']}/{record['run'] or 'no run'}",
        "job": record["job_name"] or record["job"],
        "schedule": record["schedule"],
        "active": flag(record["active"]),
        "run": number(record["run"]),
        "status": record["status"],
        "started": moment(record["started"]),
        "ended": moment(record["ended"]),
    }


_cron_rows = shaper("postgres.cron_run", _cron_values)


def purge_count(record: Record, reply: Reply) -> Mapping[str, Any]:
    """A row of `postgres.purge_count`."""
    said = declared(reply)
    return {
        "resource": f"{said['table']}/{record['kind']}",
        "table": said["table"],
        "kind": record["kind"],
        "total": number(record["total"]),
        "overdue": number(record["overdue"]),
        "oldest": moment(record["oldest"]),
        "limit_hours": number(record["limit_hours"]),
        "estimated_rows": said["estimated_rows"],
    }
