"""Who can really reach data: groups expanded, what is granted above included, and nothing that was not seen taken for nobody."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
from cloudbox import LOGS, PROD, Box, Collected

from compliancectl.query.rows import read_rows

ORGANIZATION = "558124370021"
ROOT = f"organizations/{ORGANIZATION}"
APP = "serviceAccount:app@larkspur-prod.iam.gserviceaccount.com"
TEAM = "group:database-team@larkspur.example"
CONNECT = "cloudsql.instances.connect"


def rows(found: Collected, target: str = PROD) -> list[dict[str, Any]]:
    item = found.item("effective_access", target)
    assert item.status == "collected", item.reason
    return list(read_rows(found.run / "evidence" / item.id / "gcp.effective_access.parquet"))


def told(found: Collected, target: str = PROD) -> set[tuple[str, str, str]]:
    return {(row["place"], row["member"], name) for row in rows(found, target) for name in row["permissions"]}


@pytest.fixture
def groups(box: Box) -> Iterator[dict[str, list[str]]]:
    known = box.cloud.state.data["groups"]
    kept = dict(known)
    yield known
    known.clear()
    known.update(kept)


def test_members_of_groups_and_owners_above_are_told(box: Box) -> None:
    found = told(box.collect("gcp.effective_access", projects=[PROD]))
    assert (f"projects/{PROD}", "user:chen-wei@larkspur.example", CONNECT) in found
    assert (f"projects/{PROD}", APP, "storage.objects.get") in found
    assert (ROOT, "user:dilnoza-karimova@larkspur.example", "secretmanager.versions.access") in found


def test_a_group_within_a_group_is_expanded_too(box: Box, groups: dict[str, list[str]]) -> None:
    groups["database-team@larkspur.example"] = ["group:on-call@larkspur.example"]
    groups["on-call@larkspur.example"] = ["user:amara-okafor@larkspur.example"]
    found = {row["member"]: row["expanded"] for row in rows(box.collect("gcp.effective_access", projects=[PROD]))}
    assert found[TEAM] and found["group:on-call@larkspur.example"] and found["user:amara-okafor@larkspur.example"]


def test_a_group_whose_members_are_not_told_is_not_expanded(box: Box, groups: dict[str, list[str]]) -> None:
    groups.clear()
    found = {row["member"]: row["expanded"] for row in rows(box.collect("gcp.effective_access", projects=[PROD]))}
    assert found[TEAM] is False and found[APP] is True


def test_groups_that_cannot_be_told_apart_do_not_count_as_expanded(box: Box, groups: dict[str, list[str]]) -> None:
    groups["database-team@larkspur.example"] = ["group:a@elsewhere.example", "group:b@elsewhere.example"]
    groups["a@elsewhere.example"] = ["user:amara-okafor@larkspur.example"]
    found = {row["member"]: row["expanded"] for row in rows(box.collect("gcp.effective_access", projects=[PROD]))}
    assert found["group:(redacted)"] is False


def test_an_organisation_takes_one_request_and_leaves_out_what_is_not_in_scope(box: Box) -> None:
    found = box.collect("gcp.effective_access", projects=[])
    assert len([r for r in box.cloud.web.log if r.path.endswith(":analyzeIamPolicy")]) == 1
    assert (f"projects/{PROD}", "user:chen-wei@larkspur.example", CONNECT) in told(found, ROOT)
    assert {row["place"] for row in rows(found, ROOT) if row["resource"].startswith("//storage")} == {None}
    less = told(box.collect("gcp.effective_access", projects=[], exclude=[PROD]), ROOT)
    assert {place for place, *_ in less} == {ROOT, None}


def test_a_folder_is_told_what_is_granted_above_it(box: Box) -> None:
    folder = "folders/610000000002"
    found = told(box.collect("gcp.effective_access", projects=[], folders=[folder.split("/")[1]]), folder)
    assert (ROOT, "user:dilnoza-karimova@larkspur.example", CONNECT) in found
    assert (f"projects/{PROD}", APP, CONNECT) in found


def test_without_the_organisation_it_is_not_complete(box: Box) -> None:
    item = box.collect("gcp.effective_access", projects=[PROD], organization=None).item("effective_access")
    assert item.status == "partial" and "names no organization" in str(item.reason)


def test_a_project_that_lies_in_nothing_is_complete_by_itself(box: Box) -> None:
    body = json.dumps({"name": "projects/402117739156", "projectId": LOGS, "state": "ACTIVE"}).encode()
    box.misbehave(f"/v3/projects/{LOGS}", status=200, body=body)
    item = box.collect("gcp.effective_access", projects=[LOGS], organization=None).item("effective_access", LOGS)
    assert item.status == "collected", item.reason


@pytest.mark.parametrize(
    ("answer", "word"),
    [
        ({"mainAnalysis": {"fullyExplored": False}, "fullyExplored": False}, "not explored to its end"),
        ({"mainAnalysis": {}}, "not explored to its end"),
        (
            {
                "mainAnalysis": {"nonCriticalErrors": [{"code": "PERMISSION_DENIED", "cause": "x"}]},
                "fullyExplored": True,
            },
            "met an error: PERMISSION_DENIED",
        ),
    ],
)
def test_an_analysis_that_did_not_get_to_its_end_is_partial(box: Box, answer: dict[str, Any], word: str) -> None:
    box.misbehave(f"projects/{PROD}:analyzeIamPolicy", status=200, body=json.dumps(answer).encode())
    item = box.collect("gcp.effective_access", projects=[PROD]).item("effective_access")
    assert item.status == "partial" and word in str(item.reason)


@pytest.mark.parametrize(
    ("how", "cause"),
    [
        ({"denied": "cloudasset.assets.analyzeIamPolicy"}, "permission"),
        ({"denied": f"cloudasset.assets.analyzeIamPolicy {ROOT}"}, "permission"),
        ({"disabled": "cloudasset.googleapis.com"}, "api-disabled"),
    ],
)
def test_a_refusal_is_not_nobody(box: Box, how: dict[str, str], cause: str) -> None:
    for kind, name in how.items():
        getattr(box.cloud.state, kind).add(name)
    item = box.collect("gcp.effective_access", projects=[PROD]).item("effective_access")
    assert item.status in ("denied", "partial") and item.cause == cause
