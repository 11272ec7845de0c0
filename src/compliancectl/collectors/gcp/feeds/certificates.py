"""Certificates of Certificate Manager, from its API v1."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from compliancectl.collectors.base import Row
from compliancectl.collectors.gcp.feed import Audited
from compliancectl.collectors.gcp.kinds import Kind, kinds_feed, last
from compliancectl.collectors.gcp.redact import Drop
from compliancectl.collectors.gcp.session import GcpSession
from compliancectl.collectors.gcp.shaping import columns, describe, full_name, project_column, resource_column, row
from compliancectl.model.table import TEXT, TIME, Column, Table

_c = describe("certificatemanager.v1#Certificate")

CERTIFICATE = Table(
    "gcp.managed_certificate",
    "One row per certificate in Certificate Manager, those that a person supplied included.",
    columns(
        project_column(),
        resource_column("//certificatemanager.googleapis.com/projects/P/locations/L/certificates/C"),
        Column(
            "name", TEXT, "Name of the certificate.", "certificatemanager.v1#Certificate:name, last part", required=True
        ),
        _c("managed_state", TEXT, "managed.state", "ACTIVE, PROVISIONING, FAILED; NULL: a person supplied it."),
        _c("expires", TIME, "expireTime", "When it ends."),
    ),
    key=("resource",),
    permissions=("certificatemanager.certs.list",),
    drops=("labels of names not listed in `label_names`: may name people",),
)


def _certificate(record: Mapping[str, Any], project: str) -> Iterator[Row]:
    name = record.get("name")
    given = {
        "project": project,
        "resource": full_name("//certificatemanager.googleapis.com/", name),
        "name": last(name),
    }
    yield "gcp.managed_certificate", row(CERTIFICATE, record, given)


def _drops(session: GcpSession) -> tuple[Drop, ...]:
    return (
        Drop("labels", "label", session.labels),
        Drop("description", "free text"),
        Drop("pemCertificate", "not needed"),
    )


FEEDS = (
    kinds_feed(
        "certificates",
        "Certificates of Certificate Manager.",
        (CERTIFICATE,),
        (
            Kind(
                "certificatemanager.googleapis.com/Certificate",
                "certificatemanager.certs.list",
                "v1/projects/{project}/locations/-/certificates",
                "certificates",
                _certificate,
                ("pageSize", 500),
                drops=_drops,
            ),
        ),
        Audited("certificatemanager", "google.cloud.certificatemanager.v1.CertificateManager.ListCertificates"),
    ),
)
