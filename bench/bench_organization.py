"""Requests, seconds and memory of reading a whole organisation from Cloud Asset Inventory.

    python bench/bench_organization.py [PROJECTS] [ASSETS] [INSTANCES]

Every table of Google Cloud is collected from 200 projects with 60,000 assets and 100 Cloud SQL instances, and again from
a sixth of the assets; each request takes 50 ms at the server. The server and the collections are processes of their own.
"""

from __future__ import annotations

import json
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

REQUESTS, SECONDS, GROWTH = 500, 60.0, 1.5
LATENCY_S = 0.05


def serve(folder: Path, projects: int, assets: int, instances: int) -> None:
    """Run a grown company's Google Cloud until standard input ends, then tell how many requests came."""
    from compliancectl.sandbox import company
    from compliancectl.sandbox.google.fleet import grow
    from compliancectl.sandbox.run import running, write_scope
    from compliancectl.sandbox.web import Misbehaviour

    larkspur = company.load()
    held = grow(larkspur.sections["google"], projects, instances=instances, assets=assets)
    with running(larkspur, folder, only=("gcp",)) as sandbox:
        part: Any = sandbox.parts["gcp"]
        part.web.misbehaviours.append(Misbehaviour("googleapis", "slow", seconds=LATENCY_S))
        write_scope(sandbox, sources={"gcp": {**part.scope, "projects": []}})
        print(json.dumps({"env": sandbox.env, "scope": str(sandbox.scope_file), "assets": held}), flush=True)
        sys.stdin.read()
        print(json.dumps({"requests": len(part.web.log) + len(part.logs.log)}), flush=True)


def gather(scope: Path, run: Path) -> None:
    """Collect every table and print the seconds, the rows and the peak memory in MB."""
    from compliancectl import store
    from compliancectl.cli.project import open_project
    from compliancectl.collect import collect

    start = time.perf_counter()
    project = open_project(scope)
    collect(project.scope, project.collectors, [t.name for t in project.collectors["gcp"].collector.tables], run)
    items = store.read_items(run)
    if any(item.status != "collected" for item in items):
        raise SystemExit(f"not everything was collected: {[i.reason for i in items if i.reason]}")
    rows = sum(table.rows for item in items for table in item.tables)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1000
    print(json.dumps({"s": time.perf_counter() - start, "mb": peak, "rows": rows}))


def measure(projects: int, assets: int, instances: int) -> dict[str, float]:
    """One collection of an organisation of a size."""
    me = [sys.executable, __file__]
    with tempfile.TemporaryDirectory() as scratch:
        place = Path(scratch)
        sizes = [str(projects), str(assets), str(instances)]
        server = subprocess.Popen(
            [*me, "serve", str(place / "company"), *sizes], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        try:
            assert server.stdout is not None
            said = json.loads(server.stdout.readline())
            gathered = [*me, "gather", said["scope"], str(place / "run")]
            done = subprocess.run(gathered, check=True, stdout=subprocess.PIPE, text=True, env=said["env"])
        finally:
            told, _ = server.communicate("")
    found: dict[str, float] = {**json.loads(done.stdout), **json.loads(told), "assets": said["assets"]}
    print(
        f"{found['assets']:>7,} assets  {found['requests']:>4} requests  {found['s']:5.1f} s  {found['mb']:4.0f} MB"
        f"  {found['rows']:,} rows"
    )
    return found


def main(projects: int = 200, assets: int = 60_000, instances: int = 100) -> None:
    """Print the three ratios."""
    few, many = measure(projects, assets // 6, instances), measure(projects, assets, instances)
    size = f"{projects} projects, {many['assets']:,} assets, {instances} instances"
    for name, ratio, limit, detail in (
        ("requests for an organisation", many["requests"] / REQUESTS, 1, f"{many['requests']} of {REQUESTS}; {size}"),
        ("seconds for an organisation", many["s"] / SECONDS, 1, f"{many['s']:.0f} s at 50 ms a request, of 60"),
        (
            "memory of an organisation",
            many["mb"] / few["mb"],
            GROWTH,
            f"{few['mb']:.0f} MB for {few['assets']:,} assets, {many['mb']:.0f} MB for {many['assets']:,}",
        ),
    ):
        print(json.dumps({"name": name, "ratio": ratio, "limit": limit, "detail": detail}))


if __name__ == "__main__":
    match sys.argv[1:]:
        case ["serve", folder, *sizes]:
            serve(Path(folder), *map(int, sizes))
        case ["gather", scope, run]:
            gather(Path(scope), Path(run))
        case sizes:
            main(*map(int, sizes))
