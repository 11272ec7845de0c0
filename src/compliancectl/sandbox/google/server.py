"""The HTTP side of the sandbox's Google Cloud: checks a request as Google does, asks the state, pages the answer."""

from __future__ import annotations

import base64
import hashlib
import json
import re
import secrets
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, cast

from compliancectl.sandbox.google import errors, tokens
from compliancectl.sandbox.google.contract import Api, Method, apis
from compliancectl.sandbox.google.state import State
from compliancectl.sandbox.google.tokens import Token, TokenService
from compliancectl.sandbox.web import Request, Response, WebServer

_COMMON = {"alt": "json", "prettyPrint": "false", "$alt": "json"}
"""Query parameters that every Google method takes, with the value that the sandbox can serve."""

Answers = Mapping[str, Callable[["Call"], Any]]


@dataclass(frozen=True)
class Call:
    """One admitted request."""

    method: Method
    path: Mapping[str, str]
    query: Mapping[str, list[str]]
    body: Any
    token: Token

    def first(self, name: str) -> str | None:
        """The first value of a query parameter."""
        return next(iter(self.query.get(name, [])), None)


class GoogleServer:
    """Routes `/<service host>/<path>` to the answers of the state."""

    def __init__(self, state: State, token_service: TokenService, answers: Answers) -> None:
        self.state = state
        self.tokens = token_service
        self.answers = answers
        self.web = WebServer(self.handle)
        self.bugs: list[str] = []
        """What the sandbox itself could not do; a test that sees one fails."""
        self.observers: list[Callable[[Request, Response], None]] = []
        """Called with every request to an API and its answer; for tests that check both against Google's contract."""

    def handle(self, request: Request) -> Response:
        """Answer one request."""
        if request.path == tokens.PATH:
            return self.tokens.issue(request)
        try:
            response = self.tokens.answer(request) or self._answer(request)
        except errors.Refused as refused:
            response = refused.response
        except Exception as bug:
            self.bugs.append(f"{request.method} {request.path}: {type(bug).__name__}: {bug}")
            response = Response(501, self.bugs[-1].encode(), {"Content-Type": "text/plain"})
        for observer in self.observers:
            observer(request, response)
        return response

    def _answer(self, request: Request) -> Response:
        host, _, path = request.path.lstrip("/").partition("/")
        api = apis().get(host)
        found = api.find(request.method, path) if api else None
        if api is None or found is None:
            return Response(
                404, b"<!DOCTYPE html><title>Error 404 (Not Found)!!1</title>", {"Content-Type": "text/html"}
            )
        method, names = found
        token = self.tokens.check(request.headers.get("authorization"))
        if token is None:
            raise errors.unauthenticated(host)
        call = Call(method, names, _query(request, method), _body(request, method), token)
        self._admit(call, path)
        return self._finish(request, call)

    def _admit(self, call: Call, path: str) -> None:
        """Project, API and permission."""
        service = call.method.api.service
        where = _where(path, call) or f"organizations/{self.state.data['organization']}"
        self.state.check_place(where, service, call.token.email)
        if self.state.is_disabled(service, where):
            raise errors.service_disabled(service, self.state.title(service), self.state.number(where))
        permission = call.method.permission
        if permission and self.state.is_denied(permission, where):
            raise errors.permission_denied(service, permission, where, call.token.email)

    def _finish(self, request: Request, call: Call) -> Response:
        result = self.answers[call.method.id](call)
        if call.method.page:
            result = _page(call, result)
            if self.web.take(request, "vendor", "endless-page-token"):
                result["nextPageToken"] = _token(call, _start(call)) + secrets.token_urlsafe(6)
            elif self.web.take(request, "vendor", "repeated-page-token"):
                result["nextPageToken"] = _token(call, _start(call))
        problems = list(call.method.api.violations(result, call.method.response))
        if problems:
            raise AssertionError(f"the sandbox breaks its own contract: {call.method.id}: {problems[:3]}")
        return Response.of(result)


def _where(path: str, call: Call) -> str:
    match = re.search(r"\b(projects|organizations|folders)/([^/:]+)", path)
    if match:
        return f"{match.group(1)}/{match.group(2)}"
    if call.first("parent"):
        return str(call.first("parent"))
    return f"projects/{call.first('project')}" if "project" in call.method.query else ""


def _query(request: Request, method: Method) -> dict[str, list[str]]:
    query: dict[str, list[str]] = {}
    for name, value in request.query:
        if name in _COMMON:
            continue
        if name not in method.query:
            raise errors.unknown_parameter(name)
        _check_value(name, value, method.query[name])
        query.setdefault(name, []).append(value)
    return query


def _check_value(name: str, value: str, kind: Any) -> None:
    if kind == "integer" and not re.fullmatch(r"\d+", value):
        raise errors.invalid(f"Invalid value at '{name}' (TYPE_INT32), \"{value}\"")
    if kind == "boolean" and value not in ("true", "false"):
        raise errors.invalid(f"Invalid value at '{name}' (TYPE_BOOL), \"{value}\"")


def _body(request: Request, method: Method) -> Any:
    if method.request is None:
        return None
    try:
        data = request.json
    except ValueError:
        raise errors.invalid("Invalid JSON payload received.") from None
    for problem in method.api.violations(data, method.request):
        raise errors.invalid(f"Invalid JSON payload received. {problem}")
    return data


def _page(call: Call, result: dict[str, Any]) -> dict[str, Any]:
    """One page of a list, with a token that only continues this very request."""
    rule = cast(Mapping[str, Any], call.method.page)
    items = result.get(rule["items"], [])
    asked = int(call.first(rule["size"]) or 0) or rule["default"]
    size = min(asked, rule.get("max", asked))
    start = _start(call)
    page = {key: value for key, value in result.items() if key != rule["items"]}
    if items[start : start + size]:
        page[rule["items"]] = items[start : start + size]
    if start + size < len(items):
        page["nextPageToken"] = _token(call, start + size)
    return page


def _fingerprint(call: Call) -> str:
    rest = {name: values for name, values in call.query.items() if name != "pageToken"}
    return hashlib.sha256(json.dumps([call.method.id, dict(call.path), rest], sort_keys=True).encode()).hexdigest()[:16]


def _token(call: Call, start: int) -> str:
    return base64.urlsafe_b64encode(f"{_fingerprint(call)}:{start}:".encode()).decode() + "."


def _start(call: Call) -> int:
    text = call.first("pageToken")
    if not text:
        return 0
    try:
        mark, start, _ = base64.urlsafe_b64decode(text.partition(".")[0]).decode().split(":")
    except ValueError:
        raise errors.invalid("Invalid page token.") from None
    if mark != _fingerprint(call):
        raise errors.invalid("The page token does not belong to this request.")
    return int(start)


def api_of(host: str) -> Api:
    """The contract of a service."""
    return apis()[host]
