"""JSON that may open a row: what policies look for in a document, put where they look for it. Pure."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Sequence
from typing import Any

from compliancectl.collectors.postgres.isolation.objects import Policy

_TEXT = r"'((?:[^']|'')*)'"
_CHAIN = re.compile(rf"(?:->>?\s*{_TEXT}(?:::text)?\)*\s*)+")
_STEP = re.compile(rf"->>?\s*{_TEXT}")
_PATH = re.compile(rf"#>>?\s*{_TEXT}")
_HAS = re.compile(rf"\?\s*{_TEXT}")
_ROUTE = re.compile(r"\$((?:\.\w+)+)")
MOST = 200
"""So many documents of one column are tried at the most."""


def documents(policies: Sequence[Policy], constants: Sequence[str], mine: Sequence[str]) -> Iterator[Any]:
    """Documents with each field that the policies read set to true, to their words, and to the session's own keys.

    Args:
        policies: those of one table.
        constants: of the policies and what they call.
        mine: keys and identities of the session that tries.
    """
    texts = " ".join(f"{p.using} {p.check}" for p in policies)
    paths = list(dict.fromkeys(_paths(texts)))
    words = [value for value in constants if value not in {step for path in paths for step in path}]
    made: list[Any] = [_nested(path, value) for path in paths for value in (True, *mine, *words)]
    # One that must contain another contains it when it is the same.
    made += [document for value in constants for document in _parsed(value)]
    yield from made[:MOST]


def _paths(texts: str) -> Iterator[tuple[str, ...]]:
    for chain in _CHAIN.finditer(texts):
        yield tuple(_plain(step) for step in _STEP.findall(chain[0]))
    for path in _PATH.findall(texts):
        yield tuple(step.strip('" ') for step in _plain(path).strip("{}").split(","))
    yield from ((_plain(key),) for key in _HAS.findall(texts))
    yield from (tuple(route.strip(".").split(".")) for route in _ROUTE.findall(texts))


def _plain(text: str) -> str:
    return text.replace("''", "'")


def _nested(path: Sequence[str], value: Any) -> Any:
    for step in reversed(path):
        value = {step: value}
    return value


def _parsed(text: str) -> Iterator[Any]:
    try:
        document = json.loads(text)
    except ValueError:
        return
    if isinstance(document, (dict, list)):
        yield document
