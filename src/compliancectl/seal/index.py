"""evidence/INDEX.csv: one line per evidence item, for people who open it in a spreadsheet."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Mapping

from compliancectl import clock
from compliancectl.model.evidence import EvidenceItem

COLUMNS = (
    "id", "system", "environment", "feed", "target", "status", "cause", "reason", "requested_at", "completed_at",
    "replies", "pages", "records", "tables", "rows", "rejected", "redacted", "bytes", "item_sha256",
)  # fmt: skip


def write(items: Iterable[EvidenceItem], digests: Mapping[str, str]) -> bytes:
    """Write the index; `digests` gives the SHA-256 of each item.json by member name."""
    text = io.StringIO(newline="")
    writer = csv.writer(text)
    writer.writerow(COLUMNS)
    for item in sorted(items, key=lambda item: item.id):
        writer.writerow([cell(value) for value in _line(item, digests)])
    return text.getvalue().encode()


def cell(value: object) -> str:
    """One cell that no spreadsheet takes for a formula: such a text is preceded by an apostrophe."""
    text = "" if value is None else str(value)
    dangerous = text.startswith(("\t", "\r", "\n")) or text.lstrip().startswith(
        ("=", "+", "-", "@", "＝", "＋", "－", "＠")
    )
    return "'" + text if dangerous else text


def _line(item: EvidenceItem, digests: Mapping[str, str]) -> list[object]:
    found = item.completeness
    return [
        item.id, item.system, item.environment, item.feed, item.target, item.status, item.cause, item.reason,
        clock.text(item.requested_at), clock.text(item.completed_at),
        len(item.replies), found.pages if found else None, found.items if found else None,
        " ".join(table.table for table in item.tables), sum(table.rows for table in item.tables),
        sum(len(table.rejected) for table in item.tables), sum(item.redactions.values()),
        sum(reply.bytes for reply in item.replies) + sum(table.bytes for table in item.tables),
        digests[f"evidence/{item.id}/item.json"],
    ]  # fmt: skip
