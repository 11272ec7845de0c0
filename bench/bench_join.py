"""A control with a join over 1,000,000 merges and 2,000,000 reviews, beside the same SQL run directly in DuckDB.

    python bench/bench_join.py [MERGES] [ROUNDS]

Both read the same Parquet files, each in a process of its own, in turn; the best of the rounds counts, which other
processes disturbed least. Direct: the population, its check, and one line of JSON per item to a file. The product: all
of `evaluate` on a run's folder, which also checks digests, types and names, and writes sentences, counts and results.
Modules are imported before either clock starts; what a start costs has a benchmark of its own.
"""

from __future__ import annotations

import json
import resource
import subprocess
import sys
import tempfile
import time
from datetime import UTC, datetime
from pathlib import Path

import control_file

from compliancectl.model.table import INT, TEXT, TIME, Column, Table

LIMIT, MEMORY_LIMIT_MB = 2.0, 1500
AS_OF = datetime(2026, 8, 1, tzinfo=UTC)
POPULATION = """\
SELECT m.resource, m.number, m.author, m.merged, count(r.resource) AS approvals
FROM bench.merge AS m
LEFT JOIN bench.review AS r
  ON r.merge = m.resource AND r.state = 'APPROVED' AND r.author <> m.author AND r.submitted <= m.merged
GROUP BY ALL"""
EXPECT = "approvals > 0"
TABLES = {
    table.name: table
    for table in (
        Table(
            "bench.merge",
            "One row per merge.",
            (
                Column("resource", TEXT, "Name.", required=True),
                Column("number", INT, "Number."),
                Column("author", TEXT, "Who wrote it."),
                Column("merged", TIME, "When."),
            ),
            ("resource",),
        ),
        Table(
            "bench.review",
            "One row per review.",
            (
                Column("resource", TEXT, "Name.", required=True),
                Column("merge", TEXT, "Of which merge."),
                Column("author", TEXT, "Who reviewed."),
                Column("state", TEXT, "Verdict."),
                Column("submitted", TIME, "When."),
            ),
            ("resource",),
        ),
    )
}
_ROWS = {
    "bench.merge": """SELECT 'study/app#' || i AS resource, i::BIGINT AS number, 'person-' || (hash(i) % 400) AS author,
        TIMESTAMP '2026-01-01' + to_minutes((i % 250000)::INTEGER) AS merged FROM range({merges}) AS t(i)""",
    "bench.review": """SELECT 'study/app#' || (i // 2) || '/' || i AS resource, 'study/app#' || (i // 2) AS merge,
        'person-' || (hash(i + 7) % 400) AS author, CASE WHEN hash(i) % 10 < 7 THEN 'APPROVED' ELSE 'COMMENTED' END AS state,
        TIMESTAMP '2026-01-01' + to_minutes((((i // 2) % 250000) - 30 + hash(i) % 40)::INTEGER) AS submitted
        FROM range({reviews}) AS t(i)""",
}


def generate(run: Path, merges: int) -> None:
    """A run's folder with so many merges and twice as many reviews, as `collect` leaves it; the same each time."""
    import duckdb

    from compliancectl import canonical
    from compliancectl.model.evidence import Completeness, EvidenceItem, RunRecord, TableRows, Window

    digests = {}
    for name, sql in _ROWS.items():
        id = f"bench/{name.partition('.')[2]}s/one"
        folder = run / "evidence" / id
        folder.mkdir(parents=True)
        file = folder / f"{name}.parquet"
        with duckdb.connect(config={"threads": 1}) as database:
            rows = sql.format(merges=merges, reviews=2 * merges)
            database.execute(f"COPY ({rows} ORDER BY resource) TO '{file}' (FORMAT parquet, COMPRESSION zstd)")
            found = database.execute(f"SELECT count(*) FROM '{file}'").fetchone()
        assert found is not None
        count = int(found[0])
        kept = TableRows(table=name, path=file.name, sha256=canonical.sha256_file(file), bytes=0, rows=count)
        item = EvidenceItem(
            **dict.fromkeys(("collector", "feed", "target", "system", "endpoint", "environment"), "bench"),
            id=id,
            collector_version="1",
            status="collected",
            requested_at=AS_OF,
            completed_at=AS_OF,
            completeness=Completeness(method="made here", pages=1, items=count),
            tables=(kept,),
            gives=(name,),
        )
        (folder / "item.json").write_bytes(canonical.to_bytes(item.to_json()))
        digests[id] = canonical.sha256_file(folder / "item.json")
    record = RunRecord(
        **dict.fromkeys(("id", "organization", "system", "environment", "scope_file", "python", "platform"), "bench"),
        scope_sha256="0" * 64,
        tool_version="0",
        period=Window(start=AS_OF, end=AS_OF),
        started_at=AS_OF,
        finished_at=AS_OF,
        status="complete",
        collectors=(),
        feeds=(),
        evidence=digests,
    )
    (run / "run.json").write_bytes(canonical.to_bytes(record.to_json()))


def direct(run: Path) -> dict[str, int]:
    """The SQL alone, on the Parquet files."""
    import duckdb

    files = {
        name: run / "evidence" / "bench" / f"{name.partition('.')[2]}s" / "one" / f"{name}.parquet" for name in TABLES
    }
    sql = POPULATION
    for name, file in files.items():
        sql = sql.replace(name, f"read_parquet('{file}')")
    out = run.parent / "direct.jsonl"
    with duckdb.connect(config={"memory_limit": "1GB"}) as database:
        database.execute(f"CREATE TABLE judged AS SELECT *, {EXPECT} AS approved FROM ({sql})")
        database.execute(f"COPY (SELECT * FROM judged ORDER BY resource) TO '{out}' (FORMAT json)")
        found = database.execute("SELECT count(*) FILTER (approved), count(*) FROM judged").fetchone()
    assert found is not None
    return {"passed": found[0], "total": found[1]}


def product(run: Path) -> dict[str, int]:
    """`evaluate`, whole."""
    from compliancectl.evaluate import evaluate

    title = "Every change is approved by somebody else before it is merged"
    checks = {"approved": (EXPECT, "{resource} was merged with {approvals} approvals.")}
    control = control_file.loaded(run.parent, "BENCH-01", title, POPULATION, checks)
    (test,) = evaluate(run, [control], TABLES).controls[0].tests
    if test.reason is not None:
        raise SystemExit(test.reason)
    return {"passed": test.counts.passed, "total": test.counts.total}


def alone(way: str, run: Path) -> dict[str, float]:
    """One way in a process of its own: seconds of the work, peak memory, and what it found."""
    done = subprocess.run([sys.executable, __file__, way, str(run)], check=True, stdout=subprocess.PIPE, text=True)
    found: dict[str, float] = json.loads(done.stdout)
    return found


def worker(way: str, run: Path) -> None:
    """Do the work and print what it took."""
    import duckdb  # noqa: F401

    import compliancectl.evaluate
    import compliancectl.load  # noqa: F401

    start, cpu = time.perf_counter(), time.process_time()
    found = {"direct": direct, "product": product}[way](run)
    took = {"s": time.perf_counter() - start, "cpu": time.process_time() - cpu}
    print(json.dumps({**found, **took, "mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1000}))


def main(merges: int = 1_000_000, rounds: int = 5) -> int:
    """Print the ratio, and the peak memory of the product."""
    with tempfile.TemporaryDirectory() as scratch:
        run = Path(scratch) / "run"
        subprocess.run([sys.executable, __file__, "generate", str(run), str(merges)], check=True)
        pairs = [(alone("product", run), alone("direct", run)) for _ in range(rounds)]
    for ours, bare in pairs:
        if (ours["passed"], ours["total"]) != (bare["passed"], bare["total"]):
            raise SystemExit(f"the two disagree: {ours} and {bare}")
        print(
            f"evaluate {ours['s']:6.2f} s  {ours['mb']:6.0f} MB    direct {bare['s']:6.2f} s  {bare['mb']:6.0f} MB    CPU {ours['cpu'] / bare['cpu']:.2f}"
        )
    ours_s, bare_s = min(ours["s"] for ours, _ in pairs), min(bare["s"] for _, bare in pairs)
    peak = max(ours["mb"] for ours, _ in pairs)
    size = f"{merges:,} merges, {2 * merges:,} reviews"
    detail = f"{size}: {ours_s:.2f} s against {bare_s:.2f} s, best of {rounds}"
    print(
        json.dumps({"name": "a join against DuckDB alone", "ratio": ours_s / bare_s, "limit": LIMIT, "detail": detail})
    )
    memory = f"peak {peak:.0f} MB of at most {MEMORY_LIMIT_MB} MB"
    print(json.dumps({"name": "memory of that join", "ratio": peak / MEMORY_LIMIT_MB, "limit": 1.0, "detail": memory}))
    return 0


if __name__ == "__main__":
    match sys.argv[1:]:
        case ["generate", run, merges]:
            generate(Path(run), int(merges))
        case [("direct" | "product") as way, run]:
            worker(way, Path(run))
        case sizes:
            sys.exit(main(*map(int, sizes)))
