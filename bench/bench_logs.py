"""Memory of a collection of log entries, from 10,000 to 1,000,000: it must not grow with their number.

    python bench/bench_logs.py [SMALL] [LARGE]

The whole path is used: google-cloud-logging over gRPC with TLS, redaction, evidence files, rows. The log server runs in
a process of its own, and so does each collection, whose peak resident memory is what is compared.
"""

from __future__ import annotations

import json
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

LIMIT = 1.5
TABLE = "gcp.log_entry"


def serve(folder: Path, entries: int) -> None:
    """Run the company's Google Cloud with so many entries, until standard input ends."""
    from compliancectl.sandbox import company
    from compliancectl.sandbox.run import running, write_scope

    with running(company.load(), folder, only=("gcp",)) as sandbox:
        part = sandbox.parts["gcp"]
        part.logs.generated_entries = entries
        write_scope(sandbox, sources={"gcp": {**part.scope, "projects": part.scope["projects"][:1]}})
        print(json.dumps({"env": sandbox.env, "scope": str(sandbox.scope_file)}), flush=True)
        sys.stdin.read()


def gather(scope: Path, run: Path) -> None:
    """Collect the entries and print how many rows there are, the seconds, and the peak memory in MB."""
    from compliancectl import store
    from compliancectl.cli.project import open_project
    from compliancectl.collect import collect

    start = time.perf_counter()
    project = open_project(scope)
    collect(project.scope, project.collectors, [TABLE], run)
    (item,) = store.read_items(run)
    if item.status != "collected":
        raise SystemExit(f"the entries could not be collected: {item.reason}")
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1000
    print(json.dumps({"rows": item.tables[0].rows, "s": time.perf_counter() - start, "mb": peak}))


def measure(entries: int) -> dict[str, float]:
    """Peak memory of one collection of `entries`."""
    me = [sys.executable, __file__]
    with tempfile.TemporaryDirectory() as scratch:
        place = Path(scratch)
        server = subprocess.Popen(
            [*me, "serve", str(place / "company"), str(entries)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        try:
            assert server.stdout is not None
            said = json.loads(server.stdout.readline())
            done = subprocess.run(
                [*me, "gather", said["scope"], str(place / "run")],
                check=True,
                stdout=subprocess.PIPE,
                text=True,
                env=said["env"],
            )
        finally:
            server.communicate("")
    found: dict[str, float] = json.loads(done.stdout)
    if found["rows"] != entries:
        raise SystemExit(f"{entries} entries were served, {found['rows']} were kept")
    print(f"{entries:>9,} entries  {found['s']:6.1f} s  {found['mb']:6.0f} MB")
    return found


def main(small: int = 10_000, large: int = 1_000_000) -> None:
    """Print the ratio of the peaks."""
    few, many = measure(small), measure(large)
    detail = f"{small:,} entries: {few['mb']:.0f} MB, {large:,}: {many['mb']:.0f} MB in {many['s']:.0f} s"
    ratio = many["mb"] / few["mb"]
    print(json.dumps({"name": "memory of collecting logs", "ratio": ratio, "limit": LIMIT, "detail": detail}))


if __name__ == "__main__":
    match sys.argv[1:]:
        case ["serve", folder, entries]:
            serve(Path(folder), int(entries))
        case ["gather", scope, run]:
            gather(Path(scope), Path(run))
        case sizes:
            main(*map(int, sizes))
