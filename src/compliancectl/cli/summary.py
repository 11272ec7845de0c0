"""Results as text: one line per control, the findings, and a sentence instead of a score."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

from compliancectl.cli.console import mark, out, safe
from compliancectl.model.result import ControlResult, Results, TestResult

ORDER = ("deviations", "inconclusive", "no deviations", "no occurrences")
SHOWN = 5
"""Findings printed per test; the rest are in the results."""


def show(results: Results) -> None:
    """Print the results of an evaluation to stdout."""
    console = out()
    width = max((len(c.title) for c in results.controls), default=0)
    for control in results.controls:
        counts = _counts(control)
        console.print(f"  {control.id:<8} {mark(control.outcome):<32} {safe(control.title):<{width}}  {counts}")
        for test in control.tests:
            _show_test(control, test)
    _show_waivers(results)
    console.print(f"\n{sentence(results)}")


def sentence(results: Results) -> str:
    """Say how many controls came out how: `21 of 23 controls show no deviations; 2 show deviations.`."""
    found = Counter(control.outcome for control in results.controls)
    total = len(results.controls)
    parts = [f"{found['no deviations']} of {_controls(total)} {_verb(found['no deviations'])} no deviations"]
    if found["deviations"]:
        parts.append(f"{found['deviations']} {_verb(found['deviations'])} deviations")
    if found["inconclusive"]:
        parts.append(f"{found['inconclusive']} {'is' if found['inconclusive'] == 1 else 'are'} inconclusive")
    if found["no occurrences"]:
        parts.append(f"{found['no occurrences']} had no occurrences")
    return "; ".join(parts) + "."


def _controls(count: int) -> str:
    return f"{count} control" if count == 1 else f"{count} controls"


def _verb(count: int) -> str:
    return "shows" if count == 1 else "show"


def _counts(control: ControlResult) -> str:
    total = sum(test.counts.total for test in control.tests)
    passed = sum(test.counts.passed for test in control.tests)
    return f"[dim]{passed} of {total} items pass[/dim]"


def _show_test(control: ControlResult, test: TestResult) -> None:
    console = out()
    if test.outcome == "inconclusive" and test.reason:
        console.print(f"           [yellow]○[/yellow] {test.id}: {safe(test.reason)}")
    shown = [(item, f) for item in test.deviations if item.outcome in ("fail", "unknown") for f in item.findings]
    for item, finding in shown[:SHOWN]:
        sign = "[red]✕[/red]" if finding.outcome == "fail" else "[yellow]○[/yellow]"
        console.print(f"           {sign} {safe(item.resource)}: {safe(finding.sentence)}")
    if len(shown) > SHOWN:
        console.print(f"             [dim]and {len(shown) - SHOWN} more in {test.items_path}[/dim]")


def _show_waivers(results: Results) -> None:
    for waiver in results.waivers:
        state = "expired, no longer applied" if waiver.expired else f"until {waiver.expires}, {waiver.applied} findings"
        out().print(
            f"  [magenta]◐[/magenta] waiver {safe(waiver.id)} for {waiver.control} ({state}): {safe(waiver.reason)}"
        )


def paths(*files: Path) -> None:
    """Print where the results lie."""
    console = out()
    console.print()
    for label, file in zip(("bundle", "archive", *["report"] * len(files)), files, strict=False):
        console.print(f"  {label:<8} {safe(str(file))}{'/' if file.is_dir() else ''}")
