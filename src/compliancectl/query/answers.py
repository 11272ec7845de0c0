"""A test's bare answer: the population's columns and the truth of every check, without verdicts.

This is what another engine is asked for, and what DuckDB says to the same question.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from compliancectl.model.table import Table
from compliancectl.query.bind import Bound, type_sql
from compliancectl.query.examples import Workbench
from compliancectl.query.limits import Stopped, within
from compliancectl.query.rows import full_disk
from compliancectl.query.syntax import quote, quote_table, text_literal, typed_literal


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


def write_answer(bound: Bound, rows: Iterable[Sequence[Any]], out: Path) -> None:
    """Write an engine's answer as one Parquet file in the new folder `out`, with the columns' own types.

    Args:
        bound: the test that was asked.
        rows: the population's columns followed by one boolean or None per check.
        out: the folder to make.
    """
    import duckdb

    out.mkdir()
    lines = out / "rows.jsonl"
    names = [*bound.columns, *(f"__c{n}" for n in range(len(bound.checks)))]
    with lines.open("w", encoding="utf-8") as stream:
        for row in rows:
            stream.write(json.dumps(dict(zip(names, row, strict=True)), ensure_ascii=False, default=str) + "\n")
    kinds = {name: type_sql(kind) for name, kind in bound.columns.items()}
    kinds |= {f"__c{n}": "BOOLEAN" for n in range(len(bound.checks))}
    columns = ", ".join(f"{text_literal(name)}: {text_literal(kind)}" for name, kind in kinds.items())
    with full_disk(), duckdb.connect(config={"threads": 1}) as database:
        database.execute(
            f"COPY (SELECT * FROM read_json({text_literal(str(lines))}, format = 'newline_delimited', "
            f"columns = {{{columns}}})) TO {text_literal(str(out / 'part.parquet'))} (FORMAT parquet)"
        )
    lines.unlink()


def count_answer(out: Path) -> int:
    """How many items the Parquet files of an engine's answer hold; a folder without any file holds none."""
    import duckdb

    if not any(out.glob("*.parquet")):
        return 0
    with duckdb.connect(config={"threads": 1}) as database:
        found = database.execute(f"SELECT count(*) FROM {text_literal(str(out / '*.parquet'))}").fetchone()
    return int(found[0]) if found is not None else 0


def _literals(table: Table, row: Mapping[str, Any]) -> str:
    return ", ".join(typed_literal(row.get(column.name), column.type) for column in table)
