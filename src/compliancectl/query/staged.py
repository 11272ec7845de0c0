"""An example's rows in the tables, and what a test says about them: the bench on which examples and probes run."""

from __future__ import annotations

from collections.abc import Mapping
from types import TracebackType
from typing import TYPE_CHECKING, Any, NamedTuple

from compliancectl.model.table import Table
from compliancectl.query.bind import Bound
from compliancectl.query.given import Leaf, Rows, replaced
from compliancectl.query.limits import Limits, Stopped, within
from compliancectl.query.render import judged_sql
from compliancectl.query.syntax import quote_table, typed_literal

if TYPE_CHECKING:
    import duckdb


class Judged(NamedTuple):
    """What a test says about one item."""

    outcome: str
    checks: tuple[str, ...]


Outcomes = dict[str | None, Judged]


MAX_ITEMS = 10_000
"""More items than this is no example, but a join that lost its condition."""


class Failed(Exception):
    """The SQL failed on an example's rows."""


class Loaded:
    """An example's rows in the tables, and its test prepared once for many runs."""

    def __init__(
        self,
        database: duckdb.DuckDBPyConnection,
        tables: Mapping[str, Table],
        bound: Bound,
        rows: Rows,
        limits: Limits,
    ) -> None:
        self.database, self.tables, self.bound, self.rows, self.limits = database, tables, bound, rows, limits
        self.stages = {table: n for n, table in enumerate(sorted(rows))}
        self.changed: str | None = None
        self.count = 0

    def __enter__(self) -> Loaded:
        for table, n in self.stages.items():
            self._stage(table, n)
        states = ", ".join(f"__s{n}" for n in range(len(self.bound.checks)))
        judged = judged_sql(self.bound, ())
        self.database.execute(
            f"PREPARE probed AS SELECT resource, __outcome, {states} FROM (\n{judged}\n) LIMIT {MAX_ITEMS + 1}"
        )
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.database.execute("DEALLOCATE probed")
        for table, n in self.stages.items():
            self.database.execute(f"DEALLOCATE put_{n}; DELETE FROM {quote_table(table)}; DROP TABLE temp.stage_{n}")

    def _stage(self, table: str, n: int) -> None:
        """Keep the rows beside their table, so that a probe copies them and parses only the one that differs."""
        name = quote_table(table)
        self.database.execute(f"CREATE TEMP TABLE stage_{n} AS SELECT 0 AS __n, * FROM {name} LIMIT 0")
        rows = [f"({number}, {self._literals(table, row)})" for number, row in enumerate(self.rows[table])]
        if rows:
            self.database.execute(f"INSERT INTO stage_{n} VALUES {', '.join(rows)}")
        put = f"INSERT INTO {name} SELECT * EXCLUDE (__n) FROM stage_{n} WHERE __n <> $1"
        self.database.execute(f"PREPARE put_{n} AS {put}; EXECUTE put_{n}(-1)")

    def _literals(self, table: str, row: dict[str, Any]) -> str:
        columns = self.tables[table].columns
        return ", ".join(typed_literal(row.get(column.name), column.type) for column in columns)

    def outcomes(self) -> Outcomes:
        """What the test says now, by resource. Of an item that occurs twice, the worse counts."""
        import duckdb

        try:
            with within(self.limits, self.database):
                found = self.database.execute("EXECUTE probed").fetchall()
        except Stopped as stopped:
            raise Failed(str(stopped)) from stopped
        except duckdb.Error as error:
            raise Failed(str(error).partition(" Error: ")[2].split("\n")[0] or str(error)) from error
        if len(found) > MAX_ITEMS:
            raise Failed(f"The population has more than {MAX_ITEMS:,} items.")
        self.count = len(found)
        by_resource: Outcomes = {}
        for row in found:
            if row[0] not in by_resource or row[1] == "fail":
                by_resource[row[0]] = Judged(row[1], tuple(row[2:]))
        return by_resource

    def outcomes_with(self, leaf: Leaf, *values: Any) -> Outcomes:
        """What the test says when one value is another one; several values make as many copies of its row."""
        if self.changed not in (None, leaf.table):
            self._put(str(self.changed), -1)
        self.changed = leaf.table
        self._put(leaf.table, leaf.row)
        rows = [replaced(self.rows, leaf, value)[leaf.row] for value in values]
        literals = ", ".join(f"({self._literals(leaf.table, row)})" for row in rows)
        self.database.execute(f"INSERT INTO {quote_table(leaf.table)} VALUES {literals}")
        return self.outcomes()

    def _put(self, table: str, without: int) -> None:
        self.database.execute(f"DELETE FROM {quote_table(table)}; EXECUTE put_{self.stages[table]}({without})")
