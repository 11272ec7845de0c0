"""A reply as JSON, for answers that are kept between tries or runs, and the reply of it again."""

from __future__ import annotations

from dataclasses import fields
from typing import Any

from compliancectl import clock
from compliancectl.collectors.base import Reply
from compliancectl.model.evidence import Attempt


def flat(reply: Reply) -> dict[str, Any]:
    """A reply as JSON."""
    parts = {part.name: getattr(reply, part.name) for part in fields(reply)}
    return {
        **parts,
        "body": reply.body.decode("utf-8"),
        "requested_at": clock.text(reply.requested_at),
        "completed_at": clock.text(reply.completed_at),
        "attempts": [attempt.model_dump(mode="json") for attempt in reply.attempts],
    }


def unflat(parts: dict[str, Any]) -> Reply:
    """The reply of its JSON."""
    return Reply(
        **{
            **parts,
            "body": parts["body"].encode("utf-8"),
            "requested_at": clock.parse(parts["requested_at"]),
            "completed_at": clock.parse(parts["completed_at"]),
            "attempts": tuple(Attempt.model_validate(attempt) for attempt in parts["attempts"]),
        }
    )
