"""`sample`: items for an assessor to test, drawn so that anyone can draw the same ones again."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from compliancectl.cli import checked
from compliancectl.cli.checked import BundlePath, SignerKey, TrustFile
from compliancectl.cli.options import Format, OutputFormat

if TYPE_CHECKING:
    from compliancectl.model.sample import Sample

app = typer.Typer()
_SUFFIXES = (".csv", ".xlsx", ".json")


@app.command(epilog="Example: compliancectl sample SDL-04 bundles/today.zip --seed 'engagement 2026-17' -o sample.xlsx")
def sample(
    control: Annotated[str, typer.Argument(help="Control, or CONTROL.TEST.", metavar="CONTROL")],
    bundle: BundlePath,
    seed: Annotated[str, typer.Option("--seed", help="Any text that you choose; it decides what is drawn.")],
    size: Annotated[
        int | None,
        typer.Option("--size", help="How many items; by default a rule by the control's frequency.", min=1),
    ] = None,
    by: Annotated[
        str | None, typer.Option("--by", help="Draw from each value of this column (stratified).", metavar="COLUMN")
    ] = None,
    output: Annotated[
        Path | None,
        typer.Option("--output", "-o", help="Attribute sheet to write: .csv, .xlsx or .json.", metavar="FILE"),
    ] = None,
    key: SignerKey = None,
    trust: TrustFile = None,
    format: OutputFormat = Format.text,
) -> int:
    """Draw a sample from a sealed population and write the attribute sheet for the tester.

    From a bundle, or from the population of a whole period: a package that `compliancectl period --package` sealed.

    Items are drawn in the order of md5(seed || resource), so whoever has the bundle and the seed draws the same ones;
    the SQL that does so is printed and written into the sheet. Excluded items are not in the frame. Sizes without --size:
    hourly 40, daily 25, weekly 8, monthly 3, quarterly 2, annual 1.
    """
    from compliancectl.errors import UsageError
    from compliancectl.export.source import opened
    from compliancectl.period.kind import is_package
    from compliancectl.period.reading import as_bundle
    from compliancectl.sample import Wanted, draw

    if output is not None and output.suffix not in _SUFFIXES:
        raise UsageError(f"{output.name}: the sheet is written as .csv, .xlsx or .json", hint="Name it so.")
    checked.check(bundle, key, trust)
    id, _, test = control.partition(".")
    with as_bundle(bundle) if is_package(bundle) else opened(bundle) as source:
        found = draw(source, Wanted(id, seed, test=test or None, size=size, by=by))
    if output is not None:
        _write(found, output)
    if format is Format.json:
        typer.echo(json.dumps(found.to_json(), indent=2, ensure_ascii=False))
    elif output is None:
        _show(found)
    else:
        typer.echo(output)
    return 0


def _write(found: Sample, output: Path) -> None:
    from compliancectl import canonical, disk
    from compliancectl.export import comma, new_file, tables, workbook
    from compliancectl.sample import about, attributes

    disk.refuse_sealed(output)
    with new_file(output) as stream:
        if output.suffix == ".json":
            stream.write(canonical.to_bytes(found.to_json()) + b"\n")
        elif output.suffix == ".csv":
            stream.write(comma.text(*attributes(found)).encode())
        else:
            workbook.write_sheets(stream, (attributes(found), (tables.ABOUT, about(found))))


def _show(found: Sample) -> None:
    from compliancectl.cli.console import mark, out, safe

    console = out()
    console.print(f"{found.size} of {found.frame:,} items of {found.control}.{found.test}. {safe(found.rule)}")
    for part in found.strata:
        console.print(f"  {safe(str(found.strata_column))} = {safe(str(part.value))}: {part.drawn} of {part.items:,}")
    for item in found.items:
        console.print(f"  {item.number:>3} {item.md5[:8]}  {mark(item.outcome)}  {safe(item.resource)}")
    console.print(f"\nDraw again, in the folder of the bundle or package, with DuckDB:\n  {safe(found.sql)}")
