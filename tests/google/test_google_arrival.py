"""Whether audit logs of data access arrive: silence is believed only by whoever may hear, and only where something was said."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from cloudbox import LOGS, PROD, Box, Collected

from compliancectl.query.rows import read_rows

ROOT = "organizations/558124370021"
SECRETS, STORAGE = "secretmanager.googleapis.com", "storage.googleapis.com"


def rows(found: Collected, table: str, target: str = PROD) -> dict[str, Any]:
    item = found.item("audit_arrival", target)
    assert item.status == "collected", item.reason
    every = read_rows(found.run / "evidence" / item.id / f"{table}.parquet")
    return {row["service"]: row for row in every}


@pytest.fixture
def silent(box: Box) -> Iterator[Box]:
    """No entry about secrets."""
    entries = box.cloud.state.project(PROD)["log_entries"]
    kept = list(entries)
    entries[:] = [entry for entry in entries if entry.get("service") != SECRETS]
    yield box
    entries[:] = kept


def test_where_entries_are_there_nothing_else_is_asked_and_nothing_else_is_kept(box: Box) -> None:
    found = box.collect("gcp.audit_arrival", projects=[PROD])
    arrived = rows(found, "gcp.audit_arrival")
    assert len(arrived) == 6 and all(row["newest"] for row in arrived.values())
    assert rows(found, "gcp.api_calls") == {}
    assert [request.path for request in box.cloud.web.log if "monitoring" in request.path] == []
    kept = b"".join(path.read_bytes() for path in (found.run / "evidence").rglob("raw-*"))
    assert b"SEEDED-SECRET" not in kept and b"protoPayload" not in kept


@pytest.mark.parametrize(("scope", "target"), [({"projects": [PROD]}, PROD), ({"projects": []}, ROOT)])
def test_calls_of_a_silent_service_are_counted(silent: Box, scope: dict[str, Any], target: str) -> None:
    found = silent.collect("gcp.audit_arrival", **scope)
    assert rows(found, "gcp.audit_arrival", target)[SECRETS]["newest"] is None
    assert rows(found, "gcp.audit_arrival", target)[STORAGE]["newest"] is not None
    assert {name: (row["project"], row["calls"]) for name, row in rows(found, "gcp.api_calls", target).items()} == {
        SECRETS: (PROD, 1840)
    }


def test_only_projects_that_can_call_a_silent_service_are_asked_in_an_organisation(silent: Box) -> None:
    silent.collect("gcp.audit_arrival", projects=[])
    asked = [request.path for request in silent.cloud.web.log if request.path.endswith("/timeSeries")]
    assert len(asked) == 1 and PROD in asked[0]


def test_a_project_in_which_nobody_called_anything_says_so(box: Box) -> None:
    counted = rows(box.collect("gcp.audit_arrival", projects=[LOGS]), "gcp.api_calls", LOGS)
    assert {row["calls"] for row in counted.values()} == {0} and len(counted) == 6


def test_silence_is_not_believed_by_whoever_may_not_see_such_entries(box: Box) -> None:
    """Cloud Logging leaves them out and answers as if there were none."""
    box.cloud.state.denied.add("logging.privateLogEntries.list")
    item = box.collect("gcp.audit_arrival", projects=[PROD]).item("audit_arrival")
    assert (item.status, item.cause) == ("partial", "permission")
    assert "logging.privateLogEntries.list" in str(item.reason)


@pytest.mark.parametrize(
    ("how", "cause"),
    [
        ({"denied": "monitoring.timeSeries.list"}, "permission"),
        ({"disabled": "monitoring.googleapis.com"}, "api-disabled"),
    ],
)
def test_calls_that_cannot_be_counted_are_not_none(silent: Box, how: dict[str, str], cause: str) -> None:
    for kind, name in how.items():
        getattr(silent.cloud.state, kind).add(name)
    item = silent.collect("gcp.audit_arrival", projects=[PROD]).item("audit_arrival")
    assert item.status in ("denied", "partial") and item.cause == cause
