"""Audit logs that lie in BigQuery are asked where they are: the same rows, the query and its job as evidence, nothing assumed."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
from cloudbox import LOGS, PROD, Box, Collected

from compliancectl.query.rows import read_rows

DATASET = f"{LOGS}.all_logs"
IN_BIGQUERY = {"projects": [PROD], "logs": {"dataset": DATASET}}
ROOT = "organizations/558124370021"


@pytest.fixture
def linked(box: Box) -> Iterator[Box]:
    yield box
    box.cloud.linked.page, box.cloud.linked.lost_rows = 1000, 0
    box.cloud.linked.error, box.cloud.linked.unfinished = None, False


def rows(found: Collected, target: str) -> list[dict[str, Any]]:
    item = found.item("log_entries", target)
    assert item.status == "collected", item.reason
    return read_rows(found.run / "evidence" / item.id / "gcp.log_entry.parquet")


def sent(box: Box) -> list[Any]:
    """The queries that were sent, dry runs among them."""
    return [
        json.loads(r.body)["configuration"]
        for r in box.cloud.web.log
        if r.path.endswith("/jobs") and r.method == "POST"
    ]


def kept(found: Collected, part: str) -> list[Any]:
    """Replies of a part, as they were kept."""
    item = found.item("log_entries", LOGS)
    folder = found.run / "evidence" / item.id
    return [json.loads((folder / r.path).read_bytes()) for r in item.replies if r.context.get("part") == part]


def test_the_same_rows_as_downloaded(linked: Box) -> None:
    downloaded = rows(linked.collect("gcp.log_entry", projects=[PROD]), PROD)
    asked = rows(linked.collect("gcp.log_entry", **IN_BIGQUERY), LOGS)
    assert asked == downloaded and len(asked) > 2
    assert not any("logEntries" in request.path for request in linked.cloud.web.log)


def test_the_evidence_is_the_query_its_job_and_its_answer(linked: Box) -> None:
    found = linked.collect("gcp.log_entry", **IN_BIGQUERY)
    item = found.item("log_entries", LOGS)
    dry, (arrival, entries) = kept(found, "dry run"), sent(linked)[2:]
    assert [job["configuration"]["query"]["query"] for job in dry] == [c["query"]["query"] for c in (arrival, entries)]
    assert all(job["configuration"]["dryRun"] for job in dry)
    (ended,) = kept(found, "entries: job ended")
    assert ended["jobReference"]["jobId"].startswith("compliancectl_")
    assert int(ended["statistics"]["totalBytesProcessed"]) > 0 and ended["configuration"]["labels"] == {
        "made-by": "compliancectl"
    }
    (page,) = kept(found, "entries")
    assert (
        int(page["totalRows"]) == len(rows(found, LOGS)) == item.completeness.items == item.completeness.reported_total
    )
    assert item.completeness.filters == (entries["query"]["query"],)
    for query in (arrival["query"], entries["query"]):
        assert "timestamp >= TIMESTAMP '" in query["query"] and "timestamp < TIMESTAMP '" in query["query"]
        assert query["useQueryCache"] is False and query["maximumBytesBilled"] == str(100 * 2**30)


def test_people_outside_are_not_in_what_is_kept(linked: Box) -> None:
    found = linked.collect("gcp.log_entry", **IN_BIGQUERY)
    raw = b"".join(path.read_bytes() for path in (found.run / "evidence").rglob("raw-*"))
    assert b"seeded-person@contractor.example" not in raw and b"SEEDED-SECRET" not in raw
    assert b"bruno-keller@larkspur.example" in raw


def test_an_answer_of_many_pages_arrives_whole(linked: Box) -> None:
    whole = rows(linked.collect("gcp.log_entry", **IN_BIGQUERY), LOGS)
    linked.cloud.linked.page = 1
    found = linked.collect("gcp.log_entry", **IN_BIGQUERY)
    assert rows(found, LOGS) == whole and len(kept(found, "entries")) == len(whole)


def test_more_than_the_scope_allows_is_not_read(linked: Box) -> None:
    found = linked.collect("gcp.log_entry", projects=[PROD], logs={"dataset": DATASET, "max_bytes": 10})
    item = found.item("log_entries", LOGS)
    assert (item.status, item.cause) == ("partial", "truncated")
    assert "would read" in str(item.reason) and "the scope allows 10 bytes" in str(item.reason)
    assert all(config.get("dryRun") for config in sent(linked))


def test_a_project_whose_log_is_not_there_is_no_quiet_project(linked: Box) -> None:
    place = linked.cloud.state.project(LOGS)["linked_datasets"]["all_logs"]
    place["projects"].remove(PROD)
    try:
        item = linked.collect("gcp.log_entry", **IN_BIGQUERY).item("log_entries", LOGS)
    finally:
        place["projects"].append(PROD)
    assert item.status == "partial" and f"holds no audit log entry of {PROD}" in str(item.reason)


@pytest.mark.parametrize(
    ("how", "status", "cause", "said"),
    [
        ({"denied": "bigquery.datasets.get"}, "denied", "permission", "bigquery.datasets.get"),
        # The dataset has answered by then; what came is kept, and nothing is judged by it.
        ({"denied": "bigquery.jobs.create"}, "partial", "permission", "bigquery.jobs.create"),
        ({"denied": "bigquery.tables.getData"}, "partial", "permission", "bigquery.tables.getData"),
        ({"disabled": "bigquery.googleapis.com"}, "denied", "api-disabled", "BigQuery API"),
    ],
)
def test_what_may_not_be_asked_is_said(linked: Box, how: dict[str, str], status: str, cause: str, said: str) -> None:
    linked.cloud.state.denied |= {how["denied"]} if "denied" in how else set()
    linked.cloud.state.disabled |= {how["disabled"]} if "disabled" in how else set()
    item = linked.collect("gcp.log_entry", **IN_BIGQUERY).item("log_entries", LOGS)
    assert (item.status, item.cause) == (status, cause) and said in str(item.reason)


@pytest.mark.parametrize("logs", [{"dataset": f"{LOGS}.other"}, {"dataset": DATASET, "view": "_Nothing"}])
def test_a_dataset_or_view_that_is_not_there_is_said(linked: Box, logs: dict[str, str]) -> None:
    item = linked.collect("gcp.log_entry", projects=[PROD], logs=logs).item("log_entries", LOGS)
    assert item.status in ("failed", "partial") and item.cause == "not-found" and "Not found" in str(item.reason)


def test_an_answer_that_was_cut_is_no_answer(linked: Box) -> None:
    linked.cloud.linked.lost_rows = 1
    item = linked.collect("gcp.log_entry", **IN_BIGQUERY).item("log_entries", LOGS)
    assert (item.status, item.cause) == ("partial", "truncated") and "rows, but" in str(item.reason)


def test_a_job_that_ends_badly_is_no_answer(linked: Box) -> None:
    linked.cloud.linked.error = {"reason": "resourcesExceeded", "message": "Resources exceeded during query execution"}
    item = linked.collect("gcp.log_entry", **IN_BIGQUERY).item("log_entries", LOGS)
    assert item.status == "partial" and "Resources exceeded" in str(item.reason)


def test_a_job_that_does_not_end_is_no_answer(linked: Box) -> None:
    linked.cloud.linked.unfinished = True
    item = linked.collect("gcp.log_entry", **IN_BIGQUERY).item("log_entries", LOGS)
    assert item.status == "partial" and "did not end in time" in str(item.reason)


def test_doctor_tries_the_dataset(linked: Box) -> None:
    lines = linked.doctor(**IN_BIGQUERY)
    for name in ("bigquery.datasets.get", "bigquery.jobs.create", "bigquery.tables.getData"):
        assert lines[f"{name} on projects/{LOGS}"].outcome == "ok", lines
    assert lines[f"BigQuery API on projects/{LOGS}"].detail == "bigquery.googleapis.com answers"
    linked.cloud.state.denied.add("bigquery.tables.getData")
    assert linked.doctor(**IN_BIGQUERY)[f"bigquery.tables.getData on projects/{LOGS}"].outcome == "missing"
