"""How long `history` takes over 10,000 runs of 110 controls: the first time, and again with its index.

    python bench/bench_history.py [RUNS] [CONTROLS]

Promised: seconds. The limit is ten for the command as people run it, a process of its own, once the index is there.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

LIMIT = 10.0
OUTCOMES = ("no deviations", "no deviations", "no deviations", "deviations", "inconclusive")


def generate(place: Path, runs: int, controls: int) -> Path:
    """Folders that look like bundles to `history`, which reads results and verifies nothing."""
    start = datetime(2000, 1, 1, 2, tzinfo=UTC)
    for number in range(runs):
        folder = place / "bundles" / f"{number:05}"
        (folder / "results").mkdir(parents=True)
        (folder / "SHA256SUMS").write_bytes(b"")
        judged = [
            {
                "id": f"B-{each:03}", "title": f"Control {each}", "severity": "high",
                "outcome": OUTCOMES[(number // 7 + each) % len(OUTCOMES)],
                "tests": [{"counts": {"passed": 40, "failed": each % 3, "waived": 0, "excluded": 1, "unknown": 0}}],
            }
            for each in range(controls)
        ]  # fmt: skip
        at = (start + timedelta(days=number)).isoformat().replace("+00:00", "Z")
        about = {
            "run_id": f"run-{number}",
            "as_of": at,
            "organization": "O",
            "system": "S",
            "environment": "production",
        }
        (folder / "results" / "results.json").write_text(json.dumps({**about, "controls": judged}))
    return place / "bundles"


def timed(folder: Path, cache: Path, *more: str) -> float:
    start = time.perf_counter()
    subprocess.run(
        [sys.executable, "-m", "compliancectl", "history", str(folder), *more],
        check=True,
        stdout=subprocess.DEVNULL,
        env={**os.environ, "XDG_CACHE_HOME": str(cache)},
    )
    return time.perf_counter() - start


def main(runs: int = 10_000, controls: int = 110) -> int:
    """Measure and print."""
    with tempfile.TemporaryDirectory() as scratch:
        place = Path(scratch)
        folder = generate(place, runs, controls)
        first, again = timed(folder, place / "cache"), timed(folder, place / "cache")
        one = timed(folder, place / "cache", "--control", "B-007")
        size = sum(file.stat().st_size for file in (place / "cache").rglob("*.parquet")) / 1e6
    what = f"{runs} runs, {controls} controls: {again:.1f} s, one control {one:.1f} s; first time {first:.1f} s; index {size:.1f} MB"
    print(
        json.dumps({"name": f"history, of {LIMIT:.0f} seconds", "ratio": again / LIMIT, "limit": 1.0, "detail": what})
    )
    return int(again > LIMIT)


if __name__ == "__main__":
    sys.exit(main(*map(int, sys.argv[1:])))
