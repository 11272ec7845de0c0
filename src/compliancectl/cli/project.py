"""What most commands begin with: the scope, the selected controls, the tables they may read."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from compliancectl import load, plugins
from compliancectl.errors import FileError, UsageError
from compliancectl.model.claim import ClaimRegister
from compliancectl.model.control import Control
from compliancectl.model.framework import Framework
from compliancectl.model.result import DisabledControl, LeftOut
from compliancectl.model.scope import Scope
from compliancectl.model.table import Table
from compliancectl.model.waiver import Waiver
from compliancectl.plugins import Installed
from compliancectl.resources import controls_folder
from compliancectl.sections import validate_sections

CLAIMS = "claims.yaml"
"""The reference register of claims, in the catalogue's folder."""


@dataclass(frozen=True)
class Catalogue:
    """Controls and what they refer to."""

    controls: tuple[Control, ...]
    frameworks: tuple[Framework, ...]
    tables: dict[str, Table]


@dataclass(frozen=True)
class Project:
    """One scope file with everything that it selects."""

    scope: Scope
    collectors: dict[str, Installed]
    catalogue: Catalogue
    selected: tuple[Control, ...]
    waivers: tuple[Waiver, ...]
    claims: ClaimRegister
    """The organisation's own register, or the one that ships."""
    disabled: tuple[DisabledControl, ...] = ()
    left_out: tuple[LeftOut, ...] = ()


def catalogue(folders: Iterable[Path] = ()) -> Catalogue:
    """Load the shipped controls and frameworks, and those of further folders."""
    shipped = plugins.control_folders()
    frameworks = tuple(f for folder in shipped for f in _frameworks(folder))
    controls = load.load_controls((*shipped, *folders))
    load.check_criteria(controls, frameworks)
    return Catalogue(controls, frameworks, plugins.all_tables())


def _frameworks(folder: Path) -> tuple[Framework, ...]:
    """The frameworks of a pack; one that only adds controls to frameworks of others has none."""
    inside = folder / "frameworks"
    return load.load_frameworks(inside) if inside.is_dir() else ()


def open_project(file: Path, only: list[str] | None = None, frameworks: list[str] | None = None) -> Project:
    """Load a scope file and all that it names, and check every selected control before anything runs.

    Raises:
        FileError: naming file and line of what is wrong.
        UsageError: if `--only`, `--framework` or a source name something that does not exist.
    """
    if not file.is_file():
        hint = "Write one with `compliancectl init`, or name it with --scope."
        raise FileError("there is no scope file", file=file, hint=hint)
    scope = load.load_scope(file)
    _collectors(scope)  # the scope's own mistakes come first: they show without loading a single control
    return select(scope, catalogue(scope.folder / folder for folder in scope.controls.folders), only, frameworks)


def select(
    scope: Scope, found: Catalogue, only: list[str] | None = None, frameworks: list[str] | None = None
) -> Project:
    """What a scope selects from a catalogue.

    Raises:
        FileError: naming file and line of what is wrong.
        UsageError: if `--only`, `--framework` or a source name something that does not exist.
    """
    load.check_overrides(scope, found.controls)
    disabled, left_out = load.disabled(scope, found.controls), load.left_out(scope, found.frameworks)
    chosen = load.select(
        found.controls, tuple(only or scope.controls.only), tuple(frameworks or scope.controls.frameworks)
    )
    selected = tuple(control for control in chosen if control.id not in scope.controls.disabled)
    if not selected:
        raise UsageError("every control that was chosen is disabled", hint="Look at controls.disabled in the scope.")
    waivers = load.load_waivers(scope.folder / scope.waivers, found.controls) if scope.waivers else ()
    return Project(scope, _collectors(scope), found, selected, waivers, claims_of(scope, found), disabled, left_out)


def claims_of(scope: Scope | None, found: Catalogue) -> ClaimRegister:
    """The register of claims that a scope names, or the reference register that ships.

    Raises:
        FileError: naming file and line of what is wrong.
    """
    own = scope.folder / scope.claims if scope is not None and scope.claims else None
    return load.load_claims(own or controls_folder() / CLAIMS, found.controls)


def tables_of(controls: Iterable[Control], tables: dict[str, Table]) -> tuple[str, ...]:
    """Names of all tables that the controls read, sorted.

    Raises:
        FileError: if a control reads a table that no installed collector declares, or is wrong otherwise.
    """
    from compliancectl.query.explain import tables_read

    return tables_read(controls, tables)


def _collectors(scope: Scope) -> dict[str, Installed]:
    """The collectors of a scope's sources, each source's section checked by its own."""
    collectors = {name: _installed(scope, name) for name in sorted(scope.sources)}
    validate_sections(scope, collectors)
    return collectors


def _installed(scope: Scope, name: str) -> Installed:
    """The collector of one source; an unknown name is reported where it stands in the scope file."""
    try:
        return plugins.collector(name)
    except UsageError as error:
        line = scope.lines.get(f"sources.{name}")
        raise FileError(error.message, hint=error.hint, file=scope.file, line=line) from None
