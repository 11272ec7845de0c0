"""`collect`, `evaluate`, `bundle`, `report`, `verify`, and `run` for all of them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from compliancectl.cli import pipeline, summary
from compliancectl.cli.options import (
    DEFAULT_SCOPE,
    AsOf,
    Deadline,
    Format,
    Frameworks,
    MaxCalls,
    Only,
    OutputFormat,
    Paper,
    PaperSize,
    Resume,
    RunFolder,
    ScopeFile,
)

app = typer.Typer()


Output = Annotated[Path | None, typer.Option("--output", "-o", help="Folder to write to; must be new.", metavar="DIR")]
Key = Annotated[
    Path | None, typer.Option("--key", "-k", help="Signing key (PEM).", envvar=pipeline.KEY_VARIABLE, metavar="FILE")
]


@app.command(epilog="Example: compliancectl collect --only 'BCP-*' -o runs/today")
def collect(
    scope: ScopeFile = DEFAULT_SCOPE,
    output: Output = None,
    only: Only = None,
    framework: Frameworks = None,
    resume: Resume = False,
    deadline: Deadline = 120.0,
    max_calls: MaxCalls = None,
) -> int:
    """Read the sources into a run folder. Decides nothing.

    Every feed and target ends in one evidence item: collected, partial, denied, failed or skipped, with the reason.
    Exit code 3 when any is not collected.
    """
    from compliancectl.cli.project import open_project

    project = open_project(scope, only, framework)
    folder = pipeline.new_output(output, "run")
    record = pipeline.collect_stage(project, folder, resume=resume, deadline_s=deadline, max_calls=max_calls)
    typer.echo(folder)
    if record.status == "complete":
        return 0
    typer.echo(f"Mend the cause, then go on: compliancectl collect --resume --output {folder}", err=True)
    return 3


@app.command(epilog="Example: compliancectl evaluate runs/today --format json | jq .outcome")
def evaluate(
    run: RunFolder,
    scope: ScopeFile = DEFAULT_SCOPE,
    only: Only = None,
    framework: Frameworks = None,
    as_of: AsOf = None,
    format: OutputFormat = Format.text,
) -> int:
    """Judge the evidence of a run by the controls. Needs no network and no credentials."""
    from compliancectl.cli.project import open_project

    project = open_project(scope, only, framework)
    results = pipeline.evaluate_stage(project, run, pipeline.instant(as_of))
    if format is Format.json:
        typer.echo(json.dumps(results.to_json(), indent=2, ensure_ascii=False))
    else:
        summary.show(results)
    return results.exit_code


@app.command(epilog="Example: compliancectl bundle runs/today -o bundles/today --zip bundles/today.zip --key key.pem")
def bundle(
    run: RunFolder,
    output: Annotated[Path, typer.Option("--output", "-o", help="Folder for the bundle; must be new.", metavar="DIR")],
    archive: Annotated[
        Path | None, typer.Option("--zip", help="Also write the same bytes as a ZIP.", metavar="FILE")
    ] = None,
    key: Key = None,
) -> int:
    """Seal evidence and results, so that anyone can tell whether a byte was changed, and who vouched for them."""
    pipeline.bundle_stage(run, output, pipeline.signing_key(key), archive)
    typer.echo(output)
    return 0


@app.command(epilog="Example: compliancectl report assessment bundles/today.zip -o assessment.pdf --paper Letter")
def report(
    kind: Annotated[str, typer.Argument(help="Kind of report: a folder under reports/, such as `assessment`.")],
    bundle: Annotated[Path, typer.Argument(help="Bundle (folder or ZIP) or evaluated run folder.")],
    output: Annotated[Path, typer.Option("--output", "-o", help="PDF to write.", metavar="FILE")],
    paper: PaperSize = Paper.a4,
) -> int:
    """Write a PDF report from a bundle."""
    pipeline.report_stage(kind, bundle, output, paper.value)
    typer.echo(output)
    return 0


@app.command(epilog="Example: compliancectl verify bundle.zip --key signer.pub.pem")
def verify(
    bundle: Annotated[Path, typer.Argument(help="Bundle: folder or ZIP.")],
    key: Annotated[
        Path | None,
        typer.Option(
            "--key", help="Public key of the signer, obtained from them, not from the bundle.", metavar="FILE"
        ),
    ] = None,
    trust: Annotated[
        Path | None, typer.Option("--trust", help="Trust policy (JSON) instead of one key.", metavar="FILE")
    ] = None,
    subset: Annotated[
        bool, typer.Option("--subset", help="Accept that files are missing: a sample of a bundle.")
    ] = False,
    format: OutputFormat = Format.text,
) -> int:
    """Check a bundle step by step, offline, with no configuration.

    Exit code 0: everything holds and the signer is one you trust. 4: something does not verify. 3: what is there holds,
    but files are missing or you named no key to trust.
    """
    from compliancectl.cli.verification import run_verify

    return run_verify(bundle, key, trust, subset=subset, as_json=format is Format.json)


@app.command(epilog="Example: compliancectl run -o evidence/2026-08-22 --key key.pem")
def run(
    scope: ScopeFile = DEFAULT_SCOPE,
    output: Output = None,
    only: Only = None,
    framework: Frameworks = None,
    resume: Resume = False,
    deadline: Deadline = 120.0,
    max_calls: MaxCalls = None,
    key: Key = None,
    as_of: AsOf = None,
    paper: PaperSize = Paper.a4,
    report: Annotated[
        list[str] | None, typer.Option("--report", help="Kind of report; may be repeated.", metavar="KIND")
    ] = None,
) -> int:
    """Collect, evaluate, seal, report and verify in one go."""
    from compliancectl.cli.project import open_project

    signer = pipeline.signing_key(key)
    project = open_project(scope, only, framework)
    outputs = pipeline.Outputs(pipeline.new_output(output, "evidence"))
    instant = pipeline.instant(as_of)
    return pipeline.run_all(
        project,
        outputs,
        key=signer,
        resume=resume,
        deadline_s=deadline,
        max_calls=max_calls,
        as_of=instant,
        kinds=tuple(report or ("assessment",)),
        paper=paper.value,
    )
