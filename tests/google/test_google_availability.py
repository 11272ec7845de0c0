"""How available what is watched was, and how many instances there were: what is not measured is neither up nor idle."""

from __future__ import annotations

import json
from typing import Any

import pytest
from cloudbox import LOGS, PROD, Box, Collected

from compliancectl.query.rows import read_rows

CHECK = "//monitoring.googleapis.com/projects/larkspur-prod/uptimeCheckConfigs/study"
SERVICE = "//run.googleapis.com/projects/larkspur-prod/locations/europe-west3/services/study-companion"
FEEDS = [("gcp.uptime_result", "uptime_results"), ("gcp.run_load", "run_load")]


def rows(found: Collected, table: str, feed: str) -> list[dict[str, Any]]:
    item = found.item(feed)
    assert item.status == "collected", item.reason
    return list(read_rows(found.run / "evidence" / item.id / f"{table}.parquet"))


def test_each_day_of_a_check_and_each_hour_of_a_service_is_there(box: Box) -> None:
    found = box.collect("gcp.uptime_result", "gcp.run_load", projects=[PROD])
    days = rows(found, "gcp.uptime_result", "uptime_results")
    assert {row["resource"] for row in days} == {CHECK} and len(days) == 28
    assert {row["passed"] for row in days} == {999_800}
    load = rows(found, "gcp.run_load", "run_load")
    assert {row["resource"] for row in load} == {SERVICE}
    assert [count for row in load for count in row["instances"]] == [3] * 28 * 24


def test_only_projects_that_have_any_are_asked_in_an_organisation(box: Box) -> None:
    box.collect("gcp.uptime_result", "gcp.run_load", projects=[])
    asked = [request.path for request in box.cloud.web.log if request.path.endswith("/timeSeries")]
    assert len(asked) == 2 and not any(LOGS in path for path in asked)


@pytest.mark.parametrize(("table", "feed"), FEEDS)
@pytest.mark.parametrize(
    ("how", "cause"),
    [
        ({"denied": "monitoring.timeSeries.list"}, "permission"),
        ({"disabled": "monitoring.googleapis.com"}, "api-disabled"),
    ],
)
def test_a_refusal_is_not_a_quiet_service(box: Box, how: dict[str, str], cause: str, table: str, feed: str) -> None:
    for kind, name in how.items():
        getattr(box.cloud.state, kind).add(name)
    item = box.collect(table, projects=[PROD]).item(feed)
    assert (item.status, item.cause) == ("denied", cause)


@pytest.mark.parametrize(
    ("table", "feed"), [*FEEDS, ("gcp.sql_load", "sql_load"), ("gcp.audit_arrival", "audit_arrival")]
)
def test_measurements_that_google_could_not_all_give_are_partial(box: Box, table: str, feed: str) -> None:
    body = json.dumps({"timeSeries": [], "executionErrors": [{"code": 4, "message": "a cell did not answer"}]}).encode()
    box.misbehave("timeSeries", status=200, body=body)
    item = box.collect(table, projects=[LOGS if feed == "audit_arrival" else PROD]).item(
        feed, LOGS if feed == "audit_arrival" else PROD
    )
    assert item.status == "partial" and "a cell did not answer" in str(item.reason)


@pytest.mark.parametrize("value", [1.2, -0.1, True, "0.9", None])
def test_a_share_that_is_none_is_garbage(box: Box, value: Any) -> None:
    point = {"interval": {"endTime": "2026-06-01T00:00:00Z"}, "value": {"doubleValue": value}}
    series = {"metric": {"labels": {"check_id": "study"}}, "points": [point]}
    box.misbehave("timeSeries", status=200, body=json.dumps({"timeSeries": [series]}).encode())
    item = box.collect("gcp.uptime_result", projects=[PROD]).item("uptime_results")
    assert item.cause == "garbage"
