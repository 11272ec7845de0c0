"""How long judging a year takes: 365 sealed bundles of 110 controls, each verified, in one process.

    python bench/bench_period.py [DAYS] [CONTROLS] [EVERY]

One run is judged by the product; the other days are the same run with other instants and, for one control in EVERY (5),
other items than any other control or day has, sealed by the product again. Promised: under 60 seconds and under 2 GB.
"""

from __future__ import annotations

import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "tests" / "support"))

import daily  # noqa: E402

from compliancectl import canonical, clock  # noqa: E402
from compliancectl.bundle import bundle  # noqa: E402
from compliancectl.load import load_control  # noqa: E402
from compliancectl.model.control import Control  # noqa: E402
from compliancectl.model.evidence import Window  # noqa: E402
from compliancectl.seal import keys  # noqa: E402

START = datetime(2025, 1, 1, 2, tzinfo=UTC)
ITEMS = 200


def controls(place: Path, count: int) -> list[Control]:
    """So many controls: the four of the tests under other ids."""
    found = []
    for number in range(count):
        control = daily.write_control(place, sorted(daily.BODIES)[number % 4])
        file = Path(control.file).with_name(f"B-{number:03}-x.yaml")
        text = Path(control.file).read_text().replace(f"id: {control.id}", f"id: B-{number:03}", 1)
        file.write_text(text)
        found.append(load_control(file))
    return found


def first(place: Path, count: int) -> Path:
    """One judged run."""
    day = daily.Day(place / "run", START, "run-000", Window(start=START - timedelta(days=1), end=START))
    day.add(
        "git.branch", [{"resource": f"branch-{n:04}", "protected": n != 7, "archived": False} for n in range(ITEMS)]
    )
    merges = [{"resource": f"app#{n:04}", "merged": START, "approvals": 1, "title": "Work"} for n in range(ITEMS)]
    day.add("git.merge", merges, window=Window(start=START - timedelta(days=1), end=START))
    backups = [{"resource": f"db/{n:04}", "ended": START, "successful": True} for n in range(ITEMS)]
    day.add("cloud.backup", backups)
    day.add("cloud.bucket", [{"resource": f"bucket-{n:04}", "public": False} for n in range(ITEMS)])
    daily.judge(day, controls(place, count))
    return place / "run"


def another(run: Path, number: int, every: int) -> None:
    """Make the run that of another day."""
    at = START + timedelta(days=number)
    record, results = (json.loads((run / name).read_bytes()) for name in ("run.json", "results/results.json"))
    record |= {
        "id": f"run-{number:03}",
        "started_at": clock.text(at - timedelta(minutes=5)),
        "finished_at": clock.text(at),
    }
    (run / "run.json").write_bytes(canonical.to_bytes(record) + b"\n")
    results |= {"run_id": record["id"], "as_of": clock.text(at), "run_sha256": canonical.sha256_file(run / "run.json")}
    for place, control in enumerate(results["controls"]):
        if place % every == 0:
            _other_items(run, control["tests"][0], f"{place}-{number}")
    (run / "results/results.json").write_bytes(canonical.to_bytes(results))


def _other_items(run: Path, test: dict[str, Any], mark: str) -> None:
    file = run / test["items_path"]
    lines = file.read_bytes().splitlines(keepends=True)
    item = json.loads(lines[-1])
    item["resource"] = item["resource"].split("~")[0] + f"~{mark}"
    file.write_bytes(b"".join([*lines[:-1], canonical.to_bytes(item) + b"\n"]))
    test["items_sha256"] = canonical.sha256_file(file)


def generate(place: Path, days: int, count: int, every: int) -> Path:
    """The bundles of so many days."""
    os.fsync = lambda handle: None  # type: ignore[assignment]  # a benchmark's scratch need not survive a crash
    run, key = first(place, count), keys.new_key(place / "key").private
    for number in range(days):
        another(run, number, every)
        bundle(run, place / "bundles" / f"{number:03}", key=key, operator=daily.OPERATOR)
    return place / "key.pub.pem"


def main(days: int = 365, count: int = 110, every: int = 5) -> int:
    """Measure the command as a process of its own."""
    with tempfile.TemporaryDirectory() as scratch:
        place = Path(scratch)
        public = generate(place, days, count, every)
        end = f"{START + timedelta(days=days):%Y-%m-%d}"
        command = [sys.executable, "-m", "compliancectl", "period", str(place / "bundles"), "--from", "2025-01-01"]
        start = time.perf_counter()
        done = subprocess.run(
            [*command, "--to", end, "--key", str(public), "-o", str(place / "period.json")],
            check=False,
            stdout=subprocess.DEVNULL,
        )
        seconds = time.perf_counter() - start
        used = resource.getrusage(resource.RUSAGE_CHILDREN)
        found = json.loads((place / "period.json").read_bytes())
        assert done.returncode in (1, 3) and len(found["ledger"]) == days and len(found["controls"]) == count
    cpu, peak = used.ru_utime + used.ru_stime, used.ru_maxrss / 1024
    what = f"{days} bundles, {count} controls: {seconds:.1f} s, {cpu:.1f} s of CPU, {peak:.0f} MB"
    print(json.dumps({"name": "period, of 60 seconds", "ratio": seconds / 60, "limit": 1.0, "detail": what}))
    print(json.dumps({"name": "period, of 2 GB", "ratio": peak / 2048, "limit": 1.0, "detail": what}))
    return int(seconds > 60 or peak > 2048)


if __name__ == "__main__":
    sys.exit(main(*map(int, sys.argv[1:])))
