"""An audit log joined with 5,000 users, on DuckDB and on Spark: do they agree row for row, and how does cost grow?

    python bench/bench_engines.py [ROWS …]

One row of the population is one entry of the log, with what is known of who acted. Each engine answers in a process of
its own, over the same Parquet files, and writes its answer as Parquet; then every row of one answer is compared with the
row of that name in the other. Time is that of the question; Spark's start is not in it. Memory is the peak of the process
that works: Python for DuckDB, Java for Spark; so is the processor time. What is promised is that processor time grows no
faster than rows, give or take. Where Spark is not installed, DuckDB is measured alone, and a line says so.
"""

from __future__ import annotations

import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import control_file

from compliancectl.model.table import INT, TEXT, TIME, Column, Table

SIZES = (1_000_000, 3_000_000, 10_000_000)
USERS, PART = 5_000, 1_000_000
LIMIT = 1.5
POPULATION = """\
SELECT l.resource, l.actor, l.method, l.happened, u.left_at, u.grade, count(*) OVER (PARTITION BY l.actor) AS entries
FROM bench.entry AS l
LEFT JOIN bench.person AS u ON u.resource = lower(l.actor)
"""
CHECKS = {
    "known": "grade IS NOT NULL",
    "present": "left_at IS NULL OR happened < left_at + INTERVAL '1' DAY",
    "allowed": "NOT regexp_matches(method, '(^|[.])setIamPolicy$') OR grade >= 3",
}
TABLES = {
    table.name: table
    for table in (
        Table(
            "bench.entry",
            "One row per entry of the audit log.",
            (
                Column("resource", TEXT, "Name.", required=True),
                Column("actor", TEXT, "Who acted."),
                Column("method", TEXT, "What was done."),
                Column("happened", TIME, "When."),
            ),
            ("resource",),
        ),
        Table(
            "bench.person",
            "One row per user.",
            (
                Column("resource", TEXT, "Address.", required=True),
                Column("grade", INT, "What is allowed, from 1 to 4."),
                Column("left_at", TIME, "When it ended."),
            ),
            ("resource",),
        ),
    )
}
_ENTRIES = f"""SELECT 'entry-' || i AS resource, 'Person-' || (hash(i) % {USERS + 50}) || '@example.com' AS actor,
    CASE WHEN hash(i) % 97 = 0 THEN 'google.iam.v1.IAMPolicy.setIamPolicy' WHEN hash(i) % 1009 = 0 THEN NULL
         ELSE 'storage.objects.get' END AS method,
    TIMESTAMP '2026-01-01' + to_seconds((i % 15000000)::INTEGER) AS happened FROM range({{start}}, {{stop}}) AS t(i)"""
_PEOPLE = f"""SELECT 'person-' || i || '@example.com' AS resource, CASE WHEN i % 50 <> 0 THEN 1 + i % 4 END AS grade,
    CASE WHEN i % 20 = 0 THEN TIMESTAMP '2026-03-01' + to_days((i % 90)::INTEGER) END AS left_at FROM range({USERS}) AS t(i)"""


def generate(folder: Path, rows: int) -> None:
    """The log in files of a million rows, and the users in one; the same each time."""
    import duckdb

    folder.mkdir()
    with duckdb.connect(config={"threads": 1}) as database:
        for start in range(0, rows, PART):
            part = _ENTRIES.format(start=start, stop=min(start + PART, rows))
            database.execute(f"COPY ({part}) TO '{folder}/entry-{start // PART:03}.parquet' (FORMAT parquet)")
        database.execute(f"COPY ({_PEOPLE}) TO '{folder}/person.parquet' (FORMAT parquet)")


def bound(folder: Path) -> Any:
    """The test, ready to run."""
    from datetime import UTC, datetime

    from compliancectl.query.bind import Binder, bind_control, parameter_values

    title = "Only people who are here act, and only those who may change who may"
    checks = {name: (expect, "{resource}") for name, expect in CHECKS.items()}
    control = control_file.loaded(folder, "BENCH-02", title, POPULATION, checks)
    now = datetime(2026, 8, 1, tzinfo=UTC)
    binder = Binder(TABLES)
    (found,) = bind_control(binder, control, parameter_values(control.params, now, (now, now)))
    binder.close()
    return found


def files(folder: Path) -> dict[str, list[Path]]:
    """Table → its files."""
    return {"bench.entry": sorted(folder.glob("entry-*.parquet")), "bench.person": [folder / "person.parquet"]}


def on_duckdb(folder: Path, out: Path) -> dict[str, float]:
    """DuckDB's answer."""
    import duckdb

    from compliancectl.query.answers import answer_sql

    question = answer_sql(bound(folder))
    before = time.process_time()
    with duckdb.connect(config={"memory_limit": "4GB", "temp_directory": str(folder / "spill")}) as database:
        start = time.perf_counter()
        database.execute("CREATE SCHEMA bench")
        for name, paths in files(folder).items():
            listed = ", ".join(f"'{path}'" for path in paths)
            database.execute(f"CREATE VIEW {name} AS SELECT * FROM read_parquet([{listed}])")
        out.mkdir()
        database.execute(f"COPY ({question}) TO '{out}/answer.parquet' (FORMAT parquet)")
        took = time.perf_counter() - start
    cpu = time.process_time() - before
    return {"s": took, "cpu": cpu, "mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1000}


def on_spark(folder: Path, out: Path) -> dict[str, float]:
    """Spark's answer, by the engine that judges."""
    from compliancectl.engines import Settings, open_engine

    test = bound(folder)
    begun = time.perf_counter()
    engine = open_engine("spark", Settings(master="local[*]"))
    try:
        java = engine.session.sparkContext._gateway.proc.pid  # type: ignore[attr-defined]
        start, before = time.perf_counter(), cpu_of(java)
        engine.declare(TABLES, files(folder))
        engine.answer(test, out)
        took, cpu = time.perf_counter() - start, cpu_of(java) - before
        peak = next(line for line in Path(f"/proc/{java}/status").read_text().splitlines() if line.startswith("VmHWM"))
    finally:
        engine.close()
    return {"s": took, "cpu": cpu, "start": start - begun, "mb": int(peak.split()[1]) / 1000}


def cpu_of(process: int) -> float:
    """Seconds of processor time that another process has taken."""
    said = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
    return (int(said[11]) + int(said[12])) / os.sysconf("SC_CLK_TCK")


def compare(one: Path, other: Path) -> int:
    """How many rows there are, after each was found the same in both.

    Raises:
        SystemExit: the answers differ.
    """
    import duckdb

    total = 0
    with duckdb.connect(config={"memory_limit": "4GB"}) as database:
        for part in range(16):  # a part at a time, so that no answer has to fit into memory
            sides = [
                f"(SELECT * FROM read_parquet('{folder}/*.parquet') WHERE hash(resource) % 16 = {part})"
                for folder in (one, other)
            ]
            found = database.execute(
                f"SELECT count(*), count(*) FILTER (a IS DISTINCT FROM b), count(DISTINCT a.resource) "
                f"FROM {sides[0]} AS a FULL JOIN {sides[1]} AS b ON a.resource = b.resource"
            ).fetchone()
            assert found is not None
            if found[1] or found[0] != found[2]:
                raise SystemExit(f"DuckDB and Spark disagree: {found[1]} of {found[0]} rows differ")
            total += found[0]
    return total


def main(sizes: tuple[int, ...]) -> int:
    """Print for each engine how its cost grows."""
    took: dict[str, list[dict[str, float]]] = {"duckdb": []}
    if find_spec("pyspark") is not None:
        took["spark"] = []
    for rows in sizes:
        with tempfile.TemporaryDirectory() as scratch:
            folder = Path(scratch) / "evidence"
            subprocess.run([sys.executable, __file__, "generate", str(folder), str(rows)], check=True)
            for engine, found in took.items():
                command = [sys.executable, __file__, engine, str(folder), str(Path(scratch) / engine)]
                done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
                found.append(json.loads(done.stdout.splitlines()[-1]))
            if "spark" in took and (same := compare(Path(scratch) / "duckdb", Path(scratch) / "spark")) != rows:
                raise SystemExit(f"{rows} entries, {same} items")
    for engine, found in took.items():
        growth = (found[-1]["cpu"] / found[0]["cpu"]) / (sizes[-1] / sizes[0])
        shown = ", ".join(
            f"{n:,}: {f['s']:.1f} s, CPU {f['cpu']:.1f} s, {f['mb']:.0f} MB" for n, f in zip(sizes, found, strict=True)
        )
        start = f"; starts in {found[0]['start']:.1f} s" if "start" in found[0] else ""
        detail = f"{shown}{start}{'; both agree on every row' if len(took) > 1 else ''}"
        print(
            json.dumps(
                {"name": f"growth of an audit log on {engine}", "ratio": growth, "limit": LIMIT, "detail": detail}
            )
        )
    if "spark" not in took:
        why = "not measured, because Spark is not installed (make spark installs it)"
        print(json.dumps({"name": "growth of an audit log on spark", "detail": why}))
    return 0


if __name__ == "__main__":
    match sys.argv[1:]:
        case ["generate", folder, rows]:
            generate(Path(folder), int(rows))
        case [("duckdb" | "spark") as engine, folder, out]:
            print(json.dumps({"duckdb": on_duckdb, "spark": on_spark}[engine](Path(folder), Path(out))))
        case sizes:
            sys.exit(main(tuple(map(int, sizes)) or SIZES))
