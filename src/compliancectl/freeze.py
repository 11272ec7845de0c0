"""What `evaluate` leaves in a run's folder: the exact files that were judged by, and whole results or none."""

from __future__ import annotations

import tempfile
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from compliancectl import canonical
from compliancectl.errors import FileError, OutputError
from compliancectl.model.claim import ClaimRegister
from compliancectl.model.control import Control
from compliancectl.model.framework import Framework
from compliancectl.model.result import Results
from compliancectl.model.scope import Scope
from compliancectl.model.waiver import Waiver


def catalog_path(control: Control) -> str:
    """Where the run's folder keeps a control's file."""
    return f"catalog/controls/{control.topic}/{Path(control.file).name}"


def config(results: Results, scope: Scope | None) -> dict[str, Any]:
    """`catalog/config.json`: what was asked for, beside the files themselves."""
    wire = results.to_json()
    selection = scope.controls if scope is not None else None
    return {
        "version": 1,
        "as_of": wire["as_of"],
        "period": wire["period"],
        "tool_version": results.tool_version,
        "engine": results.engine,
        "controls": [control.id for control in results.controls],
        "selection": {
            "only": list(selection.only) if selection else [],
            "frameworks": list(selection.frameworks) if selection else [],
        },
        "params": {c["id"]: c["params"] for c in wire["controls"] if c.get("params")},
    }


def freeze(
    folder: Path,
    controls: Iterable[Control],
    frameworks: Iterable[Framework],
    waivers: Sequence[Waiver],
    settings: Mapping[str, Any],
    claims: ClaimRegister | None = None,
) -> None:
    """Keep the exact bytes that were judged by."""
    for control in controls:
        _copy(Path(control.file), folder.parent / catalog_path(control), control.sha256)
    for framework in frameworks:
        if framework.file:
            _copy(Path(framework.file), folder / "frameworks" / Path(framework.file).name, framework.sha256)
    for file in sorted({waiver.file for waiver in waivers if waiver.file}):
        _copy(Path(file), folder / "waivers.yaml", None)
    if claims is not None and claims.file:
        _copy(Path(claims.file), folder / "claims.yaml", claims.sha256)
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "config.json").write_bytes(canonical.to_bytes(settings))


def _copy(source: Path, target: Path, sha256: str | None) -> None:
    data = source.read_bytes()
    if sha256 is not None and canonical.sha256(data) != sha256:
        raise FileError("The file changed while it was being used.", hint="Run again.", file=source)
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_bytes(data)


def scratch_folder(run_folder: Path) -> Path:
    """A folder beside the results, so that finished ones only need a rename.

    Raises:
        OutputError: if it cannot be made.
    """
    try:
        return Path(tempfile.mkdtemp(prefix=".evaluate-", dir=run_folder))
    except OSError as error:
        raise OutputError(
            f"The results cannot be written: {error.strerror}.", hint="Check permissions.", file=run_folder
        ) from error


def publish(scratch: Path, run_folder: Path) -> None:
    """Put the finished folders in place. `results/` goes last: where it stands, everything stands."""
    old = scratch / "old"
    old.mkdir()
    for name in ("results", "catalog"):
        if (run_folder / name).exists():
            (run_folder / name).rename(old / name)
    for name in ("catalog", "results"):
        (scratch / name).rename(run_folder / name)
