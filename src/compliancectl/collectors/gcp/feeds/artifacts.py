"""Vulnerabilities that Artifact Analysis found in container images, from the Container Analysis API v1."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from compliancectl.collectors.base import Fetched, Row, Target
from compliancectl.collectors.gcp.everywhere import Everywhere
from compliancectl.collectors.gcp.feed import Audited, feed
from compliancectl.collectors.gcp.listing import Listing, Tally, pages
from compliancectl.collectors.gcp.session import GcpSession
from compliancectl.collectors.gcp.shaping import columns, describe, full_name, project_column, resource_column, row
from compliancectl.collectors.gcp.verdict import Asked
from compliancectl.model.table import BOOL, TEXT, TIME, Column, Table

FILTER = 'kind="VULNERABILITY"'
_c = describe("containeranalysis.v1#Occurrence")

VULNERABILITY = Table(
    "gcp.vulnerability",
    "One row per vulnerability found in one container image.",
    columns(
        project_column(),
        resource_column("//containeranalysis.googleapis.com/projects/P/occurrences/O"),
        _c("image", TEXT, "resourceUri", "The image, with its digest.", required=True),
        Column(
            "digest", TEXT, "Digest of the image: `sha256:…`.", "containeranalysis.v1#Occurrence:resourceUri, after @"
        ),
        _c("severity", TEXT, "vulnerability.effectiveSeverity", "MINIMAL, LOW, MEDIUM, HIGH or CRITICAL."),
        Column(
            "fix_available",
            BOOL,
            "A version without it exists; Google leaves the field out when there is none.",
            "containeranalysis.v1#Occurrence:vulnerability.fixAvailable",
        ),
        _c("created", TIME, "createTime", "When it was first found in this image."),
        Column(
            "package",
            TEXT,
            "The affected packages, sorted, separated by commas.",
            "containeranalysis.v1#Occurrence:vulnerability.packageIssue[].affectedPackage",
        ),
        Column("cve", TEXT, "Its public number.", "containeranalysis.v1#Occurrence:noteName, last part"),
    ),
    key=("resource",),
    permissions=("containeranalysis.occurrences.list",),
)


def _fetch(session: GcpSession, target: Target) -> Fetched:
    tally = Tally(filters=[FILTER])
    listing = Listing(
        Asked("containeranalysis", "containeranalysis.occurrences.list", f"projects/{target.name}"),
        f"v1/projects/{target.name}/occurrences",
        "occurrences",
        ("pageSize", 1000),
        params=(("filter", FILTER),),
        context={"project": target.name},
    )
    for page in pages(session, listing, tally):
        yield page.reply
    return tally.completeness("vulnerability occurrences")


def _shape(data: Mapping[str, Any], context: Mapping[str, str]) -> Iterator[Row]:
    for record in data.get("occurrences", []):
        found = record.get("vulnerability")
        uri, note = record.get("resourceUri"), record.get("noteName")
        issues = found.get("packageIssue", []) if isinstance(found, Mapping) else []
        yield (
            "gcp.vulnerability",
            row(
                VULNERABILITY,
                record,
                {
                    "project": context["project"],
                    "resource": full_name("//containeranalysis.googleapis.com/", record.get("name")),
                    "digest": uri.partition("@")[2] or None if isinstance(uri, str) else None,
                    "fix_available": found.get("fixAvailable", False) if isinstance(found, Mapping) else None,
                    "package": ", ".join(sorted({str(i.get("affectedPackage")) for i in issues})) or None,
                    "cve": note.rpartition("/")[2] if isinstance(note, str) else None,
                },
            ),
        )


FEEDS = (
    feed(
        "vulnerabilities",
        "Vulnerabilities in container images.",
        (VULNERABILITY,),
        _fetch,
        _shape,
        Audited("containeranalysis", "grafeas.v1.Grafeas.ListOccurrences"),
        everywhere=Everywhere(held=("artifactregistry.googleapis.com/Repository",)),
    ),
)
