"""The sandbox's GitHub is GitHub's: its statement of the API, and a whole collection, against GitHub's own descriptions."""

from __future__ import annotations

import copy
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import githubspec
import jsonschema_rs
import pytest
from graphql import (
    GraphQLEnumType,
    GraphQLInputObjectType,
    GraphQLInterfaceType,
    GraphQLObjectType,
    GraphQLUnionType,
    parse,
    validate,
)

from compliancectl.cli.project import open_project, tables_of
from compliancectl.collect import collect
from compliancectl.collectors.base import Context
from compliancectl.collectors.github import documents
from compliancectl.collectors.github.config import GitHubConfig
from compliancectl.collectors.github.issues import tracker
from compliancectl.errors import SourceFailed
from compliancectl.model.evidence import Window
from compliancectl.sandbox import company as definition
from compliancectl.sandbox import github
from compliancectl.sandbox.github import contract
from compliancectl.sandbox.github.contract import Operation
from compliancectl.sandbox.github.server import Exchange
from compliancectl.sandbox.run import environment, running
from github import Auth, GithubIntegration

OPERATIONS = {operation.id: operation for operation in contract.rest().operations}
_TYPES = {"string": "string", "time": "string", "boolean": "boolean", "integer": "integer", "number": "number"}


# -- the statement of REST --------------------------------------------------------------------------------------------


def theirs(operation: Operation) -> Any:
    """GitHub's description of an operation of ours."""
    methods = githubspec.openapi()["paths"].get(operation.path, {})
    return methods.get(operation.method.lower(), {})


def request_schema(vendor: Any) -> Any:
    """What GitHub says that a writing request carries."""
    return vendor["requestBody"]["content"]["application/json"]["schema"]


def problems(operation: Operation) -> Iterator[str]:
    """Where our statement of an operation is not GitHub's."""
    vendor = theirs(operation)
    if vendor.get("operationId") != operation.id:
        yield f"{operation.method} {operation.path} is {vendor.get('operationId')}"
        return
    known = {p["name"]: p["schema"] for p in map(githubspec.resolve, vendor["parameters"]) if p["in"] == "query"}
    for name, kind in operation.query.items():
        if name not in known:
            yield f"there is no query parameter {name!r}"
        else:
            yield from parameter(kind, known[name], f"?{name}")
    paging = {"number": {"per_page", "page"}, "cursor": {"per_page", "after"}}.get(operation.page, set())
    if paging - known.keys() or (operation.page != "number" and "page" in known):
        yield f"pages by {sorted(known.keys() & {'page', 'per_page', 'after'})}"
    if operation.body is not None:
        yield from differences(operation.body, request_schema(vendor), "$request")
    if operation.response is None:
        if "204" not in vendor["responses"]:
            yield "never answers without a body"
    else:
        schema = githubspec.body_schema(vendor, 201 if operation.method == "POST" else 200)
        yield from differences(operation.response, schema, "$")


def parameter(kind: Any, schema: Any, where: str) -> Iterator[str]:
    schema = githubspec.resolve(schema)
    if isinstance(kind, list):
        if set(kind) - set(schema.get("enum", ())):
            yield f"{where} takes {schema.get('enum')}, not {kind}"
    elif schema.get("type", "string") != kind:
        yield f"{where} is {schema.get('type')}, not {kind}"


def differences(kind: Any, schema: Any, where: str) -> Iterator[str]:
    """Where a kind of ours is not what a schema of GitHub's describes."""
    if isinstance(kind, str) and kind.endswith("?"):
        if not githubspec.nullable(schema):
            yield f"{where} is never null"
        kind = kind[:-1]
    leaves = [leaf for leaf in githubspec.branches(schema) if leaf.get("type") != "null"]
    if isinstance(kind, list):
        items = [leaf["items"] for leaf in leaves if leaf.get("type") == "array"]
        if not items:
            yield f"{where} is not a list"
        else:
            yield from differences(kind[0], items[0], f"{where}[]")
    elif isinstance(kind, str) and kind.startswith("a("):
        enums = [set(leaf["enum"]) for leaf in leaves if "enum" in leaf]
        if enums and not any(set(contract.choices(kind)) <= enum for enum in enums):
            yield f"{where} is one of {sorted(map(str, enums[0]))}"
    elif isinstance(kind, str) and kind in _TYPES:
        if not any(leaf.get("type") == _TYPES[kind] for leaf in leaves):
            yield f"{where} is {[leaf.get('type') for leaf in leaves]}, not {kind}"
    elif kind not in ("map", "any"):
        yield from fields(kind if isinstance(kind, dict) else contract.rest().messages[kind], leaves, where)


def fields(ours: Any, leaves: list[Any], where: str) -> Iterator[str]:
    for name, kind in ours.items():
        bare = name.removesuffix("?")
        described = [leaf["properties"][bare] for leaf in leaves if bare in leaf.get("properties", {})]
        if name.startswith("*"):
            continue
        if not described:
            yield f"{where} has no field {bare!r}"
        else:
            yield from differences(kind, {"anyOf": described}, f"{where}.{bare}")
    stated = {name.removesuffix("?") for name in ours if not name.endswith("?")}
    missing = [{n for n in leaf.get("required", ()) if n not in stated and not n.endswith("_url")} for leaf in leaves]
    if missing and all(missing):
        yield f"{where} lacks {sorted(min(missing, key=len))}"


@pytest.mark.parametrize("name", OPERATIONS)
def test_an_operation_is_stated_as_github_describes_it(name: str) -> None:
    assert list(problems(OPERATIONS[name])) == []


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"path": "/orgs/{org}/membres"}, "is None"),
        ({"query": {"rolle": "string"}}, "no query parameter 'rolle'"),
        ({"query": {"role": ["admin", "boss"]}}, "takes"),
        ({"page": "cursor"}, "pages by"),
        ({"response": ["organization"]}, "has no field"),
        ({"response": "user"}, "has no field"),
        ({"response": [{"login": "string"}]}, "$[] lacks"),
        ({"response": [{"id": "string"}]}, "not string"),
        ({"response": [{"login": "string?"}]}, "never null"),
        ({"response": None}, "without a body"),
    ],
)
def test_a_wrong_statement_is_seen(change: dict[str, Any], said: str) -> None:
    wrong = copy.copy(OPERATIONS["orgs/list-members"])
    for name, value in change.items():
        object.__setattr__(wrong, name, value)
    assert any(said in problem for problem in problems(wrong))


def test_a_wrong_statement_of_what_is_sent_is_seen() -> None:
    wrong = copy.copy(OPERATIONS["issues/create"])
    for body, said in (
        ({"title": "boolean"}, "not boolean"),
        ({"title": "string", "text": "string"}, "no field 'text'"),
        ({"body": "string"}, "lacks ['title']"),
    ):
        object.__setattr__(wrong, "body", body)
        assert any(said in problem for problem in problems(wrong)), said


# -- a whole collection -----------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def exchanges(tmp_path_factory: pytest.TempPathFactory) -> list[Exchange]:
    """Everything that is said while every table of GitHub is collected, and what REST is asked for those who own nothing."""
    folder = tmp_path_factory.mktemp("github")
    said: list[Exchange] = []
    with running(definition.load(), folder / "company", ("github",)) as sandbox, environment(sandbox.env):
        part: Any = sandbox.parts["github"]
        part.server.observers.append(said.append)
        project = open_project(sandbox.scope_file)
        tables = tables_of(project.selected, project.catalogue.tables)
        collect(project.scope, {"github": project.collectors["github"]}, tables, folder / "run")
        part.state.viewer["role"] = "member"
        few = ("github.branch_rule", "github.repository")
        collect(project.scope, {"github": project.collectors["github"]}, few, folder / "member")
        assert part.server.bugs == []
    return said


@pytest.fixture(scope="module")
def validators() -> dict[str, Any]:
    """A validator for the usual answer of each operation that has one."""
    found = {}
    for name, operation in OPERATIONS.items():
        schema = githubspec.body_schema(theirs(operation), 201 if operation.method == "POST" else 200)
        if schema is not None:
            found[name] = jsonschema_rs.validator_for(githubspec.standalone(schema), validate_formats=True)
    return found


def test_every_request_is_one_that_github_takes(exchanges: list[Exchange]) -> None:
    rest = [e for e in exchanges if e.request.path != "/graphql"]
    assert len({e.operation.id for e in rest if e.operation}) >= 15
    wrong = []
    for exchange in rest:
        assert exchange.operation is not None, exchange.request.path
        vendor = theirs(exchange.operation)
        known = {p["name"]: p["schema"] for p in map(githubspec.resolve, vendor["parameters"]) if p["in"] == "query"}
        for name, text in exchange.request.query:
            schema = githubspec.resolve(known.get(name, {"enum": ["a parameter that is described"]}))
            value: Any = json.loads(text) if schema.get("type") in ("integer", "boolean") else text
            if not jsonschema_rs.is_valid(githubspec.standalone(schema), value):
                wrong.append(f"{exchange.operation.id}: {name}={text}")
    assert wrong == []


def test_every_answer_is_one_that_github_could_give(exchanges: list[Exchange], validators: dict[str, Any]) -> None:
    wrong, seen = [], set()
    for exchange in exchanges:
        operation, response = exchange.operation, exchange.response
        if operation is None or response.status == 304:
            continue
        assert str(response.status) in theirs(operation)["responses"], f"{operation.id} never answers {response.status}"
        seen.add((operation.id, response.status))
        if response.status == 200:
            body = json.loads(response.body)
            wrong += [
                f"{operation.id}: {e.instance_path}: {e.message[:200]}"
                for e in validators[operation.id].iter_errors(body)
            ]
        elif response.status >= 400:
            assert {"message", "documentation_url", "status"} <= json.loads(response.body).keys()
    assert wrong == []
    assert len([status for _, status in seen if status == 200]) >= 14


def test_the_token_of_an_app_is_one_that_github_could_give(validators: dict[str, Any], tmp_path: Path) -> None:
    part = github.start(definition.load(), tmp_path)
    try:
        app = part.make_app(tmp_path)
        signer = Auth.AppAuth(app["id"], (tmp_path / app["private_key"]).read_text())
        integration = GithubIntegration(auth=signer, base_url=part.web.url, seconds_between_requests=None)
        said: list[Exchange] = []
        part.server.observers.append(said.append)
        assert integration.get_access_token(app["installation"]).token.startswith("ghs_")
        (exchange,) = said
        validators["apps/create-installation-access-token"].validate(json.loads(exchange.response.body))
        assert (exchange.response.status, exchange.operation) == (
            201,
            OPERATIONS["apps/create-installation-access-token"],
        )
    finally:
        part.stop()


def test_issues_are_written_and_answered_as_github_describes_it(validators: dict[str, Any], tmp_path: Path) -> None:
    part = github.start(definition.load(), tmp_path)
    part.state.viewer["permissions"]["issues"] = "write"
    period = Window(start=part.state.now, end=part.state.now)
    config = GitHubConfig.model_validate({**part.scope, "token_env": "TOKEN"})
    said: list[Exchange] = []
    part.server.observers.append(said.append)
    try:
        with (
            environment({"TOKEN": part.server.tokens.personal}),
            tracker(
                config, Context(period, part.state.now, "test", tmp_path), "larkspur-learning/infrastructure"
            ) as issues,
        ):
            assert not issues.public()
            made = issues.create("Open controls", "<!-- mine -->\nText")
            assert issues.edit(made, "<!-- mine -->\nOther", "closed").state == "closed"
            (found,) = issues.mine("<!-- mine -->")
            everything = part.server.rest.issues.listed("infrastructure", {"state": "all"})
            assert issues.edit(found, "<!-- mine -->\nText", "open").body.endswith("Text")
            with pytest.raises(SourceFailed, match="422"):
                issues.create("Open controls", "x" * 65_537)
    finally:
        part.stop()
    assert part.server.bugs == []
    assert any("pull_request" in it for it in everything)
    validators["issues/list-for-repo"].validate(everything)
    rest = [exchange for exchange in said if exchange.operation is not None]
    for exchange in rest:
        operation, status = exchange.operation, exchange.response.status
        assert str(status) in theirs(operation)["responses"], f"{operation.id} never answers {status}"
        if operation.body is not None:
            jsonschema_rs.validate(githubspec.standalone(request_schema(theirs(operation))), exchange.request.json)
        if status < 300:
            validators[operation.id].validate(json.loads(exchange.response.body))
    seen = [(exchange.operation.id, exchange.response.status) for exchange in rest]
    assert seen == [
        ("repos/get", 200),
        ("issues/create", 201),
        ("issues/update", 200),
        ("issues/list-for-repo", 200),
        ("issues/update", 200),
        ("issues/create", 422),
    ]


@pytest.mark.parametrize(
    ("name", "spoil"),
    [
        ("orgs/get", lambda body: body.pop("login")),
        ("orgs/list-members", lambda body: body[0].update(site_admin="no")),
        ("dependabot/list-alerts-for-org", lambda body: body[0].update(state="closed")),
        ("dependabot/list-alerts-for-org", lambda body: body[0].update(surprise=1)),
        ("repos/list-for-org", lambda body: body[0].update(pushed_at="yesterday")),
        ("secret-scanning/list-alerts-for-org", lambda body: body[0].update(validity=None)),
    ],
)
def test_a_wrong_answer_is_seen(name: str, spoil: Any, exchanges: list[Exchange], validators: dict[str, Any]) -> None:
    body = next(
        json.loads(e.response.body)
        for e in exchanges
        if e.operation and e.operation.id == name and e.response.body not in (b"", b"[]")
    )
    assert validators[name].is_valid(body)
    spoil(body)
    assert not validators[name].is_valid(body)


# -- GraphQL ----------------------------------------------------------------------------------------------------------


def own_types() -> dict[str, Any]:
    return {name: kind for name, kind in contract.graphql().type_map.items() if not name.startswith("__")}


@pytest.mark.parametrize("name", own_types())
def test_a_type_is_part_of_githubs(name: str) -> None:
    ours, vendor = own_types()[name], githubspec.graphql().type_map.get(name)
    assert type(ours) is type(vendor)
    if isinstance(ours, GraphQLEnumType):
        assert ours.values.keys() <= vendor.values.keys()
    elif isinstance(ours, GraphQLUnionType):
        assert {t.name for t in ours.types} <= {t.name for t in vendor.types}
    elif isinstance(ours, GraphQLInputObjectType):
        assert {n: str(f.type) for n, f in ours.fields.items()} == {n: str(f.type) for n, f in vendor.fields.items()}
    elif isinstance(ours, (GraphQLObjectType, GraphQLInterfaceType)):
        if isinstance(ours, GraphQLObjectType):
            assert {i.name for i in ours.interfaces} <= {i.name for i in vendor.interfaces}
        for field, mine in ours.fields.items():
            theirs_field = vendor.fields[field]
            assert str(mine.type) == str(theirs_field.type), f"{name}.{field}"
            arguments = {n: str(a.type) for n, a in theirs_field.args.items()}
            for argument, it in mine.args.items():
                assert arguments.get(argument) == str(it.type), f"{name}.{field}({argument})"
            needed = {n for n, kind in arguments.items() if kind.endswith("!")}
            assert needed <= mine.args.keys(), f"{name}.{field}"


@pytest.mark.parametrize("name", documents.ALL)
def test_a_document_is_valid_for_github(name: str) -> None:
    assert validate(githubspec.graphql(), parse(documents.ALL[name])) == []


def times(value: Any) -> Iterator[Any]:
    """Everything that GitHub gives as a DateTime and that is there."""
    if isinstance(value, dict):
        for key, item in value.items():
            if key.endswith(("At", "Date")) and item is not None:
                yield item
            yield from times(item)
    elif isinstance(value, list):
        for item in value:
            yield from times(item)


def test_times_are_written_as_github_writes_them(exchanges: list[Exchange]) -> None:
    found = [t for e in exchanges if e.request.path == "/graphql" for t in times(json.loads(e.response.body))]
    assert len(found) > 200
    assert [text for text in found if not re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", text)] == []


def test_every_document_that_is_sent_is_a_known_one(exchanges: list[Exchange]) -> None:
    sent = [json.loads(e.request.body) for e in exchanges if e.request.path == "/graphql"]
    assert [body["query"] for body in sent if not documents.is_known(body["query"])] == []
    names = {body["query"].split("(")[0].split()[1] for body in sent}
    assert {text.split("(")[0].split()[1] for text in documents.ALL.values() if "(" in text} - names == {
        "BranchSignature",  # where something was kept by an earlier run
        "Checked",  # only by doctor
        "DefaultBranch",  # where the scope names no branch
        "MoreCollaborators",  # beyond the first page
        "MoreChecks",  # beyond the first page
        "MoreMergeChecks",  # beyond the first page
        "MoreReviews",  # beyond the first page
        "Proposals",  # beyond the first page
    }
