"""How busy databases were: hours of the last weeks, and what is not measured is not idle."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import Any

import pytest
from cloudbox import LOGS, PROD, Box

from compliancectl.query.rows import read_rows

INSTANCE = "//cloudsql.googleapis.com/projects/larkspur-prod/instances/app-db"


def test_each_hour_of_the_last_weeks_is_there(box: Box) -> None:
    found = box.collect("gcp.sql_load", projects=[PROD])
    item = found.item("sql_load")
    assert item.status == "collected" and item.window is not None
    assert item.window.end - item.window.start == timedelta(days=28)
    rows = read_rows(found.run / "evidence" / item.id / "gcp.sql_load.parquet")
    disk = [hour for row in rows if (row["resource"], row["measure"]) == (INSTANCE, "disk") for hour in row["used"]]
    assert len(disk) == 28 * 24 and set(disk) == {4700}
    assert {hour for row in rows if row["measure"] == "cpu" for hour in row["used"]} == {3100, 9300}


def test_only_projects_with_databases_are_asked_in_an_organisation(box: Box) -> None:
    box.collect("gcp.sql_load", projects=[])
    asked = [request.path for request in box.cloud.web.log if request.path.endswith("/timeSeries")]
    assert len(asked) == 2 and not any(LOGS in path for path in asked)


@pytest.mark.parametrize(
    ("how", "cause"),
    [
        ({"denied": "monitoring.timeSeries.list"}, "permission"),
        ({"disabled": "monitoring.googleapis.com"}, "api-disabled"),
    ],
)
def test_a_refusal_is_not_an_idle_database(box: Box, how: dict[str, Any], cause: str) -> None:
    for kind, name in how.items():
        getattr(box.cloud.state, kind).add(name)
    item = box.collect("gcp.sql_load", projects=[PROD]).item("sql_load")
    assert (item.status, item.cause) == ("denied", cause)


def test_measurements_that_google_could_not_all_give_are_partial(box: Box) -> None:
    body = json.dumps({"timeSeries": [], "executionErrors": [{"code": 4, "message": "a cell did not answer"}]}).encode()
    box.misbehave("timeSeries", status=200, body=body)
    item = box.collect("gcp.sql_load", projects=[PROD]).item("sql_load")
    assert item.status == "partial" and "a cell did not answer" in str(item.reason)
