"""`engines`: what may answer a control's SQL in place of DuckDB, and for which controls."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from compliancectl.cli import console
from compliancectl.cli.options import (
    BigQueryDataset,
    BigQueryEndpoint,
    BigQueryLocation,
    BigQueryMaxBytes,
    CertificateFile,
    Only,
    SparkMaster,
)

if TYPE_CHECKING:
    from compliancectl.model.certificate import Certificate

app = typer.Typer(no_args_is_help=True, help="Certify and list the engines that may answer a control's SQL.")


@app.command(epilog="Example: compliancectl engines certify spark --spark-master 'local[2]' --only 'SDL-*'")
def certify(
    engine: Annotated[str, typer.Argument(help="Engine, such as `spark`.", metavar="NAME")],
    only: Only = None,
    output: Annotated[
        Path | None,
        typer.Option("--output", "-o", help="Certificate to write; by default NAME.certificate.json.", metavar="FILE"),
    ] = None,
    spark_master: SparkMaster = "local[*]",
    bigquery_dataset: BigQueryDataset = "",
    bigquery_location: BigQueryLocation = None,
    bigquery_endpoint: BigQueryEndpoint = None,
    bigquery_max_bytes: BigQueryMaxBytes = 10 * 2**30,
) -> int:
    """Let an engine answer every example and null probe of the controls, and compare it with DuckDB, value by value.

    Writes a certificate, which `evaluate --engine NAME` asks for. Exit code 1 when an answer differs.
    """
    from dataclasses import replace

    from compliancectl import canonical, disk
    from compliancectl.cli import chosen_engine
    from compliancectl.cli.project import catalogue
    from compliancectl.engines import known, open_engine
    from compliancectl.engines.certify import certify as certified
    from compliancectl.load.select import select

    known(engine)
    found = catalogue()
    controls = select(found.controls, tuple(only or ()), ())
    path = output or Path(f"{engine}.certificate.json")
    settings = chosen_engine.engine_settings(
        spark_master, bigquery_dataset, bigquery_location, bigquery_endpoint, bigquery_max_bytes
    )
    with console.step(f"starting {engine}"):
        opened = open_engine(engine, replace(settings, brief=True))
    try:
        with console.steps(f"certifying {engine}", len(controls)) as tell:
            certificate = certified(opened, controls, found.tables, progress=tell)
    finally:
        opened.close()
    disk.write_whole(path, canonical.to_bytes(certificate.to_json()))
    _show(certificate, path)
    return 0 if len(certificate.certified) == len(certificate.controls) else 1


@app.command("list", epilog="Example: compliancectl engines list")
def list_(certificate: CertificateFile = None) -> int:
    """List the engines, and what each is certified for here."""
    from compliancectl.engines import NAMES
    from compliancectl.engines.certify import read
    from compliancectl.query.version import engine_version

    typer.echo(f"{engine_version()}: built in; every other engine is held against it")
    for name in NAMES:
        path = certificate or Path(f"{name}.certificate.json")
        if not path.is_file():
            typer.echo(f"{name}: not certified here (compliancectl engines certify {name})")
            continue
        granted = read(path, name)
        count = f"{len(granted.certified)} of {len(granted.controls)} controls"
        typer.echo(f"{granted.engine} through {granted.translator}: certified for {count} ({path})")
    return 0


def _show(certificate: Certificate, path: Path) -> None:
    for control in certificate.controls:
        answers = f"{control.worlds - control.differing} of {control.worlds} answers as {certificate.reference}"
        typer.echo(f"{'●' if control.granted else '✕'} {control.id:<9} {answers}")
        for test in control.unexampled:
            typer.echo(f"    {test}: not certified, because it has no example")
        for difference in control.differences:
            typer.echo(f"    {difference.where}: {difference.what}")
    typer.echo("")
    typer.echo(
        f"{certificate.engine} through {certificate.translator}: certified for {len(certificate.certified)} of "
        f"{len(certificate.controls)} controls"
    )
    typer.echo(path)
