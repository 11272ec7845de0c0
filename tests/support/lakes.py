"""A sealed run of several tables and items, and a lake that has it; for tests of tables that lie elsewhere."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import daily

from compliancectl import clock
from compliancectl.cli import app
from compliancectl.model.control import Control
from compliancectl.model.evidence import Window
from compliancectl.seal import keys

AT = clock.parse("2026-03-01T02:00:00Z")
RUN = "run-1"
BRANCHES = {
    "app": [{"resource": f"app/{n}", "protected": n != 3, "archived": None} for n in range(5)],
    "none": [],
    "web": [{"resource": "web/main", "protected": True, "archived": False}],
}
MERGES = [{"resource": f"m{n:03}", "merged": AT, "approvals": n % 3, "title": "é" * (n % 4)} for n in range(50)]


@dataclass(frozen=True)
class Made:
    """A sealed run."""

    run: Path
    folder: Path
    archive: Path
    public: Path
    private: Path
    controls: tuple[Control, ...]


@dataclass(frozen=True)
class Lake:
    """A lake of one test, and the run's bundle without what lies in it."""

    place: Path
    bundle: Path
    run: Path
    made: Made

    def partition(self, table: str) -> Path:
        source, name = table.split(".")
        return self.place / f"tables/evidence_source={source}/evidence_table={name}/evidence_run={RUN}"

    def verify(self, *more: str) -> int:
        return app.run(["verify", str(self.bundle), "--key", str(self.made.public), "--tables", str(self.place), *more])


def publish(made: Made, place: Path | str) -> int:
    return app.run(["tables", "publish", str(made.archive), str(place), "--key", str(made.public)])


def make(place: Path) -> Made:
    pair = keys.new_key(place / "keys")
    day = daily.Day(place / "run", AT, RUN, Window(start=AT.replace(hour=0), end=AT))
    for target, rows in BRANCHES.items():
        day.add("git.branch", rows, target=target, reply=f'{{"of": "{target}"}}'.encode())
    day.add("git.merge", MERGES)
    day.add("cloud.backup", [], denied="Permission denied.")
    controls = tuple(daily.write_control(place, id) for id in ("TST-01", "TST-02", "TST-03"))
    daily.judge(day, controls)
    daily.seal(day, place / "bundle", pair.private, place / "bundle.zip")
    return Made(place / "run", place / "bundle", place / "bundle.zip", pair.public, pair.private, controls)
