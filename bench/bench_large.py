"""Seal and verify 20,000 evidence items, and verify 5 GB with flat memory.

    python bench/bench_large.py [ITEMS] [MEGABYTES]

Each measure runs in a process of its own; its memory is what the system says that this process used at most. Prints one
JSON line per measure: seconds against their limit, and the memory that 5 GB need beyond 100 MB against 64 MB.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from pathlib import Path

HERE = Path(__file__).parent
STEP = """
import random, resource, sys, time
from pathlib import Path
import bench_verify as b
name, place, items, megabytes = sys.argv[1], Path(sys.argv[2]), int(sys.argv[3]), int(sys.argv[4])
if name == "make":
    run, made, size = b.Run(place / "run"), [], megabytes * 1_000_000 // items
    for number in range(items):
        block = random.Random(number).randbytes(min(size, 1_000_000))
        body = (block * (size // len(block) + 1))[:size]
        made.append(run.add_item(f"gcp/feed_{number % 20}/target-{number:05}", "gcp.sql_instance", body=body))
    run.evaluate(run.finish(made), made)
    b.keys.new_key(place / "key")
began = time.perf_counter()
if name == "seal":
    b.bundle(place / "run", place / "bundle", key=place / "key.pem", operator=b.OPERATOR)
if name == "verify":
    b.verified(place / "bundle", place / "key.pub.pem")
print(time.perf_counter() - began, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024)
"""


def step(name: str, place: Path, items: int, megabytes: int) -> tuple[float, float]:
    """Seconds and megabytes of memory of one step."""
    command = [sys.executable, "-c", STEP, name, str(place), str(items), str(megabytes)]
    done = subprocess.run(command, cwd=HERE, check=True, stdout=subprocess.PIPE, text=True)
    seconds, memory = done.stdout.split()
    return float(seconds), float(memory)


def measured(items: int, megabytes: int) -> dict[str, tuple[float, float]]:
    """Make a run, seal it, verify it."""
    with tempfile.TemporaryDirectory() as scratch:
        return {name: step(name, Path(scratch), items, megabytes) for name in ("make", "seal", "verify")}


def line(name: str, value: float, limit: float, detail: str) -> bool:
    print(json.dumps({"name": name, "ratio": value, "limit": limit, "detail": detail}))
    return value <= limit


def main(items: int = 20_000, megabytes: int = 5000) -> int:
    many = measured(items, max(1, items // 1000))
    small, large = measured(50, 100), measured(50, megabytes)
    held = [
        line(f"seconds to {name} {items} items", many[name][0], 10, f"{many[name][1]:.0f} MB of memory")
        for name in ("seal", "verify")
    ]
    held.append(
        line(f"seconds to verify {megabytes} MB", large["verify"][0], 20, f"{large['verify'][1]:.0f} MB of memory")
    )
    more = large["verify"][1] - small["verify"][1]
    detail = f"{small['verify'][1]:.0f} MB for 100 MB, {large['verify'][1]:.0f} MB for {megabytes} MB"
    held.append(line("megabytes of memory that more data need", more, 64, detail))
    return 0 if all(held) else 1


if __name__ == "__main__":
    sys.exit(main(*map(int, sys.argv[1:])))
