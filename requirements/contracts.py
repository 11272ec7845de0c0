"""Fetch the vendors' descriptions of their APIs, which tests hold the sandbox against, into `.cache/contracts/`.

They are published as npm packages. Each is fetched with `npm pack`, compared with the digest in `contracts.lock`, and
only the named files are taken out. Nothing happens when these are there already, with their right digests.
"""

from __future__ import annotations

import hashlib
import sys
import tarfile
import tomllib
from pathlib import Path
from typing import Any

import npm

HERE = Path(__file__).resolve().parent
CACHE = HERE.parent / ".cache" / "contracts"


def main() -> None:
    """Fetch what is missing; exit with a message if that cannot be done."""
    packages = tomllib.loads((HERE / "contracts.lock").read_text(encoding="utf-8"))["package"]
    for package in packages:
        if not all(_is_there(member, digest) for member, digest in package["members"].items()):
            _fetch(package)


def _is_there(member: str, digest: str) -> bool:
    file = CACHE / Path(member).name
    return file.is_file() and hashlib.sha256(file.read_bytes()).hexdigest() == digest


def _fetch(package: dict[str, Any]) -> None:
    with npm.packed(package, "contracts.lock") as archive:
        _extract(archive, package["members"])


def _extract(archive: Path, members: dict[str, str]) -> None:
    CACHE.mkdir(parents=True, exist_ok=True)
    with tarfile.open(archive, "r:gz") as opened:
        for member, digest in members.items():
            data = _read(opened, f"package/{member}")
            if hashlib.sha256(data).hexdigest() != digest:
                sys.exit(f"{member} of {archive.name} is not the file that contracts.lock names")
            partial = CACHE / (Path(member).name + ".part")
            partial.write_bytes(data)
            partial.replace(CACHE / Path(member).name)


def _read(opened: tarfile.TarFile, name: str) -> bytes:
    try:
        stream = opened.extractfile(name)
    except KeyError:
        stream = None
    if stream is None:
        sys.exit(f"the package has no file {name}")
    return stream.read()


if __name__ == "__main__":
    main()
