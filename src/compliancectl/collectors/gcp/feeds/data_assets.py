"""Where else data lies: databases, warehouses, streams and disks, from a search of Cloud Asset Inventory.

Kinds that have a table of their own (buckets, Cloud SQL, Redis) are not searched for. The search names what there is and
where it lies; nothing of its content or labels is asked for.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

from compliancectl.collectors.base import Fetched, Row, Target
from compliancectl.collectors.gcp.everywhere import Everywhere, reworded
from compliancectl.collectors.gcp.feed import Audited, feed
from compliancectl.collectors.gcp.inventory import Inventory, Outside
from compliancectl.collectors.gcp.listing import Listing, Tally, pages
from compliancectl.collectors.gcp.redact import Drop
from compliancectl.collectors.gcp.session import GcpSession
from compliancectl.collectors.gcp.shaping import columns, describe, project_column, row, text
from compliancectl.collectors.gcp.verdict import Asked
from compliancectl.model.table import TEXT, TIME, Table

SEARCH = "cloudasset.assets.searchAllResources"
TYPES = (
    "aiplatform.googleapis.com/Dataset",
    "alloydb.googleapis.com/Cluster",
    "bigquery.googleapis.com/Dataset",
    "bigquerydatatransfer.googleapis.com/TransferConfig",
    "bigtableadmin.googleapis.com/Cluster",
    "compute.googleapis.com/Disk",
    "compute.googleapis.com/Snapshot",
    "datastream.googleapis.com/Stream",
    "file.googleapis.com/Instance",
    "firestore.googleapis.com/Database",
    "spanner.googleapis.com/Instance",
)
"""Kinds of assets that hold data, or carry it somewhere else."""
_MASK = "name,assetType,project,location,createTime,state"
_c = describe("cloudasset.v1#ResourceSearchResult")

ASSET = Table(
    "gcp.data_asset",
    "One row per asset that holds data or carries it elsewhere, of kinds that have no table of their own.",
    columns(
        project_column(),
        _c("resource", TEXT, "name", "Full resource name.", required=True),
        _c("asset_type", TEXT, "assetType", "Kind: bigquery.googleapis.com/Dataset …", required=True),
        _c("location", TEXT, "location", "Region, zone or multi-region, in lower case: europe-west3, eu, global."),
        _c("created", TIME, "createTime", "When it was made."),
        _c("state", TEXT, "state", "State, in the words of its own API."),
    ),
    key=("resource",),
    permissions=(SEARCH,),
)


def _listing(scope: str, drops: tuple[Drop, ...] = ()) -> Listing:
    return Listing(
        Asked("cloudasset", SEARCH, scope),
        f"v1/{scope}:searchAllResources",
        "results",
        ("pageSize", 500),
        params=(*(("assetTypes", kind) for kind in TYPES), ("readMask", _MASK)),
        drops=drops,
    )


def _fetch(session: GcpSession, target: Target) -> Fetched:
    tally = Tally(filters=list(TYPES))
    for page in pages(session, _listing(f"projects/{target.name}"), tally):
        yield replace(page.reply, context={"project": target.name})
    return tally.completeness("assets that hold data")


def _fetch_all(session: GcpSession, inventory: Inventory) -> Fetched:
    """One search of the whole organisation; what belongs to projects out of scope is not kept."""
    tally = Tally(filters=list(TYPES))
    known = inventory.by_number
    listing = _listing(inventory.root, (Outside(inventory, tally, "results", _project),))
    for page in pages(session, listing, tally):
        numbers = sorted({_project(item).removeprefix("projects/") for item in page.items})
        names = {number: known[number].id for number in numbers}
        yield replace(page.reply, context={"projects": json.dumps(names)})
    done = tally.completeness("assets that hold data")
    return reworded(done, f"{done.method}; {inventory.words}")


def _project(result: Any) -> str:
    """`projects/NUMBER`."""
    return text(result, "project")


def _shape(data: Mapping[str, Any], context: Mapping[str, str]) -> Iterator[Row]:
    names = json.loads(context.get("projects", "{}"))
    for record in data.get("results", []):
        project = context.get("project") or names[_project(record).removeprefix("projects/")]
        yield "gcp.data_asset", row(ASSET, record, {"project": project})


FEEDS = (
    feed(
        "data_assets",
        "Databases, warehouses, streams and disks, and where they lie.",
        (ASSET,),
        _fetch,
        _shape,
        Audited("cloudasset", "google.cloud.asset.v1.AssetService.SearchAllResources"),
        everywhere=Everywhere(fetch=_fetch_all),
    ),
)
