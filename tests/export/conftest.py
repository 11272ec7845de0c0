"""One bundle in which everything occurs: each outcome of an item, a test and a control, and hostile text."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import daily
import pytest

from compliancectl import clock
from compliancectl.export import export
from compliancectl.model.evidence import RejectedRow, Window
from compliancectl.model.result import Results
from compliancectl.seal import keys

PLACES = [folder / "shared" / "schemas" for folder in Path(__file__).parents[3:]]
"""The published schemas are not part of the project; they lie beside it, or further up, where they may be had."""
HOSTILE = "=HYPERLINK(\"http://evil\") \x1b[31m\u202e_x0041_ <b>&amp;]]> 'ü' 🦉"
FINISHED = clock.parse("2026-11-01T02:04:10Z")


@dataclass(frozen=True)
class Made:
    """A sealed bundle in both forms and what it holds."""

    folder: Path
    archive: Path
    public: Path
    other_public: Path
    results: Results


def merges() -> list[dict[str, Any]]:
    merged = clock.parse("2026-10-30T10:00:00Z")
    return [
        {"resource": "app#1", "merged": merged, "approvals": 1, "title": "Ordinary"},
        {"resource": "app#2", "merged": merged, "approvals": 0, "title": HOSTILE},
        {"resource": "app#3", "merged": merged, "approvals": None, "title": "Nobody knows"},
        {"resource": "app#4", "merged": merged, "approvals": 0, "title": "Accepted"},
        *({"resource": f"app#5{n:03}", "merged": merged, "approvals": 0, "title": "Many"} for n in range(250)),
    ]


@pytest.fixture(scope="session")
def made(tmp_path_factory: pytest.TempPathFactory) -> Made:
    place = tmp_path_factory.mktemp("export")
    period = Window(start=clock.parse("2026-08-01T00:00:00Z"), end=clock.parse("2026-11-01T00:00:00Z"))
    day = daily.Day(place / "run", FINISHED, "larkspur-20261101T020000Z", period)
    branches = [{"resource": "app/main", "protected": True, "archived": False}]
    branches += [{"resource": "old/main", "protected": False, "archived": True}]
    day.add("git.branch", branches)
    broken = RejectedRow(reply="raw-0001.json", key="app#?", path="$.approvals", message="Expected `int`, got `str`")
    day.add("git.merge", merges(), rejected=[broken])
    day.add("cloud.backup", [])
    day.add("cloud.bucket", [], denied="Permission storage.buckets.list was denied.")
    controls = [daily.write_control(place, id) for id in daily.BODIES]
    branches_text = (place / "controls/testing/TST-01-protected-branches.yaml").read_text(encoding="utf-8")
    for name, changes in {
        "TST-05-nothing.yaml": {
            "TST-01": "TST-05",
            "high": "low",
            "FROM git.branch": "FROM git.branch WHERE false",
            "    examples": "    may_be_empty: There may be none.\n    examples",
        },
        "TST-06-open.yaml": {"TST-01": "TST-06", "{expect: protected,": "{expect: NOT protected,"},
    }.items():
        text = branches_text
        for old, new in changes.items():
            text = text.replace(old, new)
        (place / "controls" / "testing" / name).write_text(text, encoding="utf-8")
        controls.append(daily.load_control(place / "controls" / "testing" / name))
    results = daily.judge(day, controls, [daily.waiver(("app#4",), "TST-02", "reviewed")])
    mine, other = keys.new_key(place / "ci"), keys.new_key(place / "other")
    daily.seal(day, place / "bundle", mine.private, place / "bundle.zip")
    return Made(place / "bundle", place / "bundle.zip", mine.public, other.public, results)


@pytest.fixture(scope="session")
def exported(made: Made, tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """Each format, written once."""
    place = tmp_path_factory.mktemp("exported")

    def once(kind: str) -> Path:
        # Some readers go by the name.
        out = place / (kind + {"xlsx": ".xlsx", "oscal": ".json", "sarif": ".sarif"}.get(kind, ""))
        if not out.exists():
            export(kind, made.archive, out)
        return out

    return once


@pytest.fixture(scope="session")
def schema() -> Callable[[str], Path]:
    """A published schema; the test is skipped where they are not at hand."""

    def find(name: str) -> Path:
        found = next((place / name for place in PLACES if (place / name).is_file()), None)
        if found is None:
            pytest.skip(f"the published schema {name} is not at {PLACES[0]}")
        return found

    return find
