"""Keys that we manage: Cloud KMS, through its inventory API v1, which lists all keys of a project at once."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from compliancectl.collectors.base import Row
from compliancectl.collectors.gcp.feed import Audited
from compliancectl.collectors.gcp.kinds import Kind, kinds_feed, last, seconds
from compliancectl.collectors.gcp.redact import Drop
from compliancectl.collectors.gcp.session import GcpSession
from compliancectl.collectors.gcp.shaping import columns, describe, full_name, project_column, resource_column, row
from compliancectl.model.table import INT, TEXT, TIME, Column, Table

_k = describe("cloudkms.v1#CryptoKey")

KEY = Table(
    "gcp.kms_key",
    "One row per key of Cloud KMS.",
    columns(
        project_column(),
        resource_column("//cloudkms.googleapis.com/projects/P/locations/L/keyRings/R/cryptoKeys/K"),
        Column("name", TEXT, "Name within its ring.", "cloudkms.v1#CryptoKey:name, last part", required=True),
        _k("key", TEXT, "name", "Its name as other resources give it: projects/P/locations/L/…", required=True),
        _k("purpose", TEXT, "purpose", "ENCRYPT_DECRYPT, ASYMMETRIC_SIGN …"),
        _k("algorithm", TEXT, "versionTemplate.algorithm", "GOOGLE_SYMMETRIC_ENCRYPTION: AES-256 in GCM."),
        _k("protection_level", TEXT, "versionTemplate.protectionLevel", "SOFTWARE, HSM, EXTERNAL …"),
        _k("primary_state", TEXT, "primary.state", "State of the version that encrypts: ENABLED …"),
        Column(
            "rotation_seconds", INT, "How often it is rotated; NULL: never.", "cloudkms.v1#CryptoKey:rotationPeriod"
        ),
        _k("next_rotation", TIME, "nextRotationTime", "When it is rotated next."),
        Column(
            "destroy_after_seconds",
            INT,
            "How long a destruction can be called off.",
            "cloudkms.v1#CryptoKey:destroyScheduledDuration",
        ),
    ),
    key=("resource",),
    permissions=("cloudkms.cryptoKeys.list",),
    drops=("labels of names not listed in `label_names`: may name people",),
)


def _key(record: Mapping[str, Any], project: str) -> Iterator[Row]:
    name = record.get("name")
    given = {
        "project": project,
        "resource": full_name("//cloudkms.googleapis.com/", name),
        "name": last(name),
        "rotation_seconds": seconds(record.get("rotationPeriod")),
        "destroy_after_seconds": seconds(record.get("destroyScheduledDuration")),
    }
    yield "gcp.kms_key", row(KEY, record, given)


def _drops(session: GcpSession) -> tuple[Drop, ...]:
    return (Drop("labels", "label", session.labels), Drop("primary.attestation", "not needed"))


FEEDS = (
    kinds_feed(
        "kms_keys",
        "Keys of Cloud KMS.",
        (KEY,),
        (
            Kind(
                "cloudkms.googleapis.com/CryptoKey",
                "cloudkms.cryptoKeys.list",
                "v1/projects/{project}/cryptoKeys",
                "cryptoKeys",
                _key,
                ("pageSize", 1000),
                drops=_drops,
            ),
        ),
        Audited("kmsinventory", "google.cloud.kms.inventory.v1.KeyDashboardService.ListCryptoKeys"),
    ),
)
