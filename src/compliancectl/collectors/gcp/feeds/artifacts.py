"""Container images: what Artifact Analysis found in them and when it last looked, and the repositories they come from.

From the Container Analysis API v1 and the Artifact Registry API v1.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from compliancectl.collectors.base import Fetched, Row, Target
from compliancectl.collectors.gcp.everywhere import Everywhere, Fetch
from compliancectl.collectors.gcp.feed import Audited, feed
from compliancectl.collectors.gcp.listing import Listing, Tally, pages
from compliancectl.collectors.gcp.places import locations
from compliancectl.collectors.gcp.redact import Drop
from compliancectl.collectors.gcp.session import GcpSession
from compliancectl.collectors.gcp.shaping import columns, describe, dig, full_name, project_column, resource_column, row
from compliancectl.collectors.gcp.verdict import Asked
from compliancectl.model.table import BOOL, TEXT, TIME, Column, Table

FILTER = 'kind="VULNERABILITY"'
SCANS = 'kind="DISCOVERY"'
_REPOSITORY = "artifactregistry.googleapis.com/Repository"
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

SCAN = Table(
    "gcp.image_scan",
    "One row per container image that Artifact Analysis looks at.",
    columns(
        project_column(),
        resource_column("//containeranalysis.googleapis.com/projects/P/occurrences/O"),
        _c("image", TEXT, "resourceUri", "The image, with its digest.", required=True),
        Column(
            "digest", TEXT, "Digest of the image: `sha256:…`.", "containeranalysis.v1#Occurrence:resourceUri, after @"
        ),
        _c("continuous", TEXT, "discovery.continuousAnalysis", "ACTIVE while new vulnerabilities are looked for."),
        _c("status", TEXT, "discovery.analysisStatus", "FINISHED_SUCCESS, SCANNING, FINISHED_FAILED …"),
        _c("last_scan", TIME, "discovery.lastScanTime", "When it was last looked at."),
    ),
    key=("resource",),
    permissions=("containeranalysis.occurrences.list",),
)

_r = describe("artifactregistry.v1#Repository")

REPOSITORY = Table(
    "gcp.artifact_repository",
    "One row per repository of Artifact Registry.",
    columns(
        project_column(),
        resource_column("//artifactregistry.googleapis.com/projects/P/locations/L/repositories/R"),
        Column(
            "name", TEXT, "Name of the repository.", "artifactregistry.v1#Repository:name, last part", required=True
        ),
        Column("location", TEXT, "Region or multi-region.", "artifactregistry.v1#Repository:name, fourth part"),
        _r("format", TEXT, "format", "DOCKER, PYTHON, NPM …"),
        _r(
            "mode",
            TEXT,
            "mode",
            "STANDARD_REPOSITORY, REMOTE_REPOSITORY (a cache of another one) or VIRTUAL_REPOSITORY.",
        ),
        Column(
            "immutable_tags",
            BOOL,
            "A tag, once set, always means the same image.",
            "artifactregistry.v1#Repository:dockerConfig.immutableTags",
        ),
        _r("scanning", TEXT, "vulnerabilityScanningConfig.enablementState", "SCANNING_ACTIVE or SCANNING_DISABLED …"),
        _r("kms_key", TEXT, "kmsKeyName", "Customer-managed key; absent: Google's own key."),
    ),
    key=("resource",),
    permissions=("artifactregistry.locations.list", "artifactregistry.repositories.list"),
    drops=("labels of names not listed in `label_names`: may name people",),
)


def _occurrences(kind: str, noun: str) -> Fetch:
    """Fetch the occurrences of one kind."""

    def fetch(session: GcpSession, target: Target) -> Fetched:
        tally = Tally(filters=[kind])
        listing = Listing(
            Asked("containeranalysis", "containeranalysis.occurrences.list", f"projects/{target.name}"),
            f"v1/projects/{target.name}/occurrences",
            "occurrences",
            ("pageSize", 1000),
            params=(("filter", kind),),
            context={"project": target.name},
        )
        for page in pages(session, listing, tally):
            yield page.reply
        return tally.completeness(noun)

    return fetch


def _repository_drops(session: GcpSession) -> tuple[Drop, ...]:
    return (Drop("repositories[].labels", "label", session.labels),)


def _fetch_repositories(session: GcpSession, target: Target) -> Fetched:
    tally = Tally()
    found = yield from locations(session, "artifactregistry", "artifactregistry.locations.list", target.name, tally)
    for place in found:
        listing = Listing(
            Asked("artifactregistry", "artifactregistry.repositories.list", f"projects/{target.name}"),
            f"v1/projects/{target.name}/locations/{place}/repositories",
            "repositories",
            ("pageSize", 1000),
            drops=_repository_drops(session),
            context={"project": target.name, "part": "repositories"},
        )
        for page in pages(session, listing, tally):
            yield page.reply
    return tally.completeness("regions, and the repositories of each")


def _shape_repositories(data: Mapping[str, Any], context: Mapping[str, str]) -> Iterator[Row]:
    if context.get("part") == "locations":
        return
    for record in data.get("repositories", []):
        name = record.get("name")
        parts = name.split("/") if isinstance(name, str) else []
        docker = record.get("format") == "DOCKER"
        yield (
            "gcp.artifact_repository",
            row(
                REPOSITORY,
                record,
                {
                    "project": context["project"],
                    "resource": full_name("//artifactregistry.googleapis.com/", name),
                    "name": parts[-1] if parts else name,
                    "location": parts[3] if len(parts) == 6 else None,
                    "immutable_tags": bool(dig(record, "dockerConfig.immutableTags")) if docker else None,
                },
            ),
        )


def _digest(uri: Any) -> str | None:
    return uri.partition("@")[2] or None if isinstance(uri, str) else None


def _shape_scans(data: Mapping[str, Any], context: Mapping[str, str]) -> Iterator[Row]:
    for record in data.get("occurrences", []):
        yield (
            "gcp.image_scan",
            row(
                SCAN,
                record,
                {
                    "project": context["project"],
                    "resource": full_name("//containeranalysis.googleapis.com/", record.get("name")),
                    "digest": _digest(record.get("resourceUri")),
                },
            ),
        )


def _shape(data: Mapping[str, Any], context: Mapping[str, str]) -> Iterator[Row]:
    for record in data.get("occurrences", []):
        found = record.get("vulnerability")
        note = record.get("noteName")
        issues = found.get("packageIssue", []) if isinstance(found, Mapping) else []
        yield (
            "gcp.vulnerability",
            row(
                VULNERABILITY,
                record,
                {
                    "project": context["project"],
                    "resource": full_name("//containeranalysis.googleapis.com/", record.get("name")),
                    "digest": _digest(record.get("resourceUri")),
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
        _occurrences(FILTER, "vulnerability occurrences"),
        _shape,
        Audited("containeranalysis", "grafeas.v1.Grafeas.ListOccurrences"),
        everywhere=Everywhere(held=(_REPOSITORY,)),
    ),
    feed(
        "image_scans",
        "Container images that are looked at for vulnerabilities, and when they last were.",
        (SCAN,),
        _occurrences(SCANS, "discovery occurrences"),
        _shape_scans,
        Audited("containeranalysis", "grafeas.v1.Grafeas.ListOccurrences"),
        everywhere=Everywhere(held=(_REPOSITORY,)),
    ),
    feed(
        "artifact_repositories",
        "Repositories of Artifact Registry.",
        (REPOSITORY,),
        _fetch_repositories,
        _shape_repositories,
        Audited("artifactregistry", "google.devtools.artifactregistry.v1.ArtifactRegistry.ListRepositories"),
        everywhere=Everywhere(types=(_REPOSITORY,), key="repositories", drops=_repository_drops),
    ),
)
