"""The HTTP side of the sandbox's GitHub: checks a request as GitHub does, asks the state, pages the answer."""

from __future__ import annotations

import base64
import hashlib
import itertools
import math
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote, unquote, urlencode

from compliancectl import clock
from compliancectl.sandbox.github import contract, errors
from compliancectl.sandbox.github.contract import Operation
from compliancectl.sandbox.github.graph import GraphQL
from compliancectl.sandbox.github.rest import Call, Rest
from compliancectl.sandbox.github.state import State
from compliancectl.sandbox.github.tokens import Token, TokenService
from compliancectl.sandbox.web import Misbehaviour, Request, Response, WebServer

API_VERSIONS = ("2022-11-28", "2026-03-10")
_LIMITS = {"core": 5000, "graphql": 5000}
_OPERATION = re.compile(r"\b(?:query|mutation)\s+(\w+)")


@dataclass(frozen=True)
class Exchange:
    """One request and its answer, for observers."""

    operation: Operation | None
    """None for GraphQL and for what GitHub does not know."""
    path: dict[str, str]
    request: Request
    response: Response


class GitHubServer:
    """REST under `/`, GraphQL under `/graphql`."""

    def __init__(self, state: State) -> None:
        self.state = state
        self.tokens = TokenService(state)
        self.web = WebServer(self.handle, describe=describe)
        self.rest = Rest(state, self.web.url)
        self.graphql = GraphQL(state, self.rest.rules)
        self.bugs: list[str] = []
        """What the sandbox itself could not do; a test that sees one fails."""
        self.observers: list[Callable[[Exchange], None]] = []
        """Called with every request and its answer; for tests that check both against GitHub's contract."""
        self.used = dict.fromkeys(_LIMITS, 0)
        """Points of each rate limit that were spent."""
        self._reset = int(clock.now().timestamp()) + 3600
        self._numbers = itertools.count(1)  # of requests, and of cursors that must differ; threads share it

    def handle(self, request: Request) -> Response:
        """Answer one request."""
        self._renew()
        operation, path = self._route(request)
        try:
            response = self._answer(request, operation, path)
        except errors.Refused as refused:
            response = refused.response
        except Exception as bug:
            self.bugs.append(f"{request.method} {request.path}: {type(bug).__name__}: {bug}")
            response = Response(501, self.bugs[-1].encode(), {"Content-Type": "text/plain"})
        self._headers(request, response, operation)
        for observer in self.observers:
            observer(Exchange(operation, path, request, response))
        return response

    def _renew(self) -> None:
        """Make the limits whole again when their hour is over."""
        now = int(clock.now().timestamp())
        if now >= self._reset:
            self.used, self._reset = dict.fromkeys(_LIMITS, 0), now + 3600

    def _route(self, request: Request) -> tuple[Operation | None, dict[str, str]]:
        """The operation; GitHub's own links name organisations and repositories by number."""
        path = re.sub(
            rf"^/organizations/{self.state.organization['id']}(?=/|$)", f"/orgs/{self.state.login}", request.path
        )
        if by_number := re.match(r"/repositories/(\d+)(?=/|$)", path):
            names = [name for name, it in self.state.repositories.items() if str(it["id"]) == by_number.group(1)]
            path = "".join(f"/repos/{self.state.login}/{name}" for name in names) + path[by_number.end() :]
        found = contract.rest().find(request.method, path)
        return (found[0], {k: unquote(v) for k, v in found[1].items()}) if found else (None, {})

    def _answer(self, request: Request, operation: Operation | None, path: dict[str, str]) -> Response:
        if not request.headers.get("user-agent"):
            raise errors.error(
                403, "Request forbidden by administrative rules. Please make sure your request has a User-Agent header"
            )
        version = request.headers.get("x-github-api-version", API_VERSIONS[0])
        if version not in API_VERSIONS:
            raise errors.error(400, f"{version} is not a valid API version")
        if operation is not None and operation.app:
            return self._install(request, path)
        token = self.tokens.check(request.headers.get("authorization"))
        if token is None:
            raise errors.bad_credentials()
        self._misbehave(request, operation)
        if (request.method, request.path) == ("POST", "/graphql"):
            return self._graphql(request, token)
        if operation is None:
            raise errors.not_found()
        self._admit(operation, path, token)
        call = Call(operation, path, _query(request, operation), _body(request, operation), token.login)
        response = self._finish(request, call)
        return self._conditional(request, response) if request.method == "GET" else response

    def _install(self, request: Request, path: dict[str, str]) -> Response:
        if not self.tokens.is_app(request.headers.get("authorization")):
            raise errors.error(401, "A JSON web token could not be decoded")
        issued = self.tokens.install(path["installation_id"])
        if issued is None:
            raise errors.not_found()
        return Response.of(issued, 201)

    def _misbehave(self, request: Request, operation: Operation | None) -> None:
        """What was asked for by `Misbehaviour(kind="vendor", name=…)` and refuses the whole request."""
        permission = operation.permission if operation else ""
        if rule := self.web.take(request, "vendor", "primary-rate-limit"):
            refused = errors.primary_limit(str(self.state.user_id(self.state.viewer["login"])))
            refused.response.headers.update(_exhausted(rule))
            raise refused
        if rule := self.web.take(request, "vendor", "secondary-rate-limit"):
            raise errors.secondary_limit(rule.headers)
        if self.web.take(request, "vendor", "hidden"):
            raise errors.not_found(permission or "metadata=read")
        if self.web.take(request, "vendor", "sso-required"):
            raise errors.sso_required(self.state.login)
        if self.web.take(request, "vendor", "not-an-object"):
            raise errors.Refused(Response.of("surprise"))

    def _graphql(self, request: Request, token: Token) -> Response:
        if rule := self.web.take(request, "vendor", "graphql-rate-limited"):
            response = Response.of({"errors": [{"type": "RATE_LIMITED", "message": "API rate limit exceeded"}]})
            response.headers.update(_exhausted(rule))
            return response
        if self.web.take(request, "vendor", "graphql-timeout"):
            sentence = "Something went wrong while executing your query. This may be the result of a timeout, or it could be a GitHub bug."
            return Response.of({"data": None, "errors": [{"message": sentence}]})
        if self.web.take(request, "vendor", "graphql-not-found"):
            sentence = "Could not resolve to a Repository with the name asked for."
            gone = {"type": "NOT_FOUND", "path": ["repository"], "message": sentence}
            return Response.of({"data": {"repository": None}, "errors": [gone]})
        twists = frozenset(
            name
            for name in ("endless-cursor", "repeated-cursor", "short-total")
            if self.web.take(request, "vendor", name)
        )
        remaining = _LIMITS["graphql"] - self.used["graphql"]
        result, cost, gaps = self.graphql.run(request.body, token, twists, (remaining, self._reset))
        self.used["graphql"] += cost
        if gaps:
            raise AssertionError(f"the sandbox could not resolve {gaps[:3]}")
        return Response.of(result)

    def _admit(self, operation: Operation, path: dict[str, str], token: Token) -> None:
        """Organisation, repository and permission."""
        repository = path.get("repo", "")
        owner = path.get("org") or path.get("owner")
        if owner is not None and owner.lower() != self.state.login:
            raise errors.not_found()
        if repository in self.state.renamed:
            now = self.state.repositories[self.state.renamed[repository]]["id"]
            address = f"{self.web.url}/repositories/{now}"
            raise errors.error(301, "Moved Permanently", {"Location": address}, url=address)
        if repository and repository not in self.state.visible:
            raise errors.not_found()
        if (operation.for_apps and token.kind != "app") or not self.state.may(operation.permission, repository):
            raise errors.inaccessible(token.kind, operation.permission)

    def _finish(self, request: Request, call: Call) -> Response:
        operation = call.operation
        result = self.rest.answers[operation.id](call)
        if operation.response is None:
            return Response(204)
        headers: dict[str, str] = {}
        if operation.page:
            under = (
                next((key for key, value in result.items() if isinstance(value, list)), "")
                if isinstance(result, dict)
                else ""
            )
            shown, headers = self._page(request, call, result[under] if under else result)
            result = {**result, under: shown} if under else shown
        problems = list(contract.rest().violations(result, operation.response))
        if problems:
            raise AssertionError(f"the sandbox breaks its own contract: {operation.id}: {problems[:3]}")
        return Response.of(result, 201 if operation.method == "POST" else 200, headers)

    def _page(self, request: Request, call: Call, items: list[Any]) -> tuple[list[Any], dict[str, str]]:
        """One page of a list, and the `Link` header that leads on."""
        size = min(_number(request.param("per_page"), 30), 100)
        cursor = call.operation.page == "cursor"
        start = _offset(request.param("after")) if cursor else (_number(request.param("page"), 1) - 1) * size
        following: str | None = None
        if start + size < len(items):
            following = _cursor(start + size) if cursor else str(start // size + 2)
        if self.web.take(request, "vendor", "endless-page"):
            following = _cursor(start, next(self._numbers)) if cursor else str(start // size + 2)
            start = 0
        elif self.web.take(request, "vendor", "repeated-page"):
            following = request.param("after") or _cursor(start) if cursor else str(start // size + 1)
        links = []
        if following is not None:
            links.append(self._link(request, call, {"after" if cursor else "page": following}, "next"))
        if not cursor and start + size < len(items):
            links.append(self._link(request, call, {"page": str(math.ceil(len(items) / size))}, "last"))
        if not cursor and start > 0:
            links.append(self._link(request, call, {"page": "1"}, "first"))
        return items[start : start + size], {"Link": ", ".join(links)} if links else {}

    def _link(self, request: Request, call: Call, change: dict[str, str], relation: str) -> str:
        query = {**dict(request.query), **change}
        if not call.path:
            return f'<{self.web.url}{request.path}?{urlencode(query)}>; rel="{relation}"'
        if "repo" in call.path:
            place = f"/repositories/{self.state.repositories[call.repository]['id']}"
        else:
            place = f"/organizations/{self.state.organization['id']}"
        rest = call.operation.path.split("}", 2 if "repo" in call.path else 1)[-1]
        rest = re.sub(r"\{(\w+)\}", lambda m: quote(call.path[m.group(1)], safe=""), rest)
        return f'<{self.web.url}{place}{rest}?{urlencode(query)}>; rel="{relation}"'

    def _conditional(self, request: Request, response: Response) -> Response:
        """304 when the client already has this very body."""
        tag = f'W/"{hashlib.sha256(response.body).hexdigest()}"'
        response.headers["ETag"] = tag
        if request.headers.get("if-none-match") == tag:
            return Response(304, b"", response.headers)
        return response

    def _headers(self, request: Request, response: Response, operation: Operation | None) -> None:
        resource = "graphql" if operation is None and request.path == "/graphql" else "core"
        if resource == "core" and response.status not in (304, 401):
            self.used["core"] += 1
        headers = {
            "X-GitHub-Request-Id": f"{0xC0DE:04X}:{next(self._numbers):06X}:{self._reset:08X}",
            "X-GitHub-Media-Type": "github.v3; format=json",
            "X-GitHub-Api-Version-Selected": request.headers.get("x-github-api-version", API_VERSIONS[0]),
            "X-RateLimit-Limit": str(_LIMITS[resource]),
            "X-RateLimit-Used": str(self.used[resource]),
            "X-RateLimit-Remaining": str(max(0, _LIMITS[resource] - self.used[resource])),
            "X-RateLimit-Reset": str(self._reset),
            "X-RateLimit-Resource": resource,
        }
        if self.state.viewer["token"] == "classic":
            headers["X-OAuth-Scopes"] = ", ".join(self.state.viewer.get("scopes", ("read:org", "repo")))
            headers["X-Accepted-OAuth-Scopes"] = "repo"
        elif operation is not None and operation.permission:
            headers["X-Accepted-GitHub-Permissions"] = operation.permission
        if self.web.take(request, "vendor", "sso-partial"):
            headers["X-GitHub-SSO"] = "partial-results; organizations=21955855"
        response.headers = {**headers, **response.headers}


def describe(request: Request) -> str:
    """The line that misbehaviours are matched with: GraphQL is told apart by the operation's name."""
    line = f"{request.method} {request.path}"
    if (request.method, request.path) != ("POST", "/graphql"):
        return line
    try:
        data = request.json
        name = data.get("operationName") or _OPERATION.search(data["query"])
    except (ValueError, KeyError, TypeError, AttributeError):
        return line
    return f"{line} {name if isinstance(name, str) else name.group(1) if name else ''}"


def _exhausted(rule: Misbehaviour) -> dict[str, str]:
    reset = math.ceil(clock.now().timestamp() + rule.seconds)
    return {"X-RateLimit-Remaining": "0", "X-RateLimit-Reset": str(reset), **rule.headers}


def _query(request: Request, operation: Operation) -> dict[str, str]:
    """Parameters of the operation with values that it takes; unknown ones are ignored, as GitHub does."""
    query: dict[str, str] = {}
    for name, value in request.query:
        kind = operation.query.get(name)
        if kind is None:
            continue
        allowed = ["true", "false"] if kind == "boolean" else kind
        if isinstance(allowed, list) and value not in allowed:
            raise errors.invalid(errors=[{"resource": "Search", "field": name, "code": "invalid"}])
        query[name] = value
    return query


def _body(request: Request, operation: Operation) -> Any:
    """What a writing request carries; refused when it is not as the contract says."""
    if operation.body is None:
        return None
    try:
        data = request.json
    except ValueError:
        raise errors.error(400, "Problems parsing JSON") from None
    if problems := list(contract.rest().violations(data, operation.body)):
        raise errors.invalid(f"Invalid request.\n\n{problems[0]}")
    return data


def _number(text: str | None, default: int) -> int:
    return max(int(text), 1) if text and text.isdigit() else default


def _cursor(start: int, salt: int = 0) -> str:
    return base64.urlsafe_b64encode(f"{start}:{salt}".encode()).decode()


def _offset(cursor: str | None) -> int:
    if not cursor:
        return 0
    try:
        return int(base64.urlsafe_b64decode(cursor).decode().partition(":")[0])
    except ValueError:
        raise errors.error(400, "The pagination cursor is invalid.") from None
