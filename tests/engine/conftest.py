"""A small world of declared tables, control files written on the spot, and runs with Parquet evidence."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from textwrap import dedent, indent
from typing import Any

import duckdb
import pytest

from compliancectl import canonical
from compliancectl.engines import Settings, open_engine
from compliancectl.engines.base import Engine
from compliancectl.model.evidence import (
    CollectorUse,
    Completeness,
    EvidenceItem,
    RejectedRow,
    RunRecord,
    TableRows,
    Window,
)
from compliancectl.model.table import BOOL, INT, TEXT, TIME, Column, ListOf, Table, struct
from compliancectl.query.syntax import quote, typed_literal

AS_OF = datetime(2026, 8, 1, 12, tzinfo=UTC)

TABLES: dict[str, Table] = {
    table.name: table
    for table in (
        Table(
            "test.database",
            "One row per database.",
            (
                Column("resource", TEXT, "Full name.", required=True),
                Column("region", TEXT, "Where it runs."),
                Column("public", BOOL, "Reachable from the internet."),
                Column("days", INT, "Days of backups kept."),
                Column("created", TIME, "When it was made."),
                Column("replica", BOOL, "It copies another one."),
                Column("networks", ListOf(struct(name=TEXT, value=TEXT)), "Networks that may connect."),
                Column("owners", ListOf(TEXT), "Who answers."),
                Column("settings", struct(tls=TEXT, seen=TIME), "Settings."),
            ),
            ("resource",),
            ("databases.list",),
        ),
        Table(
            "test.backup",
            "One row per backup.",
            (
                Column("resource", TEXT, "Full name.", required=True),
                Column("database", TEXT, "Of which database."),
                Column("location", TEXT, "Where it is kept."),
                Column("ended", TIME, "When it was complete."),
                Column("kind", TEXT, "Label, if there is one."),
            ),
            ("resource",),
            ("backups.list",),
        ),
        Table(
            "document.attestation",
            "One row per document.",
            (
                Column("resource", TEXT, "Path.", required=True),
                Column("kind", TEXT, "Kind.", required=True),
                Column("subject", TEXT, "What it is about."),
                Column("owner", TEXT, "Who answers for it."),
                Column("issued", TIME, "When."),
                Column("expires", TIME, "Until when."),
                Column("status", TEXT, "performed or planned."),
            ),
            ("resource",),
        ),
    )
}

HEAD = """\
id: TST-01
title: Databases are private
objective: Nobody outside reaches them.
satisfies: {soc2: [CC6.6]}
owner: platform
severity: high
frequency: daily
remediation: Make them private.
"""

Rows = Sequence[Mapping[str, Any]]


def control_text(
    population: str, checks: Mapping[str, tuple[str, str]], *, head: str = HEAD, more: str = "", examples: str = ""
) -> str:
    """A control file with one test called `private`."""
    lines = [
        head,
        "tests:",
        "  - id: private",
        "    population: |",
        indent(dedent(population).strip("\n"), "      "),
        "    checks:",
    ]
    for name, (expect, finding) in checks.items():
        lines += [f"      {name}:", f"        expect: {_quoted(expect)}", f"        finding: {_quoted(finding)}"]
    lines.append(indent(dedent(more).strip("\n"), "    "))
    shown = dedent(examples).strip("\n") or "- given: {}\n  then: {}"
    lines += ["    examples:", indent(shown, "      "), ""]
    return "\n".join(line for line in lines if line)


def _quoted(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"


@pytest.fixture(scope="session")
def tables() -> dict[str, Table]:
    """The declared tables of these tests."""
    return TABLES


@pytest.fixture(scope="module")
def spark() -> Iterator[Engine]:
    """A Spark of our own; only for tests with the mark of that name."""
    engine = open_engine("spark", Settings(master="local[2]", brief=True))
    yield engine
    engine.close()


@pytest.fixture
def write_control(tmp_path: Path) -> Callable[..., Path]:
    """Writes a control file `controls/testing/<id>.yaml` and returns its path."""

    def write(text: str | bytes, name: str = "TST-01.yaml") -> Path:
        path = tmp_path / "controls" / "testing" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(text.encode() if isinstance(text, str) else text)
        return path

    return write


@dataclass
class Run:
    """Builds a run's folder as `collect` would have written it."""

    folder: Path
    finished: datetime = AS_OF
    items: list[str] = field(default_factory=list)

    def add(
        self,
        table: str,
        rows: Rows,
        *,
        target: str = "one",
        status: str = "collected",
        reason: str | None = None,
        completed: datetime | None = None,
        completeness: Completeness | None = None,
        rejected: Sequence[RejectedRow] = (),
        gives: Sequence[str] | None = None,
    ) -> Path:
        """One evidence item with one table; a failed one holds no rows."""
        source, name = table.split(".")
        id = f"{source}/{name}s/{target}"
        folder = self.folder / "evidence" / id
        folder.mkdir(parents=True)
        kept: tuple[TableRows, ...] = ()
        if status == "collected":
            path = folder / f"{table}.parquet"
            write_parquet(TABLES[table], rows, path)
            kept = (
                TableRows(
                    table=table,
                    path=path.name,
                    sha256=canonical.sha256_file(path),
                    bytes=path.stat().st_size,
                    rows=len(rows),
                    rejected=tuple(rejected),
                ),
            )
            completeness = completeness or Completeness(method="last page", pages=1, items=len(rows))
        at = completed or self.finished - timedelta(minutes=1)
        item = EvidenceItem(
            id=id,
            collector=source,
            collector_version="1",
            feed=f"{name}s",
            target=target,
            system="Test",
            endpoint="https://example",
            environment="production",
            status=status,
            reason=reason,  # type: ignore[arg-type]
            requested_at=at,
            completed_at=at,
            completeness=completeness,
            tables=kept,
            gives=tuple(gives if gives is not None else [table]),
        )
        (folder / "item.json").write_bytes(canonical.to_bytes(item.to_json()))
        self.items.append(id)
        return folder

    def finish(self, status: str = "complete") -> Path:
        """Write `run.json`."""
        run = RunRecord(
            id="run-1",
            organization="Larkspur",
            system="Study",
            environment="production",
            scope_file="s.yaml",
            scope_sha256="0" * 64,
            period=Window(start=self.finished - timedelta(days=90), end=self.finished),
            started_at=self.finished - timedelta(minutes=5),
            finished_at=None if status == "open" else self.finished,
            status=status,
            tool_version="0",
            python="3",
            platform="test",
            collectors=tuple(
                CollectorUse(name=name, distribution="test", version="1")
                for name in sorted({id.partition("/")[0] for id in self.items})
            ),
            feeds=(),  # type: ignore[arg-type]
            evidence={
                id: canonical.sha256_file(self.folder / "evidence" / id / "item.json") for id in sorted(self.items)
            },
        )
        self.folder.mkdir(parents=True, exist_ok=True)
        (self.folder / "run.json").write_bytes(canonical.to_bytes(run.to_json()))
        return self.folder


def write_parquet(table: Table, rows: Rows, path: Path) -> None:
    """Write rows with exactly the declared types."""
    columns = ", ".join(f"{quote(c.name)} {c.type.sql}" for c in table)
    with duckdb.connect() as db:
        db.execute(f"CREATE TABLE t ({columns})")
        values = [", ".join(typed_literal(row.get(c.name), c.type) for c in table) for row in rows]
        if values:
            db.execute(f"INSERT INTO t VALUES {', '.join(f'({row})' for row in values)}")
        db.execute(f"COPY t TO '{path}' (FORMAT parquet)")


@pytest.fixture
def run(tmp_path: Path) -> Run:
    """An empty run."""
    return Run(tmp_path / "run")


@pytest.fixture(scope="session")
def text_of_control() -> Callable[..., str]:
    """`control_text`, for modules that cannot import this one."""
    return control_text


@pytest.fixture(scope="session")
def write_parquet_of() -> Callable[..., None]:
    """Writes rows of a named table to a Parquet file."""

    def write(table: str, rows: Rows, path: Path) -> None:
        write_parquet(TABLES[table], rows, path)

    return write


@pytest.fixture
def laid_out(tmp_path: Path) -> Callable[[str, Rows], Path]:
    """Writes rows of a table as they lie in a lake: each of one of three evidence items."""

    def write(table: str, rows: Rows) -> Path:
        file, out = tmp_path / "rows.parquet", tmp_path / "lake.parquet"
        write_parquet(TABLES[table], rows, file)
        with duckdb.connect() as db:
            item = "'test/databases/' || (hash(resource) % 3)::VARCHAR AS evidence_item"
            db.execute(f"COPY (SELECT *, {item} FROM '{file}') TO '{out}' (FORMAT parquet)")
        return out

    return write


@pytest.fixture(scope="session")
def new_run() -> Callable[[Path], Run]:
    """Begins a run in a folder."""
    return Run
