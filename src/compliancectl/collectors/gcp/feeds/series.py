"""Measurements of Cloud Monitoring, put together by it as they are asked for: time series, API v3."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import timedelta

from compliancectl import clock
from compliancectl.collectors.base import Reply
from compliancectl.collectors.gcp.listing import Listing, Tally, pages
from compliancectl.collectors.gcp.redact import Drop, parse
from compliancectl.collectors.gcp.session import GcpSession
from compliancectl.collectors.gcp.verdict import Asked
from compliancectl.model.evidence import Window

LIST = "monitoring.timeSeries.list"
DAYS = 28
DROPS = ("metadata of what is measured: labels may name people",)


def last_weeks(session: GcpSession) -> Window:
    """The last days of the period in whole hours, as far as it has passed; Google keeps fine measurements for six weeks."""
    period, now = session.context.period, session.context.as_of
    end = min(period.end, now).replace(minute=0, second=0, microsecond=0)
    return Window(start=max(min(period.start, end), end - timedelta(days=DAYS)), end=end)


def measured(
    session: GcpSession, project: str, wanted: str, window: Window, how: Sequence[tuple[str, str]], tally: Tally
) -> Iterator[Reply]:
    """The series of a project that a filter takes, put together as `how` says (`alignmentPeriod` …).

    Measurements that Google could not all give are a warning, which makes the evidence partial.
    """
    listing = Listing(
        Asked("monitoring", LIST, f"projects/{project}"),
        f"v3/projects/{project}/timeSeries",
        "timeSeries",
        ("pageSize", 100_000),
        params=(
            ("filter", wanted),
            ("interval.startTime", clock.text(window.start)),
            ("interval.endTime", clock.text(window.end)),
            *((f"aggregation.{name}", value) for name, value in how),
            ("view", "FULL"),
        ),
        drops=(Drop("timeSeries[].metadata", "label"),),
        context={"project": project},
    )
    for page in pages(session, listing, tally):
        found = parse(page.reply.body)
        tally.warnings += [f"not complete: {e.get('message', '')}" for e in found.get("executionErrors", [])]
        yield replace(page.reply, context={"project": project})
