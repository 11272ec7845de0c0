"""`make schema`: write the committed JSON Schemas anew."""

from __future__ import annotations

import sys
from pathlib import Path

from compliancectl.schemas import schemas


def main(top: Path) -> None:
    """Write every schema below `top` and say its path."""
    for path, data in schemas().items():
        (top / path).parent.mkdir(parents=True, exist_ok=True)
        (top / path).write_bytes(data)
        sys.stdout.write(f"{path}\n")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
