"""`reperform`: fetch a sample of the evidence again, with one's own credentials, and compare."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from compliancectl.cli import checked, console
from compliancectl.cli.checked import BundlePath, SignerKey, TrustFile
from compliancectl.cli.events import identity
from compliancectl.cli.options import DEFAULT_SCOPE, Deadline, Format, OutputFormat, ScopeFile
from compliancectl.errors import FileError, UsageError

if TYPE_CHECKING:
    from compliancectl.model.evidence import EvidenceItem, RunRecord
    from compliancectl.model.reperform import ItemAgain, Reperformance

app = typer.Typer()
_MARKS = {"same": "[green]●[/green]", "differs": "[red]✕[/red]", "not fetched": "[yellow]○[/yellow]"}
_SHOWN = 5


@app.command(epilog="Example: compliancectl reperform bundle.zip --sample 25 --seed 'engagement 2026-17' -s mine.yaml")
def reperform(
    bundle: BundlePath,
    seed: Annotated[str, typer.Option("--seed", help="Any text that you choose; it decides what is drawn.")],
    sample: Annotated[int, typer.Option("--sample", help="How many evidence items.", min=1)] = 25,
    scope: ScopeFile = DEFAULT_SCOPE,
    deadline: Deadline = 120.0,
    key: SignerKey = None,
    trust: TrustFile = None,
    format: OutputFormat = Format.text,
) -> int:
    """Fetch a sample of the evidence again from the sources, with your credentials, and compare it row by row.

    The scope file is your own and names the same sources. Items are drawn in the order of md5(seed || id), so that
    anyone draws the same. Events are asked for in the period of the bundle. Sources change: a difference is what to ask
    about, not yet a fault.

    Exit code 0: all the same. 1: something differs. 3: something could not be fetched. 4: the bundle does not verify.
    """
    from compliancectl import replay

    if not seed:
        raise UsageError("the seed is empty", hint="Choose any text, and write it down.")
    checked.check(bundle, key, trust)
    with tempfile.TemporaryDirectory(prefix="compliancectl-reperform-") as scratch:
        folder = Path(scratch) / "bundle"
        with console.step("unpacking the bundle"):
            replay.unpack(bundle, folder)
        found = _reperform(bundle, folder, Path(scratch) / "run", scope, seed, sample, deadline)
    if format is Format.json:
        typer.echo(json.dumps(found.to_json(), indent=2, ensure_ascii=False))
    else:
        _show(found)
    return found.exit_code


def _reperform(
    bundle: Path, folder: Path, run: Path, file: Path, seed: str, size: int, deadline_s: float
) -> Reperformance:
    from compliancectl import reperform as again
    from compliancectl import store
    from compliancectl.model.reperform import Reperformance

    record, items = store.read_run(folder), again.frame(store.read_items(folder))
    drawn = again.draw(items, seed, size)
    fetched = _collect(file, run, record, drawn, deadline_s) if drawn else None
    assert fetched is None or fetched.finished_at is not None
    return Reperformance(
        run_id=record.id,
        statement_sha256=identity(bundle)[1],
        collected_at=record.started_at,
        reperformed_at=fetched.started_at if fetched else record.started_at,
        seed=seed,
        frame=len(items),
        items=_compared(folder, run, seed, drawn),
    )


def _collect(file: Path, run: Path, record: RunRecord, drawn: Sequence[EvidenceItem], deadline_s: float) -> RunRecord:
    """Fetch the drawn items into a run folder of their own."""
    from compliancectl import load, plugins
    from compliancectl.collect import collect

    if not file.is_file():
        hint = "Write one with `compliancectl init`: only its sources count here."
        raise FileError("there is no scope file", file=file, hint=hint)
    scope = load.load_scope(file)
    named = sorted({item.collector for item in drawn} & set(scope.sources))
    tables = {name for item in drawn for name in item.gives}
    chosen = {item.id for item in drawn}
    with console.collecting() as view:
        return collect(
            scope,
            {name: plugins.collector(name) for name in named},
            tables,
            run,
            deadline_s=deadline_s,
            period=record.period,
            chosen=lambda id: id in chosen,
            tell=view.tell,
        )


def _compared(folder: Path, run: Path, seed: str, drawn: Sequence[EvidenceItem]) -> tuple[ItemAgain, ...]:
    from compliancectl import plugins, store
    from compliancectl import reperform as again

    now = {item.id: item for item in store.read_items(run)} if drawn else {}
    # A source that could not be opened at all gives one item for each feed, in its own name.
    closed = {item.feed: item for item in now.values() if item.target == item.collector}
    tables = plugins.all_tables()
    return tuple(
        again.compare(
            number,
            seed,
            item,
            now.get(item.id) or closed.get(item.feed),
            (folder / store.EVIDENCE / item.id, run / store.EVIDENCE / item.id),
            tables,
        )
        for number, item in enumerate(drawn, 1)
    )


def _show(found: Reperformance) -> None:
    out = console.out()
    for item in found.items:
        rows = sum(table.rows_then for table in item.tables)
        same = sum(table.same for table in item.tables)
        told = f"{same} of {rows} rows the same" if item.outcome != "not fetched" else item.reason or item.status_now
        out.print(
            f"  {item.number:>3} {item.md5[:8]}  {_MARKS[item.outcome]} {item.outcome:<11}  {console.safe(item.id)}  "
            f"[dim]{console.safe(told)}[/dim]"
        )
        changes = [(table.table, change) for table in item.tables for change in table.changes]
        for table, change in changes[:_SHOWN]:
            columns = f": {', '.join(change.columns)}" if change.columns else ""
            out.print(f"        {console.safe(f'{table} {change.key}')} {change.kind}{columns}")
        if len(changes) > _SHOWN:
            out.print(f"        [dim]and {len(changes) - _SHOWN} more; --format json has them[/dim]")
    counts = {name: sum(1 for item in found.items if item.outcome == name) for name in _MARKS}
    out.print(
        f"\n{len(found.items)} of {found.frame} evidence items, seed {console.safe(repr(found.seed))}: "
        f"{counts['same']} the same, {counts['differs']} differ, {counts['not fetched']} not fetched"
    )
    if counts["differs"]:
        out.print("What differs is what to ask about: the source may have changed since.")
