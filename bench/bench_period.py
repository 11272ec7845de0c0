"""How long judging a year takes: 365 sealed bundles of the whole catalogue, each verified, in one process.

    python bench/bench_period.py [DAYS] [DEMO]

The first run is a real one of the company in a box (or the one that `compliancectl demo -o DEMO` left): every control, every
evidence item with its replies and tables. Populations are made up to `ITEMS` items each, because that company is a small one.
The other days are the same run with other instants in every record; every second population has other values in each
line, every tenth an item that no other day has. The product seals each day, as the archive that a nightly `run` stores.
Promised: under 60 seconds and under 2 GB.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ProcessPoolExecutor
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any

from compliancectl import canonical, clock
from compliancectl.bundle import bundle
from compliancectl.model.manifest import Operator
from compliancectl.seal import keys

START = datetime(2025, 1, 1, 2, tzinfo=UTC)
OPERATOR = Operator(id="nightly", kind="ci")
ITEMS = 70
"""Items of a population, at least: 22,000 of all together."""
WORKERS = 2
ANEW, NEW = 2, 10
"""One population in so many has other lines on each day; one in so many, another item."""
_INSTANTS = ("requested_at", "completed_at", "started_at", "finished_at")


def first(place: Path, demo: Path | None) -> Path:
    """One run of the whole catalogue, judged."""
    if demo is None:
        demo = place / "demo"
        command = [sys.executable, "-m", "compliancectl", "demo", "-o", str(demo)]
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    run = place / "run"
    shutil.copytree(demo / "run", run)
    results = json.loads((run / "results/results.json").read_bytes())
    for control in results["controls"]:
        for test in control["tests"]:
            if "items_path" in test:
                _more_items(run / test["items_path"], test)
    (run / "results/results.json").write_bytes(canonical.to_bytes(results))
    return run


def _more_items(file: Path, test: dict[str, Any]) -> None:
    lines = file.read_bytes().splitlines(keepends=True)
    found = [json.loads(line) for line in lines]
    passing = next((item for item in found if item["outcome"] == "pass"), None)
    if passing is None:
        return
    more = [{**passing, "resource": f"~{number:03}/{passing['resource']}"} for number in range(ITEMS - len(found))]
    file.write_bytes(b"".join([*lines, *(canonical.to_bytes(item) + b"\n" for item in more)]))
    test["counts"]["passed"] += len(more)
    test["items_sha256"] = canonical.sha256_file(file)


def sealed_days(days: range, run: Path, place: Path, key: Path) -> None:
    """Make the run that of one day after the other, and seal each."""
    os.fsync = lambda handle: None  # type: ignore[assignment]  # a benchmark's scratch need not survive a crash
    with tempfile.TemporaryDirectory() as scratch:
        mine, out = Path(scratch) / "run", Path(scratch) / "bundle"
        shutil.copytree(run, mine)
        for number in days:
            another(mine, number)
            bundle(mine, out, key=key, archive=place / f"{number:03}.zip", operator=OPERATOR)
            shutil.rmtree(out)


def another(run: Path, number: int) -> None:
    """Make the run that of another day."""
    at = START + timedelta(days=number)
    record, results = (json.loads((run / name).read_bytes()) for name in ("run.json", "results/results.json"))
    later = at - clock.parse(results["as_of"])
    record["id"] = results["run_id"] = f"run-{number:03}"
    for id in record["evidence"]:
        file = run / "evidence" / id / "item.json"
        file.write_bytes(canonical.to_bytes(_moved(json.loads(file.read_bytes()), later)))
        record["evidence"][id] = canonical.sha256_file(file)
    (run / "run.json").write_bytes(canonical.to_bytes(_moved(record, later)))
    results |= {"as_of": clock.text(at), "run_sha256": canonical.sha256_file(run / "run.json")}
    tests = [test for control in results["controls"] for test in control["tests"] if "items_path" in test]
    for place, test in enumerate(tests):
        if place % ANEW == 0:
            _other_lines(run, test, number, new=place % NEW == 0)
    (run / "results/results.json").write_bytes(canonical.to_bytes(results))


def _moved(record: dict[str, Any], later: timedelta) -> dict[str, Any]:
    """The same record, with every instant at which something was asked moved; what was asked for moves with it."""
    for holder in (record, *record.get("replies", ())):
        for name in _INSTANTS:
            if name in holder:
                holder[name] = clock.text(clock.parse(holder[name]) + later)
    if "window" in record:
        record["window"] = {name: clock.text(clock.parse(at) + later) for name, at in record["window"].items()}
    return record


def _other_lines(run: Path, test: dict[str, Any], number: int, *, new: bool) -> None:
    file = run / test["items_path"]
    items = [json.loads(line) for line in file.read_bytes().splitlines()]
    for item in items:
        item.setdefault("observed", {})["age_days"] = number
    if new and items:
        items[-1]["resource"] = f"{items[-1]['resource'].partition('~~')[0]}~~{number:03}"
    file.write_bytes(canonical.to_lines(items))
    test["items_sha256"] = canonical.sha256_file(file)


def main(days: int = 365, demo: Path | None = None) -> int:
    """Measure the command as a process of its own."""
    with tempfile.TemporaryDirectory() as scratch:
        place = Path(scratch)
        pair, bundles = keys.new_key(place / "key"), place / "bundles"
        bundles.mkdir()
        run = first(place, demo)
        with ProcessPoolExecutor(WORKERS) as pool:
            shares = [range(first, days, WORKERS) for first in range(WORKERS)]
            list(pool.map(partial(sealed_days, run=run, place=bundles, key=pair.private), shares))
        bytes_each = (bundles / "000.zip").stat().st_size
        end = f"{START + timedelta(days=days):%Y-%m-%d}"
        command = [sys.executable, "-m", "compliancectl", "period", str(bundles), "--from", "2025-01-01"]
        start = time.perf_counter()
        judging = subprocess.Popen(
            [*command, "--to", end, "--key", str(pair.public), "-o", str(place / "period.json")],
            stdout=subprocess.DEVNULL,
        )
        _, status, used = os.wait4(judging.pid, 0)  # what this process used, and none of those that sealed
        seconds = time.perf_counter() - start
        found = json.loads((place / "period.json").read_bytes())
        assert os.waitstatus_to_exitcode(status) in (1, 3) and len(found["ledger"]) == days
        assert {entry["verdict"] for entry in found["ledger"]} == {"verified"}
        tests = [test for control in found["controls"] for test in control["tests"]]
        each = sum(test["occurrences"] for test in tests) // days
    cpu, peak = used.ru_utime + used.ru_stime, used.ru_maxrss / 1024
    what = (
        f"{days} bundles of {bytes_each / 1e6:.1f} MB, {len(found['controls'])} controls, {len(tests)} tests, "
        f"{each:,} items: {seconds:.1f} s, {cpu:.1f} s of CPU, {peak:.0f} MB"
    )
    print(json.dumps({"name": "period, of 60 seconds", "ratio": seconds / 60, "limit": 1.0, "detail": what}))
    print(json.dumps({"name": "period, of 2 GB", "ratio": peak / 2048, "limit": 1.0, "detail": what}))
    return int(seconds > 60 or peak > 2048)


if __name__ == "__main__":
    arguments = sys.argv[1:3]
    sys.exit(main(*map(int, arguments[:1]), *map(Path, arguments[1:])))
