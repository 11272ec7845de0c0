"""Outcomes out of the results of many runs, in one statement: DuckDB reads the files itself, only what is asked for."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from compliancectl import clock
from compliancectl.errors import FileError
from compliancectl.query.syntax import text_literal

_COLUMNS = (
    "{run_id: 'VARCHAR', as_of: 'VARCHAR', organization: 'VARCHAR', system: 'VARCHAR', environment: 'VARCHAR', "
    "controls: 'STRUCT(id VARCHAR, title VARCHAR, severity VARCHAR, outcome VARCHAR, "
    'tests STRUCT(counts STRUCT(passed BIGINT, failed BIGINT, waived BIGINT, excluded BIGINT, "unknown" BIGINT))[])[]\'}'
)
_SHORTEST = 1024**2
Row = tuple[Any, ...]


def outcomes(files: Sequence[Path]) -> list[Row]:
    """One row per run and control, ordered by instant, run and control; a run that occurs twice is taken once.

    Returns:
        (as_of, run id, organization, system, environment, control, title, severity, outcome, passed, failed, waived,
        excluded, unknown).

    Raises:
        FileError: if a file is not the results of a run.
    """
    import duckdb

    if not files:
        return []
    # DuckDB's buffers are as large as the longest object may be, so the files' own sizes decide.
    longest = max(_SHORTEST, 1 + max(path.stat().st_size for path in files))
    listed = ", ".join(text_literal(str(path.resolve())) for path in files)
    sql = f"""
        SELECT DISTINCT as_of, run_id, organization, system, environment, c.id, c.title,
               c.severity, c.outcome, {", ".join(_sum(name) for name in ("passed", "failed", "waived", "excluded"))},
               {_sum("unknown")}
        FROM (SELECT *, unnest(controls) AS c FROM
              read_json([{listed}], format = 'unstructured', columns = {_COLUMNS}, maximum_object_size = {longest}))
    """
    try:
        with duckdb.connect(config={"autoinstall_known_extensions": False}) as database:
            rows = database.execute(sql).fetchall()
    except duckdb.Error as error:
        first = str(error).split("\n")[0]
        raise FileError(
            f"The results of a run cannot be read: {first}", hint="`compliancectl verify` says more."
        ) from None
    instants = {text: clock.parse(text) for text in {row[0] for row in rows}}
    return sorted((instants[row[0]], *row[1:]) for row in rows)


def _sum(name: str) -> str:
    return f'coalesce(list_sum(list_transform(c.tests, lambda t: t.counts."{name}")), 0)::BIGINT AS "{name}"'
