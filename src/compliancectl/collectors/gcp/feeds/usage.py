"""Which APIs are switched on, from the Service Usage API v1; and where data is kept, from Cloud Asset Inventory."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

from compliancectl.collectors.base import Fetched, Row, Target
from compliancectl.collectors.gcp.feed import Audited, feed
from compliancectl.collectors.gcp.kinds import Kind, kinds_feed, last
from compliancectl.collectors.gcp.listing import Listing, Tally, pages
from compliancectl.collectors.gcp.redact import Drop
from compliancectl.collectors.gcp.session import GcpSession
from compliancectl.collectors.gcp.shaping import columns, describe, project_column, resource_column, row
from compliancectl.collectors.gcp.verdict import Asked
from compliancectl.model.table import TEXT, TIME, Column, ListOf, Table

_d = describe("cloudasset.v1#ResourceSearchResult")
SEARCH = "cloudasset.assets.searchAllResources"

API = Table(
    "gcp.enabled_api",
    "One row per API that is switched on in a project.",
    columns(
        project_column(),
        resource_column("//serviceusage.googleapis.com/projects/NUMBER/services/SERVICE"),
        Column(
            "service",
            TEXT,
            "Name of the API: sqladmin.googleapis.com.",
            "serviceusage.v1#GoogleApiServiceusageV1Service:name, last part",
            required=True,
        ),
    ),
    key=("resource",),
    permissions=("serviceusage.services.list",),
)

DATA_TYPES = (
    "aiplatform.googleapis.com/Dataset",
    "aiplatform.googleapis.com/Index",
    "alloydb.googleapis.com/Cluster",
    "artifactregistry.googleapis.com/Repository",
    "bigquery.googleapis.com/Dataset",
    "bigquerydatatransfer.googleapis.com/TransferConfig",
    "bigtableadmin.googleapis.com/Instance",
    "compute.googleapis.com/Disk",
    "compute.googleapis.com/Snapshot",
    "datastream.googleapis.com/Stream",
    "discoveryengine.googleapis.com/DataStore",
    "file.googleapis.com/Instance",
    "firestore.googleapis.com/Database",
    "pubsub.googleapis.com/Topic",
    "redis.googleapis.com/Instance",
    "secretmanager.googleapis.com/Secret",
    "spanner.googleapis.com/Instance",
    "sqladmin.googleapis.com/Instance",
)
"""Kinds of resources that can hold data of customers, or carry it elsewhere. Buckets, of which there may be many, have a table of their own."""

STORE = Table(
    "gcp.data_store",
    "One row per resource that can hold data, buckets aside: databases, caches, indexes, topics, disks, secrets …",
    columns(
        Column("project", TEXT, "The project, as projects/NUMBER.", "cloudasset.v1#ResourceSearchResult:project"),
        _d("resource", TEXT, "name", "Full resource name.", required=True),
        _d("asset_type", TEXT, "assetType", "Kind of the resource.", required=True),
        _d("name", TEXT, "displayName", "Name of the resource."),
        _d("location", TEXT, "location", "Region, zone, multi-region or global."),
        Column(
            "kms_keys",
            ListOf(TEXT),
            "Customer-managed keys, sorted; empty: Google's own keys.",
            "cloudasset.v1#ResourceSearchResult:kmsKeys[]",
        ),
        _d("created", TIME, "createTime", "When it was made."),
        _d("data_class", TEXT, "labels.data-class", "Value of its label `data-class`."),
    ),
    key=("resource",),
    permissions=(SEARCH,),
    drops=("labels of names not listed in `label_names`, descriptions, tags, additional attributes: may name people",),
)


def _api(record: Mapping[str, Any], project: str) -> Iterator[Row]:
    name = record.get("name")
    if record.get("state", "ENABLED") == "ENABLED":  # of a list of those that are enabled, each is
        given = {"project": project, "resource": f"//serviceusage.googleapis.com/{name}", "service": last(name)}
        yield "gcp.enabled_api", row(API, record, given)


def _targets(session: GcpSession) -> Iterator[Target]:
    """The projects, folders or organisation of the scope: a search answers for all that lies below."""
    for place in session.config.places:
        yield Target(place, session.endpoint("cloudasset"))


def _fetch(session: GcpSession, target: Target) -> Fetched:
    tally = Tally(filters=[f"asset types {', '.join(DATA_TYPES)}"])
    gone = ("additionalAttributes", "description", "tags", "tagKeys", "tagValues", "effectiveTags", "networkTags")
    listing = Listing(
        Asked("cloudasset", SEARCH, target.name),
        f"v1/{target.name}:searchAllResources",
        "results",
        ("pageSize", 500),
        params=tuple(("assetTypes", kind) for kind in DATA_TYPES),
        drops=(
            Drop("results[].labels", "label", session.labels),
            *(Drop(f"results[].{name}", "not needed") for name in gone),
        ),
    )
    for page in pages(session, listing, tally):
        yield replace(page.reply, context={"scope": target.name})
    return tally.completeness("resources that can hold data")


def _shape(data: Mapping[str, Any], context: Mapping[str, str]) -> Iterator[Row]:
    for record in data.get("results", []):
        keys = record.get("kmsKeys") or ([record["kmsKey"]] if record.get("kmsKey") else [])
        yield "gcp.data_store", row(STORE, record, {"kms_keys": sorted(keys)})


FEEDS = (
    kinds_feed(
        "enabled_apis",
        "Which APIs are switched on.",
        (API,),
        (
            Kind(
                "serviceusage.googleapis.com/Service",
                "serviceusage.services.list",
                "v1/projects/{project}/services",
                "services",
                _api,
                ("pageSize", 200),
                params=(("filter", "state:ENABLED"),),
                drops=lambda session: (Drop("config", "not needed"),),
            ),
        ),
        Audited("serviceusage", "google.api.serviceusage.v1.ServiceUsage.ListServices"),
    ),
    feed(
        "data_stores",
        "Where data is kept.",
        (STORE,),
        _fetch,
        _shape,
        Audited("cloudasset", "google.cloud.asset.v1.AssetService.SearchAllResources"),
        everywhere=None,
        targets=_targets,
    ),
)
