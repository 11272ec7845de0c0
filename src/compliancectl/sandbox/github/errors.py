"""Refusals as GitHub writes them."""

from __future__ import annotations

from typing import Any

from compliancectl.sandbox.web import Response

DOCS = "https://docs.github.com/rest"


class Refused(Exception):
    """A request that GitHub would refuse; carries the answer."""

    def __init__(self, response: Response) -> None:
        super().__init__(response.body.decode())
        self.response = response


class Forbidden(Exception):
    """A GraphQL field that the token may not see."""


def error(status: int, message: str, headers: dict[str, str] | None = None, **more: Any) -> Refused:
    """A REST error."""
    body = {"message": message, **more, "documentation_url": DOCS, "status": str(status)}
    return Refused(Response.of(body, status, headers))


def not_found(permission: str = "") -> Refused:
    """404, which also stands for `you may not see it`."""
    return error(404, "Not Found", {"X-Accepted-GitHub-Permissions": permission} if permission else None)


def bad_credentials() -> Refused:
    """401."""
    return error(401, "Bad credentials")


def inaccessible(token: str, permission: str) -> Refused:
    """403: a fine-grained token or an App lacks a permission."""
    return error(403, sentence(token), {"X-Accepted-GitHub-Permissions": permission})


def sentence(token: str) -> str:
    """What GitHub says to a kind of token that lacks a permission."""
    return f"Resource not accessible by {'integration' if token == 'app' else 'personal access token'}"


def invalid(message: str = "Validation Failed", **more: Any) -> Refused:
    """422."""
    return error(422, message, **more)


def primary_limit(who: str) -> Refused:
    """403: the hourly limit is used up; the server adds the headers."""
    return error(403, f"API rate limit exceeded for user ID {who}.")


def secondary_limit(headers: dict[str, str]) -> Refused:
    """403: too fast."""
    return error(
        403,
        "You have exceeded a secondary rate limit. Please wait a few minutes before you try again.",
        headers,
    )


def sso_required(organization: str) -> Refused:
    """403: the token is not authorised for single sign-on."""
    return error(
        403,
        "Resource protected by organization SAML enforcement. You must grant your Personal Access token access to this organization.",
        {"X-GitHub-SSO": f"required; url=https://github.com/orgs/{organization}/sso?authorization_request=A1"},
    )
