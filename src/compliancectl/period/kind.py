"""What lies somewhere, by the names in it alone: a period package, or something else. It reads nothing else."""

from __future__ import annotations

import zipfile
from pathlib import Path

from compliancectl.seal import sums

PERIOD = "period.json"


def is_package(path: Path) -> bool:
    """True if a folder or ZIP is a period package, by the names in it."""
    if path.is_dir():
        return (path / PERIOD).is_file() and (path / sums.NAME).is_file()
    return path.is_file() and is_packed(path)


def is_packed(file: Path) -> bool:
    """True if a ZIP is a period package, by the names in it; one that cannot be read is left to verification."""
    try:
        with zipfile.ZipFile(file) as found:
            return any(name.endswith(f"/{PERIOD}") and name.count("/") == 1 for name in found.namelist())
    except (OSError, zipfile.BadZipFile):
        return False
