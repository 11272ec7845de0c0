"""The nodes of one YAML file, composed from the events of libyaml, which reads many times faster than Python could.

libyaml decides what is syntax; what a scalar means, and what is refused, is decided by the reader of the nodes.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    from collections.abc import Iterator


@dataclass(slots=True)
class Node:
    """One value of the file, with the line (from 1) on which it begins."""

    kind: Literal["scalar", "list", "mapping", "alias"]
    line: int
    value: Any = ""
    """A scalar's text, a list's nodes, a mapping's pairs of nodes, an alias's name."""
    anchor: str | None = None
    tag: str | None = None
    """The tag, if one is written."""
    style: str | None = None
    """Of a scalar: None if it is plain, else the sign that begins it."""


class TooDeep(Exception):
    """Nesting deeper than was asked for; `line` is where."""

    def __init__(self, line: int) -> None:
        super().__init__(f"line {line}")
        self.line = line


def compose(text: str, depth: int) -> list[Node]:
    """The documents of a text, each as its outermost node; reading stops after a second one.

    Raises:
        yaml.YAMLError: if the text is not YAML.
        TooDeep: if something nests deeper than `depth`.
    """
    import yaml

    parser = yaml.CLoader(text)
    try:
        return _documents(yaml, iter(parser.get_event, None), depth)
    finally:
        parser.dispose()


def _documents(yaml: Any, events: Iterator[Any], depth: int) -> list[Node]:
    found: list[Node] = []
    for event in events:
        if isinstance(event, yaml.DocumentStartEvent):
            found.append(_node(yaml, next(events), events, depth))
            if len(found) > 1:
                break
    return found


def _node(yaml: Any, event: Any, events: Iterator[Any], depth: int) -> Node:
    line = event.start_mark.line + 1
    if isinstance(event, yaml.ScalarEvent):
        return Node("scalar", line, event.value, event.anchor, event.tag, event.style or None)
    if isinstance(event, yaml.AliasEvent):
        return Node("alias", line, event.anchor)
    if depth == 0:
        raise TooDeep(line)
    inner = []
    while not isinstance(entry := next(events), (yaml.SequenceEndEvent, yaml.MappingEndEvent)):
        inner.append(_node(yaml, entry, events, depth - 1))
    if isinstance(event, yaml.SequenceStartEvent):
        return Node("list", line, inner, event.anchor, event.tag)
    return Node("mapping", line, list(zip(inner[::2], inner[1::2], strict=True)), event.anchor, event.tag)
