"""What was seen from outside, as one reply per target: JSON that `shape` reads again."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from compliancectl import canonical, clock
from compliancectl.collectors.base import Reply
from compliancectl.collectors.probes.session import Record
from compliancectl.collectors.probes.wire import Exchange
from compliancectl.model.evidence import Completeness

DROPPED = ("set-cookie: values of cookies: may identify a session",)
"""Declared for every table that keeps headers."""


def reply(seen: Mapping[str, Any], operation: str, asked: datetime, record: Record, cookies: int = 0) -> Reply:
    """The reply to keep."""
    return Reply(
        body=canonical.to_bytes(dict(seen)),
        operation=operation,
        requested_at=asked,
        completed_at=clock.now(),
        status="seen",
        attempts=tuple(record.attempts),
        redactions={"secret": cookies} if cookies else {},
    )


def whole(method: str, items: int = 1) -> Completeness:
    """Completeness of a probe: everything that it asks was asked, and its answer kept."""
    return Completeness(method=method, pages=1, items=items)


def seen(reply: Reply) -> Any:
    """What a kept reply says."""
    return json.loads(reply.body)


def exchange(answer: Exchange) -> tuple[dict[str, Any], int]:
    """An HTTP response without its body and the values of its cookies; and how many cookies it had."""
    cookies = sum(name.lower() == "set-cookie" for name, _ in answer.headers)
    headers = [[name, _cookie(value) if name.lower() == "set-cookie" else value] for name, value in answer.headers]
    return {"status": answer.status, "headers": headers}, cookies


def header(response: Mapping[str, Any], name: str) -> str | None:
    """The values of a header joined by commas; None if it is not there."""
    values = [value for key, value in response.get("headers", []) if key.lower() == name]
    return ", ".join(values) if values else None


def _cookie(value: str) -> str:
    """`session=…; Secure` without what stands for the person."""
    pair, _, attributes = value.partition(";")
    return f"{pair.partition('=')[0]}=(redacted){';' if attributes else ''}{attributes}"
