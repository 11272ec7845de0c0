"""Values that may open a row by themselves: a switch, a word of the policy, a date, somebody's key in a list or in JSON. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import Any

from compliancectl.collectors.postgres.isolation.model import Column, Policy

_FIELD = re.compile(r"->>?\s*'((?:[^']|'')+)'")
OTHER_WORD = "another-word"
"""A text that no policy names: what a policy opens by exclusion has it."""
DAYS = ("2001-01-01", "2999-01-01")
NUMBERS = ("0", "-1", "1000000")


def openings(
    column: Column, policies: Sequence[Policy], constants: Sequence[str], mine: Sequence[str]
) -> Iterator[tuple[str, Any]]:
    """(kind of row, value) for everything that may open a row by this column.

    Args:
        column: the column.
        policies: those of its table.
        constants: of the policies and what they call.
        mine: keys and identities of the session that tries.
    """
    if column.category == "B":
        yield from (("flag", value) for value in (True, False))
    elif column.type in ("json", "jsonb"):
        yield from (("flag", value) for value in _documents(policies, mine))
    elif column.category == "A":
        yield from (("flag", [value]) for value in mine if _fits_list(column, value))
    elif column.category == "E":
        yield from (("literal", label) for label in column.labels)
    elif column.category in ("S", "U", "N"):
        extra = {"N": NUMBERS, "S": (OTHER_WORD,)}.get(column.category, ())
        yield from (("literal", value) for value in (*constants, *extra) if column.fits(value))
    elif column.category == "D":
        yield from (("flag", day) for day in DAYS)


def _documents(policies: Sequence[Policy], mine: Sequence[str]) -> Iterator[dict[str, Any]]:
    """JSON with each field that the policies read set to true, and to the session's own keys."""
    texts = " ".join(f"{p.using} {p.check}" for p in policies)
    for name in sorted({match.replace("''", "'") for match in _FIELD.findall(texts)}):
        yield from ({name: value} for value in (True, *mine))


def _fits_list(column: Column, value: str) -> bool:
    """Whether a text can be an element of a list."""
    kind = column.type.removesuffix("[]")
    return Column(
        column.name, kind, "N" if kind in ("integer", "bigint", "smallint", "numeric") else "S", False, None
    ).fits(value)
