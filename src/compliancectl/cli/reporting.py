"""`compliancectl report`."""

from __future__ import annotations

import functools
from collections.abc import Callable
from pathlib import Path
from typing import Annotated

import typer

from compliancectl import clock
from compliancectl.cli import pipeline
from compliancectl.cli.options import Paper, PaperSize
from compliancectl.errors import UsageError

app = typer.Typer()


@app.command(epilog="Example: compliancectl report assessment bundles/today.zip --html -o assessment.html")
def report(
    kind: Annotated[str, typer.Argument(help="Kind of report: a folder under reports/, such as `assessment`.")],
    bundle: Annotated[Path, typer.Argument(help="Bundle (folder or ZIP) or evaluated run folder.")],
    output: Annotated[Path, typer.Option("--output", "-o", help="File to write.", metavar="FILE")],
    html: Annotated[
        bool, typer.Option("--html", help="Write one HTML file, with filters and without network, instead of a PDF.")
    ] = False,
    paper: PaperSize = Paper.a4,
    brand: Annotated[
        Path | None,
        typer.Option("--brand", help="Your logo, colour, confidentiality line and blocks: brand.yaml.", metavar="DIR"),
    ] = None,
    earlier: Annotated[
        list[Path] | None,
        typer.Option("--earlier", help="An assessment of before: says since when. May be repeated.", metavar="BUNDLE"),
    ] = None,
    sample: Annotated[
        list[Path] | None,
        typer.Option("--sample", help="For `type2`: a sample drawn from the package (JSON).", metavar="FILE"),
    ] = None,
    sign_key: Annotated[
        Path | None, typer.Option("--sign-key", help="Sign the PDF with this private key (PEM).", metavar="FILE")
    ] = None,
    sign_cert: Annotated[
        Path | None,
        typer.Option("--sign-cert", help="Its certificate, and those above it (PEM).", metavar="FILE"),
    ] = None,
    sign_timestamp: Annotated[
        str | None,
        typer.Option("--sign-timestamp", help="RFC 3161 authority to ask for a time stamp over it.", metavar="URL"),
    ] = None,
) -> int:
    """Write a report from a bundle: a tagged PDF for the archive, or HTML to work in.

    With --sign-key and --sign-cert the PDF is signed (PAdES) by who prepared it; nothing shows on its pages. The same bundle
    gives the same bytes up to where the signature begins.

    Exit code 4, and no report, if a bundle is sealed and does not verify.
    """
    form: pipeline.Form = "html" if html else "pdf"
    finish = _signature(sign_key, sign_cert, sign_timestamp, form)
    for each in (bundle, *(earlier or ())):
        pipeline.refuse_altered(each)
    pipeline.report_stage(
        kind,
        bundle,
        output,
        paper.value,
        form=form,
        brand=brand,
        earlier=tuple(earlier or ()),
        samples=tuple(sample or ()),
        finish=finish,
    )
    typer.echo(output)
    return 0


def _signature(
    key: Path | None, certificate: Path | None, authority: str | None, form: pipeline.Form
) -> Callable[[bytes], bytes]:
    """What adds the signature that the options ask for; without any, what leaves the bytes as they are.

    Raises:
        UsageError: if an option misses its companion, the report is no PDF, or what signs is not installed.
        FileError: if key or certificate cannot be used.
    """
    from compliancectl.seal import pades

    if key is None and certificate is None and authority is None:
        return lambda data: data
    if key is None or certificate is None:
        raise UsageError("a signature needs a key and its certificate", hint="Give --sign-key and --sign-cert.")
    if form != "pdf":
        raise UsageError("HTML cannot hold a signature", hint="Leave out --html, or the options that sign.")
    who = pades.signer(key, certificate, moment=clock.now(), authority=authority)
    return functools.partial(pades.sign, who=who)
