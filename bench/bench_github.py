"""Requests, seconds and rate limit of a collection from GitHub: 200 repositories, 30 merged pull requests in each.

    python bench/bench_github.py [REPOSITORIES] [MERGED]

The server is a process of its own and takes 50 ms for every request. Requests that are unavoidably one per repository
(docs/github.md lists them) are counted apart.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path

REQUESTS, SECONDS, LATENCY_S = 60, 30.0, 0.05
ONE_EACH = "GET /repos/"
"""Requests of REST about one repository alone; the table in docs/github.md says of each why it cannot be shared."""


def serve(folder: Path, repositories: int, merged: int) -> None:
    """Run a GitHub of that size; each line on standard input is answered with what was asked so far."""
    from compliancectl.sandbox import company
    from compliancectl.sandbox.run import running, write_scope
    from compliancectl.sandbox.web import Misbehaviour

    larkspur = company.load()
    github = larkspur.sections["github"]
    github["generated"] = {"repositories": repositories - len(github["repositories"]), "merged": merged}
    with running(larkspur, folder, only=("github",)) as sandbox:
        part = sandbox.parts["github"]
        write_scope(sandbox, sources={"github": {**part.scope, "cache": "answers", "requests_per_minute": 0}})
        part.web.misbehaviours.append(Misbehaviour(".", kind="slow", seconds=LATENCY_S))
        print(json.dumps({"env": sandbox.env, "scope": str(sandbox.scope_file)}), flush=True)
        for _ in sys.stdin:
            asked = [f"{request.method} {request.path}" for request in part.web.log]
            print(json.dumps({"asked": asked, "cost": part.server.used}), flush=True)


def gather(scope: Path, run: Path) -> None:
    """Collect every table of GitHub, and print how many rows there are and the seconds."""
    from compliancectl import store
    from compliancectl.cli.project import open_project
    from compliancectl.collect import collect

    start = time.perf_counter()
    project = open_project(scope)
    github = project.collectors["github"]
    collect(project.scope, {"github": github}, [table.name for table in github.collector.tables], run)
    seconds, work = time.perf_counter() - start, time.process_time()
    items = store.read_items(run)
    wrong = [f"{item.feed} {item.target}: {item.reason}" for item in items if item.status != "collected"]
    if wrong:
        raise SystemExit(f"not collected: {wrong[:3]}")
    rows = {table.table: 0 for item in items for table in item.tables}
    for item in items:
        for table in item.tables:
            rows[table.table] += table.rows
    print(json.dumps({"s": seconds, "cpu_s": work, "rows": rows}))


def main(repositories: int = 200, merged: int = 30) -> None:
    """Print how the requests and the seconds compare with what is promised."""
    me = [sys.executable, __file__]
    with tempfile.TemporaryDirectory() as scratch:
        place = Path(scratch)
        command = [*me, "serve", str(place / "company"), str(repositories), str(merged)]
        with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as server:
            assert server.stdin is not None
            assert server.stdout is not None
            said = json.loads(server.stdout.readline())

            def collected(name: str) -> tuple[dict, dict]:
                command = [*me, "gather", said["scope"], str(place / name)]
                done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True, env=said["env"])
                server.stdin.write("\n")
                server.stdin.flush()
                return json.loads(done.stdout), json.loads(server.stdout.readline())

            found, counted = collected("first")
            _, again = collected("second")
            server.stdin.close()
    pulls = found["rows"]["github.pull_request"]
    if pulls < 0.95 * repositories * merged:  # the company's own repositories have fewer
        raise SystemExit(f"{pulls} pull requests were kept, of about {repositories * merged}")
    spent = sum(counted["cost"].values())
    later = sum(again["cost"].values()) - spent
    single = sum(line.startswith(ONE_EACH) for line in counted["asked"])
    together = len(counted["asked"]) - single
    detail = (
        f"{repositories} repositories, {pulls:,} merges: {together} requests and {single} that are one per repository"
    )
    print(json.dumps({"name": "requests to GitHub", "ratio": together / REQUESTS, "limit": 1.0, "detail": detail}))
    detail = f"{found['s']:.1f} s at {LATENCY_S * 1000:.0f} ms a request, {found['cpu_s']:.1f} s of them work of this program; at most {SECONDS:.0f} s"
    print(json.dumps({"name": "seconds of GitHub", "ratio": found["s"] / SECONDS, "limit": 1.0, "detail": detail}))
    parts = {name: again["cost"][name] - cost for name, cost in counted["cost"].items()}
    detail = f"{spent} points ({counted['cost']}), then {later} with nothing changed ({parts})"
    print(json.dumps({"name": "rate limit of a second run", "ratio": later / spent, "limit": 0.1, "detail": detail}))


if __name__ == "__main__":
    match sys.argv[1:]:
        case ["serve", folder, repositories, merged]:
            serve(Path(folder), int(repositories), int(merged))
        case ["gather", scope, run]:
            gather(Path(scope), Path(run))
        case sizes:
            main(*map(int, sizes))
