"""Spark: a local or a remote master, through PySpark (the extra `spark`), which needs Java 17."""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from datetime import date, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from compliancectl.engines import digests, spark_session, spark_worlds
from compliancectl.engines import translate as sql
from compliancectl.engines.base import Answer, EngineFailed, Settings, World
from compliancectl.engines.spark_rules import rules
from compliancectl.engines.spark_session import failures, sentence
from compliancectl.engines.spark_types import WORDS, ddl, of_duckdb
from compliancectl.errors import UsageError
from compliancectl.model.certificate import EngineJobs
from compliancectl.model.lake import ITEM, Source
from compliancectl.model.table import Table
from compliancectl.query.answers import answer_sql, count_answer
from compliancectl.query.bind import Bound
from compliancectl.query.content import Content
from compliancectl.query.syntax import Refused

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession

_SCHEMES = {"s3": "s3a"}
_HELD = "__held"
"""The view over a table while it is held to what was sealed."""

_BATCH = 4
"""Worlds that are asked about in one job: a job costs more than a small question."""

_SMALL = {
    "spark.sql.shuffle.partitions": "1",
    "spark.sql.adaptive.enabled": "false",
    "spark.sql.codegen.wholeStage": "false",
    "spark.sql.codegen.factoryMode": "NO_CODEGEN",
    "spark.sql.autoBroadcastJoinThreshold": "-1",
}
"""For questions of a few rows: compiling each one, or a job for each side of a join, takes longer than answering it."""


class Spark:
    """A Spark session of our own."""

    name = "spark"

    def __init__(self, settings: Settings) -> None:
        try:
            import pyspark
        except ImportError as error:
            raise UsageError(
                "Spark is not installed", hint="Install the extra: pip install 'compliancectl[spark]'."
            ) from error
        self._version = f"spark {pyspark.__version__}"
        self._scratch = tempfile.TemporaryDirectory(prefix="compliancectl-spark-")
        try:
            self.session = spark_session.started(settings, Path(self._scratch.name))
        except UsageError:
            self._scratch.cleanup()
            raise

    def version(self) -> str:
        """`spark 4.3.0`."""
        return self._version

    def translator(self) -> str:
        """`sqlglot 30.30.0`."""
        return sql.translator()

    def translate(self, text: str) -> str:
        """The SQL as Spark runs it."""
        return sql.translate(text, "spark", rules)

    def reads(self, place: str) -> bool:
        """Whether Spark has a connector for such addresses; which one is the user's, as its settings are."""
        from py4j.protocol import Py4JJavaError

        scheme = place.partition("://")[0]
        java: Any = self.session.sparkContext
        with _or_stop():
            try:
                java._jvm.org.apache.hadoop.fs.FileSystem.getFileSystemClass(
                    _SCHEMES.get(scheme, scheme), java._jsc.hadoopConfiguration()
                )
            except Py4JJavaError:
                return False
        return True

    def contents(self, table: Table, addresses: Sequence[str]) -> dict[str, Content]:
        """In one job, whose answer is at most 256 rows for each evidence item."""
        with failures():
            kinds = _empty(self.session, table).schema.add(ITEM, "string")
            rows = self.session.read.schema(kinds).parquet(*map(_address, addresses))
            rows.createOrReplaceTempView(_HELD)
            found = self.session.sql(digests.question(table, f"`{_HELD}`", WORDS)).collect()
        return digests.contents(table, (tuple(row) for row in found))

    def declare(self, tables: Mapping[str, Table], files: Mapping[str, Sequence[Source]]) -> None:
        """Temporary views over the Parquet files, with the declared columns in the declared order."""
        with _or_stop():
            for name, table in tables.items():
                self._declare(name, table, [_address(file) for file in files.get(name, ())])

    def _declare(self, name: str, table: Table, files: Sequence[str]) -> None:
        frame = _empty(self.session, table)
        if files:
            read = self.session.read.schema(frame.schema).parquet(*files)
            frame = read.select([f"`{column.name}`" for column in table])
        frame.createOrReplaceTempView(sql.view_name(name))

    def prepare(self, bound: Bound) -> None:
        """Analysis only: names, functions and types."""
        from pyspark.errors import PySparkException

        with _or_stop():
            try:
                self.session.sql(self._question(bound))
            except PySparkException as error:
                said = f"Spark does not accept the SQL: {sentence(error)}"
                raise Refused(said, "Write it in plainer SQL.") from error

    def answer(self, bound: Bound, out: Path) -> None:
        """Run a test on the declared tables."""
        from pyspark.sql import Observation, functions

        seen = Observation()
        with failures():
            frame = self.session.sql(self._question(bound))
            frame.observe(seen, functions.count(functions.lit(1)).alias("items")).write.mode("error").parquet(str(out))
            items = int(seen.get["items"])
        arrived(items, out)

    def worlds(self, bound: Bound, tables: Mapping[str, Table], worlds: Sequence[World]) -> list[Answer | EngineFailed]:
        """Answer a test once for each world: all in one job, or several, or one by one, as far as Spark takes them."""
        question = self._question(bound)
        with _or_stop(), self._small():
            if len(worlds) > 1 and (found := self._together(bound, tables, worlds)) is not None:
                return found
            batches = [worlds[start : start + _BATCH] for start in range(0, len(worlds), _BATCH)]

            def ask(some: Sequence[World]) -> list[Answer | EngineFailed]:
                return self._answers(bound, question, tables, some)

            # Most of the time goes by in the driver, which works at one question with one thread.
            with ThreadPoolExecutor(max_workers=os.cpu_count()) as threads:
                return [answer for found in threads.map(ask, batches) for answer in found]

    @contextmanager
    def _small(self) -> Iterator[None]:
        before = {name: self.session.conf.get(name, None) for name in _SMALL}
        for name, value in _SMALL.items():
            self.session.conf.set(name, value)
        try:
            yield
        finally:
            for name, was in before.items():
                self.session.conf.unset(name) if was is None else self.session.conf.set(name, was)

    def jobs(self) -> EngineJobs:
        """None that would tell anything once the session is gone."""
        return EngineJobs()

    def close(self) -> None:
        """Stop the session."""
        with suppress(EngineFailed), failures():
            self.session.stop()
        self._scratch.cleanup()

    def _question(self, bound: Bound) -> str:
        """The translated SQL, with each column of exactly the type that DuckDB gives it."""
        return _typed(bound, self.translate(answer_sql(bound)))

    def _together(
        self, bound: Bound, tables: Mapping[str, Table], worlds: Sequence[World]
    ) -> list[Answer | EngineFailed] | None:
        """All worlds in one question, each row beside the number of its world; None if Spark does not take it so."""
        try:
            text = spark_worlds.together(bound.tables, answer_sql(bound), lambda inner: _typed(bound, inner))
        except spark_worlds.NotTogether:
            return None
        self.session.range(len(worlds)).createOrReplaceTempView(spark_worlds.WORLDS)
        for m, name in enumerate(bound.tables):
            rows = [{"__world": n, **_plain(row)} for n, world in enumerate(worlds) for row in world.rows.get(name, ())]
            given = f"array<STRUCT<`__world`: BIGINT, {ddl(tables[name], bound)[7:]}>"
            frame = self.session.sql(
                f"SELECT /*+ COALESCE(1) */ inline(from_json(:rows, '{given}'))", args={"rows": json.dumps(rows)}
            )
            frame.createOrReplaceTempView(spark_worlds.rows_of(m))
        try:
            with failures():
                return [*_by_world(self.session.sql(text).collect(), len(worlds))]
        except EngineFailed:
            return None

    def _answers(
        self, bound: Bound, question: str, tables: Mapping[str, Table], worlds: Sequence[World]
    ) -> list[Answer | EngineFailed]:
        try:
            return [*self._batch(bound, question, tables, worlds)]
        except EngineFailed as failed:
            if len(worlds) == 1:
                return [failed]
            return [answer for world in worlds for answer in self._answers(bound, question, tables, [world])]

    def _batch(self, bound: Bound, question: str, tables: Mapping[str, Table], worlds: Sequence[World]) -> list[Answer]:
        parts, given = [], {}
        for n, world in enumerate(worlds):
            shadows = []
            for m, name in enumerate(bound.tables):
                given[f"w{n}_{m}"] = json.dumps([_plain(row) for row in world.rows.get(name, ())])
                given_rows = (
                    f"SELECT /*+ COALESCE(1) */ inline(from_json(:w{n}_{m}, 'array<{ddl(tables[name], bound)}>'))"
                )
                shadows.append(f"`{sql.view_name(name)}` AS ({given_rows})")
            parts.append(f"SELECT {n} AS `__world`, * FROM (WITH {', '.join(shadows)}\n{question}\n)")
        with failures():
            rows = self.session.sql("\nUNION ALL\n".join(parts), args=given).collect()
        return _by_world(rows, len(worlds))


def _typed(bound: Bound, inner: str) -> str:
    columns = [f"CAST(`{name}` AS {of_duckdb(kind)}) AS `{name}`" for name, kind in bound.columns.items()]
    checks = [f"CAST(`__c{n}` AS BOOLEAN) AS `__c{n}`" for n in range(len(bound.checks))]
    return f"SELECT {', '.join(columns + checks)} FROM (\n{inner}\n)"


def _by_world(rows: Sequence[Any], count: int) -> list[Answer]:
    answers: list[Answer] = [[] for _ in range(count)]
    for row in rows:
        answers[row[0]].append(tuple(_value(value) for value in row[1:]))
    return answers


@contextmanager
def _or_stop() -> Iterator[None]:
    """For what must not go wrong while Spark is there at all."""
    try:
        with failures():
            yield
    except EngineFailed as failed:
        raise UsageError(str(failed).rstrip("."), hint="Ask again, or judge on duckdb.") from failed


def arrived(items: int, out: Path) -> None:
    """Hold what lies in the folder of an answer against what Spark counted while it wrote.

    Executors on other machines may write to a folder of that name which is not this one; Spark does not notice.

    Raises:
        EngineFailed: items are missing, so nothing may be concluded from those that are there.
    """
    here = count_answer(out)
    if here != items:
        raise EngineFailed(
            f"There are {items} items on Spark, but {here} of them are here: its executors must share this machine's "
            "folders."
        )


def _address(source: Source) -> str:
    """A file or an object as Spark names it: what others call `s3` is `s3a` to the connector."""
    if isinstance(source, Path):
        return str(source.resolve())
    scheme, mark, rest = source.partition("://")
    return f"{_SCHEMES.get(scheme, scheme)}{mark}{rest}"


def _empty(session: SparkSession, table: Table) -> DataFrame:
    return session.sql(f"SELECT inline(from_json('[]', 'array<{ddl(table)}>'))")


def _plain(value: Any) -> Any:
    """A typed value as JSON that Spark reads back as the same."""
    if isinstance(value, datetime):
        return value.replace(tzinfo=None).isoformat(timespec="microseconds")
    if isinstance(value, date):
        return value.isoformat()
    if isinstance(value, Mapping):
        return {key: _plain(entry) for key, entry in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(entry) for entry in value]
    return value


def _value(value: Any) -> Any:
    """A value of Spark's as DuckDB's client gives the same one."""
    from decimal import Decimal

    from pyspark.sql import Row

    if isinstance(value, Row):
        return {name: _value(entry) for name, entry in value.asDict().items()}
    if isinstance(value, list):
        return [_value(entry) for entry in value]
    if isinstance(value, Decimal) and value.as_tuple().exponent == 0:
        return int(value)
    return value
