"""Routes of an API, from its OpenAPI file: each is asked for without credentials.

Only GET is sent: what does not ask for a login might do what it is told. The other routes are rows all the same.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any
from urllib.parse import quote

from compliancectl import clock
from compliancectl.collectors.base import Feed, Fetched, Reply, Row, Target
from compliancectl.collectors.probes import canaries, kept
from compliancectl.collectors.probes.session import ProbesSession, Record
from compliancectl.errors import FileError, Garbage, Missing
from compliancectl.model.table import BOOL, INT, TEXT, Column, Table

METHODS = ("get", "put", "post", "delete", "options", "head", "patch", "trace")
"""https://spec.openapis.org/oas/v3.1.0#path-item-object"""
_NOBODY = "00000000-0000-4000-8000-000000000000"

ROUTE = Table(
    "probes.route",
    "One row per route of a declared API: what it answers to somebody without credentials.",
    (
        Column("resource", TEXT, "`GET https://…/v1/chats/{id}`.", "OpenAPI: paths", required=True),
        Column("api", TEXT, "The OpenAPI file.", "scope: apis[].openapi", required=True),
        Column("method", TEXT, "In capitals.", "OpenAPI: paths", required=True),
        Column("path", TEXT, "As the file has it.", "OpenAPI: paths", required=True),
        Column(
            "described_open", BOOL, "The file says that no credential is needed.", "OpenAPI: security", required=True
        ),
        Column("asked", BOOL, "It was asked for: only GET is.", "derived", required=True),
        Column("status", INT, "Status of the answer; NULL: not asked for.", "HTTPS response: status"),
    ),
    key=("resource",),
    drops=("bodies and headers of answers: may hold content",),
)


def targets(session: ProbesSession) -> Iterator[Target]:
    """One per API."""
    for api in session.config.apis:
        yield Target(api.openapi, api.url)


def fetch(session: ProbesSession, target: Target) -> Fetched:
    """Read the file, and ask for each route that GET reads."""
    api = next(a for a in session.config.apis if a.openapi == target.name)
    asked, record, found = clock.now(), Record([]), []
    for route in routes(_described(session, api.openapi)):
        if route["method"] == "GET":
            url = api.url.rstrip("/") + route.pop("filled")
            route["status"] = canaries.ask(session, url, {}, record).status
        route.pop("filled", None)
        found.append(route)
        session.context.progress(f"{len(found)} routes")
    seen = {"api": api.openapi, "url": api.url.rstrip("/"), "routes": found}
    yield kept.reply(seen, f"GET {api.url}… for each route of {api.openapi}, without credentials", asked, record)
    return kept.whole(f"each of the {len(found)} routes that the file describes", len(found))


def _described(session: ProbesSession, name: str) -> Any:
    from compliancectl.load import document

    path = session.context.folder / name
    if not path.is_file():
        raise Missing(f"there is no OpenAPI file {name}", hint="Correct its name in the scope file.")
    try:
        return document.read(path).data
    except FileError as error:
        raise Garbage(f"{name}, line {error.line or 1}: {error.message}", hint=error.hint) from None


def routes(described: Any) -> Iterator[dict[str, Any]]:
    """The operations of an OpenAPI 3 document, in the order of the file.

    Raises:
        Garbage: if it is not one, or describes no route.
    """
    paths = described.get("paths") if isinstance(described, Mapping) else None
    version = str(described.get("openapi", "")) if isinstance(described, Mapping) else ""
    if not version.startswith("3.") or not isinstance(paths, Mapping) or not paths:
        raise Garbage(
            "the file describes no route: it is not OpenAPI 3, or has no paths", hint="Give the file the build writes."
        )
    needed = described.get("security") or []
    for path, item in paths.items():
        for method in METHODS:
            operation = item.get(method) if isinstance(item, Mapping) else None
            if not isinstance(operation, Mapping):
                continue
            security = operation.get("security", needed) or []
            yield {
                "method": method.upper(),
                "path": path,
                # An empty requirement in the list means that credentials are optional.
                "open": not security or {} in security,
                "filled": _filled(described, path, [*item.get("parameters", ()), *operation.get("parameters", ())]),
            }


def _filled(described: Any, path: str, parameters: list[Any]) -> str:
    """The path with something for each parameter: an example of the file's, or what belongs to nobody."""
    known = {}
    for parameter in parameters:
        parameter = _resolved(described, parameter)
        if parameter.get("in") == "path":
            schema = _resolved(described, parameter.get("schema", {}))
            example = parameter.get("example", schema.get("example", schema.get("default")))
            if example is None:
                example = 0 if schema.get("type") in ("integer", "number") else _NOBODY
            known[str(parameter.get("name"))] = str(example)
    return re.sub(r"\{([^{}]+)\}", lambda found: quote(known.get(found[1], _NOBODY), safe=""), path)


def _resolved(described: Any, value: Any) -> Mapping[str, Any]:
    """What a reference inside the file stands for; an empty mapping for one that leads nowhere."""
    if not isinstance(value, Mapping):
        return {}
    reference = value.get("$ref")
    if not isinstance(reference, str):
        return value
    here = described
    for part in reference.removeprefix("#/").split("/"):
        here = here.get(part.replace("~1", "/").replace("~0", "~")) if isinstance(here, Mapping) else None
    return here if isinstance(here, Mapping) and "$ref" not in here else {}


def shape(reply: Reply) -> Iterator[Row]:
    """One row per route."""
    data = kept.seen(reply)
    for route in data["routes"]:
        yield (
            ROUTE.name,
            {
                "resource": f"{route['method']} {data['url']}{route['path']}",
                "api": data["api"],
                "method": route["method"],
                "path": route["path"],
                "described_open": route["open"],
                "asked": "status" in route,
                "status": route.get("status"),
            },
        )


FEEDS = (Feed("routes", "Routes of declared APIs, without credentials.", (ROUTE,), targets, fetch, shape),)
