"""A long read of logs that broke off goes on after its last page: nothing is asked twice, nothing doubled, nothing lost."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from cloudbox import PROD, Box, Collected

from compliancectl import store
from compliancectl.query.rows import read_rows

ENTRIES, PAGES = 5_500, 6
LIST = "ListLogEntries"


@pytest.fixture
def long(box: Box) -> Box:
    """A log of six pages."""
    box.cloud.logs.generated_entries = ENTRIES
    return box


def asked(box: Box) -> list[str]:
    """The tokens of the pages that were asked for; empty: the first page."""
    return [message.page_token for name, message in box.cloud.logs.log if name.endswith(LIST)]


def break_off(box: Box, table: str, after: int) -> Collected:
    """A collection to which the server is gone after so many pages."""
    box.misbehave(f"{LIST} after {after}000$", "vendor", name="UNAVAILABLE")
    found = box.collect(table, projects=[PROD])
    box.cloud.web.misbehaviours.clear()
    box.cloud.logs.log.clear()
    return found


def marks(found: Collected) -> list[str]:
    item = found.item("log_entries")
    assert item.status == "collected", item.reason
    return [row["resource"] for row in read_rows(found.run / "evidence" / item.id / "gcp.log_entry.parquet")]


@pytest.mark.parametrize("after", [1, 3, 5])
def test_it_goes_on_after_the_last_page(long: Box, after: int) -> None:
    broken = break_off(long, "gcp.log_entry", after)
    assert broken.item("log_entries").status == "partial"
    found = long.collect("gcp.log_entry", resume=broken.run, projects=[PROD])
    assert asked(long) == [f"{page}000" for page in range(after, PAGES)]
    assert len(marks(found)) == len(set(marks(found))) == ENTRIES
    item = found.item("log_entries")
    assert item.completeness is not None and item.completeness.pages == PAGES
    assert "read by an earlier try of this run" in item.completeness.method
    assert not (found.run / store.UNFINISHED).exists()


def test_what_is_counted_and_let_go_is_counted_once(long: Box) -> None:
    broken = break_off(long, "gcp.activity_count", 4)
    found = long.collect("gcp.activity_count", resume=broken.run, projects=[PROD])
    item = found.item("activity_counts")
    rows = read_rows(found.run / "evidence" / item.id / "gcp.activity_count.parquet")
    assert sum(row["entries"] for row in rows) == ENTRIES and asked(long) == ["4000", "5000"]
    whole = long.collect("gcp.activity_count", projects=[PROD])
    raw = [(run / "evidence" / item.id / "raw-0001.json").read_bytes() for run in (found.run, whole.run)]
    assert raw[0].count(b'"sha256"') == raw[1].count(b'"sha256"') == PAGES


def test_a_token_that_has_expired_begins_it_again_and_that_is_said(long: Box) -> None:
    broken = break_off(long, "gcp.log_entry", 3)
    long.misbehave(f"{LIST} after 3000$", "vendor", name="INVALID_ARGUMENT", times=1)
    found = long.collect("gcp.log_entry", resume=broken.run, projects=[PROD])
    assert asked(long) == ["3000", "", *(f"{page}000" for page in range(1, PAGES))]
    assert len(marks(found)) == len(set(marks(found))) == ENTRIES
    item = found.item("log_entries")
    assert item.completeness is not None
    assert "the token after page 3 of an earlier try had expired" in item.completeness.method


def test_another_principal_does_not_go_on_where_one_broke_off(
    long: Box, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    broken = break_off(long, "gcp.log_entry", 3)
    key = json.loads(Path(long.sandbox.env["GOOGLE_APPLICATION_CREDENTIALS"]).read_text())
    other, email = tmp_path / "key.json", "somebody-else@larkspur-prod.iam.gserviceaccount.com"
    other.write_text(json.dumps({**key, "client_email": email}))
    monkeypatch.setattr(long.cloud.tokens, "email", email)
    env = {"GOOGLE_APPLICATION_CREDENTIALS": str(other)}
    found = long.collect("gcp.log_entry", resume=broken.run, env=env, projects=[PROD])
    assert asked(long)[0] == "" and len(marks(found)) == ENTRIES


def test_a_page_that_was_damaged_is_read_again_with_all_after_it(long: Box) -> None:
    broken = break_off(long, "gcp.log_entry", 4)
    (page,) = (broken.run / store.UNFINISHED).rglob("page-00003.json")
    page.write_bytes(page.read_bytes()[:-100])
    found = long.collect("gcp.log_entry", resume=broken.run, projects=[PROD])
    assert asked(long)[0] == "2000" and len(set(marks(found))) == ENTRIES


def test_what_is_kept_of_a_page_is_what_may_become_evidence(long: Box) -> None:
    broken = break_off(long, "gcp.log_entry", 3)
    kept = b"".join(path.read_bytes() for path in (broken.run / store.UNFINISHED).rglob("*.json"))
    assert kept and b"SEEDED-SECRET" not in kept and b"seeded-person" not in kept


def test_a_process_that_is_killed_in_the_middle_loses_nothing(long: Box) -> None:
    """Killed for good after three pages, and continued by another process."""
    scope, run = long.scope(projects=[PROD]), long.folder / "killed"
    long.misbehave(f"{LIST} after 3000$", "vendor", name="slow", seconds=3600)
    command = [sys.executable, "-m", "compliancectl", "collect", "--scope", scope, "-o", run, "--only", "BCP-04"]
    env = {**os.environ, **long.sandbox.env}
    process = subprocess.Popen([str(part) for part in command], env=env, stderr=subprocess.DEVNULL)
    while "3000" not in asked(long):
        assert process.poll() is None
    process.send_signal(signal.SIGKILL)
    process.wait()
    long.cloud.web.misbehaviours.clear()
    long.cloud.logs.log.clear()
    done = subprocess.run([str(part) for part in (*command, "--resume")], env=env, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    found = Collected(Path(run), {(item.feed, item.target): item for item in store.read_items(Path(run))})
    assert asked(long)[0] == "3000" and len(set(marks(found))) == ENTRIES
