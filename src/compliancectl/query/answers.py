"""A test's bare answer: the population's columns and the truth of every check, without verdicts.

This is what another engine is asked for, and what DuckDB says to the same question.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from compliancectl.model.table import Table
from compliancectl.query.bind import Bound
from compliancectl.query.examples import Workbench
from compliancectl.query.limits import Stopped, within
from compliancectl.query.syntax import quote, quote_table, typed_literal


def answer_sql(bound: Bound) -> str:
    """The population's columns, and the checks as `__c0`, `__c1` and so on."""
    columns = ", ".join(quote(name) for name in bound.columns)
    checks = ", ".join(f"(\n{check.sql}\n) AS {quote(f'__c{n}')}" for n, check in enumerate(bound.checks))
    return f"SELECT {columns}, {checks} FROM (\n{bound.sql}\n) AS {quote('__population')}"


def answer(bench: Workbench, bound: Bound, rows: Mapping[str, Sequence[Mapping[str, Any]]]) -> list[tuple[Any, ...]]:
    """What DuckDB answers over given rows; tables that are not given are empty.

    Raises:
        Stopped: the SQL fails on these rows.
    """
    import duckdb

    database = bench.database
    database.execute("BEGIN")
    try:
        for name, given in rows.items():
            for row in given:
                database.execute(f"INSERT INTO {quote_table(name)} VALUES ({_literals(bench.tables[name], row)})")
        with within(bench.limits, database):
            return list(database.execute(answer_sql(bound)).fetchall())
    except duckdb.Error as error:
        raise Stopped(str(error)) from error
    finally:
        database.execute("ROLLBACK")


def _literals(table: Table, row: Mapping[str, Any]) -> str:
    return ", ".join(typed_literal(row.get(column.name), column.type) for column in table)
