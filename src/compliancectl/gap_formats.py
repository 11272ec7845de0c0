"""Gaps as CSV, as Markdown, and as bodies of GitHub issues."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable

from compliancectl.model.gap import Gap, Gaps
from compliancectl.seal.index import cell

COLUMNS = (
    "id", "severity", "control", "test", "check", "resource", "finding", "owner", "first_seen", "due", "overdue", "waiver",
    "criteria", "claims", "remediation",
)  # fmt: skip
_MARKDOWN = str.maketrans({c: f"\\{c}" for c in "\\`*_{}[]<>|#"})


def as_csv(gaps: Gaps) -> str:
    """One row per gap. A cell that a spreadsheet would take for a formula begins with an apostrophe."""
    stream = io.StringIO(newline="")
    writer = csv.writer(stream, lineterminator="\r\n")
    writer.writerow(COLUMNS)
    for gap in gaps.gaps:
        writer.writerow(cell(text) for text in _row(gap))
    return stream.getvalue()


def _row(gap: Gap) -> Iterable[str]:
    yield from (gap.id, gap.severity, gap.control, gap.test, gap.check, gap.resource, gap.sentence, gap.owner)
    yield from (f"{gap.first_seen:%Y-%m-%d}", gap.due.isoformat(), "yes" if gap.overdue else "no", gap.waiver or "")
    yield from (criteria(gap), " ".join(gap.claims), gap.remediation)


def criteria(gap: Gap) -> str:
    """`ferpa: 99.31 · soc2: CC6.6 CC6.7`."""
    return " · ".join(f"{name}: {' '.join(ids)}" for name, ids in sorted(gap.criteria.items()))


def escape(text: str) -> str:
    """Evidence as it can stand in Markdown: nothing in it is markup, mentions nobody, and spans one line."""
    return " ".join(text.split()).translate(_MARKDOWN).replace("@", "@\u200b")


def as_markdown(gaps: Gaps) -> str:
    """A table of all gaps."""
    lines = [
        f"# Open findings: {escape(gaps.organization)}, {escape(gaps.system)} ({escape(gaps.environment)})",
        "",
        f"Assessed {gaps.as_of:%Y-%m-%d %H:%M} UTC.",
        "",
        "| id | severity | control | finding | owner | first seen | due | claims |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for gap in gaps.gaps:
        due = f"**{gap.due} (overdue)**" if gap.overdue and not gap.waiver else str(gap.due)
        due = f"waived ({escape(gap.waiver)})" if gap.waiver else due
        finding = f"{escape(gap.resource)}: {escape(gap.sentence)}"
        lines.append(
            f"| {gap.id} | {gap.severity} | {gap.control} | {finding} | {escape(gap.owner)} | {gap.first_seen:%Y-%m-%d} "
            f"| {due} | {' '.join(gap.claims)} |"
        )
    return "\n".join(lines) + "\n"


def as_issue(gap: Gap) -> tuple[str, str]:
    """Title and body of a GitHub issue. The body carries the gap's id, so that the issue can be found again."""
    title = f"{gap.control} {gap.check}: {escape(gap.resource)}"
    frameworks = "\n".join(f"- {name}: {', '.join(ids)}" for name, ids in sorted(gap.criteria.items()))
    claims = f"Public statements that it contradicts: {', '.join(gap.claims)}\n\n" if gap.claims else ""
    body = (
        f"<!-- compliancectl: {gap.id} -->\n"
        f"{escape(gap.sentence)}\n\n"
        f"- Control: {gap.control}, {escape(gap.title)}\n- Severity: {gap.severity}\n- Owner: {escape(gap.owner)}\n"
        f"- First seen: {gap.first_seen:%Y-%m-%d}\n- Due: {gap.due}\n\n"
        f"## What to do\n\n{escape(gap.remediation)}\n\n"
        f"## Why it matters\n\n{claims}Criteria that rest on this control:\n\n{frameworks}\n"
    )
    return title[:200], body
