"""Outcomes out of the results of many runs: DuckDB reads the files itself, only what is asked for, and each once.

What was read is kept in an index, a Parquet file that can be deleted at any time. It is asked by the name, size and time
of change of each bundle, so a run of last year is not read again, and one that was exchanged is.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from compliancectl import clock
from compliancectl.errors import FileError, UsageError
from compliancectl.query.syntax import text_literal

_COLUMNS = (
    "{run_id: 'VARCHAR', as_of: 'VARCHAR', organization: 'VARCHAR', system: 'VARCHAR', environment: 'VARCHAR', "
    "controls: 'STRUCT(id VARCHAR, title VARCHAR, severity VARCHAR, outcome VARCHAR, "
    'tests STRUCT(counts STRUCT(passed BIGINT, failed BIGINT, waived BIGINT, excluded BIGINT, "unknown" BIGINT))[])[]\'}'
)
_SHORTEST = 1024**2
_BATCH = 500
"""Files read in one statement."""
_FIELDS = (
    "as_of", "run_id", "organization", "system", "environment", "control", "title", "severity", "outcome", "passed",
    "failed", "waived", "excluded", '"unknown"',
)  # fmt: skip
_SEEN = """
    CREATE TABLE seen AS
    WITH whole AS (
        SELECT DISTINCT organization, system, environment, control, title, outcome, run_id, failed + "unknown" AS items,
               CAST(replace(as_of, 'Z', '') AS TIMESTAMP) AS moment
        FROM outcome {chosen}
    ), counted AS (
        SELECT *, dense_rank() OVER (ORDER BY moment, run_id) - 1 AS n,
               lag(outcome) OVER (PARTITION BY control ORDER BY moment, run_id) AS before
        FROM whole {after}
    )
    SELECT *, CASE WHEN m <= {width} THEN n ELSE ((n + 1) * {width} + m - 1) // m - 1 END AS share,
           list_position(['no occurrences', 'no deviations', 'deviations', 'inconclusive'], outcome) AS worse
    FROM counted CROSS JOIN (SELECT max(n) + 1 AS m FROM counted)
"""
_POINTS = """
    SELECT control, share, max_by(outcome, (worse, items)), max_by(items, (worse, items)) FROM seen
    GROUP BY control, share
"""
_LINES = """
    SELECT control, max_by(title, n), count(*) FILTER (WHERE before <> outcome), min_by(items, n), max_by(items, n), max(items)
    FROM seen GROUP BY control ORDER BY control
"""
_EMPTY = (
    "CREATE TABLE outcome (name VARCHAR, size BIGINT, changed BIGINT, as_of VARCHAR, run_id VARCHAR, "
    "organization VARCHAR, system VARCHAR, environment VARCHAR, control VARCHAR, title VARCHAR, severity VARCHAR, "
    'outcome VARCHAR, passed BIGINT, failed BIGINT, waived BIGINT, excluded BIGINT, "unknown" BIGINT)'
)
Row = tuple[Any, ...]


@dataclass(frozen=True)
class Source:
    """The results of one bundle: what they are known by, what they looked like, and the file to read if need be."""

    name: str
    """Path of the bundle below the folder that is searched."""
    size: int
    changed: int
    """When the file was changed last, in nanoseconds; with the size it tells whether it is the one that was read."""
    file: Callable[[], Path]


def outcomes(
    sources: Sequence[Source], index: Path | None = None, *, since: str | None = None, only: Sequence[str] = ()
) -> list[Row]:
    """One row per run and control, ordered by instant, run and control; a run that occurs twice is taken once.

    Args:
        sources: the results to read.
        index: Parquet file in which what was read is kept, so that only new results are read the next time.
        since: RFC 3339; earlier runs are left out.
        only: ids of controls; empty means all.

    Returns:
        (as_of, run id, organization, system, environment, control, title, severity, outcome, passed, failed, waived,
        excluded, unknown).

    Raises:
        UsageError: if no run has a control of `only`.
        FileError: if a file is not the results of a run.
    """
    if not sources:
        return []
    with _loaded(sources, index) as database:
        _refuse_strangers(database, only)
        rows = database.execute(
            f"SELECT DISTINCT {', '.join(_FIELDS)} FROM outcome {_chosen(only)} ORDER BY ALL"
        ).fetchall()
    instants = {text: clock.parse(text) for text in {row[0] for row in rows}}
    first_instant = clock.parse(since) if since else None
    found = ((instants[row[0]], *row[1:]) for row in rows)
    return sorted((row for row in found if first_instant is None or row[0] >= first_instant), key=_order)


@dataclass(frozen=True)
class Line:
    """One control over all runs, as many points as fit on a line: of each share of the runs the worst."""

    control: str
    title: str
    points: tuple[tuple[str, int] | None, ...]
    """(outcome, items that fail or are unknown); None where no run has the control."""
    turns: int
    first: int
    last: int
    most: int


@dataclass(frozen=True)
class Overview:
    """All controls over all runs."""

    subjects: tuple[tuple[str, str, str], ...]
    runs: int
    start: datetime
    end: datetime
    lines: tuple[Line, ...]


def overview(
    sources: Sequence[Source], index: Path | None, width: int, *, since: datetime | None, only: Sequence[str]
) -> Overview | None:
    """The same as `outcomes`, thinned to `width` points by DuckDB, so that a million outcomes need no memory here.

    None when there is no run.
    """
    if not sources:
        return None
    after = f"WHERE moment >= TIMESTAMP '{since.astimezone(UTC):%Y-%m-%d %H:%M:%S.%f}'" if since else ""
    with _loaded(sources, index) as database:
        _refuse_strangers(database, only)
        database.execute(_SEEN.format(chosen=_chosen(only), after=after, width=width))
        found = database.execute(
            "SELECT list(DISTINCT (organization, system, environment) ORDER BY (organization, system, environment)), "
            "count(DISTINCT (moment, run_id)), min(moment), max(moment) FROM seen"
        ).fetchone()
        subjects, runs, start, end = found
        if not runs:
            return None
        points: dict[str, list[tuple[str, int] | None]] = {}
        for control, share, outcome, items in database.execute(_POINTS).fetchall():
            points.setdefault(control, [None] * min(runs, width))[share] = (outcome, items)
        lines = tuple(
            Line(row[0], row[1], tuple(points[row[0]]), *row[2:]) for row in database.execute(_LINES).fetchall()
        )
    names = tuple(tuple(subject.values() if isinstance(subject, dict) else subject) for subject in subjects)
    return Overview(names, runs, start.replace(tzinfo=UTC), end.replace(tzinfo=UTC), lines)


@contextlib.contextmanager
def _loaded(sources: Sequence[Source], index: Path | None) -> Iterator[Any]:
    """A database with the table `outcome`."""
    import duckdb

    try:
        with duckdb.connect(config={"autoinstall_known_extensions": False}) as database:
            _load(database, sources, index)
            yield database
    except duckdb.Error as error:
        first = str(error).split("\n")[0]
        raise FileError(
            f"The results of a run cannot be read: {first}", hint="`compliancectl verify` says more."
        ) from None


def _chosen(only: Sequence[str]) -> str:
    return f"WHERE control IN ({', '.join(text_literal(id) for id in only)})" if only else ""


def _refuse_strangers(database: Any, only: Sequence[str]) -> None:
    known = [row[0] for row in database.execute("SELECT DISTINCT control FROM outcome ORDER BY control").fetchall()]
    if known and (strangers := sorted(set(only) - set(known))):
        raise UsageError(f"no run has the control {strangers[0]}", hint=f"There are {', '.join(known)}.")


def _order(row: Row) -> Row:
    return row[:6]


def _load(database: Any, sources: Sequence[Source], index: Path | None) -> None:
    """Fill the table `outcome`: from the index what it has, from the files what is new; then write the index anew."""
    database.execute("CREATE TABLE source (name VARCHAR, size BIGINT, changed BIGINT)")
    for number in range(0, len(sources), _BATCH):
        rows = (f"({text_literal(s.name)}, {s.size}, {s.changed})" for s in sources[number : number + _BATCH])
        database.execute(f"INSERT INTO source VALUES {', '.join(rows)}")
    database.execute(_EMPTY)
    if index is not None and index.is_file():
        _recall(database, index)
    known = {row[0] for row in database.execute("SELECT DISTINCT name FROM outcome").fetchall()}
    fresh = [source for source in sources if source.name not in known]
    for number in range(0, len(fresh), _BATCH):
        _read(database, fresh[number : number + _BATCH])
    if index is not None and (fresh or len(known) != len(sources)):
        _keep(database, index)


def _read(database: Any, sources: Sequence[Source]) -> None:
    files = [source.file().resolve() for source in sources]
    # DuckDB's buffers are as large as the longest object may be, so the files' own sizes decide.
    longest = max(_SHORTEST, 1 + max(path.stat().st_size for path in files))
    names = ", ".join(
        f"({text_literal(str(path))}, {text_literal(source.name)}, {source.size}, {source.changed})"
        for path, source in zip(files, sources, strict=True)
    )
    listed = ", ".join(text_literal(str(path)) for path in files)
    counts = ", ".join(_sum(name) for name in ("passed", "failed", "waived", "excluded", "unknown"))
    database.execute(f"""
        INSERT INTO outcome
        SELECT f.name, f.size, f.changed, as_of, run_id, organization, system, environment, c.id, c.title, c.severity,
               c.outcome, {counts}
        FROM (SELECT *, unnest(controls) AS c FROM read_json([{listed}], format = 'unstructured', columns = {_COLUMNS},
              maximum_object_size = {longest}, filename = 'path')) AS r
        JOIN (VALUES {names}) AS f(path, name, size, changed) ON f.path = r.path
    """)


def _recall(database: Any, index: Path) -> None:
    """Take what the index has of bundles that look as they did; a damaged index is as good as none."""
    import duckdb

    try:
        database.execute(
            f"INSERT INTO outcome SELECT o.* FROM read_parquet({text_literal(str(index))}) AS o "
            "SEMI JOIN source AS s ON s.name = o.name AND s.size = o.size AND s.changed = o.changed"
        )
    except duckdb.Error:
        database.execute("DELETE FROM outcome")


def _keep(database: Any, index: Path) -> None:
    """Write the index in one step; where that is refused, the next time reads everything again."""
    import duckdb

    partial = index.with_name(f".{index.name}.{os.getpid()}")
    with contextlib.suppress(OSError, duckdb.Error):
        index.parent.mkdir(parents=True, exist_ok=True)
        database.execute(f"COPY outcome TO {text_literal(str(partial))} (FORMAT parquet)")
        partial.replace(index)
    with contextlib.suppress(OSError):
        partial.unlink(missing_ok=True)


def _sum(name: str) -> str:
    return f'coalesce(list_sum(list_transform(c.tests, lambda t: t.counts."{name}")), 0)::BIGINT AS "{name}"'
