"""The sandbox's own statement of the Google APIs that the product uses: paths, parameters, messages and types.

The files beside this module are data. The server refuses what they do not allow, in requests and in its own replies;
the tests hold them against Google's discovery documents.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

from compliancectl import clock
from compliancectl.sandbox.yamlfile import read_yaml

FOLDER = Path(__file__).parent


@dataclass(frozen=True)
class Method:
    """One method of an API."""

    id: str
    api: Api
    http: str
    path: str
    version: str
    """Name of Google's discovery document that describes it: `sqladmin.v1`."""
    permission: str | None
    query: Mapping[str, Any]
    page: Mapping[str, Any] | None
    request: str | None
    response: str
    pattern: re.Pattern[str] = field(compare=False)


@dataclass
class Api:
    """One service: its methods and messages."""

    service: str
    versions: list[str]
    methods: list[Method]
    messages: dict[str, dict[str, Any]]

    def find(self, http: str, path: str) -> tuple[Method, dict[str, str]] | None:
        """The method that a request line means, and the values in its path."""
        for method in self.methods:
            if method.http == http and (match := method.pattern.fullmatch(path)):
                return method, match.groupdict()
        return None

    def violations(self, value: Any, kind: Any, where: str = "$") -> Iterator[str]:
        """What in `value` is not as the contract says."""
        if isinstance(kind, list):
            yield from self._list(value, kind[0], where)
        elif isinstance(kind, dict):
            yield from self._anonymous(value, kind, where)
        elif kind.startswith("<"):
            yield from self._by_place(value, kind[1:-1], where)
        elif kind in _SCALARS:
            if not _SCALARS[kind](value):
                yield f"{where}: {value!r} is not of type {kind}"
        elif not isinstance(value, dict):
            yield f"{where}: not a {kind}"
        else:
            yield from self._message(value, self.messages[kind], kind, where)

    def _list(self, value: Any, inner: Any, where: str) -> Iterator[str]:
        if not isinstance(value, list):
            yield f"{where}: not a list"
            return
        for number, item in enumerate(value):
            yield from self.violations(item, inner, f"{where}[{number}]")

    def _anonymous(self, value: Any, fields: dict[str, Any], where: str) -> Iterator[str]:
        if not isinstance(value, dict):
            yield f"{where}: not an object"
            return
        yield from self._message(value, fields, "the object", where)

    def _by_place(self, value: Any, inner: str, where: str) -> Iterator[str]:
        if not isinstance(value, dict):
            yield f"{where}: not an object"
            return
        for name, item in value.items():
            yield from self.violations(item, inner, f"{where}.{name}")

    def _message(self, value: dict[str, Any], fields: dict[str, Any], kind: str, where: str) -> Iterator[str]:
        for name, item in value.items():
            if name not in fields:
                yield f"{where}: {kind} has no field {name!r}"
            else:
                yield from self.violations(item, fields[name], f"{where}.{name}")


def _is_time(value: Any) -> bool:
    try:
        return isinstance(value, str) and len(value) > 10 and clock.parse(value) is not None
    except ValueError:
        return False


_SCALARS: dict[str, Any] = {
    "string": lambda v: isinstance(v, str),
    "bytes": lambda v: isinstance(v, str),
    "boolean": lambda v: isinstance(v, bool),
    "integer": lambda v: isinstance(v, int) and not isinstance(v, bool),
    "number": lambda v: isinstance(v, (int, float)) and not isinstance(v, bool),
    "int64": lambda v: isinstance(v, str) and re.fullmatch(r"-?\d+", v) is not None,
    "time": _is_time,
    "map": lambda v: isinstance(v, dict) and all(isinstance(item, str) for item in v.values()),
    "any": lambda v: True,
}


@cache
def apis() -> dict[str, Api]:
    """All APIs, by service host."""
    found = {}
    for file in sorted(Path(__file__).parent.glob("*.yaml")):
        data = read_yaml(file)
        if "service" in data:
            found[data["service"]] = _api(data)
    return found


def _api(data: dict[str, Any]) -> Api:
    api = Api(data["service"], data["versions"], [], data["messages"])
    for name, entry in data["methods"].items():
        http = "get" if "get" in entry else "post"
        api.methods.append(
            Method(
                id=name,
                api=api,
                http=http.upper(),
                path=entry[http],
                version=entry.get("version", data["versions"][0]),
                permission=entry.get("permission"),
                query=entry.get("query", {}),
                page=entry.get("page"),
                request=entry.get("request"),
                response=entry["response"],
                pattern=_pattern(entry[http]),
            )
        )
    return api


def _pattern(path: str) -> re.Pattern[str]:
    pieces = re.split(r"\{(\w+)\}", path)
    return re.compile(
        "".join(f"(?P<{piece}>[^/:]+)" if number % 2 else re.escape(piece) for number, piece in enumerate(pieces))
    )
