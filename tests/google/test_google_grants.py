"""Changes of IAM policies in the audit log: which grants, where, and nothing else of the entries."""

from __future__ import annotations

import json
from typing import Any

import pytest
from cloudbox import PROD, Box, Collected

from compliancectl.query.rows import read_rows

ORGANIZATION = "organizations/558124370021"


def changes(found: Collected, target: str) -> list[dict[str, Any]]:
    item = found.item("iam_changes", target)
    assert item.status == "collected", item.reason
    return read_rows(found.run / "evidence" / item.id / "gcp.iam_change.parquet")


def test_each_grant_of_a_change_is_a_row_and_what_failed_is_none(box: Box) -> None:
    found = box.collect("gcp.iam_change", projects=[PROD])
    rows = changes(found, PROD)
    assert [(r["position"], r["action"], r["role"], r["member"]) for r in rows] == [
        (1, "ADD", "roles/cloudsql.viewer", "user:bruno-keller@larkspur.example"),
        (2, "ADD", "roles/cloudkms.admin", "group:key-custodians@larkspur.example"),
        (1, "ADD", "roles/iam.workloadIdentityUser", "user:(redacted)"),
    ]
    assert rows[0]["condition"].startswith("request.time < ") and rows[1]["condition"] is None
    assert {row["principal"] for row in rows} == {"pipeline@larkspur-prod.iam.gserviceaccount.com"}
    kept = b"".join(path.read_bytes() for path in (found.run / "evidence").rglob("raw-*.json"))
    assert b"SEEDED-SECRET" not in kept and b"seeded-person" not in kept


def test_a_change_of_the_organisations_policy_is_seen_whichever_way_it_is_in_scope(box: Box) -> None:
    named = changes(box.collect("gcp.iam_change", projects=[PROD]), ORGANIZATION)
    assert [(row["project"], row["action"], row["role"]) for row in named] == [
        (ORGANIZATION, "ADD", "roles/owner"),
        (ORGANIZATION, "REMOVE", "roles/owner"),
    ]
    every = changes(box.collect("gcp.iam_change", projects=[]), ORGANIZATION)
    assert [row for row in every if row["project"] == ORGANIZATION] == named and len(every) == 5


@pytest.mark.parametrize("inventory", [True, False], ids=["inventory", "no inventory"])
def test_the_logs_of_the_folders_between_are_asked_too_and_those_above_are_not(box: Box, inventory: bool) -> None:
    if not inventory:
        box.cloud.state.denied.add("cloudasset.assets.listResource")
    found = box.collect("gcp.iam_change", projects=[], organization=None, folders=["610000000001"])
    assert {row["project"] for row in changes(found, "folders/610000000001")} == {PROD}
    ((_, request),) = box.cloud.logs.log
    assert list(request.resource_names) == ["folders/610000000001", "folders/610000000002", f"projects/{PROD}"]
    assert (
        "with the 2 folders and organisations" in found.item("iam_changes", "folders/610000000001").completeness.method
    )


def test_what_a_service_of_which_nothing_is_known_says_besides_is_named_and_not_read(box: Box) -> None:
    """Google's own descriptors do not come with the reader for every service; that must not hide the other entries."""
    entries = box.cloud.state.project(PROD)["log_entries"]
    kind = "type.googleapis.com/google.cloud.bigquery.logging.v1.AuditData"
    strange = {
        "method": "jobservice.insert",
        "service": "bigquery.googleapis.com",
        "at": entries[0]["at"],
        "principal": "chen-wei@larkspur.example",
        "unknown_service_data": kind,
    }
    entries.append(strange)
    try:
        found = box.collect("gcp.activity_count", projects=[PROD])
    finally:
        entries.remove(strange)
    item = found.item("activity_counts")
    assert item.status == "collected", item.reason
    (reply,) = item.replies
    counts = json.loads((found.run / "evidence" / item.id / reply.path).read_bytes())["counts"]
    assert [c["entries"] for c in counts if c["service"] == "bigquery.googleapis.com"] == [1]


@pytest.mark.parametrize("scope", [{}, {"projects": []}], ids=["projects", "organization"])
def test_grants_on_single_resources_are_found_and_those_of_places_are_left_to_their_own_table(
    box: Box, scope: dict[str, Any]
) -> None:
    found = box.collect("gcp.resource_grant", **scope)
    assert {item.status for item in found.items.values()} == {"collected"}
    every = [
        row
        for item in found.items.values()
        for row in read_rows(found.run / "evidence" / item.id / "gcp.resource_grant.parquet")
    ]
    assert [(row["project"], row["position"], row["role"], row["member"]) for row in every] == [
        (PROD, 1, "roles/secretmanager.secretAccessor", "serviceAccount:app@larkspur-prod.iam.gserviceaccount.com"),
        (PROD, 1, "roles/storage.legacyBucketReader", "projectViewer:larkspur-prod"),
        (PROD, 1, "roles/storage.objectViewer", "serviceAccount:app@larkspur-prod.iam.gserviceaccount.com"),
        (PROD, 2, "roles/storage.legacyBucketReader", "user:(redacted)"),
    ]


def test_grants_of_projects_out_of_scope_do_not_become_evidence(box: Box) -> None:
    found = box.collect("gcp.resource_grant", projects=[], exclude=["*-prod"])
    item = found.item("resource_grants", ORGANIZATION)
    assert item.status == "collected" and [table.rows for table in item.tables] == [0]
    assert item.redactions["out of scope"] == 4
    assert b"larkspur-uploads" not in b"".join(path.read_bytes() for path in (found.run / "evidence").rglob("raw-*"))


def test_a_search_that_is_refused_is_not_an_empty_one(box: Box) -> None:
    box.cloud.state.denied.add("cloudasset.assets.searchAllIamPolicies")
    item = box.collect("gcp.resource_grant", projects=[PROD]).item("resource_grants")
    assert (item.status, item.cause) == ("denied", "permission")
    box.reset()
    box.cloud.state.disabled.add("cloudasset.googleapis.com")
    item = box.collect("gcp.resource_grant", projects=[PROD]).item("resource_grants")
    assert (item.status, item.cause) == ("denied", "api-disabled")
