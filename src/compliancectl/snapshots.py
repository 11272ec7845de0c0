"""What a run's evidence says about each table: can it be relied on, and if not, why, in the source's own words."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from pydantic import ValidationError

from compliancectl import canonical, clock, shards
from compliancectl.errors import FileError, NotReadyError, Status
from compliancectl.model.base import Wire
from compliancectl.model.control import MAX_AGE_HOURS, Frequency
from compliancectl.model.evidence import EvidenceItem, RejectedRow, RunRecord, TableRows
from compliancectl.model.result import TableUse
from compliancectl.model.table import Table

if TYPE_CHECKING:
    from compliancectl.lake.reading import Held, RunTables

W = TypeVar("W", bound=Wire)

_WORST: tuple[Status, ...] = ("denied", "failed", "partial", "skipped", "collected")


@dataclass
class Snapshots:
    """The evidence items of one run, by the tables that they give."""

    folder: Path
    tables: Mapping[str, Table]
    items: tuple[EvidenceItem, ...]
    sources: frozenset[str]
    """Those that the scope file of the run named."""
    away: RunTables | None = None
    """Where the rows lie, if they are not beside their items."""
    _damage: dict[Path, str | None] = field(default_factory=dict)
    _elsewhere: dict[str, Held] = field(default_factory=dict)

    def giving(self, table: str) -> list[EvidenceItem]:
        """Every item that gave rows to `table`, or would have if it had not failed, sorted by id."""
        return self._givers.get(table, [])

    @cached_property
    def _givers(self) -> dict[str, list[EvidenceItem]]:
        found: dict[str, list[EvidenceItem]] = {}
        for item in self.items:
            for table in self._gives(item):
                found.setdefault(table, []).append(item)
        return found

    def _gives(self, item: EvidenceItem) -> set[str]:
        """The tables of an item's feed. A failed item that does not say is held against all tables of its source."""
        return (
            {rows.table for rows in item.tables} | set(item.gives)
            or self._feeds.get((item.collector, item.feed))
            or {name for name, table in self.tables.items() if table.source == item.collector}
        )

    @cached_property
    def _feeds(self) -> dict[tuple[str, str], set[str]]:
        """Collector and feed → the tables that any of its items gave."""
        found: dict[tuple[str, str], set[str]] = {}
        for item in self.items:
            found.setdefault((item.collector, item.feed), set()).update(rows.table for rows in item.tables)
        return found

    def rows(self, table: str) -> list[tuple[EvidenceItem, TableRows]]:
        """The Parquet files of `table`, with their items."""
        return [(item, rows) for item in self.giving(table) for rows in item.tables if rows.table == table]

    def files(self, table: str) -> list[Path]:
        """The paths of the Parquet files of `table` on this machine."""
        if self.away is not None:
            return self.away.in_order(self.tables[table], self._held(table, self.away))
        return [self._path(item, rows) for item, rows in self.rows(table)]

    def addresses(self, table: str) -> list[str]:
        """Where the rows of `table` lie, if the engine that answers reads them there."""
        if self.away is None:
            return []
        return [source for source in self._held(table, self.away).files if isinstance(source, str)]

    def changed(self, tables: Iterable[str]) -> str | None:
        """Why nothing holds that was just asked about some tables; None if it does."""
        if self.away is None:
            return None
        return next((why for table in tables if (why := self.away.changed(table)) is not None), None)

    def rejected(self, table: str) -> list[RejectedRow]:
        """The records that broke the contract of `table`."""
        return [record for _, rows in self.rows(table) for record in rows.rejected]

    def _path(self, item: EvidenceItem, rows: TableRows) -> Path:
        return self.folder / "evidence" / item.id / rows.path

    def use(self, table: str, frequency: Frequency, as_of: datetime) -> TableUse:
        """What a control of this frequency can make of `table`; `problem` says why it cannot rely on it."""
        items = self.giving(table)
        statuses = {item.status for item in items}
        problems = [problem for item in items if (problem := self._problem(item, table, frequency, as_of))]
        if not items:
            problems = [self._absent(table)]
        return TableUse(
            table=table,
            status=next((status for status in _WORST if status in statuses), "skipped"),
            rows=sum(rows.rows for _, rows in self.rows(table)),
            rejected=len(self.rejected(table)),
            oldest=min((item.completed_at for item in items), default=None),
            items=tuple(item.id for item in items),
            problem=" ".join(dict.fromkeys(problems)) or None,
        )

    def _absent(self, table: str) -> str:
        source = self.tables[table].source if table in self.tables else table.partition(".")[0]
        why = "" if source in self.sources else f": its scope file names no source {source}"
        return f"{table} was not collected in this run{why}."

    def _problem(self, item: EvidenceItem, table: str, frequency: Frequency, as_of: datetime) -> str | None:
        if item.status != "collected":
            return f"{item.id} is {item.status}: {_sentence(item.reason or item.cause or 'no reason was kept')}"
        if item.completeness is None or not item.completeness.complete:
            return f"{item.id} is not known to be complete: {_incomplete(item)}"
        mine = [rows for rows in item.tables if rows.table == table]
        if not mine:
            return f"{item.id} holds no rows of {table}."
        damage = next((d for rows in mine if (d := self._damaged(item, rows))), None)
        return damage or _stale(item, frequency, as_of)

    def _held(self, table: str, away: RunTables) -> Held:
        if table not in self._elsewhere:
            self._elsewhere[table] = away.held(table, {item.id: rows for item, rows in self.rows(table)})
        return self._elsewhere[table]

    def _damaged(self, item: EvidenceItem, rows: TableRows) -> str | None:
        if self.away is not None:
            return self._held(rows.table, self.away).problem
        path = self._path(item, rows)
        if path not in self._damage:
            self._damage[path] = _damage(path, item, rows)
        return self._damage[path]


def _damage(path: Path, item: EvidenceItem, rows: TableRows) -> str | None:
    if Path(rows.path).name != rows.path:
        return f"{item.id} names the file {rows.path}, which is not beside it."
    try:
        digest = canonical.sha256_file(path)
    except OSError as error:
        return f"The rows of {item.id} cannot be read: {rows.path}: {error.strerror}."
    if digest != rows.sha256:
        return f"The rows of {item.id} ({rows.path}) differ from the digest recorded when they were collected."
    return None


def _incomplete(item: EvidenceItem) -> str:
    completeness = item.completeness
    if completeness is None:
        return "no signal of completeness was kept."
    said = [_sentence(warning) for warning in completeness.warnings]
    if not completeness.exhausted:
        said.append("the source had more to give.")
    for what, total in (("reports", completeness.reported_total), ("counts", completeness.independent_count)):
        if total is not None and total != completeness.items:
            said.append(f"{completeness.items} records arrived, but the source {what} {total}.")
    return " ".join(said)


def _stale(item: EvidenceItem, frequency: Frequency, as_of: datetime) -> str | None:
    allowed = timedelta(hours=MAX_AGE_HOURS[frequency])
    age = as_of - item.completed_at
    rule = f"A control with frequency {frequency} accepts evidence within {MAX_AGE_HOURS[frequency]} hours."
    if age > allowed:
        return f"{item.id} is stale: collected at {clock.text(item.completed_at)}, judged as of {clock.text(as_of)}. {rule}"
    if -age > allowed:
        return f"{item.id} is later than what is judged: collected at {clock.text(item.completed_at)}, judged as of {clock.text(as_of)}. {rule}"
    return None


def _sentence(text: str) -> str:
    return text if text.endswith((".", "!", "?")) else f"{text}."


def read_run(folder: Path) -> RunRecord:
    """Read `run.json`.

    Raises:
        NotReadyError: if there is none, it is a part of one, or collection did not finish.
        FileError: if it is damaged.
    """
    path = folder / "run.json"
    if not path.is_file():
        raise NotReadyError(
            "There is no collected evidence here: run.json is missing.", hint="Run `collect` first.", file=folder
        )
    shards.refuse(folder)
    run = _read(path, RunRecord)
    if run.status == "open" or run.finished_at is None:
        raise NotReadyError(
            "Collection did not finish.", hint="Run `collect` again; it goes on where it stopped.", file=folder
        )
    return run


def read_snapshots(
    folder: Path, run: RunRecord, tables: Mapping[str, Table], away: RunTables | None = None
) -> Snapshots:
    """Read every evidence item of a run; `away` has the rows, if they are not beside the items.

    Args:
        folder: of the run.
        run: its record, as `read_run` gives it.
        tables: every declared table, by name.
        away: where the rows lie, if not beside the items.

    Raises:
        FileError: if an item is damaged, or stands in another folder than its own.
    """
    items: list[EvidenceItem] = []
    for path in sorted((folder / "evidence").glob("*/*/*/item.json")):
        item = _read(path, EvidenceItem)
        if path.parent.relative_to(folder / "evidence").as_posix() != item.id:
            raise FileError(
                f"This evidence calls itself {item.id}, but lies elsewhere.", hint="Collect again.", file=path
            )
        items.append(item)
    sources = frozenset(use.name for use in run.collectors)
    return Snapshots(folder, tables, tuple(sorted(items, key=lambda item: item.id)), sources, away)


def _read(path: Path, model: type[W]) -> W:
    try:
        return model.model_validate_json(path.read_bytes())
    except (OSError, ValidationError) as error:
        first = str(error).splitlines()
        detail = " ".join(line.strip() for line in first[:3])
        raise FileError(f"This file is damaged: {detail}", hint="Collect again.", file=path) from error
