"""What a CI step shows of a bundle: Markdown for its summary page, and annotations as GitHub's workflow commands."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from typing import Literal

from compliancectl import clock
from compliancectl.export.source import Bundle
from compliancectl.export.words import line, sentences
from compliancectl.markup import cell, quoted
from compliancectl.model.result import ControlOutcome, ControlResult
from compliancectl.numbers import counted

SIGNS: dict[ControlOutcome, str] = {"deviations": "✕", "inconclusive": "○", "no deviations": "●", "no occurrences": "–"}
_ORDER: tuple[ControlOutcome, ...] = ("deviations", "inconclusive", "no deviations", "no occurrences")
_SEVERITIES = ("critical", "high", "medium", "low")
SHOWN = 5
"""Items named per control; the bundle has all."""
MAX_BYTES = 900_000
"""GitHub shows a summary of up to 1 MiB."""
MAX_ANNOTATIONS = 10
"""GitHub keeps so many errors and so many warnings of one step."""


def page(bundle: Bundle) -> str:
    """A page: counts, what is open with its items, and every control in a table."""
    results = bundle.results
    text = [f"## {cell(results.system)} ({cell(results.environment)})", "", _headline(bundle), ""]
    for control in _open(bundle):
        text += [f"### {SIGNS[control.outcome]} {control.id} {cell(control.title)}", ""]
        text += [f"{control.severity}, {control.outcome}, owner {cell(control.owner)}. {cell(control.remediation)}", ""]
        text += [*_findings(control), ""]
    text += ["<details><summary>All controls</summary>", "", "| | Control | Severity | Outcome | Items |"]
    text += ["|---|---|---|---|---|", *(_row(control) for control in results.controls), "", "</details>", ""]
    text += [f"As of {clock.to_the_second(results.as_of)}. Run {results.run_id}. Bundle `{bundle.sums_sha256}`.", ""]
    return _cut("\n".join(text))


def _cut(text: str) -> str:
    data = text.encode()
    if len(data) <= MAX_BYTES:
        return text
    return data[:MAX_BYTES].decode(errors="ignore") + "\n\n… (cut: the bundle has the whole)\n"


def _headline(bundle: Bundle) -> str:
    found = Counter(control.outcome for control in bundle.results.controls)
    said = [f"{SIGNS[outcome]} {outcome}: {found[outcome]}" for outcome in _ORDER if found[outcome]]
    status = "" if bundle.run.status == "complete" else " Some evidence could not be collected."
    return f"**{counted(len(bundle.results.controls), 'control')}:** {' · '.join(said) or 'none'}.{status}"


def _open(bundle: Bundle) -> list[ControlResult]:
    """Controls that deviate or are inconclusive, worst first."""
    found = [c for c in bundle.results.controls if c.outcome in ("deviations", "inconclusive")]
    return sorted(found, key=lambda c: (_SEVERITIES.index(c.severity), _ORDER.index(c.outcome), c.id))


def _findings(control: ControlResult) -> Iterator[str]:
    for test in control.tests:
        open_items = [item for item in test.deviations if item.outcome in ("fail", "unknown")]
        if test.outcome == "inconclusive" and test.reason:
            yield f"- {test.id}: {quoted(line(test.reason))}"
        for item in open_items[:SHOWN]:
            yield f"- {quoted(f'{line(item.resource)}: {line(sentences(item))}')}"
        more = test.counts.failed + test.counts.unknown - min(len(open_items), SHOWN)
        if more > 0:
            yield f"- … and {more:,} more of {test.counts.total:,}"


def _row(control: ControlResult) -> str:
    total = sum(test.counts.total for test in control.tests)
    passed = sum(test.counts.passed for test in control.tests)
    items = f"{passed:,} of {total:,} pass" if total else "none"
    sign = SIGNS[control.outcome]
    return f"| {sign} | {control.id} {cell(control.title)} | {control.severity} | {control.outcome} | {items} |"


def notes(bundle: Bundle) -> str:
    """One workflow command per open control, worst first; deviations of at least high severity are errors."""
    lines, kept, dropped = [], Counter[str](), 0
    for control in _open(bundle):
        level = _level(control)
        kept[level] += 1
        if kept[level] > MAX_ANNOTATIONS - 1:
            dropped += 1
            continue
        said = " ".join(_plain(control))
        title = f"{control.id} {line(control.title)} ({control.severity}): {control.outcome}"
        lines.append(f"::{level} title={_property(title)}::{_data(said or control.outcome)}")
    if dropped:
        lines.append(f"::warning::{counted(dropped, 'control')} more; the summary of this run has all.")
    return "".join(f"{text}\n" for text in lines)


def _level(control: ControlResult) -> Literal["error", "warning"]:
    return "error" if control.outcome == "deviations" and control.severity in ("critical", "high") else "warning"


def _plain(control: ControlResult) -> Iterator[str]:
    for test in control.tests:
        if test.outcome == "inconclusive" and test.reason:
            yield line(test.reason)
        for item in [i for i in test.deviations if i.outcome in ("fail", "unknown")][:SHOWN]:
            yield f"{line(item.resource)}: {line(sentences(item))}"


def _data(text: str) -> str:
    """A message as a workflow command has it; no text of evidence can begin another command."""
    return text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _property(text: str) -> str:
    return _data(text).replace(":", "%3A").replace(",", "%2C")


FORMS: dict[str, Callable[[Bundle], str]] = {"markdown": page, "annotations": notes}
