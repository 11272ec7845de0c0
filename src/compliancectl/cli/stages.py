"""`collect`, `evaluate`, `bundle`, `run` for these and the stages after them, and `merge` for a run in parts."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from compliancectl.cli import chosen_engine, journal, pipeline, summary
from compliancectl.cli.options import (
    DEFAULT_SCOPE,
    AsOf,
    BigQueryDataset,
    BigQueryEndpoint,
    BigQueryLocation,
    BigQueryMaxBytes,
    CertificateFile,
    CopyTables,
    Deadline,
    EngineName,
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
    SparkMaster,
    TablesPlace,
    WriteProbes,
)
from compliancectl.cli.policy import FailOn, FailOnOption, Least, LeastOption, Policy
from compliancectl.errors import UsageError

if TYPE_CHECKING:
    from compliancectl.cli.project import Project

app = typer.Typer()


Output = Annotated[Path | None, typer.Option("--output", "-o", help="Folder to write to; must be new.", metavar="DIR")]
Key = Annotated[
    str | None,
    typer.Option(
        "--key",
        "-k",
        help="Signing key: a PEM file, gcpkms://projects/…/cryptoKeyVersions/1, or sigstore: for a CI job's identity.",
        envvar=pipeline.KEY_VARIABLE,
        metavar="KEY",
    ),
]
Authority = Annotated[
    str | None,
    typer.Option(
        "--timestamp",
        help="RFC 3161 authority to ask for a time stamp over the signature.",
        envvar=pipeline.AUTHORITY_VARIABLE,
        metavar="URL",
    ),
]
Openings = Annotated[
    Path | None,
    typer.Option(
        "--openings",
        help="Folder outside every run in which it is kept whom each pseudonym stands for.",
        envvar=pipeline.OPENINGS_VARIABLE,
        metavar="DIR",
        show_default="people are removed for good",
    ),
]

Ledger = Annotated[
    Path | None,
    typer.Option("--ledger", help="Ledger to enter the run in.", envvar=journal.LEDGER_VARIABLE, metavar="DIR"),
]
LedgerKey = Annotated[
    Path | None,
    typer.Option("--ledger-key", help="The ledger's private key.", envvar=journal.LEDGER_KEY_VARIABLE, metavar="FILE"),
]
Reports = Annotated[list[str] | None, typer.Option("--report", help="Kind of report; may be repeated.", metavar="KIND")]
NoReport = Annotated[bool, typer.Option("--no-report", help="Write none; `report` does it any time later.")]
ShardOption = Annotated[
    str | None,
    typer.Option("--shard", help="Collect only this part, as in 3/10.", envvar="COMPLIANCECTL_SHARD", metavar="K/N"),
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
    shard: ShardOption = None,
    openings: Openings = None,
    write_probes: WriteProbes = False,
) -> int:
    """Read the sources into a run folder. Decides nothing.

    Every feed and target ends in one evidence item: collected, partial, denied, failed or skipped, with the reason.
    Exit code 3 when any is not collected.

    With --shard only a part is collected; `compliancectl merge` joins the parts. In a task of a Cloud Run Job with
    several tasks, and in a job of a GitHub matrix by the action's `shard: matrix`, the part is known without it.
    """
    from compliancectl.cli import sharding
    from compliancectl.cli.project import open_project

    part = sharding.part(shard)
    project = open_project(scope, only, framework)
    folder = pipeline.new_output(output, f"run-{part.shard.number:04}" if part else "run")
    _refuse_writes(project, write_probes)
    record = pipeline.collect_stage(
        project,
        folder,
        resume=resume,
        deadline_s=deadline,
        max_calls=max_calls,
        part=part,
        openings=openings,
        write_probes=write_probes,
    )
    typer.echo(folder)
    if record.status == "complete":
        return 0
    again = f"{f'--shard {part.shard} ' if part else ''}--resume --output {folder}"
    typer.echo(f"Mend the cause, then go on: compliancectl collect {again}", err=True)
    return 3


@app.command(epilog="Example: compliancectl evaluate runs/today --format json | jq .outcome")
def evaluate(
    run: RunFolder,
    scope: ScopeFile = DEFAULT_SCOPE,
    only: Only = None,
    framework: Frameworks = None,
    as_of: AsOf = None,
    format: OutputFormat = Format.text,
    fail_on: FailOnOption = FailOn.inconclusive,
    least: LeastOption = Least.low,
    engine: EngineName = "duckdb",
    certificate: CertificateFile = None,
    spark_master: SparkMaster = "local[*]",
    bigquery_dataset: BigQueryDataset = "",
    bigquery_location: BigQueryLocation = None,
    bigquery_endpoint: BigQueryEndpoint = None,
    bigquery_max_bytes: BigQueryMaxBytes = 10 * 2**30,
    tables: TablesPlace = None,
    copy_tables: CopyTables = False,
) -> int:
    """Judge the evidence of a run by the controls. Needs no network and no credentials, unless --tables names a bucket.

    With --tables, the tables are read where `compliancectl tables publish` laid them out, and held to what was collected
    before any SQL runs: a table that differs or cannot be read leaves its controls inconclusive. What lies in a bucket is
    copied first, each object once (below XDG_CACHE_HOME), unless the engine reads it there itself.
    """
    from compliancectl.cli.project import open_project

    project = open_project(scope, only, framework)
    bigquery = (bigquery_dataset, bigquery_location, bigquery_endpoint, bigquery_max_bytes)
    with chosen_engine.other_engine(engine, certificate, spark_master, *bigquery) as other:
        results = pipeline.evaluate_stage(project, run, pipeline.instant(as_of), other, tables, copy=copy_tables)
    if format is Format.json:
        typer.echo(json.dumps(results.to_json(), indent=2, ensure_ascii=False))
    else:
        summary.show(results)
    return Policy(fail_on, least).exit_code(results)


@app.command(epilog="Example: compliancectl bundle runs/today -o bundles/today --zip bundles/today.zip --key key.pem")
def bundle(
    run: RunFolder,
    output: Annotated[Path, typer.Option("--output", "-o", help="Folder for the bundle; must be new.", metavar="DIR")],
    archive: Annotated[
        Path | None, typer.Option("--zip", help="Also write the same bytes as a ZIP.", metavar="FILE")
    ] = None,
    key: Key = None,
    timestamp: Authority = None,
) -> int:
    """Seal evidence and results, so that anyone can tell whether a byte was changed, and who vouched for them."""
    pipeline.bundle_stage(run, output, pipeline.signing_key(key), archive, timestamp)
    typer.echo(output)
    return 0


@app.command(epilog="Example: compliancectl run -o evidence/2026-08-22 --key key.pem")
def run(
    scope: ScopeFile = DEFAULT_SCOPE,
    output: Output = None,
    only: Only = None,
    framework: Frameworks = None,
    resume: Resume = False,
    deadline: Deadline = 120.0,
    max_calls: MaxCalls = None,
    openings: Openings = None,
    write_probes: WriteProbes = False,
    key: Key = None,
    timestamp: Authority = None,
    as_of: AsOf = None,
    ledger: Ledger = None,
    ledger_key: LedgerKey = None,
    paper: PaperSize = Paper.a4,
    report: Reports = None,
    no_report: NoReport = False,
    fail_on: FailOnOption = FailOn.inconclusive,
    least: LeastOption = Least.low,
) -> int:
    """Collect, evaluate, seal, report and verify in one go."""
    from compliancectl.cli import sharding
    from compliancectl.cli.project import open_project

    sharding.refuse_task()
    policy = Policy(fail_on, least)
    ending = _ending(key, timestamp, as_of, ledger, ledger_key, paper, _kinds(report, no_report), policy)
    project = open_project(scope, only, framework)
    _refuse_writes(project, write_probes)
    outputs = pipeline.Outputs(pipeline.new_output(output, "evidence"))
    return pipeline.whole(
        project,
        outputs,
        lambda: pipeline.gather_stage(
            project,
            outputs.run,
            resume=resume,
            deadline_s=deadline,
            max_calls=max_calls,
            openings=openings,
            write_probes=write_probes,
        ),
        ending,
    )


@app.command(epilog="Example: compliancectl merge shards/run-0001 shards/run-0002 -o evidence/2026-08-22 --key key.pem")
def merge(
    shards: Annotated[
        list[Path], typer.Argument(help="Every folder that `collect --shard` wrote.", metavar="SHARD...")
    ],
    scope: ScopeFile = DEFAULT_SCOPE,
    output: Output = None,
    only: Only = None,
    framework: Frameworks = None,
    key: Key = None,
    timestamp: Authority = None,
    as_of: AsOf = None,
    ledger: Ledger = None,
    ledger_key: LedgerKey = None,
    paper: PaperSize = Paper.a4,
    report: Reports = None,
    no_report: NoReport = False,
    fail_on: FailOnOption = FailOn.inconclusive,
    least: LeastOption = Least.low,
) -> int:
    """Join the shards of one run, then evaluate, seal, report and verify.

    The results are those of a run that was not divided, byte for byte. Refused: a shard that is missing or there twice,
    and shards that differ in scope, version, selection or plan, are of different runs, or begun more than a day apart.
    """
    from compliancectl.cli.project import open_project
    from compliancectl.merge import join

    policy = Policy(fail_on, least)
    ending = _ending(key, timestamp, as_of, ledger, ledger_key, paper, _kinds(report, no_report), policy)
    project = open_project(scope, only, framework)
    outputs = pipeline.Outputs(pipeline.new_output(output, "evidence"))
    return pipeline.whole(project, outputs, lambda: join(shards, outputs.run), ending)


def _refuse_writes(project: Project, wanted: bool) -> None:
    if wanted:
        from compliancectl.cli.postgres import refuse_unless_clones

        refuse_unless_clones(project)


def _ending(
    key: str | None,
    authority: str | None,
    as_of: str | None,
    ledger: Path | None,
    ledger_key: Path | None,
    paper: Paper,
    kinds: tuple[str, ...],
    policy: Policy,
) -> pipeline.Ending:
    """What `run` and `merge` do alike once the evidence is there."""
    return pipeline.Ending(
        key=pipeline.signing_key(key),
        kinds=kinds,
        paper=paper.value,
        as_of=pipeline.instant(as_of),
        authority=authority,
        book=journal.journal(ledger, ledger_key),
        exit_code=policy.exit_code,
    )


def _kinds(report: list[str] | None, no_report: bool) -> tuple[str, ...]:
    if report and no_report:
        raise UsageError("--report and --no-report are both given", hint="Keep one of them.")
    return () if no_report else tuple(report or ("assessment",))
