"""Reading a run's tables and replies from a lake, and holding them to what was sealed.

A folder is read where it is. What lies in a bucket is copied first, each object once: the process that judges has no
network, and DuckDB here reads no bucket. `in_place` is for engines that do.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from compliancectl import lake
from compliancectl.depot import Place, Stated, digest
from compliancectl.depot.local import LocalPlace
from compliancectl.errors import CollectError, VerifyError
from compliancectl.model.certificate import ObjectRead
from compliancectl.model.evidence import TableRows
from compliancectl.model.lake import ITEM, LakeRun, Source
from compliancectl.model.table import Table
from compliancectl.query import content
from compliancectl.query.parts import in_order


def content_of(files: Sequence[Path]) -> dict[str, content.Content] | None:
    """What Parquet files say, by evidence item; None if they cannot be read as evidence."""
    try:
        return content.by_item(files, ITEM) if files else {}
    except content.NoDigest:
        return None


def record(place: Place, name: str) -> LakeRun:
    """What is recorded of a run under a name.

    Raises:
        VerifyError: it is not what a lake has.
        CollectError: the storage cannot be read.
    """
    with place.open(name) as stream:
        data = stream.read()
    try:
        return LakeRun.model_validate_json(data)
    except ValueError as error:
        raise VerifyError(f"{name} is not the record of a run", step=0, hint="Have it looked at.") from error


@dataclass(frozen=True)
class Held:
    """The rows that a run gave to one table, as they lie in a lake now."""

    files: tuple[Source, ...]
    wrong: Mapping[str, str]
    """Evidence item → how its rows differ from what was sealed; also items that the run does not have."""
    unread: str | None = None
    """Why they could not be read: nothing is known then."""
    unsealed: tuple[str, ...] = ()
    """Items of which no digest of the content was sealed: nothing can be said of their rows."""

    @property
    def problem(self) -> str | None:
        """Why the table cannot be relied on, in one sentence."""
        if self.unread is not None:
            return self.unread
        if self.wrong:
            more = f" and {len(self.wrong) - 1} more" if len(self.wrong) > 1 else ""
            return f"{next(iter(self.wrong.values()))}{more}"
        return f"no digest of the content of {self.unsealed[0]} was sealed" if self.unsealed else None


@dataclass
class RunTables:
    """One run in a lake."""

    place: Place
    title: str
    """The lake as it was named."""
    run: str
    copies: Path
    """Where objects of a bucket are copied to; what is there saves copying it again."""
    scratch: Path
    """An empty folder, for what goes afterwards."""

    def record(self) -> LakeRun | None:
        """What is recorded of the run; None if it was not laid out here, or not to the end.

        Raises:
            VerifyError: it is not what a lake has.
            CollectError: the storage cannot be read.
        """
        name = lake.record(self.run)
        return record(self.place, name) if name in self.place.objects(name) else None

    def held(self, table: str, rows: Mapping[str, TableRows]) -> Held:
        """The rows of a table, held to what was sealed of each item.

        Args:
            table: its name.
            rows: evidence item → what it gave to the table.
        """
        try:
            files, found = self.contents(table)
        except CollectError as error:
            return Held((), {}, unread=f"{error.message}.")
        except content.NoDigest as error:
            return Held((), {table: f"The rows of {table} in {self.title} are damaged: {error}."})
        wrong = {}
        for id in sorted(rows.keys() | found.keys()):
            if (fault := self._fault(table, id, rows.get(id), found.get(id))) is not None:
                wrong[id] = fault
        unsealed = tuple(sorted(id for id, mine in rows.items() if mine.content_sha256 is None))
        return Held(tuple(files), wrong, unsealed=unsealed)

    def _fault(self, table: str, id: str, sealed: TableRows | None, found: content.Content | None) -> str | None:
        where = f"{table} in {self.title}"
        if sealed is None:
            assert found is not None
            return f"{where} has {found.rows} rows of {id}, which this run does not have."
        there = found.rows if found is not None else 0
        if there != sealed.rows:
            return f"{where} has {there} rows of {id}, of which {sealed.rows} were sealed."
        if found is not None and sealed.content_sha256 not in (None, found.sha256):
            return f"{where} has other rows of {id} than those that were sealed."
        return None

    def contents(self, table: str) -> tuple[Sequence[Source], Mapping[str, content.Content]]:
        """The Parquet files of a table, on this machine, and what they say by evidence item.

        Raises:
            CollectError: they cannot be listed or read.
            NoDigest: they cannot be read as evidence.
        """
        files = self._files(table)
        return files, content.by_item(files, ITEM) if files else {}

    def stated(self, table: str) -> dict[str, Stated]:
        """The Parquet files of a table, by name, with what the storage says of each.

        Raises:
            CollectError: they cannot be listed.
        """
        found = self.place.objects(lake.partition(self.run, table))
        return {name: about for name, about in sorted(found.items()) if _is_rows(name)}

    def _files(self, table: str) -> list[Path]:
        stated = self.stated(table)
        if isinstance(self.place, LocalPlace):
            return [self.place.readable(name) for name in stated]
        from compliancectl.depot.mirror import copy

        return [copy(self.place, self.copies, name, about) for name, about in stated.items()]

    def in_order(self, table: Table, held: Held) -> list[Path]:
        """The files of a table with the rows as in the run's own files: where they are, or a sorted copy.

        None, where they are read by nobody on this machine.
        """
        files = [file for file in held.files if isinstance(file, Path)]
        return in_order(table, files, self.scratch) if files else []

    def changed(self, table: str) -> str | None:
        """Why nothing holds that was asked about a table meanwhile; None if it does. Files that are held stay as they are."""
        return None

    def read_in_place(self) -> tuple[ObjectRead, ...]:
        """The objects that an engine read where they lie."""
        return ()

    def reply_digest(self, path: str) -> str:
        """The SHA-256 of a reply; `path` is that below `evidence/`.

        Raises:
            CollectError: it cannot be read, or is not there.
        """
        return digest(self.place, lake.reply(self.run, path))


def _is_rows(name: str) -> bool:
    """A Parquet file; what begins with a dot or an underscore is bookkeeping of engines, and engines do not read it."""
    return name.endswith(".parquet") and not name.rpartition("/")[2].startswith((".", "_"))
