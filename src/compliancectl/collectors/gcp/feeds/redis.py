"""Caches: whether Memorystore for Redis writes to disk, from its API v1."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from compliancectl.collectors.base import Fetched, Row, Target
from compliancectl.collectors.gcp.everywhere import Everywhere
from compliancectl.collectors.gcp.feed import Audited, feed
from compliancectl.collectors.gcp.listing import Listing, Tally, pages
from compliancectl.collectors.gcp.redact import Drop
from compliancectl.collectors.gcp.session import GcpSession
from compliancectl.collectors.gcp.shaping import columns, describe, full_name, project_column, resource_column, row
from compliancectl.collectors.gcp.verdict import Asked
from compliancectl.model.table import BOOL, TEXT, Column, Table

_c = describe("redis.v1#Instance")

INSTANCE = Table(
    "gcp.redis_instance",
    "One row per Memorystore for Redis instance.",
    columns(
        project_column(),
        resource_column("//redis.googleapis.com/projects/P/locations/L/instances/I"),
        Column(
            "name", TEXT, "Name of the instance within its region.", "redis.v1#Instance:name, last part", required=True
        ),
        _c("state", TEXT, "state", "READY, MAINTENANCE …"),
        _c("tier", TEXT, "tier", "BASIC or STANDARD_HA."),
        _c("persistence_mode", TEXT, "persistenceConfig.persistenceMode", "DISABLED, or RDB when it writes to disk."),
        _c("auth_enabled", BOOL, "authEnabled", "Clients must authenticate."),
        _c("transit_encryption", TEXT, "transitEncryptionMode", "SERVER_AUTHENTICATION or DISABLED."),
    ),
    key=("resource",),
    permissions=("redis.instances.list",),
    drops=("labels of names not listed in `label_names`: may name people",),
)


def _drops(session: GcpSession) -> tuple[Drop, ...]:
    return (Drop("instances[].labels", "label", session.labels),)


def _fetch(session: GcpSession, target: Target) -> Fetched:
    tally = Tally()
    listing = Listing(
        Asked("redis", "redis.instances.list", f"projects/{target.name}"),
        f"v1/projects/{target.name}/locations/-/instances",
        "instances",
        ("pageSize", 1000),
        drops=_drops(session),
        context={"project": target.name},
    )
    for page in pages(session, listing, tally):
        yield page.reply
    return tally.completeness("instances of all regions")


def _shape(data: Mapping[str, Any], context: Mapping[str, str]) -> Iterator[Row]:
    for record in data.get("instances", []):
        name = record.get("name")
        yield (
            "gcp.redis_instance",
            row(
                INSTANCE,
                record,
                {
                    "project": context["project"],
                    "resource": full_name("//redis.googleapis.com/", name),
                    "name": name.rpartition("/")[2] if isinstance(name, str) else name,
                },
            ),
        )


FEEDS = (
    feed(
        "redis_instances",
        "Memorystore for Redis instances.",
        (INSTANCE,),
        _fetch,
        _shape,
        Audited("redis", "google.cloud.redis.v1.CloudRedis.ListInstances"),
        everywhere=Everywhere(types=("redis.googleapis.com/Instance",), key="instances", drops=_drops),
    ),
)
