"""BigQuery: a dataset of the user's, through Google's client library (the extra `bigquery`).

Evidence is loaded into tables of that dataset, which are labelled, are removed at the end, and expire in any case; what
lies in Cloud Storage is read there, and nothing is loaded. Each test is one query job. Certification asks about examples
without any table, so it reads no bytes.
"""

from __future__ import annotations

import secrets
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

from compliancectl import canonical
from compliancectl.engines import bigquery_types as types
from compliancectl.engines import digests
from compliancectl.engines import translate as sql
from compliancectl.engines.base import Answer, EngineFailed, Settings, World
from compliancectl.engines.bigquery_client import Client, Done
from compliancectl.engines.bigquery_sql import question, translate
from compliancectl.model.certificate import DigestJob, EngineJob, EngineJobs
from compliancectl.model.lake import Source
from compliancectl.model.table import Table
from compliancectl.query.answers import write_answer
from compliancectl.query.bind import Bound
from compliancectl.query.content import Content
from compliancectl.query.rows import gather

_BATCH_BYTES = 200_000
"""Of one query that asks about several worlds; BigQuery takes 1 MB."""


class BigQuery:
    """One dataset."""

    name = "bigquery"

    def __init__(self, settings: Settings) -> None:
        self._client = Client(settings)
        self._tables: dict[str, Table] = {}
        self._files: dict[str, Sequence[Source]] = {}
        self._places: dict[str, str] = {}
        self._jobs: list[EngineJob] = []
        self._digests: list[DigestJob] = []
        self._run = secrets.token_hex(6)

    def version(self) -> str:
        """`bigquery v2 in EU`: the service has no version of its own."""
        return f"bigquery v2 in {self._client.location}"

    def translator(self) -> str:
        """`sqlglot 30.30.0`."""
        return sql.translator()

    def translate(self, text: str) -> str:
        """The SQL as BigQuery runs it."""
        return translate(text)

    def reads(self, place: str) -> bool:
        """What lies in Cloud Storage, with the rights of whoever asks."""
        return place.startswith("gs://")

    def contents(self, table: Table, addresses: Sequence[str]) -> dict[str, Content]:
        """In one job, whose answer is at most 256 rows for each evidence item."""
        name = _external(table.name)
        text = digests.question(table, types.name(name), types.WORDS)
        done = self._client.run(text, {name: addresses})
        job = DigestJob(
            table=table.name,
            job=done.job,
            bytes_processed=done.bytes_processed,
            bytes_billed=done.bytes_billed,
            sql_sha256=canonical.sha256(text.encode()),
        )
        self._digests.append(job)
        return digests.contents(table, done.rows)

    def declare(self, tables: Mapping[str, Table], files: Mapping[str, Sequence[Source]]) -> None:
        """Remember the tables; files are loaded when the first test reads them, and objects stay where they lie."""
        self._tables |= tables
        self._files |= files

    def prepare(self, bound: Bound) -> None:
        """Have BigQuery check the query on empty tables, without running it."""
        self._client.check(question(bound, {name: self._given(bound, name, ()) for name in bound.tables}))

    def answer(self, bound: Bound, out: Path) -> None:
        """Load what the test reads and is neither there yet nor read where it lies, and ask."""
        text = question(bound, {name: self._source(bound, name) for name in bound.tables})
        lying = {_external(name): found for name in bound.tables if (found := self._addresses(name))}
        done = self._client.run(text, lying)
        self._jobs.append(
            EngineJob(
                control=bound.control,
                test=bound.test.id,
                job=done.job,
                bytes_processed=done.bytes_processed,
                bytes_billed=done.bytes_billed,
                rows=len(done.rows),
                sql_sha256=canonical.sha256(text.encode()),
            )
        )
        write_answer(bound, _answer(bound, done), out)

    def worlds(self, bound: Bound, tables: Mapping[str, Table], worlds: Sequence[World]) -> list[Answer | EngineFailed]:
        """Answer a test once for each world, several in one job; where a job fails, one by one."""
        self._tables |= tables
        texts = [
            question(bound, {name: self._given(bound, name, world.rows.get(name, ())) for name in bound.tables})
            for world in worlds
        ]
        found: list[Answer | EngineFailed] = []
        for some in _batches(texts):
            try:
                found += self._several(bound, some)
            except EngineFailed as failed:
                found += self._one_by_one(bound, some) if len(some) > 1 else [failed]
        return found

    def jobs(self) -> EngineJobs:
        """The query jobs that gave the answers, and those that held tables to what was sealed."""
        return EngineJobs(jobs=tuple(self._jobs), digests=tuple(self._digests))

    def close(self) -> None:
        """Remove what was loaded."""
        self._client.drop(list(self._places.values()))
        self._client.close()

    def _given(self, bound: Bound, name: str, rows: Sequence[Mapping[str, object]]) -> str:
        return types.given(self._tables[name], rows, bound)

    def _addresses(self, name: str) -> list[str]:
        return [source for source in self._files.get(name, ()) if isinstance(source, str)]

    def _source(self, bound: Bound, name: str) -> str:
        files = [source for source in self._files.get(name, ()) if isinstance(source, Path)]
        if self._addresses(name):
            return types.stored(self._tables[name], _external(name), bound)
        if not files:
            return self._given(bound, name, ())
        if name not in self._places:
            with tempfile.TemporaryDirectory(prefix="compliancectl-bigquery-") as folder:
                file = Path(folder) / "rows.parquet"
                rows = gather(self._tables[name], files, file)
                self._places[name] = self._client.load(f"compliancectl_{self._run}_{sql.view_name(name)}", file, rows)
        return types.stored(self._tables[name], self._places[name], bound)

    def _several(self, bound: Bound, texts: Sequence[str]) -> list[Answer]:
        together = "\nUNION ALL\n".join(f"SELECT {n} AS `__world`, * FROM (\n{text}\n)" for n, text in enumerate(texts))
        answers: list[Answer] = [[] for _ in texts]
        done = self._client.run(together)
        for row in done.rows:
            answers[row[0]].append(_typed(bound, row[1:]))
        return answers

    def _one_by_one(self, bound: Bound, texts: Sequence[str]) -> list[Answer | EngineFailed]:
        found: list[Answer | EngineFailed] = []
        for text in texts:
            try:
                found += self._several(bound, [text])
            except EngineFailed as failed:
                found.append(failed)
        return found


def _external(table: str) -> str:
    """How a query names a table that lies in Cloud Storage."""
    return f"compliancectl_{sql.view_name(table)}"


def _batches(texts: Sequence[str]) -> list[list[str]]:
    found: list[list[str]] = []
    size = 0
    for text in texts:
        if not found or size + len(text) > _BATCH_BYTES:
            found.append([])
            size = 0
        found[-1].append(text)
        size += len(text)
    return found


def _answer(bound: Bound, done: Done) -> Answer:
    return [_typed(bound, row) for row in done.rows]


def _typed(bound: Bound, row: Sequence[object]) -> tuple[object, ...]:
    kinds = [*bound.columns.values(), *(None for _ in bound.checks)]
    return tuple(value if kind is None else types.read(value, kind) for value, kind in zip(row, kinds, strict=True))
