"""Results as text: one line per control, the findings, and a sentence instead of a score."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

from compliancectl.cli.console import mark, out, safe
from compliancectl.model.result import ControlResult, Counts, Results, TableUse, TestResult
from compliancectl.numbers import counted

ORDER = ("deviations", "inconclusive", "no deviations", "no occurrences")
SHOWN = 5
"""Findings printed per test; the rest are in the results."""


def show(results: Results) -> None:
    """Print the results of an evaluation to stdout."""
    console = out()
    width = max((len(c.title) for c in results.controls), default=0)
    words = max(len(outcome) for outcome in ORDER)
    for control in results.controls:
        padding = " " * (words - len(control.outcome))
        title = safe(control.title) + " " * (width - len(control.title))
        console.print(f"  {control.id:<8} {mark(control.outcome)}{padding}  {title}  [dim]{_counts(control)}[/dim]")
        for test in control.tests:
            _show_test(test)
    _show_waivers(results)
    _show_left_out(results)
    _show_unread(results)
    console.print(f"\n{sentence(results)}")


def sentence(results: Results) -> str:
    """Say how many controls came out how: `21 of 23 controls show no deviations; 2 show deviations.`."""
    found = Counter(control.outcome for control in results.controls)
    total = len(results.controls)
    parts = [f"{found['no deviations']} of {counted(total, 'control')} {_verb(found['no deviations'])} no deviations"]
    if found["deviations"]:
        parts.append(f"{found['deviations']} {_verb(found['deviations'])} deviations")
    if found["inconclusive"]:
        parts.append(f"{found['inconclusive']} {'is' if found['inconclusive'] == 1 else 'are'} inconclusive")
    if found["no occurrences"]:
        parts.append(f"{found['no occurrences']} had no occurrences")
    return "; ".join(parts) + "."


def _verb(count: int) -> str:
    return "shows" if count == 1 else "show"


def _counts(control: ControlResult) -> str:
    """`31 of 34 items pass, 1 fails, 2 excluded; 1 of 3 tests not judged`."""
    sums = {name: sum(getattr(t.counts, name) for t in control.tests) for name in Counts.model_fields}
    total = sum(sums.values())
    silent = sum(1 for t in control.tests if t.outcome == "inconclusive" and t.items_path is None)
    parts = [f"{sums['passed']} of {total} items pass"]
    if sums["failed"]:
        parts.append(f"{sums['failed']} {'fails' if sums['failed'] == 1 else 'fail'}")
    parts += [f"{sums[name]} {name}" for name in ("unknown", "waived", "excluded") if sums[name]]
    said = [", ".join(parts)] if total else (["no items"] if not silent else [])
    if silent:
        said.append(f"{silent} of {len(control.tests)} tests not judged")
    return "; ".join(said)


def _show_test(test: TestResult) -> None:
    console = out()
    unread = [use for use in test.tables if use.problem]
    if unread:
        names = ", ".join(_unread(use) for use in unread)
        console.print(f"           [yellow]○[/yellow] {test.id}: not judged, because of {names}")
    elif test.outcome == "inconclusive" and test.reason:
        console.print(f"           [yellow]○[/yellow] {test.id}: {safe(test.reason)}")
    shown = [(item, f) for item in test.deviations if item.outcome in ("fail", "unknown") for f in item.findings]
    for item, finding in shown[:SHOWN]:
        sign = "[red]✕[/red]" if finding.outcome == "fail" else "[yellow]○[/yellow]"
        console.print(f"           {sign} {safe(item.resource)}: {safe(finding.sentence)}")
    if len(shown) > SHOWN:
        console.print(f"             [dim]and {len(shown) - SHOWN} more in {test.items_path}[/dim]")


def _unread(use: TableUse) -> str:
    """`gcp.bucket (denied)`; evidence that was collected, but is stale or damaged, is merely named."""
    return use.table if use.status == "collected" else f"{use.table} ({use.status})"


def _show_unread(results: Results) -> None:
    """Say once why tables cannot be relied on: many tests may read the same one."""
    unread = {use.table: use for c in results.controls for t in c.tests for use in t.tables if use.problem is not None}
    if unread:
        out().print("\n  What could not be judged by, and why:")
    for table, use in sorted(unread.items()):
        out().print(f"  [yellow]○[/yellow] {table}: {safe(str(use.problem))}")
    if any(not use.items for use in unread.values()):
        out().print(
            "    For what nobody collected: name its source in the scope file, choose the controls that apply with"
        )
        out().print("    controls.only, or say under controls.disabled why one does not.")


def _show_waivers(results: Results) -> None:
    for waiver in results.waivers:
        findings = counted(waiver.applied, "finding")
        state = "expired, no longer applied" if waiver.expired else f"until {waiver.expires}, {findings}"
        out().print(
            f"  [magenta]◐[/magenta] waiver {safe(waiver.id)} for {waiver.control} ({state}): {safe(waiver.reason)}"
        )


def _show_left_out(results: Results) -> None:
    for control in results.disabled:
        out().print(f"  – {control.id} is disabled: {safe(control.reason)}  [dim]{safe(control.title)}[/dim]")
    for entry in results.left_out:
        criteria = counted(len(entry.criteria), "criterion", "criteria")
        out().print(f"  – {criteria} of {entry.framework} left out: {safe(entry.reason)}")


def paths(*files: Path) -> None:
    """Print where the results lie."""
    console = out()
    console.print()
    for label, file in zip(("bundle", "archive", *["report"] * len(files)), files, strict=False):
        console.print(f"  {label:<8} {safe(str(file))}{'/' if file.is_dir() else ''}")
