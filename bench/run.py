"""Speed and size, as ratios: `make bench`. Absolute times depend on the machine; the ratios are what is promised.

Each measure is a script of its own in this folder that prints one JSON object:
`{"name": …, "ratio": …, "limit": …, "detail": …}`; without ratio and limit, the detail says why it was not measured.
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).parent
MEASURES = tuple(sorted(file.stem.removeprefix("bench_") for file in HERE.glob("bench_*.py")))
"""Every `bench_NAME.py` beside this file."""


def main() -> int:
    """Run every measure (or those named) and print a table; exit 1 if a limit is missed."""
    missed = 0
    for name in sys.argv[1:] or MEASURES:
        done = subprocess.run(
            [sys.executable, str(HERE / f"bench_{name}.py")], check=False, stdout=subprocess.PIPE, text=True
        )
        lines = [line for line in done.stdout.splitlines() if line.startswith("{")]
        if not lines:
            raise SystemExit(f"bench_{name}.py measured nothing (exit {done.returncode})")
        for line in lines:
            found = json.loads(line)
            if "ratio" not in found:
                print(f"– {found['name']:<44} {found['detail']}")
                continue
            ok = found["ratio"] <= found["limit"]
            missed += not ok
            mark = "●" if ok else "✕"
            print(f"{mark} {found['name']:<44} {found['ratio']:>6.2f}  (at most {found['limit']})  {found['detail']}")
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
