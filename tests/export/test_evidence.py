"""What a bundle rests on, and the query that finds each collection in its source's own log."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

import daily
import pytest

from compliancectl.cli import app
from compliancectl.model.evidence import Window
from compliancectl.seal import keys

NOW = datetime(2026, 3, 1, 2, tzinfo=UTC)
QUERY = 'logName="projects/p/logs/cloudaudit.googleapis.com%2Fdata_access" AND timestamp>="2026-03-01T01:55:00Z"'


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One item that can be looked up, one of a source without a log, one that was denied."""
    place = tmp_path_factory.mktemp("evidence")
    window = Window(start=NOW - timedelta(days=1), end=NOW)
    day = daily.Day(place / "run", NOW, "run-1", window)
    day.add("cloud.bucket", [{"resource": "b", "public": False}], corroborate=QUERY)
    day.add("git.merge", [], window=window)
    day.add("git.branch", [], denied="Reading branches is not permitted.")
    daily.judge(day, [daily.write_control(place, "TST-04")])
    return daily.seal(day, place / "bundle", keys.new_key(place / "key").private)


def test_all_items_are_listed_with_what_can_be_looked_up(bundle: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert app.run(["evidence", str(bundle)]) == 0
    bucket, branch, merge, _, foot = capsys.readouterr().out.splitlines()
    assert "● collected" in bucket and "cloud/buckets/larkspur" in bucket and "no query" not in bucket
    assert "○ denied" in branch and "no query for a log of the source" in merge
    assert foot.startswith("3 evidence items; 1 can be looked up in the source's own log")


def test_one_item_is_shown_with_its_query(bundle: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert app.run(["evidence", str(bundle), "--item", "cloud/*", "--item", "git/branchs/larkspur"]) == 0
    said = capsys.readouterr().out
    bucket, branch = said.split("\n\n")[:2]
    assert QUERY in bucket and "cloud.bucket (1 row)" in bucket and "last page; 1 record in 1 page." in bucket
    assert "Reading branches is not permitted." in branch and "the source has no query for it" in branch
    assert "git/merges" not in said


def test_scripts_read_the_same(bundle: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert app.run(["evidence", str(bundle), "--format", "json"]) == 0
    found = {each["id"]: each["corroborate"] for each in json.loads(capsys.readouterr().out)}
    assert found == {"cloud/buckets/larkspur": QUERY, "git/branchs/larkspur": None, "git/merges/larkspur": None}


def test_a_name_that_is_none_is_a_mistake(bundle: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert app.run(["evidence", str(bundle), "--item", "gcp/*"]) == 2
    assert "no evidence item is called gcp/*" in capsys.readouterr().err
