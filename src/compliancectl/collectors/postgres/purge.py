"""Counting what should be gone: the statements, made of names that the scope gives, each safely quoted."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from compliancectl.collectors.postgres.queries import Query, of, query

if TYPE_CHECKING:
    from compliancectl.collectors.postgres.config import Database, PurgeColumn, PurgeFunction

_OLDEST = "to_char({} at time zone 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS.MS\"Z\"')"


def questions(database: Database) -> Iterator[tuple[str, Query, tuple[Any, ...]]]:
    """Table, statement and values for each purge declaration, in the order of the scope."""
    for function in database.purge_functions:
        yield function.table, *_function(function)
    for column in database.purge_columns:
        yield column.table, *_column(column)


def expected_rows(database: Database) -> int:
    """How many counts the declarations ask for."""
    return sum(len(function.counts) for function in database.purge_functions) + len(database.purge_columns)


def quoted(name: str) -> str:
    """An SQL identifier; a name that is quoted already stays as it is."""
    if len(name) > 1 and name.startswith('"') and name.endswith('"'):
        name = name[1:-1].replace('""', '"')
    return '"' + name.replace('"', '""') + '"'


def qualified(name: str) -> str:
    """`schema.table`, each part an SQL identifier; a dot within double quotes does not part."""
    parts, part, inside = [], "", False
    for character in name:
        inside ^= character == '"'
        if character == "." and not inside:
            parts.append(part)
            part = ""
        else:
            part += character
    return ".".join(quoted(piece) for piece in [*parts, part])


def cron_runs(database: Database) -> Query:
    """The statement that reads the jobs of pg_cron and their runs: in its tables, or through the scope's function."""
    if database.cron_function is None:
        return query("cron_runs")
    return of(
        "cron_function",
        "-- parameters: period_start, period_end\n"
        "select r.job, r.job_name, r.schedule, r.active, r.run, r.status,\n"
        f"       {_OLDEST.format('r.started')} as started, {_OLDEST.format('r.ended')} as ended\n"
        f"from {qualified(database.cron_function)}($1::timestamptz, $2::timestamptz) r\norder by r.job, r.run",
    )


def _function(declared: PurgeFunction) -> tuple[Query, tuple[Any, ...]]:
    limits = {count.argument: count.limit_hours for count in declared.counts}
    numbers = {argument: place for place, argument in enumerate(limits, 1)}
    arguments = ", ".join(f"{quoted(name)} => make_interval(hours => ${place}::int)" for name, place in numbers.items())
    parts = []
    for count in declared.counts:
        oldest = _OLDEST.format(f"f.{quoted(count.oldest)}") if count.oldest else "null"
        parts.append(
            f"select '{count.kind}' as kind, f.{quoted(count.total)} as total, f.{quoted(count.overdue)} as overdue,"
            f" {oldest} as oldest, ${numbers[count.argument]}::int as limit_hours from f"
        )
    statement = (
        f"-- parameters: {', '.join(f'{name}_hours' for name in numbers)}\n"
        f"with f as (select * from {qualified(declared.function)}({arguments}))\n" + "\nunion all\n".join(parts)
    )
    return of("purge_function", statement), tuple(limits.values())


def _column(declared: PurgeColumn) -> tuple[Query, tuple[Any, ...]]:
    column = quoted(declared.column)
    meant = quoted(declared.flag) if declared.flag else "true"
    statement = (
        "-- parameters: limit_hours\n"
        f"select '{declared.kind}' as kind, count(*) as total,\n"
        f"       count(*) filter (where {meant} and {column} < now() - make_interval(hours => $1::int)) as overdue,\n"
        f"       {_OLDEST.format(f'min({column}) filter (where {meant})')} as oldest, $1::int as limit_hours\n"
        f"from {qualified(declared.table)}"
    )
    return of("purge_column", statement), (declared.limit_hours,)
