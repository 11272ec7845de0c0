"""`controls list|show|check|test|new|docs`: the catalogue, and writing for it."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from compliancectl.cli.options import Format, Frameworks, Only, OutputFormat

if TYPE_CHECKING:
    from compliancectl.cli.project import Catalogue
    from compliancectl.errors import FileError
    from compliancectl.model.control import Control

app = typer.Typer(no_args_is_help=True)

SCHEMA = "control.schema.json"
"""Ships in the catalogue's folder."""

Files = Annotated[
    list[Path] | None, typer.Argument(help="Control files, folders or ids; absent: all that ship.", metavar="[FILE]...")
]
Extra = Annotated[
    list[Path] | None, typer.Option("--folder", help="Further folder of control files; may be repeated.", metavar="DIR")
]


@app.callback()
def controls() -> None:
    """List, show, check, test, begin and document controls."""


@app.command("list", epilog="Example: compliancectl controls list --framework ferpa")
def list_(
    only: Only = None, framework: Frameworks = None, folder: Extra = None, format: OutputFormat = Format.text
) -> int:
    """List the controls with their severity, owner and criteria."""
    from compliancectl import load
    from compliancectl.cli.console import out
    from compliancectl.cli.project import catalogue

    chosen = load.select(catalogue(folder or ()).controls, tuple(only or ()), tuple(framework or ()))
    if format is Format.json:
        fields = {"id", "title", "severity", "frequency", "owner", "satisfies", "topic"}
        typer.echo(
            json.dumps([c.model_dump(mode="json", include=fields) for c in chosen], indent=2, ensure_ascii=False)
        )
        return 0
    width, owners = max(len(c.title) for c in chosen), max(len(c.owner) for c in chosen)
    for control in chosen:
        criteria = " ".join(f"{name}:{len(ids)}" for name, ids in sorted(control.satisfies.items()) if ids)
        out().print(
            f"{control.id:<8} {control.title:<{width}}  {control.severity:<8} [dim]{control.owner:<{owners}}  {criteria}[/dim]"
        )
    return 0


@app.command(epilog="Example: compliancectl controls show BCP-02")
def show(id: Annotated[str, typer.Argument(help="Control id.")], folder: Extra = None) -> int:
    """Show a control: criteria, tables and permissions needed, the exact SQL, each check as a sentence."""
    from compliancectl import load
    from compliancectl.cli.project import catalogue
    from compliancectl.query.explain import explain

    found = catalogue(folder or ())
    (control,) = load.select(found.controls, (id,), ())
    typer.echo(explain(control, found.tables, found.frameworks))
    return 0


@app.command(epilog="Example: compliancectl controls check my-controls/ && compliancectl controls test my-controls/")
def check(files: Files = None) -> int:
    """Check control files without any data: form, names, SQL, types. Exit code 2 when anything is wrong."""
    from compliancectl.numbers import counted
    from compliancectl.query.checking import check_all

    found, chosen, problems = _load(files)
    problems += check_all(found.tables, chosen)
    _say(problems)
    typer.echo(f"{counted(len(chosen), 'control')}, {counted(len(problems), 'problem')}")
    return 2 if problems else 0


@app.command(epilog="Example: compliancectl controls test my-controls/database/ACME-01-roles.yaml")
def test(files: Files = None) -> int:
    """Run the examples of control files: each check seen passing and failing, and the null probe.

    The null probe sets each field that a passing example reads to NULL, in turn: the item must still be there, and must
    not pass. Exit code 1 when an example does not come out as it says.
    """
    from compliancectl.load.problems import raise_all
    from compliancectl.numbers import counted
    from compliancectl.query.examples import Workbench

    found, chosen, problems = _load(files)
    raise_all(problems)
    bench = Workbench(found.tables)
    failed = examples = probes = 0
    for control in chosen:
        report = bench.test(control)
        examples, probes = examples + report.examples, probes + report.probes
        _say(report.problems)
        failed += bool(report.problems)
    tried = f"{counted(examples, 'example')} and {counted(probes, 'null probe')}"
    fails = "1 control fails" if failed == 1 else f"{failed} controls fail"
    typer.echo(f"{counted(len(chosen), 'control')}: {tried}; {fails}")
    return 1 if failed else 0


@app.command(epilog="Example: compliancectl controls new ACME-01 --reads postgres.role --folder my-controls")
def new(
    id: Annotated[str, typer.Argument(help="Control id, such as ACME-01.")],
    reads: Annotated[list[str], typer.Option("--reads", help="Table that it reads; may be repeated.", metavar="TABLE")],
    folder: Annotated[Path, typer.Option("--folder", help="Folder to write to.", metavar="DIR")] = Path("controls"),
) -> int:
    """Begin a control file that already passes `controls check`, but for what only its author can say."""
    from compliancectl import disk, plugins
    from compliancectl.scaffold import scaffold

    name, text = scaffold(id, reads, plugins.all_tables())
    file = folder / name
    if file.exists():
        from compliancectl.errors import OutputError

        raise OutputError("there is a control file already", file=file, hint="Choose another id.")
    with disk.output_errors(folder):
        line = f"# yaml-language-server: $schema={_schema(folder)}\n"
        disk.write_whole(file, f"{line}{text}".encode())
    typer.echo(file)
    typer.echo("Next: fill in what is marked TODO, then `compliancectl controls test` it.", err=True)
    return 0


@app.command(epilog="Example: compliancectl controls docs -o docs/controls --folder my-controls")
def docs(
    output: Annotated[Path, typer.Option("--output", "-o", help="Folder for the pages.", metavar="DIR")],
    only: Only = None,
    framework: Frameworks = None,
    folder: Extra = None,
) -> int:
    """Write a page of documentation for each control (Markdown), and an index of them."""
    from compliancectl import control_pages, disk, load
    from compliancectl.cli.project import catalogue, claims_of
    from compliancectl.numbers import counted
    from compliancectl.query.explain import tables_read

    found = catalogue(folder or ())
    chosen = load.select(found.controls, tuple(only or ()), tuple(framework or ()))
    claims = claims_of(None, found).claims
    disk.refuse_sealed(output)
    with disk.output_errors(output):
        for control in chosen:
            text = control_pages.page(control, tables_read([control], found.tables), found.frameworks, claims)
            disk.write_whole(output / f"{control.id}.md", text.encode())
        disk.write_whole(output / "index.md", control_pages.index(chosen).encode())
    typer.echo(f"{output}: {counted(len(chosen), 'page')} and an index")
    return 0


def _load(files: list[Path] | None) -> tuple[Catalogue, tuple[Control, ...], list[FileError]]:
    """The catalogue, the controls of the files and folders named (all that ship when none is), and what is wrong."""
    from compliancectl import load
    from compliancectl.cli.project import catalogue
    from compliancectl.errors import FileError, UsageError

    found = catalogue()
    if not files:
        return found, found.controls, []
    chosen: list[Control] = []
    problems: list[FileError] = []
    for file in files:
        if not file.exists():
            shipped = [control for control in found.controls if control.id == str(file)]
            if not shipped:
                hint = "Name a control file, a folder of them, or the id of a control that ships."
                raise UsageError(f"{file} does not exist", hint=hint)
            chosen += shipped
            continue
        try:
            mine = load.load_controls((file,)) if file.is_dir() else (load.load_control(file),)
            if not mine:
                raise UsageError(f"{file} holds no control file", hint="A control file ends in .yaml.")
            chosen += mine
            load.check_criteria(mine, found.frameworks)
        except FileError as error:
            problems += error.problems if isinstance(error, load.FileErrors) else [error]
    return found, tuple(chosen), problems


def _say(problems: Iterable[FileError]) -> None:
    """Each mistake on a line of its own: where, what, and what to do."""
    from compliancectl.cli.console import printable

    for problem in problems:
        typer.echo(printable(f"{problem} {problem.hint or ''}".rstrip()), err=True)


def _schema(folder: Path) -> str:
    """The schema that editors complete the file by, as seen from `folder`; outside the catalogue it is put there."""
    from compliancectl import disk
    from compliancectl.resources import controls_folder

    shipped = controls_folder() / SCHEMA
    if folder.resolve().is_relative_to(shipped.parent.resolve()):
        return Path(os.path.relpath(shipped.resolve(), folder.resolve())).as_posix()
    disk.write_whole(folder / SCHEMA, shipped.read_bytes())
    return SCHEMA
