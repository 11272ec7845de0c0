"""How assets were between captures: every version of the settings that decide, and nothing taken for right that was not seen."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
from cloudbox import PROD, Box, Collected

from compliancectl.query.rows import read_rows

ROOT = "organizations/558124370021"
SQL, BUCKET = "sqladmin.googleapis.com/Instance", "storage.googleapis.com/Bucket"
DATABASE = "//cloudsql.googleapis.com/projects/larkspur-prod/instances/app-db"
KNOWLEDGE = "//storage.googleapis.com/larkspur-knowledge"
RULE = "//compute.googleapis.com/projects/larkspur-prod/global/firewalls/allow-internal"


def rows(found: Collected, table: str, target: str = PROD) -> list[dict[str, Any]]:
    item = found.item("asset_history", target)
    assert item.status == "collected", item.reason
    return list(read_rows(found.run / "evidence" / item.id / f"{table}.parquet"))


def settings(found: Collected, name: str, target: str = PROD) -> list[dict[str, str]]:
    every = [row for row in rows(found, "gcp.asset_version", target) if row["resource"] == name]
    return [
        {one["name"]: one["value"] for one in row["settings"]} for row in sorted(every, key=lambda row: row["position"])
    ]


@pytest.fixture
def open_for_an_hour(box: Box) -> Iterator[Box]:
    """A rule let everybody in for an hour."""
    now, told = box.cloud.state.now, box.cloud.state.data["asset_history"]
    kept = list(told)
    since, until = now - timedelta(hours=5), now - timedelta(hours=4)
    told.append(
        {"asset": RULE, "since": since.isoformat(), "until": until.isoformat(), "set": {"sourceRanges": ["::/0"]}}
    )
    yield box
    told[:] = kept


@pytest.mark.parametrize(
    ("scope", "target"),
    [
        ({"projects": [PROD]}, PROD),
        ({"projects": []}, ROOT),
        ({"projects": [], "organization": None, "folders": ["610000000002"]}, "folders/610000000002"),
    ],
)
def test_every_version_of_what_decides_is_told_and_nothing_else_is_kept(
    open_for_an_hour: Box, scope: dict[str, Any], target: str
) -> None:
    found = open_for_an_hour.collect("gcp.asset_version", **scope)
    assert settings(found, DATABASE, target) == [
        {"authorizedNetworks": "0", "ipv4Enabled": "false", "sslMode": "TRUSTED_CLIENT_CERTIFICATE_REQUIRED"}
    ]
    public = [one["publicAccessPrevention"] for one in settings(found, KNOWLEDGE, target)]
    assert public == ["enforced", "inherited", "enforced"]
    assert [one["portsOpenToAll"] for one in settings(found, RULE, target)] == ["none", "443,5432", "none"]
    assert {row["project"] for row in rows(found, "gcp.asset_version", target)} == {PROD}
    kept = b"".join(path.read_bytes() for path in (found.run / "evidence").rglob("raw-*"))
    assert b"SEEDED" not in kept and b"seeded" not in kept and b"databaseFlags" not in kept


def test_of_a_kind_with_too_many_assets_none_is_followed_and_that_is_said(box: Box) -> None:
    found = box.collect("gcp.asset_history", projects=[PROD], history_assets=2)
    read = {row["kind"]: (row["assets"], row["read"]) for row in rows(found, "gcp.asset_history")}
    assert read[SQL] == (2, True) and read[BUCKET] == (3, False)
    asked = [r for r in box.cloud.web.log if r.path.endswith(":batchGetAssetsHistory")]
    assert len(asked) == 1


def test_an_asset_of_which_no_version_is_given_is_named(box: Box) -> None:
    box.misbehave(f"{PROD}:batchGetAssetsHistory", status=200, body=json.dumps({"assets": []}).encode(), times=1)
    found = box.collect("gcp.asset_history", projects=[PROD])
    silent = {row["kind"]: row["silent"] for row in rows(found, "gcp.asset_history")}
    assert f"{PROD} {DATABASE}" in silent[SQL] and silent[BUCKET] == []


@pytest.mark.parametrize(
    ("how", "cause"),
    [
        ({"denied": "cloudasset.assets.exportResource"}, "permission"),
        ({"denied": "cloudasset.assets.listResource"}, "permission"),
        ({"disabled": "cloudasset.googleapis.com"}, "api-disabled"),
    ],
)
@pytest.mark.parametrize(("scope", "target"), [({"projects": [PROD]}, PROD), ({"projects": []}, ROOT)])
def test_a_refusal_is_not_a_quiet_history(
    box: Box, how: dict[str, str], cause: str, scope: dict[str, Any], target: str
) -> None:
    for kind, name in how.items():
        getattr(box.cloud.state, kind).add(name)
    item = box.collect("gcp.asset_history", **scope).item("asset_history", target)
    assert item.status in ("denied", "partial") and item.cause == cause
