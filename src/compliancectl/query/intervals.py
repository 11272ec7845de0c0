"""What DuckDB's parser makes of `interval '1' day`, so that the guard does not take it for the author's own casts."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from compliancectl.query import functions
from compliancectl.query.syntax import Node


def intervals(nodes: Iterable[Node]) -> Iterator[list[Node]]:
    """`interval '1' day` is written by the parser as to_days(cast(trunc(cast('1' as double)) as integer))."""
    for node in nodes:
        if node.get("class") == "FUNCTION" and node["function_name"] in functions.INTERVAL_PARTS:
            argument = node["arguments"][0]["expression"] if node["arguments"] else {}
            if argument.get("class") == "CAST" and _is_parsers_cast(argument):
                yield _shell(argument)


def _is_parsers_cast(node: Node) -> bool:
    child: Node = node["child"]
    return bool(
        child.get("class") == "CAST" or (child.get("class") == "FUNCTION" and child["function_name"] == "trunc")
    )


def _shell(node: Node) -> list[Node]:
    """The casts and the trunc that the parser put around the number of an interval, without the number itself."""
    found: list[Node] = []
    while True:
        if node.get("class") == "CAST":
            found.append(node)
            node = node["child"]
        elif node.get("class") == "FUNCTION" and node["function_name"] == "trunc":
            found.append(node)
            node = node["arguments"][0]["expression"]
        else:
            return found
