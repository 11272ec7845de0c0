"""Cloud Storage: buckets with retention, lifecycle and exposure, from the JSON API v1."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from compliancectl.collectors.base import Fetched, Row, Target
from compliancectl.collectors.gcp.everywhere import Everywhere
from compliancectl.collectors.gcp.feed import Audited, feed
from compliancectl.collectors.gcp.listing import Listing, Tally, pages
from compliancectl.collectors.gcp.redact import Drop
from compliancectl.collectors.gcp.session import GcpSession
from compliancectl.collectors.gcp.shaping import (
    columns,
    describe,
    dig,
    full_name,
    pairs,
    project_column,
    resource_column,
    row,
)
from compliancectl.collectors.gcp.verdict import Asked
from compliancectl.model.table import BOOL, INT, TEXT, TIME, Column, ListOf, Table, struct

_c = describe("storage.v1#Bucket")

BUCKET = Table(
    "gcp.bucket",
    "One row per Cloud Storage bucket.",
    columns(
        project_column(),
        resource_column("//storage.googleapis.com/BUCKET"),
        _c("name", TEXT, "name", "Name of the bucket, unique in the world.", required=True),
        _c("location", TEXT, "location", "Region or multi-region, in upper case: EUROPE-WEST4, EU."),
        _c("created", TIME, "timeCreated", "When the bucket was created."),
        _c("public_access_prevention", TEXT, "iamConfiguration.publicAccessPrevention", "enforced or inherited."),
        _c(
            "uniform_access",
            BOOL,
            "iamConfiguration.uniformBucketLevelAccess.enabled",
            "Access is controlled by IAM alone, not by object lists.",
        ),
        _c(
            "versioning",
            BOOL,
            "versioning.enabled",
            "Older versions of objects are kept; Google leaves it out when not.",
        ),
        _c(
            "retention_seconds",
            INT,
            "retentionPolicy.retentionPeriod",
            "How long objects cannot be deleted, in seconds.",
        ),
        _c("retention_locked", BOOL, "retentionPolicy.isLocked", "The retention policy cannot be shortened."),
        Column(
            "delete_after_days",
            INT,
            "Smallest age, in days, of a lifecycle rule that deletes every object of that age; NULL: there is none.",
            "derived: storage.v1 Bucket lifecycle.rule[] with action Delete and no condition but age",
        ),
        _c(
            "soft_delete_seconds",
            INT,
            "softDeletePolicy.retentionDurationSeconds",
            "How long deleted objects can still be restored, in seconds.",
        ),
        _c("kms_key", TEXT, "encryption.defaultKmsKeyName", "Customer-managed key; absent: Google's own key."),
        Column("labels", ListOf(struct(name=TEXT, value=TEXT)), "Labels, sorted by name.", "storage.v1#Bucket:labels"),
        _c("purpose", TEXT, "labels.purpose", "Value of the label `purpose`, e.g. `database-export`."),
    ),
    key=("resource",),
    permissions=("storage.buckets.list",),
    drops=("labels of names not listed in `label_names`: may name people",),
)


def _drops(session: GcpSession) -> tuple[Drop, ...]:
    return (Drop("items[].labels", "label", session.labels), Drop("items[].owner", "personal"))


def _fetch(session: GcpSession, target: Target) -> Fetched:
    tally = Tally()
    listing = Listing(
        Asked("storage", "storage.buckets.list", f"projects/{target.name}"),
        "storage/v1/b",
        "items",
        ("maxResults", 1000),
        params=(("project", target.name), ("projection", "noAcl")),
        drops=_drops(session),
        context={"project": target.name},
    )
    for page in pages(session, listing, tally):
        yield page.reply
    return tally.completeness("buckets")


def _shape(data: Mapping[str, Any], context: Mapping[str, str]) -> Iterator[Row]:
    for record in data.get("items", []):
        yield (
            "gcp.bucket",
            row(
                BUCKET,
                record,
                {
                    "project": context["project"],
                    "resource": full_name("//storage.googleapis.com/", record.get("name")),
                    "versioning": dig(record, "versioning.enabled") or False,
                    "delete_after_days": _delete_after_days(record),
                    "labels": pairs(record.get("labels")),
                },
            ),
        )


def _delete_after_days(record: Mapping[str, Any]) -> int | None:
    ages = [
        rule["condition"]["age"]
        for rule in record.get("lifecycle", {}).get("rule", [])
        if rule.get("action", {}).get("type") == "Delete" and set(rule.get("condition", {})) == {"age"}
    ]
    return min(ages, default=None)


FEEDS = (
    feed(
        "buckets",
        "Cloud Storage buckets.",
        (BUCKET,),
        _fetch,
        _shape,
        Audited("storage", "storage.buckets.list"),
        everywhere=Everywhere(types=("storage.googleapis.com/Bucket",), drops=_drops),
    ),
)
