"""Bundles in other people's formats: one module per format, each a function of a sealed bundle to bytes.

Exports are for reading elsewhere; the bundle stays the evidence. Every export names the bundle by the digest of its
SHA256SUMS. The same bundle gives the same bytes.
"""

from __future__ import annotations

import importlib
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO

from compliancectl import disk
from compliancectl.errors import OutputError, UsageError
from compliancectl.export.source import opened
from compliancectl.seal import staging


@dataclass(frozen=True)
class Kind:
    """One format."""

    name: str
    summary: str
    module: str
    """Module of this package with `write(bundle, stream or folder)`."""
    options: dict[str, Any] = field(default_factory=dict)
    folder: bool = False
    """Writes a folder of files instead of one file."""


KINDS: dict[str, Kind] = {
    kind.name: kind
    for kind in (
        Kind("junit", "JUnit XML: a suite per control, a case per check; for CI systems.", "junit"),
        Kind("csv", "A folder of CSV tables: controls, criteria, findings, every population.", "comma", folder=True),
        Kind("xlsx", "One workbook with the same tables.", "workbook"),
        Kind("sarif", "SARIF 2.1.0: what is not true, for GitHub code scanning.", "sarif"),
        Kind("oscal", "OSCAL 1.2.1 assessment results.", "oscal", {"version": "1.2.1"}),
        Kind("oscal-1.1.3", "OSCAL 1.1.3 assessment results.", "oscal", {"version": "1.1.3"}),
        Kind("ocsf", "OCSF 1.5.0 compliance findings, one JSON object a line; for SIEMs.", "ocsf"),
    )
}


def export(kind: str, bundle: Path, out: Path) -> None:
    """Write a bundle in another format. The caller has verified the bundle.

    Args:
        kind: One of `KINDS`.
        bundle: A sealed bundle, folder or ZIP. It is only read.
        out: The file to write, replaced if it exists; for `csv` a folder that must be new.

    Raises:
        UsageError: the kind or the bundle does not exist.
        NotReadyError: it is not a sealed bundle.
        FileError: this version cannot read it.
        VerifyError: it changed while it was read; nothing is written then.
        OutputError: nowhere to write.
    """
    chosen = find(kind)
    disk.refuse_sealed(out)
    write = importlib.import_module(f"compliancectl.export.{chosen.module}").write
    with opened(bundle) as source:
        if chosen.folder:
            with new_folder(out) as folder:
                write(source, folder, **chosen.options)
        else:
            with new_file(out) as stream:
                write(source, stream, **chosen.options)


def find(kind: str) -> Kind:
    """The kind called so.

    Raises:
        UsageError: if there is none.
    """
    if kind not in KINDS:
        raise UsageError(f"no export is called {kind!r}", hint=f"There are {', '.join(KINDS)}.")
    return KINDS[kind]


@contextmanager
def new_file(out: Path) -> Iterator[BinaryIO]:
    """A file that appears under its name only when it is whole; one that is there is replaced.

    Raises:
        OutputError: if it cannot be written.
    """
    if out.is_dir():
        raise OutputError("a folder is here already", file=out, hint="Name a file.")
    disk.refuse_special(out)
    temporary = out.with_name(f".{out.name}.new")
    try:
        with disk.output_errors(out):
            out.parent.mkdir(parents=True, exist_ok=True)
            stream = temporary.open("wb")
        with stream, disk.output_errors(out):
            yield stream
            stream.flush()
            os.fsync(stream.fileno())
        with disk.output_errors(out):
            temporary.replace(out)
            disk.sync(out.parent)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise


@contextmanager
def new_folder(out: Path) -> Iterator[Path]:
    """A folder that appears under its name only when it is whole; it must be new.

    Raises:
        OutputError: if something is there, or it cannot be written.
    """
    if os.path.lexists(out):
        raise OutputError("something is here already", file=out, hint="Name a folder that does not exist yet.")
    with staging.staged(out) as folder, disk.output_errors(out):
        yield folder
        disk.sync_tree(folder)
        staging.publish(folder, out)
