"""The administrators' audit log, counted: nothing but counts is kept, and too many entries are not begun."""

from __future__ import annotations

import json

import pytest
from cloudbox import PROD, Box

from compliancectl.collectors.gcp.feeds.activity import kind_of
from compliancectl.query.rows import read_rows


def test_entries_are_counted_and_not_kept(box: Box) -> None:
    box.cloud.logs.generated_entries = 2500
    found = box.collect("gcp.activity_count", projects=[PROD])
    item = found.item("activity_counts")
    assert (item.status, item.completeness.items, item.completeness.pages) == ("collected", 2500, 3)
    folder = found.run / "evidence" / item.id
    (reply,) = item.replies
    kept = json.loads((folder / reply.path).read_bytes())
    assert [page["entries"] for page in kept["pages"]] == [1000, 1000, 500] and len(reply.attempts) == 3
    assert {"counts", "pages", "window"} == set(kept) and b"SEEDED-SECRET" not in (folder / reply.path).read_bytes()
    rows = read_rows(folder / "gcp.activity_count.parquet")
    assert sum(row["entries"] for row in rows) == 2500
    assert {(r["principal"], r["kind"], r["method"]) for r in rows} == {
        ("(redacted)", "person", "cloudsql.instances.create")
    }
    assert item.redactions["personal"] >= 2500


def test_failed_calls_are_told_apart(box: Box) -> None:
    found = box.collect("gcp.activity_count", projects=[PROD])
    item = found.item("activity_counts")
    rows = read_rows(found.run / "evidence" / item.id / "gcp.activity_count.parquet")
    updates = {r["kind"]: (r["entries"], r["failed"]) for r in rows if r["method"].endswith("UpdateService")}
    assert updates == {"service account": (1, 0), "person": (1, 1)}
    assert item.window is not None and all(
        item.window.start <= r["first"].replace(tzinfo=item.window.start.tzinfo) for r in rows
    )


def test_more_entries_than_may_be_read_are_not_begun(box: Box) -> None:
    box.cloud.logs.generated_entries = 5000
    item = box.collect("gcp.activity_count", projects=[PROD], log_max_entries=3000).item("activity_counts")
    assert (item.status, item.cause) == ("partial", "truncated")
    assert "log entries are expected in the window, and 3000 may be read" in str(item.reason)
    assert len(box.cloud.logs.log) == 1


@pytest.mark.parametrize(
    ("address", "kind"),
    [
        ("ann@larkspur.example", "person"),
        ("(redacted)", "person"),
        ("ci@p.iam.gserviceaccount.com", "service account"),
        ("402117739155-compute@developer.gserviceaccount.com", "service account"),
        ("402117739155@cloudservices.gserviceaccount.com", "Google"),
        ("service-402117739155@gcp-sa-cloud-sql.iam.gserviceaccount.com", "Google"),
        ("service-x@p.iam.gserviceaccount.com", "service account"),
        (None, None),
    ],
)
def test_what_an_address_stands_for(address: str | None, kind: str | None) -> None:
    assert kind_of(address) == kind
