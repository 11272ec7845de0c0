"""Writes one evidence item: replies as they arrive, rows as they are shaped, the record last."""

from __future__ import annotations

import shutil
from collections import Counter
from collections.abc import Iterator
from contextlib import suppress
from datetime import datetime
from io import BytesIO
from pathlib import Path
from sys import intern
from types import TracebackType
from typing import IO

from compliancectl import canonical, clock, redaction, store
from compliancectl.collectors.base import Feed, Reply, Session, Target
from compliancectl.contract import BrokenRow, RowContract
from compliancectl.errors import CollectError, Garbage, Status
from compliancectl.model.evidence import (
    Completeness,
    EvidenceItem,
    Principal,
    RejectedRow,
    ReplyRecord,
    TableRows,
    Window,
)
from compliancectl.model.table import Table
from compliancectl.query import rows

MAX_REJECTED = 1000
"""Broken records kept one by one per table; more than that and the item is `failed`."""

_SUFFIX = {
    "application/json": "json",
    "application/x-ndjson": "jsonl",
    "text/csv": "csv",
    "text/plain": "txt",
    "application/yaml": "yaml",
    "application/pdf": "pdf",
    "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet": "xlsx",
    "application/vnd.openxmlformats-officedocument.wordprocessingml.document": "docx",
    "image/jpeg": "jpg",
    "image/png": "png",
    "text/markdown": "md",
}


class _Spool:
    """Rows as they come: of most items they are few, and wait in memory until they are sorted."""

    def __init__(self, file: Path) -> None:
        self._file = file
        self.stream: IO[bytes] = BytesIO()

    def write(self, line: bytes) -> None:
        """Add a row; what gets long goes to the file."""
        memory = self.stream
        if isinstance(memory, BytesIO) and memory.tell() + len(line) > rows.SMALL:
            self.stream = self._file.open("w+b")
            self.stream.write(memory.getbuffer())
        self.stream.write(line)


class ItemWriter:
    """Collects the parts of one item in a dot folder; `finish` makes it appear whole."""

    def __init__(
        self,
        run: Path,
        source: str,
        feed: Feed[Session],
        target: Target,
        people: redaction.People | None = None,
    ) -> None:
        self.run, self.source, self.feed, self.target = run, source, feed, target
        self.final = store.item_folder(run, source, feed.name, target.name)
        self.folder = self.final.with_name(f".{self.final.name}.part")
        self.scratch = self.folder / "scratch"
        self.requested_at: datetime = clock.now()
        self.replies: list[ReplyRecord] = []
        self.redactions: dict[str, int] = {}
        self._people = people
        self.pseudonyms: Counter[str] = Counter()
        """How often each pseudonym occurs in the replies so far."""
        self._longest = 0
        self._contracts = {table.name: RowContract(table) for table in feed.tables}
        self._rejected: dict[str, list[RejectedRow]] = {table.name: [] for table in feed.tables}

    def __enter__(self) -> ItemWriter:
        with store.writing(self.run):
            shutil.rmtree(self.folder, ignore_errors=True)
            self.scratch.mkdir(parents=True)
            self._spools = {t.name: _Spool(self.scratch / f"{t.name}.jsonl") for t in self.feed.tables}
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for spool in self._spools.values():
            with suppress(OSError):  # what a full disk did not take is thrown away here
                spool.stream.close()
        shutil.rmtree(self.folder, ignore_errors=True)

    def add(self, reply: Reply) -> None:
        """Keep one reply and the rows that it gives.

        Raises:
            Garbage: if the reply cannot be shaped at all.
            OutputError: if the disk is full.
        """
        with store.writing(self.run):
            self._add(reply)

    def _add(self, reply: Reply) -> None:
        name = f"raw-{len(self.replies) + 1:04d}.{_SUFFIX.get(reply.media_type, 'bin')}"
        (self.folder / name).write_bytes(reply.body)
        self.replies.append(_record(name, reply))
        for label, count in reply.redactions.items():
            self.redactions[label] = self.redactions.get(label, 0) + count
        self.pseudonyms.update(redaction.found_in(reply.body))
        for table, line in self._shape(reply, name):
            self._spools[table].write(line)
            self._longest = max(self._longest, len(line))

    def _shape(self, reply: Reply, name: str) -> Iterator[tuple[str, bytes]]:
        try:
            for table, row in self.feed.shape(reply):
                contract = self._contracts[table]
                try:
                    yield table, contract.encode(row)
                except BrokenRow as broken:
                    self._reject(table, name, contract.key(row), broken)
        except CollectError:
            raise
        except (ValueError, KeyError, TypeError, IndexError, AttributeError) as error:
            raise Garbage(
                f"the reply {name} does not have the documented form ({type(error).__name__}: {error})",
                hint="The source may have changed its format; please report it with the reply.",
            ) from error

    def _reject(self, table: str, reply: str, key: str, broken: BrokenRow) -> None:
        rejected = self._rejected[table]
        if len(rejected) >= MAX_REJECTED:
            raise Garbage(f"more than {MAX_REJECTED} records of {table} break its contract; the first: {broken}")
        rejected.append(RejectedRow(reply=reply, key=key, path=broken.path, message=broken.message))

    def derive(self) -> tuple[TableRows, ...]:
        """Write the rows of every table of the feed from the replies so far; no reply can be added after that.

        Raises:
            OutputError: if the disk is full.
        """
        with store.writing(self.run):
            return tuple(self._table(table) for table in self.feed.tables)

    def finish(
        self,
        *,
        collector_version: str,
        system: str,
        environment: str,
        principal: Principal | None,
        window: Window | None,
        corroborate: str | None,
        completeness: Completeness | None,
        problem: CollectError | None,
        skipped: str | None = None,
    ) -> EvidenceItem:
        """Write rows and record, and let the item appear under its name.

        The disk may still take its time: `collect` forces all items to it before it says that a run is over, and a run that
        is continued keeps only items of which every file has its digest.

        Raises:
            OutputError: if the disk is full.
        """
        tables = self.derive()
        status, cause, reason = _verdict(completeness, problem, bool(self.replies), skipped)
        item = EvidenceItem(
            id=self.final.relative_to(self.run / store.EVIDENCE).as_posix(),
            collector=self.source,
            collector_version=collector_version,
            feed=f"{self.source}.{self.feed.name}",
            target=self.target.name,
            system=system,
            endpoint=self.target.endpoint,
            environment=environment,
            status=status,
            cause=cause,
            reason=reason,
            hint=problem.hint if problem else None,
            principal=principal,
            # an answer that is about several targets may have come before this item was begun
            requested_at=min([self.requested_at, *(reply.requested_at for reply in self.replies)]),
            completed_at=clock.now(),
            window=window,
            completeness=completeness,
            redactions=dict(sorted(self.redactions.items())),
            pseudonyms=redaction.commitments(self._people, self.pseudonyms),
            replies=tuple(self.replies),
            tables=tables,
            gives=tuple(sorted(table.name for table in self.feed.tables)),
            corroborate=corroborate,
        )
        with store.writing(self.run):
            shutil.rmtree(self.scratch)
            with (self.folder / store.ITEM_FILE).open("wb") as stream:
                canonical.write(item.to_json(), stream)
                stream.write(b"\n")
            if self.final.exists():
                shutil.rmtree(self.final)
            self.folder.rename(self.final)
        return item

    def _table(self, table: Table) -> TableRows:
        file = self.folder / f"{table.name}.parquet"
        lines = self._spools[table.name].stream
        written = rows.write_parquet(table, lines, file, self.scratch, longest=self._longest)
        twice = [
            RejectedRow(reply="(rows)", key=key, path="$", message="two records share this key")
            for key in written.doubles
        ]
        return TableRows(
            table=table.name,
            path=file.name,
            sha256=canonical.sha256_file(file),
            bytes=file.stat().st_size,
            rows=written.rows,
            content_sha256=written.content.sha256,
            rejected=(*self._rejected[table.name], *twice[:MAX_REJECTED]),
        )


def _record(name: str, reply: Reply) -> ReplyRecord:
    return ReplyRecord(
        path=name,
        sha256=canonical.sha256(reply.body),
        bytes=len(reply.body),
        media_type=reply.media_type,
        operation=intern(reply.operation),
        parameters=dict(reply.parameters),
        status=reply.status,
        request_id=reply.request_id,
        etag=reply.etag,
        server_date=reply.server_date,
        requested_at=reply.requested_at,
        completed_at=reply.completed_at,
        attempts=tuple(reply.attempts),
        # Replies of one list say much the same: it is held once, not with each of thousands.
        context={name: intern(value) for name, value in reply.context.items()},
    )


def _verdict(
    completeness: Completeness | None, problem: CollectError | None, replied: bool, skipped: str | None
) -> tuple[Status, str | None, str | None]:
    """Status, cause and reason of an item. What broke off after some replies is partial, whatever broke it."""
    if skipped is not None:
        return "skipped", "skipped", skipped
    if problem is not None:
        return ("partial" if replied else problem.status), problem.cause, problem.message
    assert completeness is not None
    if completeness.complete:
        return "collected", None, None
    return "partial", "incomplete", _shortfall(completeness)


def _shortfall(found: Completeness) -> str:
    if not found.exhausted:
        return f"the source has more than the {found.items} items that were read"
    for name, total in (
        ("the source reports", found.reported_total),
        ("a second count gives", found.independent_count),
    ):
        if total is not None and total != found.items:
            return f"{found.items} items were read, but {name} {total}"
    return "; ".join(found.warnings)
