"""Measure how long sealing and verifying take, beside `sha256sum --check` on the same files.

    python bench/bench_verify.py [ITEMS] [MEGABYTES]

Prints one line per measurement and exits 1 if verifying the folder takes more than one and a half times as long as `sha256sum`:
in a process that has everything loaded, or as people call it, with the start of Python and of all libraries.
"""

from __future__ import annotations

import json
import os
import random
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from compliancectl.bundle import bundle
from compliancectl.seal import keys, trust
from compliancectl.verify import verify

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "tests" / "seal"))  # the tests' maker of run folders

from conftest import OPERATOR, Run  # noqa: E402

TARGET = 1.5
REPEATS = 5


def generate(folder: Path, items: int, megabytes: int) -> Path:
    """A run with `items` evidence items and so many megabytes of JSON-like replies, the same each time."""
    run, source = Run(folder), random.Random(42)
    size = megabytes * 1_000_000 // items
    vocabulary = [f'"{source.getrandbits(48):x}":{source.getrandbits(16)}'.encode() for _ in range(2000)]
    made = []
    for number in range(items):
        body = b"{" + b",".join(source.choices(vocabulary, k=size // 20 + 1))[: size - 2] + b"}"
        made.append(run.add_item(f"gcp/feed_{number % 20}/target-{number:05}", "gcp.sql_instance", body=body))
    run.evaluate(run.finish(made), made)
    return folder


def best(*measures: Callable[[], object], repeats: int = REPEATS) -> list[float]:
    """The shortest of some repetitions of each, in seconds: the ones that other processes disturbed least.

    They take turns, so that a busy moment of the machine falls on all of them.
    """
    found: list[list[float]] = [[] for _ in measures]
    for _ in range(repeats):
        for measure, taken in zip(measures, found, strict=True):
            start = time.perf_counter()
            measure()
            taken.append(time.perf_counter() - start)
    return [min(taken) for taken in found]


def verified(path: Path, public: Path) -> None:
    found = verify(path, trust=trust.load(public_keys=[public]))
    assert found.exit_code == 0, found.failure


def main(items: int = 1000, megabytes: int = 100) -> int:
    with tempfile.TemporaryDirectory() as scratch:
        place = Path(scratch)
        run = generate(place / "run", items, megabytes)
        key = keys.new_key(place / "key")
        out, packed = place / "bundle", place / "bundle.zip"
        (seal,) = best(lambda: bundle(run, out, key=key.private, operator=OPERATOR), repeats=1)
        (both,) = best(lambda: bundle(run, place / "b", key=key.private, archive=packed, operator=OPERATOR), repeats=1)
        check = ["sha256sum", "--check", "--strict", "--quiet", "SHA256SUMS"]
        program = [sys.executable, "-m", "compliancectl", "verify", out, "--key", key.public]
        # As it is installed: with its modules compiled, which this variable would prevent in a checkout.
        installed = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
        recipe = ROOT / "src/compliancectl/seal/verify-by-hand.sh"
        coreutils, process, inside = best(
            lambda: subprocess.run(check, cwd=out, check=True),
            lambda: subprocess.run(program, check=True, stdout=subprocess.DEVNULL, env=installed),
            lambda: verified(out, key.public),
        )
        archive, by_hand = best(
            lambda: verified(packed, key.public),
            lambda: subprocess.run(["sh", recipe, out, key.public], check=True, stdout=subprocess.DEVNULL),
        )
        size = packed.stat().st_size / 1e6
    print(f"{items} items, {megabytes} MB; archive {size:.1f} MB")
    print(f"seal a folder            {seal:6.2f} s   with the archive {both:.2f} s")
    print(f"sha256sum --check        {coreutils:6.2f} s")
    print(f"verify the folder        {inside:6.2f} s   ratio {inside / coreutils:.2f} (target: at most {TARGET})")
    print(f"  as people call it       {process:5.2f} s   ratio {process / coreutils:.2f}")
    print(f"verify in the archive    {archive:6.2f} s")
    print(f"verify by hand           {by_hand:6.2f} s")
    held = True
    for name, taken in (("verify", inside), ("the command verify", process)):
        detail = f"{items} items, {megabytes} MB: {taken:.2f} s against {coreutils:.2f} s"
        ratio = taken / coreutils
        print(json.dumps({"name": f"{name} against sha256sum", "ratio": ratio, "limit": TARGET, "detail": detail}))
        held = held and ratio <= TARGET
    return 0 if held else 1


if __name__ == "__main__":
    sys.exit(main(*map(int, sys.argv[1:])))
