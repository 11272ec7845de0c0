"""Time: the only module that reads the clock.

Instants are aware and in UTC everywhere; texts are RFC 3339 with `Z`. Periods are half-open: `[start, end)`.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta


def now() -> datetime:
    """Return the current instant in UTC, to the millisecond (what every wire format here carries)."""
    instant = datetime.now(UTC)
    return instant.replace(microsecond=instant.microsecond // 1000 * 1000)


def parse(text: str) -> datetime:
    """Parse an RFC 3339 instant, or a date, which means its first instant in UTC.

    Raises:
        ValueError: if the text has no offset, or is not a time at all.
    """
    if len(text) == 10:
        return datetime.fromisoformat(text).replace(tzinfo=UTC)
    instant = datetime.fromisoformat(text)
    if instant.tzinfo is None:
        raise ValueError(f"{text!r} has no offset; write it with Z, as in 2026-08-01T00:00:00Z")
    return instant.astimezone(UTC)


def text(instant: datetime) -> str:
    """Write an aware instant as RFC 3339 in UTC: seconds, and a fraction only if there is one.

    Raises:
        ValueError: if the instant is naive.
    """
    if instant.tzinfo is None:
        raise ValueError("naive datetime")
    return instant.astimezone(UTC).isoformat().replace("+00:00", "Z")


def to_the_second(instant: datetime, *, up: bool = False) -> str:
    """The same for people to read: without the fraction of a second; the end of a gap goes `up`, so that none is said shorter."""
    whole = instant.replace(microsecond=0)
    return text(whole + timedelta(seconds=1) if up and whole != instant else whole)
