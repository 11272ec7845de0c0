"""Runs GraphQL documents as GitHub does: parses, validates, limits, executes, and says what it withheld."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from compliancectl import clock
from compliancectl.sandbox.github import contract, errors
from compliancectl.sandbox.github.limits import Refusal, cost_of
from compliancectl.sandbox.github.nodes import Nodes, NotFound
from compliancectl.sandbox.github.rules import Rules
from compliancectl.sandbox.github.state import State
from compliancectl.sandbox.github.tokens import Token

if TYPE_CHECKING:
    from graphql import DocumentNode, GraphQLError, GraphQLResolveInfo

_PERMISSIONS = {
    "Organization.membersWithRole": "members=read",
    "Repository.object": "contents=read",
    "Repository.deployKeys": "administration=read",
    "Repository.deployments": "deployments=read",
    "Commit.file": "contents=read",
    "Repository.pullRequest": "pull_requests=read",
    "Repository.pullRequests": "pull_requests=read",
    "Repository.vulnerabilityAlerts": "vulnerability_alerts=read",
    "Ref.target": "contents=read",
    "PullRequest.statusCheckRollup": "checks=read",
    "Commit.statusCheckRollup": "checks=read",
    "Commit.associatedPullRequests": "pull_requests=read",
}
"""Field → the permission that a fine-grained token or an App needs for it."""


@dataclass(frozen=True)
class Context:
    """What resolvers know of the request."""

    token: Token
    twists: frozenset[str]
    """Misbehaviours of connections: `endless-cursor`, `repeated-cursor`, `short-total`."""
    rate_limit: dict[str, Any]


class GraphQL:
    """The endpoint `/graphql`."""

    def __init__(self, state: State, rules: Rules) -> None:
        self.state = state
        self.nodes = Nodes(state, rules)

    def run(
        self, body: bytes, token: Token, twists: frozenset[str], limit: tuple[int, int]
    ) -> tuple[dict[str, Any], int, list[str]]:
        """Answer one request.

        Args:
            body: JSON with `query` and perhaps `variables` and `operationName`.
            token: who asks.
            twists: misbehaviours of connections.
            limit: points that remain, and when they are renewed, in seconds since 1970.

        Returns:
            The answer, its cost in points, and what the sandbox itself could not do.
        """
        from graphql import GraphQLSyntaxError, parse, validate

        query, variables, name = _request(body)
        if query is None:
            return {"errors": [{"message": "A query attribute must be specified and must be a string."}]}, 1, []
        try:
            document = parse(query)
        except GraphQLSyntaxError as error:
            return {"errors": [{"message": f"Parse error: {error.message}", "locations": _places(error)}]}, 1, []
        if wrong := validate(contract.graphql(), document):
            return {"errors": [_invalid(error) for error in wrong]}, 1, []
        try:
            nodes, points = cost_of(contract.graphql(), document, variables)
        except Refusal as refusal:
            return {"errors": [refusal.error]}, 1, []
        remaining, reset = limit
        rate_limit = {
            "limit": 5000,
            "cost": points,
            "remaining": max(0, remaining - points),
            "used": 5000 - max(0, remaining - points),
            "nodeCount": nodes,
            "resetAt": clock.text(datetime.fromtimestamp(reset, UTC)),
        }
        context = Context(token, twists, rate_limit)
        return self._execute(document, variables, name, context, points)

    def _execute(
        self, document: DocumentNode, variables: dict[str, Any], name: str | None, context: Context, points: int
    ) -> tuple[dict[str, Any], int, list[str]]:
        from graphql import execute_sync

        root = self.nodes.root(context)
        result: Any = execute_sync(
            contract.graphql(),
            document,
            root,
            context,
            variable_values=variables,
            operation_name=name,
            field_resolver=self._resolve,
        )
        said: list[dict[str, Any]] = []
        gaps: list[str] = []
        for error in result.errors or ():
            shown = self._error(error, context)
            if shown is None:
                gaps.append(f"{error.path}: {error.message}")
            else:
                said.append(shown)
        if result.data is None and not said and not gaps:
            gaps.append("no data")
        return {"data": result.data, **({"errors": said} if said else {})}, points, gaps

    def _resolve(self, source: Any, info: GraphQLResolveInfo[Any], **arguments: Any) -> Any:
        """A field of an object: withheld, computed or plain."""
        field = f"{info.parent_type.name}.{info.field_name}"
        repository = source.get("_repository", "")
        if field in self.state.withheld or not self.state.may(_PERMISSIONS.get(field, ""), repository):
            raise errors.Forbidden(errors.sentence(info.context.token.kind))
        value = source[info.field_name]
        return value(info, **arguments) if callable(value) else value

    def _error(self, error: GraphQLError, context: Context) -> dict[str, Any] | None:
        """The error as GitHub writes it; None when it is the sandbox's own."""
        base = {"path": error.path, "locations": _places(error), "message": error.message}
        if isinstance(error.original_error, errors.Forbidden):
            return {"type": "FORBIDDEN", **base, "extensions": {"saml_failure": False}}
        if isinstance(error.original_error, NotFound):
            return {"type": "NOT_FOUND", **base}
        if not error.path and error.message.startswith("Variable "):
            return {"locations": _places(error), "message": error.message, "extensions": {"code": "variableMismatch"}}
        return None


def _request(body: bytes) -> tuple[str | None, dict[str, Any], str | None]:
    try:
        data = json.loads(body)
    except ValueError:
        raise errors.error(400, "Problems parsing JSON") from None
    if not isinstance(data, dict) or not isinstance(data.get("query"), str):
        return None, {}, None
    return data["query"], data.get("variables") or {}, data.get("operationName")


def _places(error: GraphQLError) -> list[dict[str, int]]:
    return [{"line": place.line, "column": place.column} for place in error.locations or ()]


def _invalid(error: GraphQLError) -> dict[str, Any]:
    """An error of validation; GitHub gives them a code, by which some clients tell them apart."""
    code = "undefinedField" if error.message.startswith("Cannot query field") else "argumentLiteralsIncompatible"
    return {"locations": _places(error), "message": error.message, "extensions": {"code": code}}
