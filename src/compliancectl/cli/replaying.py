"""`replay`: derive a bundle's tables and results once more, and say what does not come out the same."""

from __future__ import annotations

import json
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from compliancectl.cli import console
from compliancectl.cli.options import Format, OutputFormat
from compliancectl.errors import FileError, UsageError

if TYPE_CHECKING:
    from compliancectl.model.replay import Replay, Stage, Tool
    from compliancectl.replay import Inputs

app = typer.Typer()

_SENTENCES = {
    "reproduced": "[green]● reproduced[/green], byte for byte",
    "reproduced in other bytes": "[yellow]○ reproduced[/yellow], but not byte for byte",
    "not replayed in full": "[yellow]○ not replayed in full[/yellow]",
    "differs": "[red]✕ does not follow from its evidence[/red]",
}
_WHAT = {"tables": "from the replies", "results": "from tables and controls"}
_MARKS = {"content": "[red]✕[/red]", "bytes": "[yellow]○[/yellow]", "not replayed": "[yellow]○[/yellow]"}
_LISTED = 20


@app.command(epilog="Example: compliancectl replay bundle.zip")
def replay(
    bundle: Annotated[Path, typer.Argument(help="Bundle: folder or ZIP.")],
    key: Annotated[
        Path | None, typer.Option("--key", help="Public key of the signer: verify with it first.", metavar="FILE")
    ] = None,
    trust: Annotated[
        Path | None, typer.Option("--trust", help="Trust policy: verify by it first.", metavar="FILE")
    ] = None,
    format: OutputFormat = Format.text,
) -> int:
    """Derive a bundle's tables from its replies, and its results from its tables. Needs no network.

    The controls, frameworks, waivers and settings are those in the bundle; the code is that of this program. A bundle
    that does not verify is not replayed. Without --key or --trust nothing is said about who sealed it.

    Exit code 0: all files came out byte for byte. 3: the content did, but not the bytes, or something could not be
    derived here, with the reason. 4: the bundle does not verify, or holds something that does not follow.
    """
    from compliancectl.cli.verification import check_first

    if not bundle.exists():
        raise UsageError(f"{bundle} does not exist", hint="Name a bundle: the folder, or its ZIP.")
    sealed = check_first(bundle, key, trust)
    with tempfile.TemporaryDirectory(prefix="compliancectl-replay-") as scratch:
        found = _replay(bundle, Path(scratch))
    if format is Format.json:
        typer.echo(json.dumps({**found.to_json(), "verdict": found.verdict}, indent=2, ensure_ascii=False))
    else:
        _show(found)
    return max(found.exit_code, sealed if key or trust else 0)


def _replay(path: Path, scratch: Path) -> Replay:
    from compliancectl import plugins
    from compliancectl import replay as replaying
    from compliancectl.model.replay import Replay

    folder = scratch / "bundle"
    with console.step("unpacking the bundle"):
        replaying.unpack(path, folder)
    inputs = replaying.read_inputs(folder)
    made, here = _made_with(path, inputs), _here()
    why = _cause(made, here)
    with console.step("shaping the replies"):
        tables = replaying.derive_tables(
            folder, scratch / "derived", lambda name: plugins.collector(name).collector, why
        )
    with console.step("judging the tables"):
        results = _judge(folder, scratch / "again", inputs, why)
    return Replay(
        path=str(path),
        run_id=inputs.results.run_id,
        made_with=made,
        replayed_with=here,
        stages=(tables, results),
    )


def _judge(folder: Path, place: Path, inputs: Inputs, why: str | None) -> Stage:
    from compliancectl import plugins
    from compliancectl import replay as replaying
    from compliancectl.evaluate import evaluate

    run = replaying.work_folder(folder, place)
    try:
        evaluate(
            run,
            inputs.controls,
            plugins.all_tables(),
            scope=inputs.scope,
            waivers=inputs.waivers,
            frameworks=inputs.frameworks,
            claims=inputs.claims,
            as_of=inputs.results.as_of,
            disabled=inputs.results.disabled,
            left_out=inputs.results.left_out,
        )
    except FileError as error:  # a control reads a table that no installed collector declares, or the like
        return replaying.results_not_replayed(folder, str(error))
    return replaying.compare_results(folder, run, why)


def _made_with(path: Path, inputs: Inputs) -> Tool:
    from compliancectl.model.replay import Tool
    from compliancectl.seal import archive, container, statement

    with archive.opened(path) as members:
        member = "seal/statement.json"
        said = statement.parse(container.read(members, member, limit=16 * 1024**2), member=member).predicate.producer
    return Tool(version=inputs.results.tool_version, engine=said.engine, source_digest=said.source_digest.sha256)


def _here() -> Tool:
    import compliancectl
    from compliancectl.model.replay import Tool
    from compliancectl.query.version import engine_version
    from compliancectl.seal.statement import source_digest

    return Tool(version=compliancectl.__version__, engine=engine_version(), source_digest=source_digest())


def _cause(made: Tool, here: Tool) -> str | None:
    """Why something may come out differently, from the versions; None if they are the same to the last file."""
    parts = []
    if made.version != here.version:
        parts.append(f"made with compliancectl {made.version}, replayed with {here.version}")
    if made.engine != here.engine:
        parts.append(f"made with {made.engine}, replayed with {here.engine}")
    if not parts and made.source_digest != here.source_digest:
        parts.append(f"the same version {here.version}, but its files differ from those that made the bundle")
    return "; ".join(parts) or None


def _show(found: Replay) -> None:
    out = console.out()
    for stage in found.stages:
        mark = "[green]●[/green]" if not stage.differences else _MARKS[_worst(stage)]
        out.print(f"  {mark} {stage.name:<8} {stage.same} of {stage.files} files {_WHAT[stage.name]}, byte for byte")
        for difference in stage.differences[:_LISTED]:
            out.print(
                f"      {_MARKS[difference.kind]} {console.safe(difference.file)}: {console.safe(difference.message)}"
            )
        if len(stage.differences) > _LISTED:
            out.print(f"      [dim]and {len(stage.differences) - _LISTED} more; --format json has all[/dim]")
    differs = any(stage.differences for stage in found.stages)
    causes = {d.why for stage in found.stages for d in stage.differences if d.why}
    for cause in sorted(causes):
        out.print(f"  why: {console.safe(cause)}")
    if differs and not causes and found.verdict == "differs":
        out.print(
            "  why: not the tool's version, which is the same: the bundle was not made from this evidence as it is"
        )
    out.print(f"\n{_SENTENCES[found.verdict]}: {console.safe(found.path)}, run {console.safe(found.run_id)}")


def _worst(stage: Stage) -> str:
    kinds = {difference.kind for difference in stage.differences}
    return next(kind for kind in ("content", "not replayed", "bytes") if kind in kinds)
