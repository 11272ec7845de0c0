"""`demo`: the whole path on a small company that runs on this machine."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterable
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from compliancectl.cli.options import Paper, PaperSize

if TYPE_CHECKING:
    from compliancectl.sandbox.company import Company, Fault
    from compliancectl.sandbox.run import Sandbox

app = typer.Typer()

MARKER = ".compliancectl-demo"
"""Says that a folder was made by this command, so that the next demo may replace it."""


@app.command(epilog="Example: compliancectl demo --fault backups-in-same-region")
def demo(
    output: Annotated[Path, typer.Option("--output", "-o", help="Folder to write to.", metavar="DIR")] = Path("demo"),
    fault: Annotated[
        list[str] | None,
        typer.Option("--fault", help="Make one fact about the company wrong; may be repeated.", metavar="NAME"),
    ] = None,
    projects: Annotated[
        int | None,
        typer.Option("--projects", help="Grow the company to so many Google Cloud projects, 1 to 500.", metavar="N"),
    ] = None,
    list_faults: Annotated[bool, typer.Option("--list-faults", help="List the faults and stop.")] = False,
    paper: PaperSize = Paper.a4,
) -> int:
    """Collect from a company in a box, judge, seal, report and verify; no account and no network needed.

    Real servers on loopback answer as Google Cloud, PostgreSQL and GitHub do, and the real client libraries ask them.
    Without a fault the company keeps its promises and the exit code is 0.
    """
    from compliancectl.sandbox import company as definition

    if list_faults:
        _list(definition.faults().values())
        return 0
    company = definition.load(fault or (), projects=projects)
    _make_room(output, company)
    return _run(company, output, paper)


def _list(faults: Iterable[Fault]) -> None:
    """Print the faults by what they are in, and there by the controls that they turn."""
    found = sorted(faults, key=lambda f: (list(_AREAS).index(f.section), _controls(f), f.id))
    wide = max(len(fault.id) for fault in found)
    area = ""
    for fault in found:
        if fault.section != area:
            typer.echo(f"{chr(10) if area else ''}{_AREAS[fault.section]}")
            area = fault.section
        first, *others = _controls(fault)
        controls = f"{first} +{len(others)}" if others else first
        typer.echo(f"  {fault.id:<{wide}}  {_sign(fault)} {controls:<11} {fault.says}")
    typer.echo("\n✕ the control shows deviations   ○ the control is inconclusive   +N: and so many other controls")
    typer.echo("One of them: compliancectl demo --fault NAME")


_AREAS = {
    "google": "Google Cloud",
    "postgres": "PostgreSQL",
    "github": "GitHub",
    "documents": "Documents",
    "edge": "Public edge",
    "company": "What the company declares",
}
"""File of the company's definition → heading, in the order in which the faults are listed."""


def _controls(fault: Fault) -> list[str]:
    """The controls that a fault turns, sorted."""
    return sorted({test.partition(".")[0] for test in fault.turns})


def _sign(fault: Fault) -> str:
    return "○" if ["*"] in fault.turns.values() else "✕"


def _run(company: Company, output: Path, paper: Paper) -> int:
    from compliancectl.cli import console
    from compliancectl.sandbox import run as sandbox_run

    # The company's own data (its database, its keys) is a source, not a result: it lives elsewhere and goes away.
    with ExitStack() as stack:
        home = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="larkspur-")))
        with console.step("starting the company on loopback"):
            sandbox = stack.enter_context(sandbox_run.running(company, home))
        stack.enter_context(sandbox_run.environment(sandbox.env))
        scope_file = sandbox_run.leave_scope(sandbox, output)
        talk = console.talk()
        talk.print(f"The company runs: {', '.join(sorted(sandbox.parts))}. Its scope file: {scope_file}")
        for fault in company.faults:
            talk.print(f"Fault: {fault.says}")
        code = _assess(sandbox, output, paper)
    talk.print(
        f"The company has stopped. `compliancectl evaluate {output / 'run'} --scope {scope_file}` judges its evidence again;"
        " `collect`, `run` and `doctor` reach nobody any more. Begin with your own systems: `compliancectl init`."
    )
    return code


def _assess(sandbox: Sandbox, output: Path, paper: Paper) -> int:
    from compliancectl.cli import pipeline
    from compliancectl.cli.project import open_project
    from compliancectl.seal.keys import new_key

    key = new_key(output / "keys" / "demo").private
    project, outputs = open_project(sandbox.scope_file), pipeline.Outputs(output)
    return pipeline.whole(
        project,
        outputs,
        lambda: pipeline.gather_stage(project, outputs.run, resume=False, deadline_s=60.0),
        pipeline.Ending(key, kinds=("assessment",), paper=paper.value),
    )


def _make_room(output: Path, company: Company) -> None:
    """Replace the folder of an earlier demo; leave anything else alone."""
    from compliancectl import clock, disk
    from compliancectl.errors import OutputError

    disk.refuse_sealed(output)
    with disk.output_errors(output):
        if output.exists() and any(output.iterdir()):
            if not (output / MARKER).is_file():
                raise OutputError(
                    f"{output} is not empty, and not of an earlier demo", hint="Choose a folder with --output."
                )
            shutil.rmtree(output)
        output.mkdir(parents=True, exist_ok=True)
        faults = ", ".join(fault.id for fault in company.faults) or "none"
        (output / MARKER).write_text(
            "Made by `compliancectl demo`; the next demo replaces this folder.\n"
            f"The company as it was at {clock.text(company.now)}. Faults: {faults}.\n"
        )
