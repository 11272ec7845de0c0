"""Values that may open a row by themselves: a switch, a word of the policy, a date, somebody's key in a list. Pure."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterator, Sequence
from typing import Any

from compliancectl.collectors.postgres.isolation.documents import documents
from compliancectl.collectors.postgres.isolation.objects import Column, Policy

OTHER_WORD = "another-word"
"""A text that no policy names: what a policy opens by exclusion has it."""
DAYS = ("2001-01-01", "2999-01-01")
NUMBERS = ("0", "-1", "1000000")
LENGTHS = ("1000 years", "-1000 years")
_DAY = re.compile(r"\d{4}-\d\d-\d\d\b.*|-?infinity")


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
        yield from (("flag", value) for value in documents(policies, constants, mine))
    elif column.category == "A":
        yield from (("flag", [value]) for value in mine if _element(column).fits(value))
        yield from (("literal", value) for value in _lists(column, constants))
    elif column.category == "E":
        yield from (("literal", label) for label in column.labels)
    elif column.category in ("S", "U", "N"):
        extra = {"N": NUMBERS, "S": (OTHER_WORD,)}.get(column.category, ())
        yield from (("literal", value) for value in (*constants, *extra) if column.fits(value))
    elif column.category == "D":
        days = (value for value in constants if _DAY.fullmatch(value))
        yield from (("flag", day) for day in (*DAYS, *days))
    elif column.category == "R":
        yield from (("flag", value) for value in _ranges(column))
    elif column.category == "I":
        yield from (("literal", value) for constant in constants for value in _addresses(constant))
    elif column.category == "C":
        yield from (("flag", value) for value in _parts(column, policies, constants))
    elif column.category == "T":
        yield from (("flag", value) for value in LENGTHS)


def _element(column: Column) -> Column:
    """A list's element as a column of its own."""
    kind = column.type.removesuffix("[]")
    number = kind in ("integer", "bigint", "smallint", "numeric")
    return Column(column.name, kind, "N" if number else "U" if kind == "uuid" else "S", False, None)


def _lists(column: Column, constants: Sequence[str]) -> Iterator[list[str]]:
    """Lists with each word of the policies in them, all of them together, and none."""
    element = _element(column)
    fitting = [v for v in constants if (v in column.labels if column.labels else element.fits(v))]
    # '{a,b}' is how a list is written in a policy.
    parts = [part.strip('" ') for v in constants if v[:1] == "{" and v[-1:] == "}" for part in v[1:-1].split(",")]
    words = [*dict.fromkeys([*fitting, *(part for part in parts if part)])]
    words = [word for word in words if word[:1] != "{"]
    yield from ([word] for word in words)
    yield from ([words] if len(words) > 1 else [])
    yield []


def _parts(column: Column, policies: Sequence[Policy], constants: Sequence[str]) -> Iterator[dict[str, Any]]:
    """A row type with each field that the policies read set to true, and to their words."""
    texts = " ".join(f"{p.using} {p.check}" for p in policies)
    for name in dict.fromkeys(re.findall(rf'\b{re.escape(column.name)}"?\)\."?(\w+)', texts)):
        yield from ({name: value} for value in (True, *constants))


def _ranges(column: Column) -> Iterator[str]:
    """The range that holds everything, and the one that holds nothing."""
    yield from ("{(,)}", "{}") if column.type.endswith("multirange") else ("(,)", "empty")


def _addresses(constant: str) -> Iterator[str]:
    """A network of a policy, and an address in it."""
    try:
        network = ipaddress.ip_interface(constant)
    except ValueError:
        return
    yield constant
    yield str(network.network.network_address)
