"""Secrets and their versions, never a value: Secret Manager API v1."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from compliancectl.collectors.base import Row
from compliancectl.collectors.gcp.feed import Audited
from compliancectl.collectors.gcp.kinds import Kind, kinds_feed, last
from compliancectl.collectors.gcp.redact import Drop
from compliancectl.collectors.gcp.session import GcpSession
from compliancectl.collectors.gcp.shaping import (
    columns,
    describe,
    dig,
    full_name,
    project_column,
    resource_column,
    row,
)
from compliancectl.model.table import TEXT, TIME, Column, ListOf, Table

_s = describe("secretmanager.v1#Secret")
_v = describe("secretmanager.v1#SecretVersion")
_FORM = "//secretmanager.googleapis.com/projects/NUMBER/secrets/S"
ASSET = "secretmanager.googleapis.com/Secret"

SECRET = Table(
    "gcp.secret",
    "One row per secret in Secret Manager.",
    columns(
        project_column(),
        resource_column(_FORM),
        Column("name", TEXT, "Name within its project.", "secretmanager.v1#Secret:name, last part", required=True),
        _s("created", TIME, "createTime", "When it was made."),
        _s("next_rotation", TIME, "rotation.nextRotationTime", "When its owner is told to rotate it next."),
        Column(
            "locations",
            ListOf(TEXT),
            "Where it is kept; empty: Google chooses.",
            "secretmanager.v1#Secret:replication.userManaged.replicas[].location",
        ),
    ),
    key=("resource",),
    permissions=("secretmanager.secrets.list",),
    drops=("labels, annotations: may name people",),
)

VERSION = Table(
    "gcp.secret_version",
    "One row per version of a secret; its value is never asked for.",
    columns(
        project_column(),
        resource_column(f"{_FORM}/versions/V"),
        Column("secret", TEXT, f"Full resource name of the secret: `{_FORM}`.", "derived", required=True),
        _v("state", TEXT, "state", "ENABLED, DISABLED or DESTROYED."),
        _v("created", TIME, "createTime", "When it was added."),
    ),
    key=("resource",),
    permissions=("secretmanager.versions.list",),
)


def _secret(record: Mapping[str, Any], project: str) -> Iterator[Row]:
    name = record.get("name")
    given = {
        "project": project,
        "resource": full_name("//secretmanager.googleapis.com/", name),
        "name": last(name),
        "locations": [place.get("location") for place in dig(record, "replication.userManaged.replicas") or []],
    }
    yield "gcp.secret", row(SECRET, record, given)


def _version(record: Mapping[str, Any], project: str) -> Iterator[Row]:
    name = record.get("name")
    full = full_name("//secretmanager.googleapis.com/", name)
    given = {
        "project": project,
        "resource": full,
        "secret": full.rpartition("/versions/")[0] if full else None,
    }
    yield "gcp.secret_version", row(VERSION, record, given)


def _drops(session: GcpSession) -> tuple[Drop, ...]:
    return (Drop("labels", "label", session.labels), Drop("annotations", "label"))


FEEDS = (
    kinds_feed(
        "secrets",
        "Secrets and their versions, never a value.",
        (SECRET, VERSION),
        (
            Kind(
                ASSET,
                "secretmanager.secrets.list",
                "v1/projects/{project}/secrets",
                "secrets",
                _secret,
                ("pageSize", 1000),
                drops=_drops,
            ),
            Kind(
                "secretmanager.googleapis.com/SecretVersion",
                "secretmanager.versions.list",
                "v1/{parent}/versions",
                "versions",
                _version,
                ("pageSize", 1000),
                parent=ASSET,
            ),
        ),
        Audited("secretmanager", "google.cloud.secretmanager.v1.SecretManagerService.ListSecrets"),
    ),
)
