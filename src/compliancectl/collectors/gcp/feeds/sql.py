"""Cloud SQL: instances, backup runs, users and operations, from the Cloud SQL Admin API v1."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from compliancectl.collectors.base import Fetched, Reply, Row, Target
from compliancectl.collectors.gcp.everywhere import Everywhere
from compliancectl.collectors.gcp.feed import Audited, feed
from compliancectl.collectors.gcp.feeds import sql_tables as tables
from compliancectl.collectors.gcp.listing import Listing, Tally, pages
from compliancectl.collectors.gcp.redact import REDACTED, Drop, people_outside
from compliancectl.collectors.gcp.session import GcpSession
from compliancectl.collectors.gcp.shaping import dig, full_name, repeated, row, text
from compliancectl.collectors.gcp.verdict import Asked

REPLICAS = ("READ_REPLICA_INSTANCE", "READ_POOL_INSTANCE")


def instance_name(project: str, name: str) -> str:
    """The full resource name of an instance."""
    return f"//cloudsql.googleapis.com/projects/{project}/instances/{name}"


def _asked(project: str, permission: str) -> Asked:
    return Asked("sqladmin", permission, f"projects/{project}")


# -- instances --------------------------------------------------------------------------------------------------------


INSTANCE_TYPE = "sqladmin.googleapis.com/Instance"


def _instance_drops(session: GcpSession) -> tuple[Drop, ...]:
    return (
        Drop("items[].rootPassword", "secret"),
        Drop("items[].replicaConfiguration.mysqlReplicaConfiguration.password", "secret"),
        Drop("items[].onPremisesConfiguration.password", "secret"),
        Drop("items[].settings.userLabels", "label", session.labels),
    )


def _instances(session: GcpSession, project: str, *, part: str = "", counted: bool = True) -> Listing:
    return Listing(
        _asked(project, "cloudsql.instances.list"),
        f"v1/projects/{project}/instances",
        "items",
        ("maxResults", 500),
        drops=_instance_drops(session),
        context={"project": project, "part": part},
        counted=counted,
    )


def _fetch_instances(session: GcpSession, target: Target) -> Fetched:
    tally = Tally()
    for page in pages(session, _instances(session, target.name), tally):
        yield page.reply
    return tally.completeness("instances")


def _shape_instances(data: Mapping[str, Any], context: Mapping[str, str]) -> Iterator[Row]:
    for record in data.get("items", []):
        key = dig(record, "diskEncryptionConfiguration.kmsKeyName")
        addresses = record.get("ipAddresses", [])
        insights = _switch(record, "insightsConfig.queryInsightsEnabled")
        yield (
            "gcp.sql_instance",
            row(
                tables.INSTANCE,
                record,
                {
                    "project": context["project"],
                    "resource": instance_name(context["project"], record.get("name")),
                    "authorized_networks": _named(repeated(record, "settings.ipConfiguration", "authorizedNetworks")),
                    "ip_addresses": [{"type": address.get("type")} for address in addresses],
                    "database_flags": _named(repeated(record, "settings", "databaseFlags")),
                    "iam_authentication": _iam_authentication(record),
                    "disk_encryption": "customer-managed" if key else "google-managed",
                    "available_maintenance": record.get("availableMaintenanceVersions", []),
                    "password_policy": _switch(record, "passwordValidationPolicy.enablePasswordPolicy"),
                    "final_backup": _switch(record, "finalBackupConfig.enabled"),
                    "query_insights": insights,
                    "client_address_recorded": insights and _switch(record, "insightsConfig.recordClientAddress"),
                },
            ),
        )


def _switch(record: Mapping[str, Any], path: str) -> bool | None:
    """A setting that Cloud SQL leaves out while it is off; unknown when there are no settings at all."""
    if not isinstance(record.get("settings"), Mapping):
        return None
    return dig(record, f"settings.{path}") is True


def _named(entries: list[Any] | None) -> list[dict[str, Any]] | None:
    if entries is None:
        return None
    return [{"name": entry.get("name"), "value": entry.get("value")} for entry in entries]


def _iam_authentication(record: Mapping[str, Any]) -> bool | None:
    flags = repeated(record, "settings", "databaseFlags")
    if flags is None:
        return None
    return any(f.get("name") == "cloudsql.iam_authentication" and f.get("value") == "on" for f in flags)


# -- backup runs ------------------------------------------------------------------------------------------------------


def _fetch_backup_runs(session: GcpSession, target: Target) -> Fetched:
    tally = Tally()
    listing = Listing(
        _asked(target.name, "cloudsql.backupRuns.list"),
        f"v1/projects/{target.name}/instances/-/backupRuns",
        "items",
        ("maxResults", 500),
        drops=(Drop("items[].description", "free text"),),
        context={"project": target.name},
    )
    for page in pages(session, listing, tally):
        yield page.reply
    return tally.completeness("backup runs of all instances")


def _shape_backup_runs(data: Mapping[str, Any], context: Mapping[str, str]) -> Iterator[Row]:
    for record in data.get("items", []):
        instance = instance_name(context["project"], record.get("instance"))
        yield (
            "gcp.sql_backup_run",
            row(
                tables.BACKUP_RUN,
                record,
                {
                    "project": context["project"],
                    "resource": f"{instance}/backupRuns/{record.get('id')}",
                    "instance": instance,
                },
            ),
        )


# -- users ------------------------------------------------------------------------------------------------------------


def _fetch_users(session: GcpSession, target: Target) -> Fetched:
    tally = Tally()
    names: list[str] = []
    for page in pages(session, _instances(session, target.name, part="instances", counted=False), tally):
        yield page.reply
        names += [text(i, "name") for i in page.items if i.get("instanceType") not in REPLICAS]
    yield from _users_of(session, target.name, names, tally)
    return tally.completeness("instances, and the users of each that is not a replica")


def _ask_users(session: GcpSession, project: str, assets: list[Any]) -> Fetched:
    """The users of instances that Cloud Asset Inventory named."""
    tally = Tally()
    records = [asset["resource"]["data"] for asset in assets]
    names = [text(record, "name") for record in records if record.get("instanceType") not in REPLICAS]
    yield from _users_of(session, project, names, tally)
    return tally.completeness("the users of each instance that is not a replica")


def _users_of(session: GcpSession, project: str, names: list[str], tally: Tally) -> Iterator[Reply]:
    for name in sorted(names):
        for page in pages(session, _users(session, project, name), tally):
            yield page.reply


def _users(session: GcpSession, project: str, instance: str) -> Listing:
    return Listing(
        _asked(project, "cloudsql.users.list"),
        f"v1/projects/{project}/instances/{instance}/users",
        "items",
        drops=(
            Drop("items[].password", "secret"),
            Drop("items[].iamEmail", "personal"),
            Drop("items[].name", "personal", people_outside(session.config.staff_domains, session.context.people)),
        ),
        context={"project": project, "part": "users", "instance": instance},
    )


def _shape_users(data: Mapping[str, Any], context: Mapping[str, str]) -> Iterator[Row]:
    if context["part"] != "users":
        return
    instance = instance_name(context["project"], context["instance"])
    for number, record in enumerate(data.get("items", []), 1):
        name, host = record.get("name"), record.get("host") or ""
        again = f"#{number}" if isinstance(name, str) and "(redacted)" in name else ""
        yield (
            "gcp.sql_user",
            row(
                tables.USER,
                record,
                {
                    "project": context["project"],
                    "resource": f"{instance}/users/{name}{again}" + (f"@{host}" if host else ""),
                    "instance": instance,
                    "type": record.get("type", "BUILT_IN"),
                    "database_roles": record.get("databaseRoles", []),
                },
            ),
        )


# -- operations -------------------------------------------------------------------------------------------------------


def _fetch_operations(session: GcpSession, target: Target) -> Fetched:
    tally = Tally()
    listing = Listing(
        _asked(target.name, "cloudsql.instances.get"),
        f"v1/projects/{target.name}/operations",
        "items",
        ("maxResults", 500),
        drops=(
            Drop("items[].user", "personal", people_outside(session.config.staff_domains, session.context.people)),
            Drop("items[].importContext", "free text"),
            Drop("items[].exportContext", "free text", _bucket_alone),
        ),
        context={"project": target.name},
    )
    for page in pages(session, listing, tally):
        yield page.reply
    return tally.completeness("operations")


def _bucket_alone(context: Any) -> Any:
    """Of an export, the bucket that it went to; names of objects, databases and tables may name people."""
    bucket = _bucket_of(dig(context, "uri"))
    return {"uri": f"gs://{bucket}/{REDACTED}"} if bucket else {}


def _bucket_of(uri: Any) -> str | None:
    return uri.removeprefix("gs://").partition("/")[0] if isinstance(uri, str) and uri.startswith("gs://") else None


def _shape_operations(data: Mapping[str, Any], context: Mapping[str, str]) -> Iterator[Row]:
    for record in data.get("items", []):
        project = context["project"]
        about = record.get("targetId")
        yield (
            "gcp.sql_operation",
            row(
                tables.OPERATION,
                record,
                {
                    "project": project,
                    "resource": full_name(
                        f"//cloudsql.googleapis.com/projects/{project}/operations/", record.get("name")
                    ),
                    "instance": instance_name(record.get("targetProject") or project, about) if about else None,
                    "failed": bool(dig(record, "error.errors")),
                    "export_bucket": _bucket_of(dig(record, "exportContext.uri")),
                },
            ),
        )


# The settings decide, so they are read from Cloud SQL itself; the inventory only says where there is an instance.
_HOLDERS = Everywhere(held=(INSTANCE_TYPE,))

FEEDS = (
    feed(
        "sql_instances",
        "Cloud SQL instances with their settings.",
        (tables.INSTANCE,),
        _fetch_instances,
        _shape_instances,
        Audited("sqladmin", "cloudsql.instances.list"),
        everywhere=_HOLDERS,
    ),
    feed(
        "sql_backup_runs",
        "Backup runs of all Cloud SQL instances.",
        (tables.BACKUP_RUN,),
        _fetch_backup_runs,
        _shape_backup_runs,
        Audited("sqladmin", "cloudsql.backupRuns.list"),
        everywhere=_HOLDERS,
    ),
    feed(
        "sql_users",
        "Database users as the Admin API knows them.",
        (tables.USER,),
        _fetch_users,
        _shape_users,
        Audited("sqladmin", "cloudsql.users.list"),
        everywhere=Everywhere(held=(INSTANCE_TYPE,), content="RESOURCE", drops=_instance_drops, ask=_ask_users),
    ),
    feed(
        "sql_operations",
        "Administrative operations on Cloud SQL instances.",
        (tables.OPERATION,),
        _fetch_operations,
        _shape_operations,
        Audited("sqladmin", "cloudsql.operations.list"),
        everywhere=_HOLDERS,
    ),
)
