"""What Sensitive Data Protection found, where the scope says that it is used; and perimeters, which decide nothing."""

from __future__ import annotations

from typing import Any

import pytest
from cloudbox import PROD, Box, Collected

from compliancectl.query.rows import read_rows

ROOT = "organizations/558124370021"


def rows(found: Collected, feed: str, table: str, target: str) -> list[dict[str, Any]]:
    item = found.item(feed, target)
    assert item.status == "collected", item.reason
    return list(read_rows(found.run / "evidence" / item.id / f"{table}.parquet"))


def test_profiles_of_the_organisation_say_what_was_found_and_what_counted(box: Box) -> None:
    found = rows(box.collect("gcp.column_profile", projects=[PROD]), "data_profiles", "gcp.column_profile", ROOT)
    assert {row["column"]: (row["project"], row["info_types"], row["done"]) for row in found} == {
        "email": (PROD, ["EMAIL_ADDRESS"], True),
        "last_name": (PROD, ["FIRST_NAME", "PERSON_NAME"], True),
        "locale": (PROD, [], True),
    }


def test_profiles_of_projects_out_of_scope_do_not_become_evidence(box: Box) -> None:
    found = box.collect("gcp.column_profile", projects=[], exclude=[PROD])
    assert rows(found, "data_profiles", "gcp.column_profile", ROOT) == []
    kept = b"".join(path.read_bytes() for path in (found.run / "evidence").rglob("raw-*"))
    assert b"last_name" not in kept


def test_an_organisation_asks_only_projects_that_have_the_api(box: Box) -> None:
    box.collect("gcp.column_profile", projects=[])
    asked = [request.path for request in box.cloud.web.log if request.path.endswith("/columnDataProfiles")]
    assert len(asked) == 1 and ROOT in asked[0]


@pytest.mark.parametrize(("regions", "listed"), [([], False), (None, None)])
def test_where_the_scope_names_no_region_nothing_is_asked_and_the_evidence_says_so(
    box: Box, regions: Any, listed: Any
) -> None:
    found = box.collect("gcp.data_profiling", projects=[PROD], data_profiles=regions)
    assert [row["listed"] for row in rows(found, "data_profiles", "gcp.data_profiling", PROD)] == [listed]
    assert not [request for request in box.cloud.web.log if "dlp" in request.path]


@pytest.mark.parametrize(
    ("how", "cause"),
    [({"denied": "dlp.columnDataProfiles.list"}, "permission"), ({"disabled": "dlp.googleapis.com"}, "api-disabled")],
)
def test_a_refusal_is_not_an_empty_list_of_profiles(box: Box, how: dict[str, str], cause: str) -> None:
    for kind, name in how.items():
        getattr(box.cloud.state, kind).add(name)
    item = box.collect("gcp.column_profile", projects=[PROD]).item("data_profiles")
    assert (item.status, item.cause) == ("denied", cause)


def test_perimeters_are_told(box: Box) -> None:
    found = box.collect("gcp.perimeter", projects=[PROD])
    (row,) = rows(found, "perimeters", "gcp.perimeter", ROOT)
    assert (row["name"], row["projects"], row["enforced"]) == ("production", 1, True)
    assert row["services"] == ["secretmanager.googleapis.com", "sqladmin.googleapis.com", "storage.googleapis.com"]
    kept = b"".join(path.read_bytes() for path in (found.run / "evidence").rglob("raw-*"))
    assert b"seeded-person" not in kept


@pytest.mark.parametrize(
    "how",
    [
        {"denied": "accesscontextmanager.policies.list"},
        {"denied": "accesscontextmanager.servicePerimeters.list"},
        {"disabled": "accesscontextmanager.googleapis.com"},
    ],
)
def test_perimeters_that_cannot_be_read_are_told_not_to_have_been(box: Box, how: dict[str, str]) -> None:
    for kind, name in how.items():
        getattr(box.cloud.state, kind).add(name)
    found = box.collect("gcp.perimeter_search", projects=[PROD])
    (row,) = rows(found, "perimeters", "gcp.perimeter_search", ROOT)
    assert row["read"] is False and "accesscontextmanager" in row["why"]


def test_without_an_organisation_there_is_nobody_to_ask(box: Box) -> None:
    found = box.collect("gcp.perimeter_search", projects=[PROD], organization=None)
    (row,) = rows(found, "perimeters", "gcp.perimeter_search", PROD)
    assert row["read"] is False and row["why"] == "the scope names no organization"
