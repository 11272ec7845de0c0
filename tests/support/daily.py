"""Runs of a few tables, written, judged and sealed by the product itself; for tests of what is made from bundles."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Any

from compliancectl import canonical
from compliancectl.bundle import bundle
from compliancectl.contract import RowContract
from compliancectl.evaluate import evaluate
from compliancectl.load import load_control
from compliancectl.model.control import Control
from compliancectl.model.evidence import (
    Completeness,
    EvidenceItem,
    RejectedRow,
    ReplyRecord,
    RunRecord,
    TableRows,
    Window,
)
from compliancectl.model.framework import Framework
from compliancectl.model.manifest import Operator
from compliancectl.model.result import Results
from compliancectl.model.table import BOOL, INT, TEXT, TIME, Column, Table
from compliancectl.model.waiver import Waiver
from compliancectl.query import rows as parquet
from compliancectl.query.limits import Limits

TABLES: dict[str, Table] = {
    table.name: table
    for table in (
        Table(
            "git.branch",
            "One row per branch.",
            (
                Column("resource", TEXT, "Name.", required=True),
                Column("protected", BOOL, "Only reviewed changes reach it."),
                Column("archived", BOOL, "Nobody can write to it."),
            ),
            ("resource",),
        ),
        Table(
            "git.merge",
            "One row per merge.",
            (
                Column("resource", TEXT, "Name.", required=True),
                Column("merged", TIME, "When."),
                Column("approvals", INT, "By others than the author."),
                Column("title", TEXT, "What it says."),
            ),
            ("resource",),
        ),
        Table(
            "cloud.backup",
            "One row per backup.",
            (
                Column("resource", TEXT, "Name.", required=True),
                Column("ended", TIME, "When."),
                Column("successful", BOOL, "Whether it can be restored."),
            ),
            ("resource",),
        ),
        Table(
            "cloud.bucket",
            "One row per bucket.",
            (Column("resource", TEXT, "Name.", required=True), Column("public", BOOL, "Open to everyone.")),
            ("resource",),
        ),
    )
}

HEAD = """\
id: {id}
title: {title}
objective: {title}, because otherwise <harm> & "loss" follow.
satisfies: {{soc2: [CC6.1, CC8.1], gdpr: ["32(1)(b)"]}}
owner: platform
severity: {severity}
frequency: {frequency}
params: {params}
remediation: Make it so again.
tests:
  - id: {test}
"""
BODIES = {
    "TST-01": """\
    population: |
      SELECT resource, protected, CASE WHEN archived THEN 'archived' END AS excluded FROM git.branch
    checks:
      protected: {expect: protected, finding: "Branch {resource} is not protected."}
    optional_fields: [git.branch.archived]
    examples: []
""",
    "TST-02": """\
    population: |
      SELECT resource, merged, approvals, title, $approvals AS wanted FROM git.merge
    checks:
      reviewed: {expect: approvals >= wanted, finding: "Merge {resource} ({title}) has {approvals} of {wanted} approvals."}
    may_be_empty: A day may pass without a change.
    examples: []
""",
    "TST-03": """\
    population: |
      SELECT resource, ended, successful FROM cloud.backup
    checks:
      successful: {expect: successful, finding: "Backup {resource} failed."}
    examples: []
""",
    "TST-04": """\
    population: |
      SELECT resource, public FROM cloud.bucket
    checks:
      private: {expect: NOT public, finding: "Bucket {resource} is open to everyone."}
    examples: []
""",
}
ABOUT = {
    "TST-01": ("Branches are protected", "high", "protected-branches", "{}"),
    "TST-02": ("Changes are reviewed", "critical", "reviewed-merges", "{approvals: 1}"),
    "TST-03": ("Backups succeed", "critical", "daily-backups", "{}"),
    "TST-04": ("Buckets are private", "medium", "private-buckets", "{}"),
}
OPERATOR = Operator(id="nightly", kind="ci")
Rows = Sequence[Mapping[str, Any]]


def write_control(folder: Path, id: str, *, frequency: str = "daily", comment: str = "") -> Control:
    """Write one of the controls and load it; a comment gives the file another digest."""
    title, severity, test, params = ABOUT[id]
    file = folder / "controls" / "testing" / f"{id}-{test}.yaml"
    file.parent.mkdir(parents=True, exist_ok=True)
    head = HEAD.format(id=id, title=title, severity=severity, test=test, params=params, frequency=frequency)
    # An example is asked of every test by the form; what it says is the concern of other tests.
    body = BODIES[id].replace("examples: []", "examples: [{given: {}, then: {}}]")
    file.write_text(head + body + (f"# {comment}\n" if comment else ""), encoding="utf-8")
    return load_control(file)


@dataclass
class Day:
    """One run, before it is judged."""

    folder: Path
    finished: datetime
    id: str
    period: Window
    items: list[EvidenceItem] = field(default_factory=list)

    def add(
        self,
        table: str,
        found: Rows,
        *,
        window: Window | None = None,
        denied: str | None = None,
        rejected: Iterable[RejectedRow] = (),
        target: str = "larkspur",
        reply: bytes | None = None,
        corroborate: str | None = None,
    ) -> None:
        """Add one evidence item; a denied one holds no rows."""
        source, name = table.split(".")
        item_folder = self.folder / "evidence" / source / f"{name}s" / target
        item_folder.mkdir(parents=True)
        kept = () if denied else (_table(item_folder, table, found, tuple(rejected)),)
        at = self.finished - timedelta(minutes=1)
        item = EvidenceItem(
            id=f"{source}/{name}s/{target}",
            collector=source,
            collector_version="1",
            feed=f"{source}.{name}s",
            target=target,
            system="Test",
            endpoint="https://source.example",
            environment="production",
            status="denied" if denied else "collected",
            cause="permission" if denied else None,
            reason=denied,
            requested_at=at,
            completed_at=at,
            window=window,
            completeness=None if denied else Completeness(method="last page", pages=1, items=len(found)),
            replies=() if reply is None else (_reply(item_folder, reply, at),),
            tables=kept,
            gives=(table,),
            corroborate=corroborate,
        )
        (item_folder / "item.json").write_bytes(canonical.to_bytes(item.to_json()))
        self.items.append(item)

    def finish(self) -> Path:
        """Write `run.json`."""
        run = RunRecord(
            id=self.id,
            organization="Larkspur Learning, Inc.",
            system="Larkspur Study Companion",
            environment="production",
            scope_file="compliancectl.yaml",
            scope_sha256="0" * 64,
            period=self.period,
            started_at=self.finished - timedelta(minutes=5),
            finished_at=self.finished,
            status="complete" if all(item.status == "collected" for item in self.items) else "partial",
            tool_version="0.1.0",
            python="3.11",
            platform="test",
            collectors=(),
            feeds=tuple(sorted(item.feed for item in self.items)),
            evidence={
                item.id: canonical.sha256_file(self.folder / "evidence" / item.id / "item.json") for item in self.items
            },
        )
        (self.folder / "run.json").write_bytes(canonical.to_bytes(run.to_json()))
        return self.folder


def judge(
    day: Day, controls: Sequence[Control], waivers: Sequence[Waiver] = (), frameworks: Sequence[Framework] = ()
) -> Results:
    """Finish a run and judge it; with `frameworks`, a report can be made of it."""
    limits = Limits(memory="256MB", threads=1)
    return evaluate(day.finish(), controls, TABLES, waivers=waivers, frameworks=frameworks, limits=limits)


def seal(day: Day, out: Path, key: Path, archive: Path | None = None) -> Path:
    """Seal a judged run."""
    bundle(day.folder, out, key=key, archive=archive, operator=OPERATOR)
    return out


def _reply(folder: Path, body: bytes, at: datetime) -> ReplyRecord:
    (folder / "raw-0001.json").write_bytes(body)
    return ReplyRecord(
        path="raw-0001.json",
        sha256=canonical.sha256(body),
        bytes=len(body),
        media_type="application/json",
        operation="GET https://source.example",
        status="200",
        requested_at=at,
        completed_at=at,
    )


def _table(folder: Path, table: str, found: Rows, rejected: tuple[RejectedRow, ...]) -> TableRows:
    contract = RowContract(TABLES[table])
    spool, file = folder / "rows.jsonl", folder / f"{table}.parquet"
    lines = [contract.encode(row) for row in found]
    spool.write_bytes(b"".join(lines))
    written = parquet.write_parquet(
        TABLES[table], spool, file, folder, longest=max((len(line) for line in lines), default=0)
    )
    assert not written.doubles
    for name in folder.iterdir():
        if name != file:
            name.unlink()
    return TableRows(
        table=table,
        path=file.name,
        sha256=canonical.sha256_file(file),
        bytes=file.stat().st_size,
        rows=written.rows,
        content_sha256=written.content.sha256,
        rejected=rejected,
    )


def waiver(items: tuple[str, ...], control: str, check: str) -> Waiver:
    """One that holds for long."""
    return Waiver(
        id="W-1",
        control=control,
        items=items,
        checks=(check,),
        approver="amara-okafor",
        reason="Needed until the move.",
        approved=date(2026, 1, 1),
        expires=date(2027, 12, 31),
    )
