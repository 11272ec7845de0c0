"""The sandbox's Google Cloud is Google's: its statement of each API, and a whole collection, against Google's contracts."""

from __future__ import annotations

import copy
import json
import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import discovery
import pytest

from compliancectl.sandbox.google import logserver
from compliancectl.sandbox.google.contract import Api, Method, apis
from compliancectl.sandbox.web import Request, Response

DOCUMENTS = sorted({method.version for api in apis().values() for method in api.methods})
METHODS = [method for api in apis().values() for method in api.methods]
_SCALARS = {
    "string": ("string", {"", "google-duration", "google-fieldmask"}),
    "bytes": ("string", {"byte"}),
    "int64": ("string", {"int64", "uint64"}),
    "time": ("string", {"date-time", "google-datetime"}),
    "boolean": ("boolean", {""}),
    "integer": ("integer", {"int32", "uint32"}),
    "number": ("number", {"float", "double"}),
    "any": ("any", {""}),
}


# -- the statement ----------------------------------------------------------------------------------------------------


class Statement:
    """Compares what the sandbox states about one method with its discovery document."""

    def __init__(self, method: Method) -> None:
        self.method, self.api = method, method.api
        self.document = discovery.document(method.version)
        self.seen: set[str] = set()

    def problems(self) -> Iterator[str]:
        route = self.document.routes.get(self.method.id)
        if route is None:
            yield f"{self.document.name} has no method {self.method.id}"
            return
        if self.document.host != self.api.service:
            yield f"the host is {self.document.host}"
        if (self.method.http, re.sub(r"\{\w+\}", "{}", self.method.path)) != (
            route.entry["httpMethod"],
            route.flat_path,
        ):
            yield f"{self.method.path} should be {route.flat_path}"
        yield from self._parameters(route)
        yield from self._page(route)
        for name, mine in (("request", self.method.request), ("response", self.method.response)):
            theirs = route.entry.get(name, {}).get("$ref")
            if mine != theirs:
                yield f"the {name} is {theirs}"
            elif mine is not None:
                yield from self._message(mine)

    def _parameters(self, route: discovery.Route) -> Iterator[str]:
        for name, kind in self.method.query.items():
            rule = route.parameters.get(name)
            if rule is None or rule["location"] != "query":
                yield f"no query parameter {name!r}"
            else:
                yield from self._kind(kind, rule, f"?{name}")

    def _page(self, route: discovery.Route) -> Iterator[str]:
        page = self.method.page
        if page is None:
            return
        rule = route.parameters.get(page["size"], {})
        said = {int(text.replace(",", "")) for text in re.findall(r"\b\d[\d,]{1,6}\b", rule.get("description", ""))}
        limits = {page["default"], page["max"]} if "max" in page else set()
        if "default" in rule and int(rule["default"]) != page["default"]:
            yield f"the default page size is {rule['default']}"
        if said and (said - limits or page.get("max") not in said):
            yield f"page sizes {sorted(said)} are documented, {sorted(limits)} stated"
        schema = self.document.schemas[self.method.response]["properties"]
        if schema.get(page["items"], {}).get("type") != "array" or "nextPageToken" not in schema:
            yield f"{page['items']!r} is not a paged list"

    def _message(self, name: str) -> Iterator[str]:
        if name in self.seen:
            return
        self.seen.add(name)
        if name not in self.document.schemas:
            yield f"no message {name}"
            return
        yield from self._fields(self.api.messages[name], self.document.schemas[name], name)

    def _fields(self, fields: dict[str, Any], schema: Any, where: str) -> Iterator[str]:
        known = schema.get("properties", {})
        for field, kind in fields.items():
            if field not in known:
                yield f"{where} has no field {field!r}"
            else:
                yield from self._kind(kind, known[field], f"{where}.{field}")

    def _kind(self, kind: Any, rule: Any, where: str) -> Iterator[str]:
        said = rule.get("$ref") or (rule.get("type"), rule.get("format", ""))
        if isinstance(kind, list):
            if rule.get("type") == "array":
                yield from self._kind(kind[0], rule["items"], f"{where}[]")
            else:
                yield f"{where} is {said}, not a list"
        elif isinstance(kind, dict):
            yield from self._fields(kind, self.document.schema(rule), where)
        elif kind == "map" or kind.startswith("<"):
            if "additionalProperties" not in rule:
                yield f"{where} is {said}, not a map"
            else:
                yield from self._kind("string" if kind == "map" else kind[1:-1], rule["additionalProperties"], where)
        elif kind in _SCALARS:
            wanted, formats = _SCALARS[kind]
            if rule.get("type") != wanted or rule.get("format", "") not in formats:
                yield f"{where} is {said}, not {kind}"
        elif rule.get("$ref") != kind:
            yield f"{where} is {said}, not {kind}"
        else:
            yield from self._message(kind)


@pytest.mark.parametrize("method", METHODS, ids=lambda method: method.id)
def test_the_statement_of_a_method_is_googles(method: Method) -> None:
    assert list(Statement(method).problems()) == []


@pytest.mark.parametrize("api", apis().values(), ids=lambda api: api.service)
def test_every_message_that_is_stated_is_held_against_google(api: Api) -> None:
    seen: set[str] = set()
    for method in api.methods:
        statement = Statement(method)
        list(statement.problems())
        seen |= statement.seen
    assert seen == set(api.messages)
    assert {method.version for method in api.methods} == set(api.versions)


def method_of(name: str) -> Method:
    """A method whose statement may be changed."""
    (found,) = (method for method in METHODS if method.id == name)
    api = replace(found.api, messages=copy.deepcopy(found.api.messages))
    return replace(found, api=api)


def spoil(name: str, message: str, field: str, kind: Any) -> Method:
    method = method_of(name)
    method.api.messages[message][field] = kind
    return method


INSTANCES, BUCKETS = "sql.instances.list", "storage.buckets.list"


@pytest.mark.parametrize(
    ("method", "problem"),
    [
        (spoil(INSTANCES, "IpConfiguration", "requireSSL", "boolean"), "IpConfiguration has no field 'requireSSL'"),
        (spoil(INSTANCES, "Settings", "settingsVersion", "integer"), "Settings.settingsVersion is ('string', 'int64')"),
        (spoil(INSTANCES, "DatabaseInstance", "createTime", "string"), "DatabaseInstance.createTime is"),
        (spoil(INSTANCES, "DatabaseInstance", "ipAddresses", "IpMapping"), "DatabaseInstance.ipAddresses is"),
        (spoil(INSTANCES, "DatabaseInstance", "region", ["string"]), "DatabaseInstance.region is"),
        (spoil(INSTANCES, "DatabaseInstance", "settings", "IpConfiguration"), "DatabaseInstance.settings is"),
        (spoil(INSTANCES, "Settings", "userLabels", "<IpMapping>"), "Settings.userLabels is"),
        (spoil(BUCKETS, "Bucket", "versioning", {"on": "boolean"}), "Bucket.versioning has no field 'on'"),
        (replace(method_of(INSTANCES), path="v1/projects/{project}/instance"), "should be v1/projects/{}/instances"),
        (replace(method_of(INSTANCES), http="POST"), "should be"),
        (replace(method_of(INSTANCES), id="sql.instances.enumerate"), "has no method"),
        (replace(method_of(INSTANCES), query={"pageSize": "integer"}), "no query parameter 'pageSize'"),
        (replace(method_of(INSTANCES), query={"maxResults": "string"}), "?maxResults is"),
        (replace(method_of(INSTANCES), response="UsersListResponse"), "the response is InstancesListResponse"),
        (replace(method_of(BUCKETS), page={**(method_of(BUCKETS).page or {}), "max": 500}), "page sizes [1000]"),
        (replace(method_of(BUCKETS), page={**(method_of(BUCKETS).page or {}), "default": 50}), "default page size"),
    ],
)
def test_a_wrong_statement_is_found(method: Method, problem: str) -> None:
    assert any(problem in found for found in Statement(method).problems())


# -- gRPC -------------------------------------------------------------------------------------------------------------


def real_rpcs() -> dict[str, tuple[Any, Any]]:
    """Every method of Google's own transports: full name → the functions that write requests and read responses."""
    import grpc
    from google.cloud.logging_v2.services.config_service_v2.transports import ConfigServiceV2GrpcTransport
    from google.cloud.logging_v2.services.logging_service_v2.transports import LoggingServiceV2GrpcTransport
    from google.cloud.logging_v2.services.metrics_service_v2.transports import MetricsServiceV2GrpcTransport

    found: dict[str, tuple[Any, Any]] = {}

    class Recorder(grpc.Channel):  # type: ignore[misc]
        def unary_unary(self, method: str, request_serializer: Any, response_deserializer: Any, *args: Any) -> Any:
            found[method.lstrip("/")] = (request_serializer, response_deserializer)
            return lambda *args, **options: None

        def stream_stream(self, method: str, *args: Any, **options: Any) -> Any:
            return lambda *args, **options: None

        unary_stream = stream_unary = stream_stream

        def subscribe(self, *args: Any, **options: Any) -> None: ...
        def unsubscribe(self, *args: Any) -> None: ...
        def close(self) -> None: ...
        def __enter__(self) -> Any: ...
        def __exit__(self, *args: object) -> None: ...

    for transport in (ConfigServiceV2GrpcTransport, LoggingServiceV2GrpcTransport, MetricsServiceV2GrpcTransport):
        real = transport(channel=Recorder())
        real._logged_channel = Recorder()  # what it logs through would ask the channel only when called
        real._stubs.clear()
        for name, member in vars(transport).items():
            if isinstance(member, property):
                getattr(real, name)
    return found


def rpc_problems(methods: dict[str, Any]) -> Iterator[str]:
    from google.cloud.logging_v2 import types

    real = real_rpcs()
    for name, entry in methods.items():
        full = f"{logserver.contract()['package']}.{name}"
        if full not in real:
            yield f"no method {full}"
            continue
        write, read = real[full]
        for kind, function in (("request", write), ("response", read)):
            if getattr(function, "__self__", None) is not getattr(types, entry[kind], None):
                yield f"{name}: the {kind} is {function.__self__.__name__}"


def test_the_grpc_statement_is_googles() -> None:
    assert len(real_rpcs()) > 30
    assert list(rpc_problems(logserver.contract()["methods"])) == []


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        ({"ConfigServiceV2/ListTheSinks": {"request": "ListSinksRequest"}}, "no method"),
        (
            {"ConfigServiceV2/ListSinks": {"request": "ListBucketsRequest", "response": "ListSinksResponse"}},
            "the request is ListSinksRequest",
        ),
        (
            {"ConfigServiceV2/ListSinks": {"request": "ListSinksRequest", "response": "ListBucketsResponse"}},
            "the response is ListSinksResponse",
        ),
    ],
)
def test_a_wrong_grpc_statement_is_found(change: dict[str, Any], problem: str) -> None:
    assert any(problem in found for found in rpc_problems(change))


# -- a whole collection -----------------------------------------------------------------------------------------------


@dataclass
class Traffic:
    """What went over the wire while everything was collected, and while doctor tried it."""

    rest: list[tuple[Request, Response]]
    rpcs: list[tuple[str, Any]]
    replies: list[tuple[str, Any]]


SCOPES: dict[str, dict[str, Any]] = {
    "projects": {},
    "organization": {"projects": []},
    "folder": {"projects": [], "organization": None, "folders": ["610000000001"]},
}
NOT_WHOLE = {"folder": {"gcp.effective_access": "partial"}}
"""What is granted above a folder cannot be analysed when the scope names no organisation, and is not taken for nothing."""


@pytest.fixture(scope="module")
def traffic(tmp_path_factory: pytest.TempPathFactory) -> Traffic:
    from compliancectl import store
    from compliancectl.cli.project import open_project
    from compliancectl.collect import collect
    from compliancectl.collectors.base import Context
    from compliancectl.sandbox import company
    from compliancectl.sandbox.run import environment, running, write_scope

    folder = tmp_path_factory.mktemp("traffic")
    rest: list[tuple[Request, Response]] = []
    with running(company.load(), folder / "company", only=("gcp",)) as sandbox, environment(sandbox.env):
        part: Any = sandbox.parts["gcp"]
        part.server.observers.append(lambda request, response: rest.append((request, response)))
        for name, scope in SCOPES.items():
            write_scope(sandbox, sources={"gcp": {**part.scope, **scope}})
            project = open_project(sandbox.scope_file)
            tables = [table.name for table in project.collectors["gcp"].collector.tables]
            record = collect(project.scope, project.collectors, tables, folder / name)
            collector = project.collectors["gcp"].collector
            config = collector.config.model_validate(project.scope.sources["gcp"])
            context = Context(record.period, record.started_at, "production", folder)
            with collector.open(config, context) as session:
                assert {line.outcome for line in session.doctor()} == {"ok"}
            items = store.read_items(folder / name)
            short = {item.feed: item.status for item in items if item.status != "collected"}
            assert short == NOT_WHOLE.get(name, {}), [i.reason for i in items if i.reason]
        write_scope(sandbox, sources={"gcp": {**part.scope, "organization": None}})
        alone = open_project(sandbox.scope_file)
        collect(alone.scope, alone.collectors, ["gcp.essential_contact"], folder / "alone")
        logs = {"projects": ["larkspur-prod"], "logs": {"dataset": "larkspur-logs.all_logs"}}
        write_scope(sandbox, sources={"gcp": {**part.scope, **logs}})
        linked = open_project(sandbox.scope_file)
        collect(linked.scope, linked.collectors, ["gcp.log_entry"], folder / "linked")
        part.state.denied.add("cloudasset.assets.listResource")
        collect(project.scope, project.collectors, ["gcp.project"], folder / "walk")
        assert part.server.bugs == []
        found = Traffic(rest, list(part.logs.log), list(part.logs.replies))
    for name in ("linked", "walk"):
        assert [item.status for item in store.read_items(folder / name)] == ["collected"]
    return found


def content_problems(data: Any) -> Iterator[str]:
    """Cloud Asset Inventory carries resources in the form of their own APIs."""
    for asset in data.get("assets", []):
        resource = asset.get("resource")
        if resource is None:
            continue
        service = resource["discoveryDocumentUri"].partition("//")[2].partition(".")[0]
        document = discovery.document(f"{service}.{resource['version']}")
        for problem in document.problems(resource["data"], {"$ref": resource["discoveryName"]}):
            yield f"{asset['name']}: {problem}"


def wire_problems(request: Request, response: Response) -> Iterator[str]:
    host, _, path = request.path.lstrip("/").partition("/")
    route = discovery.route(DOCUMENTS, request.method, host, path)
    if route is None:
        yield f"{host} has no method {request.method} {path}"
        return
    yield from route.request_problems(request.query, request.body)
    if response.status == 200:
        data = json.loads(response.body)
        yield from route.response_problems(data)
        yield from content_problems(data)
    elif response.status != 403 or "cloudasset.assets.listResource" not in response.body.decode():
        yield f"HTTP {response.status}"


def test_every_request_and_reply_of_a_collection_is_as_google_documents_it(traffic: Traffic) -> None:
    assert {f"{q.method} {q.path}": p for q, a in traffic.rest if (p := list(wire_problems(q, a)))} == {}


def test_a_collection_uses_every_method_that_is_stated(traffic: Traffic) -> None:
    used = set()
    for request, _ in traffic.rest:
        host, _, path = request.path.lstrip("/").partition("/")
        found = apis()[host].find(request.method, path)
        used |= {found[0].id} if found else set()
    connector = {"sql.connect.get", "sql.connect.generateEphemeral"}
    assert used == {method.id for method in METHODS} - connector
    assert {name.removeprefix("google.logging.v2.") for name, _ in traffic.rpcs} == set(logserver.contract()["methods"])


def test_every_rpc_of_a_collection_is_as_google_documents_it(traffic: Traffic) -> None:
    """The JSON mapping of the messages is what the REST form of the same API documents."""
    from google.protobuf.json_format import MessageToDict
    from google.protobuf.unknown_fields import UnknownFieldSet

    document = discovery.document("logging.v2")
    assert len(traffic.rpcs) == len(traffic.replies) >= 14
    for name, message in [*traffic.rpcs, *traffic.replies]:
        pb = type(message).pb(message)
        assert len(UnknownFieldSet(pb)) == 0, name
        kind = type(message).__name__
        data = MessageToDict(pb)
        if kind in document.schemas:
            assert list(document.problems(data, {"$ref": kind})) == [], name
        else:  # in the REST form the fields of a GET request are its path and its query
            route = document.routes[ROUTES[kind]]
            assert re.search(route.parameters["parent"]["pattern"], data.pop("parent"))
            query = tuple((field, str(value)) for field, value in data.items())
            assert list(route.request_problems(query, b"")) == []


ROUTES = {
    "ListSinksRequest": "logging.sinks.list",
    "ListLogMetricsRequest": "logging.projects.metrics.list",
    "ListBucketsRequest": "logging.projects.locations.buckets.list",
}


def test_log_entries_are_always_asked_for_in_an_explicit_window(traffic: Traffic) -> None:
    filters = [message.filter for name, message in traffic.rpcs if name.endswith("ListLogEntries")]
    assert len(filters) == 70
    for text in filters:
        assert re.search(r'timestamp>="\d{4}-\d\d-\d\dT[\d:.]+Z" AND timestamp<"\d{4}-\d\d-\d\dT[\d:.]+Z"', text)


def test_wrong_content_of_an_asset_is_found(traffic: Traffic) -> None:
    (listing,) = [
        json.loads(a.body)
        for q, a in traffic.rest
        if q.path.endswith("558124370021/assets") and b"storage#bucket" in a.body
    ][:1]
    assert list(content_problems(listing)) == []
    listing["assets"][0]["resource"]["data"]["iamConfiguration"]["publicAccess"] = "none"
    assert any("has no field 'publicAccess'" in problem for problem in content_problems(listing))


def instances_reply(traffic: Traffic) -> tuple[Request, Any]:
    return next((q, json.loads(a.body)) for q, a in traffic.rest if q.path.endswith("/larkspur-prod/instances"))


@pytest.mark.parametrize(
    ("path", "value", "problem"),
    [
        ("settings/ipConfiguration/requireSSL", True, "has no field 'requireSSL'"),
        ("settings/settingsVersion", 41, "41 is not of type string"),
        ("settings/settingsVersion", "4 1", "not in the format int64"),
        ("settings/ipConfiguration/sslMode", "ALWAYS", "'ALWAYS' is not one of"),
        ("createTime", "24 November 2026", "not in the format google-datetime"),
        ("ipAddresses", {"type": "PRIVATE"}, "not a list"),
        ("settings/backupConfiguration", "on", "not an object"),
        ("settings/backupConfiguration/enabled", "true", "is not of type boolean"),
        ("settings/userLabels", {"environment": 1}, "1 is not of type string"),
    ],
)
def test_a_wrong_reply_is_found(traffic: Traffic, path: str, value: Any, problem: str) -> None:
    request, data = instances_reply(traffic)
    *parents, last = path.split("/")
    holder = data["items"][0]
    for name in parents:
        holder = holder[name]
    holder[last] = value
    assert any(problem in found for found in wire_problems(request, Response.of(data)))


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        ({"path": "/sqladmin.googleapis.com/v1/projects/larkspur-prod/instance"}, "has no method"),
        ({"path": "/sqladmin.googleapis.com/v3/projects/larkspur-prod/instances"}, "has no method"),
        ({"method": "PUT"}, "has no method"),
        ({"query": (("pageSize", "500"),)}, "no parameter 'pageSize'"),
        ({"query": (("maxResults", "many"),)}, "'many' is not of type integer"),
        ({"query": (("maxResults", "1"), ("maxResults", "2"))}, "given twice"),
        ({"body": b"{}"}, "takes no body"),
    ],
)
def test_a_wrong_request_is_found(traffic: Traffic, change: dict[str, Any], problem: str) -> None:
    request, data = instances_reply(traffic)
    assert list(wire_problems(request, Response.of(data))) == []
    assert any(problem in found for found in wire_problems(replace(request, **change), Response.of(data)))
