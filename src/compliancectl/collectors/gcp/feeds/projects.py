"""Projects: which there are below the organisation or folders, and which of them are in scope."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

from compliancectl.collectors.base import Fetched, Row, Target
from compliancectl.collectors.gcp.everywhere import reworded
from compliancectl.collectors.gcp.feed import Audited, feed
from compliancectl.collectors.gcp.inventory import LIST, ancestor, discover
from compliancectl.collectors.gcp.listing import Tally, single
from compliancectl.collectors.gcp.redact import Drop
from compliancectl.collectors.gcp.session import GcpSession, Request
from compliancectl.collectors.gcp.shaping import columns, describe, full_name, pairs, resource_column, row
from compliancectl.collectors.gcp.verdict import Asked
from compliancectl.model.table import BOOL, TEXT, TIME, Column, ListOf, Table, struct

_c = describe("cloudresourcemanager.v3#Project")

PROJECT = Table(
    "gcp.project",
    "One row per project that the scope names, or that lies below its organisation or folders, in scope or not.",
    columns(
        _c("project", TEXT, "projectId", "Id of the project.", required=True),
        resource_column("//cloudresourcemanager.googleapis.com/projects/P"),
        _c("number", TEXT, "name", "Its number, as `projects/NUMBER`."),
        _c("parent", TEXT, "parent", "The folder or organisation that it lies in."),
        _c("state", TEXT, "state", "ACTIVE or DELETE_REQUESTED."),
        _c("created", TIME, "createTime", "When it was made."),
        Column(
            "labels",
            ListOf(struct(name=TEXT, value=TEXT)),
            "Labels, sorted by name.",
            "cloudresourcemanager.v3#Project:labels",
        ),
        _c("environment", TEXT, "labels.environment", "Value of the label `environment`."),
        _c("data_class", TEXT, "labels.data-class", "Value of the label `data-class`."),
        Column("in_scope", BOOL, "What is collected from projects is collected from this one.", "scope", required=True),
        Column("left_out", TEXT, "Why it is not in scope.", "scope"),
    ),
    key=("resource",),
    permissions=("resourcemanager.projects.get",),
    drops=("labels of names not listed in `label_names`: may name people",),
)


def _fetch(session: GcpSession, target: Target) -> Fetched:
    tally = Tally()
    if target.name in session.config.roots:
        inventory = yield from discover(session, target.name, tally)
        done = tally.completeness("projects")
        how = f"; Cloud Asset Inventory could not be read ({inventory.refused.message})" if inventory.refused else ""
        return reworded(done, f"{done.method}; {inventory.words}{how}")
    asked = Asked("resourcemanager", "resourcemanager.projects.get", f"projects/{target.name}")
    drops = (Drop("labels", "label", session.labels),)
    reply, _ = single(session, Request(asked, f"v3/projects/{target.name}"), tally, drops, {"part": "project"})
    tally.items += 1
    yield reply
    return tally.completeness("the project that the scope names")


def _shape(data: Mapping[str, Any], context: Mapping[str, str]) -> Iterator[Row]:
    """One project, a page of Resource Manager, or a page of assets, whose data may be of version 1 or 3."""
    if context["part"] == "project":
        yield _row(data, data.get("name"), None)
        return
    if context["part"] != "projects":
        return
    reasons = json.loads(context["left_out"])
    for record in data.get("projects", []):
        yield _row(record, record.get("name"), reasons.get(record.get("projectId")))
    for asset in data.get("assets", []):
        record = asset["resource"]["data"]
        yield _row(record, ancestor(asset), reasons.get(record.get("projectId")))


def _row(record: Mapping[str, Any], number: Any, reason: str | None) -> Row:
    known, parent = record.get("projectId"), record.get("parent")
    if isinstance(parent, Mapping):  # version 1 of the API
        parent = f"{parent.get('type')}s/{parent.get('id')}"
    given = {
        "resource": full_name("//cloudresourcemanager.googleapis.com/projects/", known),
        "number": number,
        "parent": parent,
        "state": record.get("state", record.get("lifecycleState")),
        "labels": pairs(record.get("labels")),
        "in_scope": reason is None,
        "left_out": reason,
    }
    return "gcp.project", row(PROJECT, record, given)


FEEDS = (
    feed(
        "projects",
        "Projects, and which are in scope.",
        (PROJECT,),
        _fetch,
        _shape,
        Audited("resourcemanager", "google.cloud.resourcemanager.v3.Projects.GetProject"),
        everywhere=None,
        below=(LIST, "resourcemanager.folders.list", "resourcemanager.projects.list"),
    ),
)
