"""A small run folder in the true wire formats, a key, and a sealed bundle of it."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from compliancectl import canonical, clock
from compliancectl.bundle import bundle
from compliancectl.model.evidence import (
    CollectorUse,
    Completeness,
    EvidenceItem,
    Principal,
    ReplyRecord,
    RunRecord,
    TableRows,
    Window,
)
from compliancectl.model.manifest import Operator
from compliancectl.model.result import CheckResult, ControlResult, Counts, ItemResult, Results, TableUse, TestResult
from compliancectl.seal import keys

STARTED = clock.parse("2026-11-01T02:00:00Z")
FINISHED = clock.parse("2026-11-01T02:04:10Z")
PERIOD = Window(start=clock.parse("2026-08-01T00:00:00Z"), end=clock.parse("2026-11-01T00:00:00Z"))
OPERATOR = Operator(id="github-actions/evidence", kind="ci")


@dataclass(frozen=True)
class Run:
    """Writes a run folder piece by piece."""

    folder: Path

    def write(self, name: str, data: bytes) -> str:
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
        return canonical.sha256(data)

    def add_item(self, id: str, table: str, *, status: str = "collected", body: bytes | None = None) -> EvidenceItem:
        """Write one evidence item with one reply and one table."""
        source, feed, target = id.split("/")
        reply = body if body is not None else canonical.to_bytes({"items": [{"name": target}]})
        rows = b"PAR1" + target.encode() * 20 + b"PAR1"
        item = EvidenceItem(
            id=id,
            collector=source,
            collector_version="0.1.0",
            feed=feed,
            target=target,
            system=source,
            endpoint=f"https://{source}.example",
            environment="production",
            status=status,  # type: ignore[arg-type]
            cause=None if status == "collected" else "truncated",
            reason=None if status == "collected" else "=The source stopped after page 1.",
            principal=Principal(
                subject="evidence@larkspur.example", authentication="service account", read_only="viewer"
            ),
            requested_at=STARTED,
            completed_at=FINISHED,
            completeness=Completeness(method="nextPageToken empty after 1 page", pages=1, items=1),
            redactions={"secret": 2, "person": 1},
            replies=(
                ReplyRecord(
                    path="raw-0001.json",
                    sha256=self.write(f"evidence/{id}/raw-0001.json", reply),
                    bytes=len(reply),
                    media_type="application/json",
                    operation=f"GET https://{source}.example/{feed}",
                    status="200",
                    requested_at=STARTED,
                    completed_at=FINISHED,
                ),
            ),
            tables=(
                TableRows(
                    table=table,
                    path=f"{table}.parquet",
                    sha256=self.write(f"evidence/{id}/{table}.parquet", rows),
                    bytes=len(rows),
                    rows=1,
                ),
            ),
        )
        self.write(f"evidence/{id}/item.json", canonical.to_bytes(item.to_json()))
        return item

    def finish(self, items: list[EvidenceItem], **changes: Any) -> RunRecord:
        """Write run.json over these items."""
        digests = {item.id: canonical.sha256_file(self.folder / "evidence" / item.id / "item.json") for item in items}
        record = RunRecord(
            id="larkspur-20261101T020000Z",
            organization="Larkspur Learning, Inc.",
            system="Larkspur Study Companion",
            environment="production",
            scope_file="compliancectl.yaml",
            scope_sha256="0" * 64,
            period=PERIOD,
            started_at=STARTED,
            finished_at=FINISHED,
            status="complete" if all(item.status == "collected" for item in items) else "partial",
            tool_version="0.1.0",
            python="3.11.7",
            platform="Linux-x86_64",
            collectors=(CollectorUse(name="gcp", distribution="compliancectl", version="0.1.0"),),
            feeds=tuple(sorted({f"{item.collector}.{item.feed}" for item in items})),
            evidence=digests,
        ).model_copy(update=changes)
        self.write("run.json", canonical.to_bytes(record.to_json()))
        return record

    def evaluate(self, run: RunRecord, items: list[EvidenceItem]) -> Results:
        """Write a catalogue and results that rest on these items."""
        control = self.write("catalog/controls/backup/BCP-01-backups.yaml", b"id: BCP-01\n")
        self.write("catalog/config.json", b"{}")
        self.write("catalog/waivers.yaml", b"waivers: []\n")
        lines = [
            ItemResult(resource="larkspur-prod/app-db", outcome="pass", checks={"enabled": "pass"}).model_dump(
                mode="json"
            )
        ]
        path = "results/items/BCP-01.backups-enabled.jsonl"
        digest = self.write(path, canonical.to_lines(lines))
        uses = TableUse(
            table="gcp.sql_instance", status="collected", rows=1, oldest=FINISHED, items=tuple(i.id for i in items)
        )
        test = TestResult(
            id="backups-enabled",
            outcome="no deviations",
            population_sql="select resource from gcp.sql_instance",
            tables=(uses,),
            counts=Counts(passed=1),
            checks=(CheckResult(name="enabled", expect="backup_enabled", finding="Backups are off.", passed=1),),
            items_path=path,
            items_sha256=digest,
        )
        results = Results(
            run_id=run.id,
            run_sha256=canonical.sha256_file(self.folder / "run.json"),
            organization=run.organization,
            system=run.system,
            environment=run.environment,
            as_of=FINISHED,
            period=PERIOD,
            tool_version="0.1.0",
            engine="duckdb 1.4.0",
            outcome="no deviations",
            controls=(
                ControlResult(
                    id="BCP-01",
                    title="Databases are backed up every day",
                    objective="Data can be restored.",
                    topic="backup",
                    owner="platform",
                    severity="high",
                    frequency="daily",
                    satisfies={"soc2": ("A1.2",)},
                    remediation="Switch backups on.",
                    file="catalog/controls/backup/BCP-01-backups.yaml",
                    sha256=control,
                    outcome="no deviations",
                    tests=(test,),
                ),
            ),
        )
        self.write("results/results.json", canonical.to_bytes(results.to_json()))
        return results


def make_run(folder: Path, *, partial: bool = False) -> Path:
    """A finished and evaluated run with three evidence items."""
    run = Run(folder)
    items = [
        run.add_item("gcp/sql_instances/larkspur-prod", "gcp.sql_instance"),
        run.add_item(
            "gcp/sql_backup_runs/larkspur-prod", "gcp.sql_backup_run", status="partial" if partial else "collected"
        ),
        run.add_item(
            "github/organization/larkspur-learning", "github.organization", body=b'{"note": "line 1\\nline 2"}'
        ),
    ]
    run.evaluate(run.finish(items), items)
    return folder


@dataclass(frozen=True)
class Sealed:
    """A sealed bundle in both forms, and the keys."""

    folder: Path
    archive: Path
    public: Path
    private: Path
    other_public: Path
    other_private: Path

    def copy(self, place: Path) -> Path:
        """A copy of the folder to tamper with."""
        return Path(shutil.copytree(self.folder, place, symlinks=True))


@pytest.fixture(autouse=True)
def _no_passphrase(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(keys.PASSPHRASE_VARIABLE, raising=False)


@pytest.fixture
def run_folder(tmp_path: Path) -> Path:
    """A finished and evaluated run."""
    return make_run(tmp_path / "run")


@pytest.fixture(scope="session")
def sealed(tmp_path_factory: pytest.TempPathFactory) -> Sealed:
    """One sealed bundle for all tests; copy it before changing it."""
    place = tmp_path_factory.mktemp("sealed")
    mine, other = keys.new_key(place / "ci"), keys.new_key(place / "mallory")
    folder, archive = place / "bundle", place / "bundle.zip"
    bundle(make_run(place / "run"), folder, key=mine.private, archive=archive, operator=OPERATOR)
    return Sealed(folder, archive, mine.public, mine.private, other.public, other.private)


@pytest.fixture
def partial_run(tmp_path: Path) -> Path:
    """A run in which one evidence item was not collected in full."""
    return make_run(tmp_path / "partial", partial=True)
