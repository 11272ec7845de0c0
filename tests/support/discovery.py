"""Google's own contracts, from the discovery documents that google-api-python-client carries: routes and strict schemas."""

from __future__ import annotations

import base64
import binascii
import importlib.util
import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache, cached_property
from pathlib import Path
from typing import Any

FOLDER = "discovery_cache/documents"
_TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{1,9})?(Z|[+-]\d\d:\d\d)")
_DURATION = re.compile(r"-?\d+(\.\d{1,9})?s")
_PARAMETER = re.compile(r"\{(\+?)(\w+)\}")


@dataclass(frozen=True)
class Route:
    """One method, as its document describes it."""

    document: Document
    entry: Mapping[str, Any]

    @property
    def id(self) -> str:
        return str(self.entry["id"])

    @property
    def parameters(self) -> dict[str, Any]:
        return {**self.document.data["parameters"], **self.entry.get("parameters", {})}

    @property
    def path(self) -> str:
        """With the names of its own parameters: `v1/{+parent}/jobs`."""
        return str(self.document.data["servicePath"] + self.entry["path"])

    @property
    def flat_path(self) -> str:
        """One parameter for each part: `v1/projects/{}/locations/{}/jobs`."""
        flat = self.document.data["servicePath"] + self.entry.get("flatPath", self.entry["path"])
        return _PARAMETER.sub("{}", flat)

    @cached_property
    def pattern(self) -> re.Pattern[str]:
        pieces, end = "", 0
        for found in _PARAMETER.finditer(self.path):
            text = ".+" if found.group(1) else "[^/:]+"
            pieces += re.escape(self.path[end : found.start()]) + f"(?P<{found.group(2)}>{text})"
            end = found.end()
        return re.compile(pieces + re.escape(self.path[end:]))

    def matches(self, http: str, path: str) -> bool:
        found = self.pattern.fullmatch(path) if http == self.entry["httpMethod"] else None
        return found is not None and all(
            re.search(self.parameters[name].get("pattern", ""), value) for name, value in found.groupdict().items()
        )

    def request_problems(self, query: tuple[tuple[str, str], ...], body: bytes) -> Iterator[str]:
        """What Google would not take."""
        allowed = {n: p for n, p in self.parameters.items() if p["location"] == "query"}
        names = [name for name, _ in query]
        for name, value in query:
            if name not in allowed:
                yield f"{self.id}: no parameter {name!r}"
                continue
            if names.count(name) > 1 and not allowed[name].get("repeated"):
                yield f"{self.id}: {name!r} is given twice"
            yield from self.document.problems(_typed(value, allowed[name]), allowed[name], name)
        yield from (
            f"{self.id}: {name!r} is required"
            for name, rule in allowed.items()
            if rule.get("required") and name not in names
        )
        if "request" in self.entry:
            yield from self.document.problems(json.loads(body), self.entry["request"])
        elif body:
            yield f"{self.id}: takes no body"

    def response_problems(self, body: Any) -> Iterator[str]:
        """What Google would not answer."""
        yield from self.document.problems(body, self.entry["response"])


class Document:
    """One discovery document."""

    def __init__(self, name: str, data: dict[str, Any]) -> None:
        self.name, self.data = name, data
        self.schemas: dict[str, Any] = data["schemas"]
        self.routes = {route.id: route for route in (Route(self, entry) for entry in _entries(data))}

    @property
    def host(self) -> str:
        return str(self.data["rootUrl"].removeprefix("https://").rstrip("/"))

    def schema(self, rule: Mapping[str, Any]) -> Mapping[str, Any]:
        """Follow a reference."""
        return self.schemas[rule["$ref"]] if "$ref" in rule else rule

    def problems(self, value: Any, rule: Mapping[str, Any], where: str = "$") -> Iterator[str]:
        """What in JSON data is not as the schema says; unknown fields, types, formats and enumerations."""
        rule = self.schema(rule)
        kind = rule.get("type", "any")
        if kind == "any":
            return
        if kind == "array":
            if not isinstance(value, list):
                yield f"{where}: not a list"
                return
            for number, item in enumerate(value):
                yield from self.problems(item, rule["items"], f"{where}[{number}]")
        elif kind == "object":
            yield from self._object(value, rule, where)
        else:
            yield from _scalar(value, rule, where)

    def _object(self, value: Any, rule: Mapping[str, Any], where: str) -> Iterator[str]:
        if not isinstance(value, dict):
            yield f"{where}: not an object"
            return
        known = rule.get("properties", {})
        for name, item in value.items():
            inner = known.get(name, rule.get("additionalProperties"))
            if inner is None:
                yield f"{where}: {rule.get('id', 'the object')} has no field {name!r}"
            else:
                yield from self.problems(item, inner, f"{where}.{name}")


def _typed(text: str, rule: Mapping[str, Any]) -> Any:
    """A query parameter's text as JSON of its type; the text itself when it is not of the type."""
    kind = rule.get("type")
    if kind == "integer" and re.fullmatch(r"-?\d+", text):
        return int(text)
    if kind == "boolean" and text in ("true", "false"):
        return text == "true"
    return text


def _scalar(value: Any, rule: Mapping[str, Any], where: str) -> Iterator[str]:
    kind, form = rule["type"], rule.get("format", "")
    number = isinstance(value, int | float) and not isinstance(value, bool)
    fits = {
        "string": isinstance(value, str),
        "boolean": isinstance(value, bool),
        "integer": number and isinstance(value, int),
        "number": number,
    }[kind]
    if not fits:
        yield f"{where}: {value!r} is not of type {kind}"
    elif not _FORMATS.get(form, lambda value: True)(value):
        yield f"{where}: {value!r} is not in the format {form}"
    elif "enum" in rule and value not in rule["enum"]:
        yield f"{where}: {value!r} is not one of {', '.join(rule['enum'])}"


def _is_base64(text: str) -> bool:
    try:
        return base64.b64decode(text, validate=True) is not None
    except binascii.Error:
        return False


_FORMATS: dict[str, Any] = {
    "int32": lambda v: -(2**31) <= v < 2**31,
    "uint32": lambda v: 0 <= v < 2**32,
    "int64": lambda v: re.fullmatch(r"-?\d{1,19}", v) and -(2**63) <= int(v) < 2**63,
    "uint64": lambda v: re.fullmatch(r"\d{1,20}", v) and int(v) < 2**64,
    "date-time": _TIME.fullmatch,
    "google-datetime": _TIME.fullmatch,
    "google-duration": _DURATION.fullmatch,
    "byte": _is_base64,
}


def _entries(node: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    yield from node.get("methods", {}).values()
    for inner in node.get("resources", {}).values():
        yield from _entries(inner)


@cache
def document(name: str) -> Document:
    """A document by name: `sqladmin.v1`. The library that carries it is not imported."""
    spec = importlib.util.find_spec("googleapiclient")
    assert spec is not None and spec.submodule_search_locations
    file = Path(spec.submodule_search_locations[0]) / FOLDER / f"{name}.json"
    return Document(name, json.loads(file.read_text(encoding="utf-8")))


def route(names: list[str], http: str, host: str, path: str) -> Route | None:
    """The method that a request line means in any of the documents."""
    for found in (document(name) for name in names):
        if found.host == host:
            for candidate in found.routes.values():
                if candidate.matches(http, path):
                    return candidate
    return None
