"""Log entries that are counted and let go: of many, only numbers become evidence.

Every entry of the window is read, page by page; what is kept is how many there were by what matters, and the digest of each
page, so that whoever reads the log again can compare. How many entries there will be is worked out from the first page: more
than the scope allows are not begun.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from compliancectl import canonical, clock
from compliancectl.collectors.base import Fetched, Reply, Target
from compliancectl.collectors.calls import batches
from compliancectl.collectors.gcp.everywhere import reworded
from compliancectl.collectors.gcp.feeds.logs import BATCH, PAGE, entry_fields, entry_pages
from compliancectl.collectors.gcp.inventory import Inventory
from compliancectl.collectors.gcp.listing import Page, Tally
from compliancectl.collectors.gcp.redact import Drop
from compliancectl.collectors.gcp.session import GcpSession
from compliancectl.errors import Truncated
from compliancectl.model.evidence import Attempt, Window

Entry = Mapping[str, Any]


@dataclass(frozen=True)
class Counting:
    """Which entries are counted, and by what."""

    window: Callable[[GcpSession], Window]
    """The time that they are of."""
    wanted: Callable[[Window], str]
    """The filter of Cloud Logging that takes them."""
    words: str
    """What was counted, for people."""
    names: tuple[str, ...]
    """What the parts of the key are called in the counts."""
    key: Callable[[Entry], tuple[str, ...]]
    failed: Callable[[Entry], bool] | None = None
    """What counts as failed; None: nothing is asked of that kind."""
    drops: tuple[Drop, ...] | None = None
    """What leaves the entries besides; None: what leaves every audit log entry."""

    def fetch(self, session: GcpSession, target: Target) -> Fetched:
        """Count one project's entries."""
        tally = self._tally(session)
        yield from self._count(session, [target.name], tally)
        return tally.completeness(self.words)

    def fetch_batches(self, session: GcpSession, inventory: Inventory) -> Fetched:
        """Count those of many projects: Cloud Logging answers about a batch of them in one request."""
        tally = self._tally(session)
        for batch in batches(inventory.chosen, BATCH):
            yield from self._count(session, batch, tally)
        done = tally.completeness(self.words)
        return reworded(done, f"{done.method}; {inventory.words}, up to {BATCH} of them in one request")

    def _tally(self, session: GcpSession) -> Tally:
        return Tally(filters=[self.wanted(self.window(session))])

    def _count(self, session: GcpSession, projects: list[str], tally: Tally) -> Iterator[Reply]:
        window = self.window(session)
        places = [f"projects/{project}" for project in projects]
        yield from counted(session, places, self.wanted(window), window, self, tally)


@dataclass
class _Counts:
    """What becomes of the entries."""

    how: Counting
    by: dict[tuple[str, ...], dict[str, Any]] = field(default_factory=dict)
    pages: list[dict[str, Any]] = field(default_factory=list)
    redactions: dict[str, int] = field(default_factory=dict)

    def add(self, page: Page) -> None:
        """Count a page and let it go."""
        for entry in page.items:
            self._one(entry)
        self.pages.append({"entries": len(page.items), "sha256": hashlib.sha256(page.reply.body).hexdigest()})
        for kind, count in page.reply.redactions.items():
            self.redactions[kind] = self.redactions.get(kind, 0) + count

    def _one(self, entry: Entry) -> None:
        at = str(entry["timestamp"])
        failed = {} if self.how.failed is None else {"failed": 0}
        known = self.by.setdefault(self.how.key(entry), {"entries": 0, **failed, "first": at, "last": at})
        known["entries"] += 1
        if self.how.failed is not None:
            known["failed"] += self.how.failed(entry)
        known["first"], known["last"] = min(known["first"], at), max(known["last"], at)

    def body(self, window: Window) -> bytes:
        """The counts in a fixed order."""
        counts = [{**dict(zip(self.how.names, key, strict=True)), **value} for key, value in sorted(self.by.items())]
        about = {"window": {"start": clock.text(window.start), "end": clock.text(window.end)}, "pages": self.pages}
        return canonical.to_bytes({**about, "counts": counts})


def projected(entries: list[Any], window: Window) -> int:
    """How many entries a window holds, judged by how much time its first page covers."""
    first, last = (clock.parse(str(entries[i]["timestamp"])[:19] + "Z") for i in (0, -1))
    covered = max((last - first).total_seconds(), 1.0)
    return round(len(entries) * max((window.end - first).total_seconds() / covered, 1.0))


def counted(
    session: GcpSession, places: list[str], wanted: str, window: Window, how: Counting, tally: Tally
) -> Iterator[Reply]:
    """Read the entries of some places (`projects/P`) that a filter takes, and yield one reply: their counts.

    Raises:
        Truncated: if more are expected than the scope allows.
    """
    counts, attempts, fields = _Counts(how), list[Attempt](), entry_fields(places, wanted)
    last: Reply | None = None
    started = clock.now()
    for page in entry_pages(session, fields, {}, tally, how.drops):
        if not counts.pages and len(page.items) == PAGE:
            _affordable(session, projected(page.items, window))
        counts.add(page)
        attempts += page.reply.attempts
        last = page.reply
    assert last is not None  # a list has one page at least
    yield replace(
        last,
        body=counts.body(window),
        operation=f"{last.operation}, every page counted and let go",
        requested_at=started,
        parameters=fields,
        attempts=tuple(attempts),
        redactions=counts.redactions,
        context={},
    )


def _affordable(session: GcpSession, expected: int) -> None:
    limit = session.config.log_max_entries
    session.context.progress(f"about {expected} entries are expected")
    if expected > limit:
        raise Truncated(
            f"about {expected} log entries are expected in the window, and {limit} may be read",
            hint="Raise `log_max_entries` in the scope file, or shorten the period; Google gives 1,000 a second at most.",
        )
