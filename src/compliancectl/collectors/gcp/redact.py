"""Declared redactions: what leaves a reply before it is kept.

A reply that holds nothing to redact keeps Google's own bytes. One that does is written again in canonical form
(RFC 8785), and the number of values removed or replaced is kept beside it, per class.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from compliancectl import canonical
from compliancectl.redaction import People

REDACTED = "(redacted)"
Replace = Callable[[Any], Any]
"""The value that may be kept instead; the same value when nothing has to go."""


@dataclass(frozen=True)
class Drop:
    """One declared redaction."""

    path: str
    """Where: keys joined by dots; `[]` is each element of a list, `*` each value of an object."""
    kind: str
    """Class that is counted: `secret`, `personal`, `label` …"""
    replace: Replace | None = None
    """None: the value is removed."""

    def __call__(self, data: Any) -> int:
        """Apply to parsed JSON in place; return how many values changed."""
        *parents, last = self.path.replace("[]", ".[]").split(".")
        return sum(self._one(holder, last) for holder in _reached(data, parents))

    def _one(self, holder: Any, last: str) -> int:
        return sum(self._key(holder, key) for key in list(_keys(holder, last)))

    def _key(self, holder: Any, key: Any) -> int:
        if self.replace is None:
            del holder[key]
            return 1
        kept = self.replace(holder[key])
        if kept == holder[key]:
            return 0
        holder[key] = kept
        return 1


def _reached(data: Any, parts: list[str]) -> list[Any]:
    """Everything at a path; step by step and without recursion, because lists of logs are long."""
    found = [data]
    for part in parts:
        if part == "[]":
            found = [item for holder in found if isinstance(holder, list) for item in holder]
        elif part == "*":
            found = [item for holder in found if isinstance(holder, dict) for item in holder.values()]
        else:
            found = [holder[part] for holder in found if isinstance(holder, dict) and part in holder]
    return found


def _keys(holder: Any, part: str) -> Iterator[Any]:
    """The keys of a holder that the last part of a path means."""
    if part == "[]":
        yield from range(len(holder)) if isinstance(holder, list) else ()
    elif isinstance(holder, dict):
        yield from list(holder) if part == "*" else [part] if part in holder else ()


def redact(raw: bytes, data: Any, drops: tuple[Drop, ...]) -> tuple[bytes, dict[str, int]]:
    """Apply `drops` to a reply.

    Returns:
        The bytes to keep (`raw` itself if nothing changed), and the count of changed values by class.
    """
    counts = apply(data, drops)
    return (canonical.to_bytes(data) if counts else raw), counts


def apply(data: Any, drops: tuple[Drop, ...]) -> dict[str, int]:
    """Apply `drops` to parsed JSON in place; return the count of changed values by class."""
    counts: Counter[str] = Counter()
    for drop in drops:
        counts[drop.kind] += drop(data)
    return {kind: count for kind, count in sorted(counts.items()) if count}


def parse(raw: bytes) -> Any:
    """JSON of a kept reply."""
    return json.loads(raw)


def whole(value: Any) -> Any:
    """Replace any value by the mark."""
    return REDACTED


def people_outside(domains: tuple[str, ...], people: People | None = None) -> Replace:
    """Keep service accounts and addresses in `domains`; replace the address of anybody else, by a pseudonym if possible."""
    own = (*(f"@{domain}" for domain in domains), ".gserviceaccount.com", ".iam")

    def replace(value: Any) -> Any:
        if not isinstance(value, str) or "@" not in value or value.endswith(own):
            return value
        prefix = value.split(":", 1)[0] + ":" if ":" in value.split("@", 1)[0] else ""
        return prefix + (people.pseudonym("e-mail address", value.removeprefix(prefix)) if people else REDACTED)

    return replace
