"""Canaries and routes: requests to the product with accounts made for it, against the company's real servers on loopback."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from compliancectl import clock, load, plugins, store
from compliancectl.cli import app
from compliancectl.collect import collect
from compliancectl.collectors.base import Reply
from compliancectl.collectors.probes import canaries, routes
from compliancectl.collectors.probes.config import Canary
from compliancectl.errors import Garbage
from compliancectl.model.evidence import EvidenceItem
from compliancectl.query.rows import read_rows
from compliancectl.sandbox import company as definition
from compliancectl.sandbox.run import Sandbox, running, write_scope

APP = "https://app.larkspur.example"


@pytest.fixture(scope="module")
def edge(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sandbox]:
    """The company's edge, with a host whose certificate nobody trusts."""
    company = definition.load()
    hosts = company.sections["edge"]["hosts"]
    stranger = {**hosts["app.larkspur.example"], "certificate": {"expires": "2030-01-01T00:00:00Z", "trusted": False}}
    hosts["stranger.larkspur.example"] = stranger
    with running(company, tmp_path_factory.mktemp("edge") / "company", only=("probes",)) as sandbox:
        yield sandbox


@pytest.fixture
def accounts(edge: Sandbox, monkeypatch: pytest.MonkeyPatch) -> None:
    """The credentials of the canaries, where the scope file says that they are."""
    for name, value in edge.env.items():
        monkeypatch.setenv(name, value)


def look(edge: Sandbox, folder: Path, **config: Any) -> dict[str, EvidenceItem]:
    """Collect canaries and routes with another scope; the items by target."""
    part: Any = edge.parts["probes"]
    empty: dict[str, Any] = {
        key: [] for key in ("hostnames", "origins", "mail_domains", "security_txt", "pages", "apis")
    }
    write_scope(edge, sources={"probes": {**part.scope, **empty, "canaries": [], **config}})
    tables = ("probes.canary", "probes.route")
    collect(load.load_scope(edge.scope_file), {"probes": plugins.collector("probes")}, tables, folder / "run")
    return {item.target: item for item in store.read_items(folder / "run")}


def row(folder: Path, item: EvidenceItem, table: str = "probes.canary") -> dict[str, Any]:
    (only,) = read_rows(folder / "run" / "evidence" / item.id / f"{table}.parquet")
    return only


def sent(edge: Sandbox, host: str = "app.larkspur.example") -> list[str | None]:
    """Credentials that a host was sent, in order."""
    part: Any = edge.parts["probes"]
    return [request.headers.get("authorization") for request in part.servers[f"https://{host}"].log]


@pytest.mark.usefixtures("accounts")
def test_a_refusal_and_what_shows_that_the_account_works(edge: Sandbox, tmp_path: Path) -> None:
    canary = {
        "name": "low",
        "purpose": "role",
        "url": f"{APP}/api/admin/users",
        "credential": "LARKSPUR_CANARY_STUDENT",
        "proof": {"url": f"{APP}/api/chats"},
    }
    item = look(edge, tmp_path, canaries=[canary])["low"]
    assert item.status == "collected" and row(tmp_path, item)["status"] == 403
    assert row(tmp_path, item)["proof_status"] == 200 and row(tmp_path, item)["with_credential"]
    kept = (tmp_path / "run" / "evidence" / item.id / item.replies[0].path).read_text()
    assert "SEEDED-SECRET" not in kept and "LARKSPUR_CANARY_STUDENT" in kept


@pytest.mark.usefixtures("accounts")
def test_a_burst_ends_with_the_first_refusal(edge: Sandbox, tmp_path: Path) -> None:
    burst = {
        "name": "many",
        "purpose": "burst",
        "url": f"{APP}/api/search",
        "credential": "LARKSPUR_CANARY_STUDENT",
        "requests": 50,
    }
    found = row(tmp_path, look(edge, tmp_path, canaries=[burst])["many"])
    assert (found["requests"], found["limited"], found["limit_told"]) == (6, True, True)


def test_without_its_credential_a_canary_is_denied_and_nothing_is_sent(edge: Sandbox, tmp_path: Path) -> None:
    before = len(sent(edge))
    ended = {"name": "e", "purpose": "expired-token", "url": f"{APP}/api/account", "credential": "NOT_SET"}
    item = look(edge, tmp_path, canaries=[ended])["e"]
    assert (item.status, item.cause) == ("denied", "permission") and "NOT_SET is not set" in str(item.reason)
    assert len(sent(edge)) == before


def test_a_credential_that_breaks_out_of_its_header_is_not_sent(
    edge: Sandbox, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("BROKEN", "Bearer x\r\nX-Other: y")
    before = len(sent(edge))
    ended = {"name": "e", "purpose": "expired-token", "url": f"{APP}/api/account", "credential": "BROKEN"}
    item = look(edge, tmp_path, canaries=[ended])["e"]
    assert item.status == "denied" and "X-Other" not in str(item.reason) and len(sent(edge)) == before


@pytest.mark.usefixtures("accounts")
def test_no_credential_goes_to_a_server_that_is_not_trusted(edge: Sandbox, tmp_path: Path) -> None:
    url = "https://stranger.larkspur.example/api/account"
    ended = {"name": "e", "purpose": "expired-token", "url": url, "credential": "LARKSPUR_CANARY_ENDED"}
    item = look(edge, tmp_path, canaries=[ended])["e"]
    assert item.status == "failed" and "untrusted" in str(item.reason)
    assert sent(edge, "stranger.larkspur.example") == []


def test_values_of_a_redirect_are_not_kept(edge: Sandbox, tmp_path: Path) -> None:
    item = look(edge, tmp_path, canaries=[{"name": "s", "purpose": "sign-in", "url": f"{APP}/sign-in/google"}])["s"]
    found = row(tmp_path, item)
    assert found["location_host"] == "accounts.google.com" and "state" in found["location_params"]
    kept = (tmp_path / "run" / "evidence" / item.id / item.replies[0].path).read_text()
    assert "SEEDED-SECRET" not in kept and "c0ffee" not in kept


@pytest.mark.parametrize(("cut", "seen", "expected"), [(False, 0, 0), (True, 0, None), (True, 1, 1), (True, 2, 2)])
def test_what_lies_beyond_the_part_that_was_read_is_not_known(cut: bool, seen: int, expected: int | None) -> None:
    data = {
        "name": "n",
        "purpose": "redacted-view",
        "url": APP,
        "credential": None,
        "statuses": [200],
        "headers": [],
        "planted": 2,
        "planted_seen": seen,
        "cut": cut,
    }
    reply = Reply(json.dumps(data).encode(), "GET", clock.now(), clock.now())
    ((_, found),) = canaries.shape(reply)
    assert found["planted_seen"] == expected


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"purpose": "role"}, "needs credential"),
        ({"purpose": "role", "credential": "A"}, "needs proof"),
        ({"purpose": "anonymous", "credential": "A"}, "leave credential out"),
        ({"purpose": "sign-in", "requests": 2}, "more than one for burst"),
        ({"purpose": "burst"}, "more than one for burst"),
        ({"purpose": "redacted-view", "marker": "Chat"}, "needs planted"),
        ({"purpose": "sign-in", "url": "http://app.example/"}, "not an https:// URL"),
        ({"purpose": "sign-in", "url": "https://u:p@app.example/"}, "without credentials"),
        ({"purpose": "revoked-link", "proof": {"url": "http://app.example/"}}, "not an https:// URL"),
    ],
)
def test_a_canary_that_would_show_nothing_is_refused(change: dict[str, Any], said: str) -> None:
    with pytest.raises(ValidationError, match=said):
        Canary.model_validate({"name": "c", "url": "https://app.example/", **change})


def test_two_canaries_of_one_name_are_refused(
    edge: Sandbox, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    part: Any = edge.parts["probes"]
    one = {"name": "c", "purpose": "sign-in", "url": f"{APP}/"}
    write_scope(edge, sources={"probes": {**part.scope, "canaries": [one, dict(one)]}})
    assert app.run(["doctor", "--scope", str(edge.scope_file)]) == 2
    assert "two canaries are called c" in " ".join(capsys.readouterr().err.split())


def test_doctor_names_the_variable_that_is_not_set(edge: Sandbox, capsys: pytest.CaptureFixture[str]) -> None:
    part: Any = edge.parts["probes"]
    write_scope(edge, sources={"probes": part.scope})
    app.run(["doctor", "--scope", str(edge.scope_file)])
    said = " ".join(capsys.readouterr().out.split())
    assert "canary session-that-ended" in said and "LARKSPUR_CANARY_ENDED not set" in said


def test_routes_are_asked_for_without_credentials_and_with_get_alone(edge: Sandbox, tmp_path: Path) -> None:
    part: Any = edge.parts["probes"]
    before = len(sent(edge))
    item = look(edge, tmp_path, apis=part.scope["apis"])["edge/openapi.yaml"]
    found = {r["resource"]: r for r in read_rows(tmp_path / "run" / "evidence" / item.id / "probes.route.parquet")}
    assert {name.partition(" ")[0] for name, r in found.items() if r["asked"]} == {"GET"}
    assert found[f"GET {APP}/api/collections/{{id}}"]["status"] == 401, "asked for under the example of the file"
    assert found[f"POST {APP}/api/chats"]["status"] is None
    assert sent(edge)[before:] == [None] * 4


@pytest.mark.parametrize(
    ("text", "status", "said"),
    [
        (None, "failed", "there is no OpenAPI file"),
        ("swagger: '2.0'\npaths: {/a: {get: {}}}\n", "failed", "not OpenAPI 3"),
        ("openapi: '3.1.0'\npaths: {}\n", "failed", "no paths"),
        ("openapi: '3.1.0'\npaths: [\n", "failed", "line "),
        ("- 1\n", "failed", "not OpenAPI 3"),
    ],
)
def test_a_file_that_describes_nothing_is_no_empty_table(
    edge: Sandbox, tmp_path: Path, text: str | None, status: str, said: str
) -> None:
    file = edge.folder / "described.yaml"
    file.unlink(missing_ok=True)
    if text is not None:
        file.write_text(text)
    item = look(edge, tmp_path, apis=[{"openapi": "described.yaml", "url": APP}])["described.yaml"]
    assert item.status == status and said in str(item.reason)


def test_paths_are_filled_with_examples_or_with_what_belongs_to_nobody() -> None:
    described = {
        "openapi": "3.0.3",
        "components": {"parameters": {"Chat": {"name": "chat", "in": "path", "schema": {"type": "string"}}}},
        "paths": {
            "/c/{chat}/m/{n}/{x}/{y}": {
                "parameters": [
                    {"$ref": "#/components/parameters/Chat"},
                    {"name": "n", "in": "path", "schema": {"type": "integer"}},
                ],
                "get": {"parameters": [{"name": "x", "in": "path", "example": "a/b"}, {"$ref": "#/nowhere"}]},
            }
        },
    }
    (found,) = routes.routes(described)
    nobody = "00000000-0000-4000-8000-000000000000"
    assert found["filled"] == f"/c/{nobody}/m/0/a%2Fb/{nobody}" and found["open"], "no security at all is said"


@pytest.mark.parametrize(
    ("whole", "operation", "opened"),
    [
        ([{"k": []}], None, False),
        ([{"k": []}], [], True),
        ([{"k": []}], [{}, {"k": []}], True),
        ([], [{"k": []}], False),
        (None, None, True),
    ],
)
def test_which_routes_the_file_says_are_open(whole: Any, operation: Any, opened: bool) -> None:
    get = {} if operation is None else {"security": operation}
    described = {"openapi": "3.1.0", "paths": {"/a": {"get": get}}} | ({} if whole is None else {"security": whole})
    (found,) = routes.routes(described)
    assert found["open"] is opened


def test_a_description_of_another_version_is_refused() -> None:
    with pytest.raises(Garbage):
        list(routes.routes({"openapi": "2.0", "paths": {"/a": {"get": {}}}}))
