"""A depot in a folder."""

from __future__ import annotations

import os
import shutil
import tempfile
from datetime import UTC, datetime
from pathlib import Path
from typing import BinaryIO

from compliancectl import disk
from compliancectl.depot import BUNDLE, RECORD, TOMBSTONE, Stated, Taken, entry_of, why_gone
from compliancectl.errors import Denied, Missing
from compliancectl.seal import staging


class LocalPlace:
    """Objects as read-only files. Retention is kept by the depot alone: whoever may write here can delete them."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def names(self) -> list[str]:
        """All names, sorted; what begins with a dot is unfinished."""
        if not self.root.is_dir():
            return []
        files = (path.relative_to(self.root) for path in self.root.rglob("*") if path.is_file())
        return sorted(path.as_posix() for path in files if not any(part.startswith(".") for part in path.parts))

    def objects(self, under: str = "") -> dict[str, Stated]:
        """Files by name. Nothing is stated of their content: a file can be looked at where it is.

        Raises:
            Denied: if a folder among them cannot be listed.
        """
        found: dict[str, Stated] = {}
        top = self.root / under.rpartition("/")[0]
        for folder, _, files in os.walk(top, onerror=_unlisted):
            for file in files:
                path = Path(folder) / file
                name = path.relative_to(self.root).as_posix()
                if name.startswith(under) and not any(part.startswith(".") for part in name.split("/")):
                    about = path.lstat()
                    found[name] = Stated(about.st_size, None, datetime.fromtimestamp(about.st_mtime, UTC))
        return dict(sorted(found.items()))

    def readable(self, name: str) -> Path:
        """The path of a file that can be read where it is.

        Raises:
            Denied, Missing: if it cannot.
        """
        self.open(name).close()
        return self.root / name

    def create(self, name: str, data: BinaryIO, size: int, retain_until: datetime | None) -> None:
        """Write beside, then link: a name that is taken stays as it is."""
        target = self.root / name
        with disk.output_errors(target):
            target.parent.mkdir(parents=True, exist_ok=True)
            handle, new = tempfile.mkstemp(prefix=".new-", dir=target.parent)
            try:
                with os.fdopen(handle, "wb") as stream:
                    shutil.copyfileobj(data, stream, 1024**2)
                    stream.flush()
                    os.fchmod(handle, 0o444)
                    os.fsync(handle)
                staging.publish_file(Path(new), target)
            except FileExistsError:
                raise Taken(name) from None
            finally:
                Path(new).unlink(missing_ok=True)

    def open(self, name: str) -> BinaryIO:
        """Read a file, never through a link.

        Raises:
            Missing: if there is none.
            Denied: if it may not be read.
        """
        try:
            return os.fdopen(os.open(self.root / name, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC), "rb")
        except FileNotFoundError:
            raise Missing(f"{self.root} has no {name}", hint="Check the name.") from None
        except OSError as error:
            raise Denied(f"{self.root / name} cannot be read: {error.strerror}", hint="Check permissions.") from error

    def address(self, name: str) -> str:
        """The path of a file."""
        return str(self.root / name)

    def protect(self, name: str, held: bool) -> None:
        """A folder cannot; the depot refuses."""

    def delete(self, name: str) -> None:
        """Delete a file."""
        with disk.output_errors(self.root / name):
            (self.root / name).unlink()
            disk.sync((self.root / name).parent)


def _unlisted(error: OSError) -> None:
    """A folder that is not there holds nothing; one that may not be listed is not empty."""
    if not isinstance(error, FileNotFoundError):
        raise Denied(f"{error.filename} cannot be listed: {error.strerror}", hint="Check permissions.") from error


def gone(root: Path, since: datetime) -> dict[str, str]:
    """Bundles that a depot in this folder has a record of, stored at `since` or later, and that are not there → why.

    A folder that is no depot has no records.

    Raises:
        VerifyError: if a record cannot be read.
    """
    place, found = LocalPlace(root), dict[str, str]()
    for record in sorted(root.glob(f"*/{RECORD}")):
        folder = record.parent
        if (folder / BUNDLE).exists():
            continue
        files = [name for name in (RECORD, TOMBSTONE) if (folder / name).is_file()]
        entry = entry_of(place, folder.name, files)
        if entry.kept is not None and entry.kept.stored_at >= since:
            found[f"{folder.name}/{BUNDLE}"] = why_gone(entry.tombstone)
    return found
