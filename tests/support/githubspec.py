"""GitHub's own descriptions of its API, for tests: OpenAPI and GraphQL, fetched by requirements/contracts.py."""

from __future__ import annotations

import gc
import json
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from graphql import GraphQLSchema

CACHE = Path(__file__).resolve().parents[2] / ".cache" / "contracts"
_SCHEMAS = "#/components/schemas/"


def _file(name: str) -> bytes:
    path = CACHE / name
    if not path.is_file():
        pytest.fail(f"{name} has not been fetched: run `make setup-dev`, which needs npm", pytrace=False)
    return path.read_bytes()


@cache
def openapi() -> Mapping[str, Any]:
    """The OpenAPI description of api.github.com, and of Enterprise Cloud what the other one lacks: the audit log."""
    gc.disable()  # a million small objects; collecting in between takes ten times as long
    try:
        loaded: dict[str, Any] = json.loads(_file("api.github.com.json"))
        cloud: dict[str, Any] = json.loads(_file("ghec.json"))
    finally:
        gc.enable()
    loaded["paths"] = {**cloud["paths"], **loaded["paths"]}
    for kind, parts in cloud["components"].items():
        loaded["components"][kind] = {**parts, **loaded["components"].get(kind, {})}
    return loaded


@cache
def graphql() -> GraphQLSchema:
    """The GraphQL schema."""
    from graphql import build_schema

    return build_schema(_file("schema.graphql").decode(), assume_valid=True)


def resolve(schema: Any) -> Any:
    """Follow references until there is something else."""
    while isinstance(schema, Mapping) and "$ref" in schema:
        here: Any = openapi()
        for part in schema["$ref"].removeprefix("#/").split("/"):
            here = here[part.replace("~1", "/").replace("~0", "~")]
        schema = here
    return schema


def branches(schema: Any) -> list[Any]:
    """The alternatives of a schema, itself if there are none; `allOf` is merged into one."""
    schema = resolve(schema)
    for word in ("oneOf", "anyOf"):
        if word in schema:
            return [leaf for entry in schema[word] for leaf in branches(entry)]
    if "allOf" not in schema:
        return [schema]
    merged: dict[str, Any] = {"properties": {}, "required": []}
    for part in [schema, *schema["allOf"]]:
        whole = resolve(part) if part is not schema else {k: v for k, v in schema.items() if k != "allOf"}
        for leaf in branches(whole) if whole is not schema else []:
            merged["properties"].update(leaf.get("properties", {}))
            merged["required"] += leaf.get("required", [])
            merged.update({k: v for k, v in leaf.items() if k not in ("properties", "required")})
    return [merged]


def nullable(schema: Any) -> bool:
    """Whether null is allowed, by itself, by a reference or by an alternative."""
    if schema.get("nullable"):
        return True
    whole = resolve(schema)
    return bool(whole.get("nullable")) or any(
        nullable(entry) for word in ("oneOf", "anyOf") for entry in whole.get(word, ())
    )


def body_schema(operation: Mapping[str, Any], status: int) -> Any:
    """The schema of a reply's body; None when GitHub describes none."""
    reply = resolve(operation["responses"].get(str(status), {}))
    return reply.get("content", {}).get("application/json", {}).get("schema")


def standalone(schema: Any) -> dict[str, Any]:
    """The same as a JSON Schema of the present day, with everything that it refers to."""
    wanted, found = [schema], {}
    for part in wanted:  # grows while it is walked
        for name in _references(part):
            if name not in found:
                found[name] = resolve({"$ref": _SCHEMAS + name})
                wanted.append(found[name])
    return {**_modern(schema), "$defs": {name: _modern(part) for name, part in found.items()}}


def _references(value: Any) -> Iterator[str]:
    if isinstance(value, Mapping):
        for key, item in value.items():
            if key == "$ref" and isinstance(item, str) and item.startswith(_SCHEMAS):
                yield item.removeprefix(_SCHEMAS)
            elif key not in ("example", "examples"):
                yield from _references(item)
    elif isinstance(value, list):
        for item in value:
            yield from _references(item)


def _modern(schema: Any) -> Any:
    """OpenAPI 3.0's `nullable` in JSON Schema's words: a type, an enumeration, or an alternative that is null."""
    if isinstance(schema, list):
        return [_modern(item) for item in schema]
    if not isinstance(schema, Mapping):
        return schema
    new: dict[str, Any] = {}
    for key, item in schema.items():
        if key == "properties":
            new[key] = {name: _modern(part) for name, part in item.items()}
        elif key == "$ref":
            new[key] = "#/$defs/" + item.removeprefix(_SCHEMAS)
        elif key not in ("nullable", "example", "examples", "default", "deprecated") and not key.startswith("x-"):
            new[key] = _modern(item) if key != "enum" else item
    if schema.get("nullable") is True:
        return {"anyOf": [{k: v for k, v in new.items() if k != "description"}, {"type": "null"}]}
    return new
