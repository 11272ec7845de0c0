"""The sandbox's own statement of GitHub's API: REST in `rest.yaml`, GraphQL in `schema.graphql`.

The files beside this module are data. The server refuses what they do not allow and holds its own replies against
them; the tests hold them against GitHub's OpenAPI description and GitHub's GraphQL schema.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from compliancectl import clock
from compliancectl.sandbox.yamlfile import read_yaml

if TYPE_CHECKING:
    from graphql import GraphQLSchema

FOLDER = Path(__file__).parent


@dataclass(frozen=True)
class Operation:
    """One operation of the REST API."""

    id: str
    """GitHub's own operation id: `repos/get-org-rulesets`."""
    method: str
    path: str
    permission: str
    """`members=read`; empty when every token may ask."""
    app: bool
    """Asked by an App with its JWT, not with a token."""
    for_apps: bool
    """Answered to the installations of Apps alone."""
    query: Mapping[str, Any]
    page: str
    """`number`, `cursor` or empty."""
    body: Any
    """Kind of what a writing request carries; None when it carries nothing that is looked at."""
    response: Any
    """Kind of the body; None when there is none."""
    pattern: re.Pattern[str] = field(compare=False)


@dataclass(frozen=True)
class Contract:
    """All operations and messages."""

    operations: tuple[Operation, ...]
    messages: Mapping[str, Mapping[str, Any]]

    def find(self, method: str, path: str) -> tuple[Operation, dict[str, str]] | None:
        """The operation that a request line means, and the values in its path; paths without variables come first."""
        for operation in self.operations:
            if operation.method == method and (match := operation.pattern.fullmatch(path)):
                return operation, match.groupdict()
        return None

    def violations(self, value: Any, kind: Any, where: str = "$") -> Iterator[str]:
        """What in `value` is not as the contract says."""
        if isinstance(kind, Mapping):
            yield from self._message(value, kind, where)
        elif isinstance(kind, list):
            if not isinstance(value, list):
                yield f"{where}: not a list"
                return
            for number, item in enumerate(value):
                yield from self.violations(item, kind[0], f"{where}[{number}]")
        elif kind.endswith("?"):
            if value is not None:
                yield from self.violations(value, kind[:-1], where)
        elif kind.startswith("a("):
            if value not in choices(kind):
                yield f"{where}: {value!r} is not one of {choices(kind)}"
        elif kind in _SCALARS:
            if not _SCALARS[kind](value):
                yield f"{where}: {value!r} is not of type {kind}"
        else:
            yield from self._message(value, self.messages[kind], where)

    def _message(self, value: Any, fields: Mapping[str, Any], where: str) -> Iterator[str]:
        if not isinstance(value, dict):
            yield f"{where}: not an object"
            return
        for name in fields:
            if not name.endswith("?") and not name.startswith("*") and name not in value:
                yield f"{where}: {name} is missing"
        for name, item in value.items():
            kind = (
                fields.get(name) or fields.get(f"{name}?") or (fields.get("*_url") if name.endswith("_url") else None)
            )
            if kind is None:
                yield f"{where}: there is no field {name!r}"
            else:
                yield from self.violations(item, kind, f"{where}.{name}")


def choices(kind: str) -> list[str]:
    """The texts of `a(open fixed)`."""
    return kind.rstrip("?")[2:-1].split()


def _is_time(value: Any) -> bool:
    try:
        return isinstance(value, str) and len(value) > 10 and clock.parse(value) is not None
    except ValueError:
        return False


_SCALARS: dict[str, Any] = {
    "string": lambda v: isinstance(v, str),
    "boolean": lambda v: isinstance(v, bool),
    "integer": lambda v: isinstance(v, int) and not isinstance(v, bool),
    "number": lambda v: isinstance(v, (int, float)) and not isinstance(v, bool),
    "time": _is_time,
    "map": lambda v: isinstance(v, dict),
    "any": lambda v: True,
}


@cache
def rest() -> Contract:
    """The REST part."""
    data = read_yaml(FOLDER / "rest.yaml")
    operations = [_operation(name, entry) for name, entry in data["operations"].items()]
    return Contract(tuple(sorted(operations, key=lambda o: o.path.count("{"))), data["messages"])


def _operation(name: str, entry: dict[str, Any]) -> Operation:
    method = next(method for method in ("get", "post", "patch") if method in entry)
    return Operation(
        id=name,
        method=method.upper(),
        path=entry[method],
        permission=entry.get("permission", ""),
        app=entry.get("app", False),
        for_apps=entry.get("for_apps", False),
        query=entry.get("query", {}),
        page=entry.get("page", ""),
        body=entry.get("body"),
        response=entry.get("response"),
        pattern=re.compile(re.sub(r"\\\{(\w+)\\\}", r"(?P<\1>[^/]+)", re.escape(entry[method]))),
    )


@cache
def graphql() -> GraphQLSchema:
    """The GraphQL part, built."""
    from graphql import build_schema

    return build_schema((FOLDER / "schema.graphql").read_text(encoding="utf-8"))
