"""A simulated year: a run each night, judged and sealed by the product, with a handful of planted events."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import daily
import pytest

from compliancectl import resources
from compliancectl.load import load_frameworks
from compliancectl.model.control import Control
from compliancectl.model.evidence import Window
from compliancectl.seal import keys

START = datetime(2025, 1, 1, tzinfo=UTC)
NIGHT = timedelta(hours=2)
NO_RUNS = (73, 74)
"""A Saturday and a Sunday in March."""
UNPROTECTED = range(120, 129)
UNREVIEWED = {200: "app#hotfix-1", 201: "app#hotfix-2"}
FAILED_BACKUP = 250
EDITED_FROM = 180
DENIED = range(300, 307)


@dataclass(frozen=True)
class Year:
    """The bundles of a year."""

    folder: Path
    public: Path
    days: int


def night(number: int) -> datetime:
    """When the run of a day ends."""
    return START + timedelta(days=number) + NIGHT


def add_evidence(day: daily.Day, number: int, since: datetime) -> None:
    """What the sources say on a day."""
    day.add("git.branch", [{"resource": "app/main", "protected": number not in UNPROTECTED, "archived": False}])
    merges: list[dict[str, Any]] = []
    for back in range((day.finished - since).days or 1):
        of = number - back
        merges.append({"resource": f"app#{of}", "merged": night(of), "approvals": 1, "title": "Work"})
    if number in UNREVIEWED:
        merges.append({"resource": UNREVIEWED[number], "merged": since, "approvals": 0, "title": "Emergency"})
    day.add("git.merge", merges, window=Window(start=since, end=day.finished))
    backup = {"resource": f"app-db/{number}", "ended": day.finished, "successful": number != FAILED_BACKUP}
    day.add("cloud.backup", [backup], window=Window(start=since, end=day.finished))
    denied = "Permission storage.buckets.list was denied." if number in DENIED else None
    day.add("cloud.bucket", [] if denied else [{"resource": "exports", "public": False}], denied=denied)


def run_night(
    place: Path, number: int, since: datetime, controls: list[Control], key: Path, *, last: bool = False
) -> Path:
    """Collect, judge and seal one night; the last one holds all that a report needs."""
    end = night(number)
    period = Window(start=end - timedelta(days=90), end=end)
    day = daily.Day(place / "run" / f"{number:03}", end, f"larkspur-{end:%Y%m%dT%H%M%SZ}", period)
    add_evidence(day, number, since)
    daily.judge(day, controls, frameworks=load_frameworks(resources.controls_folder() / "frameworks") if last else ())
    return daily.seal(day, place / "bundles" / f"{end:%Y-%m-%d}", key)


def make_year(place: Path, days: int) -> Year:
    """The runs of so many days, and the one after them, which holds the events of the last day."""
    pair = keys.new_key(place / "keys")
    before = [daily.write_control(place / "before", id) for id in daily.BODIES]
    after = [*before[:3], daily.write_control(place / "after", "TST-04", comment="edited")]
    since = START
    for number in range(days + 1):
        if number not in NO_RUNS:
            controls = after if number >= EDITED_FROM else before
            run_night(place, number, since, controls, pair.private, last=number == days - 1)
            since = night(number)
    return Year(place / "bundles", pair.public, days)


@pytest.fixture(scope="session")
def year(tmp_path_factory: pytest.TempPathFactory) -> Year:
    """A whole year."""
    return make_year(tmp_path_factory.mktemp("year"), 365)
