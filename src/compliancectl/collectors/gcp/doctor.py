"""`compliancectl doctor` for Google Cloud: credentials first, then every feed in every place it would be read from."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from compliancectl.collectors.base import Diagnosis, Feed, Target
from compliancectl.errors import CollectError

if TYPE_CHECKING:
    from compliancectl.collectors.gcp.session import GcpSession


def examine(session: GcpSession) -> Iterator[Diagnosis]:
    """Ask for a token, then for the first answer of every feed; keeps nothing."""
    from compliancectl.collectors.gcp import collector

    try:
        who = session.principal()
        session.token()
    except CollectError as error:
        yield Diagnosis("credentials", "missing", error.message, error.hint)
        return
    yield Diagnosis("credentials", "ok", f"{who.subject} ({who.authentication})")
    for feed in collector.feeds:
        for target in feed.targets(session):
            yield _try(session, feed, target)


def _try(session: GcpSession, feed: Feed[Any], target: Target) -> Diagnosis:
    needs = ", ".join(sorted({name for table in feed.tables for name in table.permissions}))
    subject = f"{feed.name} on {target.name}"
    replies = feed.fetch(session, target)
    try:
        next(replies, None)
    except CollectError as error:
        return Diagnosis(subject, "missing", error.message, error.hint or f"Grant {needs}.")
    finally:
        replies.close()
    return Diagnosis(subject, "ok", needs)
