"""Whether entries of pgAudit arrive: silence is believed only by whoever may hear."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from cloudbox import LOGS, PROD, Box

from compliancectl.query.rows import read_rows

ROOT = "organizations/558124370021"
INSTANCE = "//cloudsql.googleapis.com/projects/larkspur-prod/instances/app-db"
SCOPES = [({"projects": [PROD]}, PROD), ({"projects": []}, ROOT)]


@pytest.fixture
def silent(box: Box) -> Iterator[Box]:
    """No entry of pgAudit."""
    entries = box.cloud.state.project(PROD)["log_entries"]
    kept = list(entries)
    entries[:] = [entry for entry in entries if not entry.get("pgaudit")]
    yield box
    entries[:] = kept


@pytest.mark.parametrize(("scope", "target"), SCOPES)
def test_the_newest_entry_of_a_database_is_told(box: Box, scope: dict[str, Any], target: str) -> None:
    found = box.collect("gcp.pgaudit_entry", **scope)
    item = found.item("pgaudit_entries", target)
    assert item.status == "collected", item.reason
    rows = list(read_rows(found.run / "evidence" / item.id / "gcp.pgaudit_entry.parquet"))
    assert [row["resource"] for row in rows] == [INSTANCE]


@pytest.mark.parametrize(("scope", "target"), SCOPES)
def test_silence_is_not_believed_by_whoever_may_not_see_such_entries(
    box: Box, scope: dict[str, Any], target: str
) -> None:
    """Cloud Logging leaves them out and answers as if there were none."""
    box.cloud.state.denied.add("logging.privateLogEntries.list")
    item = box.collect("gcp.pgaudit_entry", **scope).item("pgaudit_entries", target)
    assert (item.status, item.cause) == ("partial", "permission")
    assert "logging.privateLogEntries.list" in str(item.reason)


@pytest.mark.parametrize(("scope", "target"), SCOPES)
def test_silence_is_believed_by_whoever_may_see_such_entries(silent: Box, scope: dict[str, Any], target: str) -> None:
    found = silent.collect("gcp.pgaudit_entry", **scope)
    item = found.item("pgaudit_entries", target)
    assert item.status == "collected", item.reason
    assert list(read_rows(found.run / "evidence" / item.id / "gcp.pgaudit_entry.parquet")) == []


def test_one_project_that_may_be_heard_does_not_speak_for_another(box: Box) -> None:
    """In some project entries are seen, in another none: it is looked at whether they could be."""
    box.cloud.state.denied.add(f"logging.privateLogEntries.list {ROOT}")
    box.cloud.state.denied.add(f"logging.privateLogEntries.list projects/{LOGS}")
    item = box.collect("gcp.pgaudit_entry", projects=[]).item("pgaudit_entries", ROOT)
    assert (item.status, item.cause) == ("partial", "permission")
