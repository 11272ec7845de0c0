"""What stands behind the edge must not answer who comes past it."""

from __future__ import annotations

import ssl
from collections.abc import Iterator
from dataclasses import replace
from typing import Any
from urllib.parse import urlsplit

from compliancectl import clock
from compliancectl.collectors.base import Feed, Fetched, Reply, Row, Target
from compliancectl.collectors.probes import kept, wire
from compliancectl.collectors.probes.config import Origin
from compliancectl.collectors.probes.session import ProbesSession, Record
from compliancectl.collectors.probes.wire import Failed, Place
from compliancectl.model.table import BOOL, INT, TEXT, Column, Table

ORIGIN = Table(
    "probes.origin",
    "One row per declared origin: what it answers to a request that comes past the edge.",
    (
        Column("resource", TEXT, "URL of the origin.", "scope: origins[].url", required=True),
        Column("host", TEXT, "The public hostname that was asked for.", "scope: origins[].host", required=True),
        Column("outcome", TEXT, "`answered`, `refused`, `closed`, `alert`, `silent` or `garbage`.", "TCP, TLS, HTTP"),
        Column("status", INT, "Status of the answer under the public hostname.", "HTTP response: status"),
        Column("own_outcome", TEXT, "The same when the origin is asked under its own name.", "TCP, TLS, HTTP"),
        Column("own_status", INT, "Status of that answer.", "HTTP response: status"),
        Column(
            "edge_answers",
            BOOL,
            "The public hostname answered in the same minute: then silence is the origin's own.",
            "HTTPS through the edge",
        ),
    ),
    key=("resource",),
    drops=kept.DROPPED,
)


def targets(session: ProbesSession) -> Iterator[Target]:
    """One per origin."""
    for origin in session.config.origins:
        yield Target(origin.url, origin.url)


def fetch(session: ProbesSession, target: Target) -> Fetched:
    """GET past the edge, under the public hostname and under the origin's own name; then through the edge."""
    origin = next(o for o in session.config.origins if o.url == target.name)
    parts = urlsplit(origin.url)
    port = parts.port or (443 if parts.scheme == "https" else 80)
    direct = session.place(str(parts.hostname), port)
    path, context = parts.path or "/", wire.credulous() if parts.scheme == "https" else None
    asked, record = clock.now(), Record([])
    past, first = _probe(session, replace(direct, host=origin.host), path, context, record)
    own, second = _probe(session, direct, path, context, record)
    edge, third = _probe(session, session.place(origin.host, 443), "/", wire.credulous(), record)
    yield kept.reply(
        {"url": origin.url, "host": origin.host, "address": direct.address, "past": past, "own": own, "edge": edge},
        f"GET {origin.url} with Host: {origin.host}; GET {origin.url}; GET https://{origin.host}/",
        asked,
        record,
        first + second + third,
    )
    return kept.whole("one request under each name, and one through the edge, each answered or repeated")


def _probe(
    session: ProbesSession, place: Place, path: str, context: ssl.SSLContext | None, record: Record
) -> tuple[dict[str, Any], int]:
    try:
        answer = session.persist(lambda: wire.get(place, path, session.timeout_s, context), record)
    except Failed as failed:
        return {"outcome": failed.outcome, "detail": failed.detail}, 0
    found, dropped = kept.exchange(answer)
    return {"outcome": "answered", **found}, dropped


def shape(reply: Reply) -> Iterator[Row]:
    """One row."""
    data = kept.seen(reply)
    yield (
        ORIGIN.name,
        {
            "resource": data["url"],
            "host": data["host"],
            "outcome": data["past"]["outcome"],
            "status": data["past"].get("status"),
            "own_outcome": data["own"]["outcome"],
            "own_status": data["own"].get("status"),
            "edge_answers": data["edge"]["outcome"] == "answered",
        },
    )


FEEDS = (Feed("origins", "Direct requests to what stands behind the edge.", (ORIGIN,), targets, fetch, shape),)
__all__ = ["FEEDS", "Origin"]
