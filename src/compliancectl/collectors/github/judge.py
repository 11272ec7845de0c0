"""What an answer of GitHub means: fine, try again, or a `CollectError` that says which permission is missing."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from compliancectl import clock
from compliancectl.collectors.calls import TryAgain, busy, retry_after
from compliancectl.errors import (
    ApiDisabled,
    CollectError,
    Denied,
    Garbage,
    Missing,
    RateLimited,
    SourceFailed,
)

if TYPE_CHECKING:
    import requests

_SWITCHED_OFF = re.compile(
    r"must be enabled|not enabled|is disabled|are disabled|has been disabled|upgrade to|not available (?:on|for) (?:this|your)"
    r"|no analysis found",
    re.IGNORECASE,
)
_DENIED_TYPES = ("FORBIDDEN", "INSUFFICIENT_SCOPES", "UNAUTHORIZED")
_BUSY_TEXTS = ("Something went wrong while executing your query", "timedout", "timeout")


@dataclass
class Judge:
    """Judges the answers to one request; `secondary_pause_s` is waited when a secondary limit names no time."""

    secondary_pause_s: float
    also_fine: tuple[int, ...] = ()
    """Statuses that are an answer for this very request, e.g. 404 for `switched off`."""
    parts: bool = False
    """Whether a GraphQL document asks about many repositories, of which some may be refused or not be found."""
    body: Any = None
    """The last answer to GraphQL, parsed: they are long, and once is enough."""

    def __call__(self, response: requests.Response) -> TryAgain | CollectError | None:
        """None when the answer is to be used."""
        status = response.status_code
        if status in (200, 201, 204):
            return None
        limited = self._limited(response) if status in (403, 429) else None
        if limited is not None:
            return limited
        if status in self.also_fine:
            return None
        return busy(response) or _refused(response)

    def _limited(self, response: requests.Response) -> TryAgain | None:
        """Primary limit, secondary limit with or without a time, or None."""
        asked = retry_after(response)
        if asked is not None:
            return TryAgain(_rate_limited(response, asked), asked)
        pause = until_reset(response)
        if pause is not None:
            return TryAgain(_rate_limited(response, pause), pause)
        if "secondary rate limit" in message_of(response).lower():
            return TryAgain(_rate_limited(response, self.secondary_pause_s), self.secondary_pause_s)
        return None

    def graphql(self, response: requests.Response) -> TryAgain | CollectError | None:
        """GraphQL answers 200 even when it refuses: look at `errors` too."""
        verdict = self(response)
        if verdict is not None:
            return verdict
        try:
            self.body = body = json.loads(response.content)
        except ValueError:
            return _not_json(response)
        if not isinstance(body, dict) or ("data" not in body and "errors" not in body):
            return Garbage("a GraphQL answer without data and without errors")
        errors = graphql_errors(body)
        return self._graphql_verdict(response, body, errors) if errors else None

    def _graphql_verdict(
        self, response: requests.Response, body: Mapping[str, Any], errors: list[Mapping[str, Any]]
    ) -> TryAgain | CollectError | None:
        types = [str(error.get("type", "")) for error in errors]
        said = "; ".join(str(error.get("message", "no message")) for error in errors[:3])
        if "RATE_LIMITED" in types or "RATE_LIMIT" in types:
            pause = until_reset(response)
            return TryAgain(_rate_limited(response, pause if pause is not None else 0), pause)
        if any(text in said for text in _BUSY_TEXTS):
            return TryAgain(SourceFailed(f"GitHub could not finish the GraphQL query: {said}"))
        refusals = (*_DENIED_TYPES, "NOT_FOUND") if self.parts else _DENIED_TYPES
        if _has_data(body) and all(t in refusals for t in types) and _names_fields(errors):
            return None  # partial data: the fields are null, the caller warns
        if any(t in _DENIED_TYPES for t in types):
            return Denied(f"GitHub refused the GraphQL query: {said}", hint=_grant(response))
        if "NOT_FOUND" in types and "to a Repository" in said:
            return Denied(
                f"GitHub answers for the GraphQL query: {said} (it does not exist, was renamed, or this token may not see it)",
                hint="Correct `production` in the scope file, or grant the token access to the repository.",
            )
        if "NOT_FOUND" in types:
            return _hidden(f"GitHub answers for the GraphQL query: {said}")
        return SourceFailed(f"GitHub answered the GraphQL query with errors: {said}")


def graphql_errors(body: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """The error objects of a GraphQL answer."""
    errors = body.get("errors") or []
    return [e if isinstance(e, dict) else {"message": str(e)} for e in errors] if isinstance(errors, list) else []


def until_reset(response: requests.Response) -> float | None:
    """Seconds until the primary limit is lifted, when it is used up; None when it is not."""
    headers = response.headers
    reset = headers.get("X-RateLimit-Reset", "")
    if headers.get("X-RateLimit-Remaining") != "0" or not reset.isdigit():
        return None
    remaining = int(reset) - clock.now().timestamp()
    return remaining + 0.5 if remaining > 0 else 0.0  # the header is in whole seconds


def message_of(response: requests.Response) -> str:
    """GitHub's own sentence in an error body, or an empty text."""
    try:
        body = json.loads(response.content)
    except ValueError:
        return ""
    return str(body.get("message", "")) if isinstance(body, dict) else ""


def _has_data(body: Mapping[str, Any]) -> bool:
    """False also when the refused field took everything above it along."""
    data = body.get("data")
    return isinstance(data, dict) and any(value is not None for value in data.values())


def _names_fields(errors: list[Mapping[str, Any]]) -> bool:
    return all(error.get("path") for error in errors)


def _rate_limited(response: requests.Response, seconds: float) -> RateLimited:
    said = message_of(response) or "the limit is used up"
    return RateLimited(
        f"GitHub asks to wait {seconds:.0f} s: {said}",
        hint="Run again later, raise the deadline, or use a GitHub App, which has a limit of its own.",
    )


def _refused(response: requests.Response) -> CollectError:
    status, said, path = response.status_code, message_of(response), _path(response)
    if status == 401:
        return Denied(f"GitHub refused the credentials (401): {said}", hint="Check that the token has not expired.")
    sso = response.headers.get("X-GitHub-SSO", "")
    if status == 403 and sso.startswith("required"):
        return Denied(
            f"{path}: the token is not authorised for the organisation's single sign-on",
            hint=f"Authorise it for single sign-on: {sso.partition('url=')[2]}".rstrip(": "),
        )
    if status in (403, 404, 409, 410, 422) and _SWITCHED_OFF.search(said):
        return ApiDisabled(f"{path}: {said}", hint="Switch the feature on, or take the control out of the scope.")
    if status == 403:
        return Denied(f"{path}: GitHub refused (403): {said}", hint=_grant(response))
    if status == 404:
        return _hidden(f"{path}: {said or 'Not Found'}", response)
    if status in (301, 302, 307, 308):
        return Missing(
            f"{path} has moved: a repository or an organisation was renamed",
            hint="Write the new name in the scope file.",
        )
    return SourceFailed(f"{path}: GitHub answered {status}: {said}")


def _hidden(said: str, response: requests.Response | None = None) -> CollectError:
    """404 covers both `is not there` and `you may not see it`; say so, and count it as refused when a permission is named."""
    hint = "Check the name, and that the token may see it: GitHub answers 404 for both."
    accepted = response.headers.get("X-Accepted-GitHub-Permissions") if response is not None else None
    if accepted:
        return Denied(
            f"{said} (it does not exist, or this token may not see it)",
            hint=f"Check the name, and grant the permission {accepted}.",
        )
    return Missing(f"{said} (it does not exist, or this token may not see it)", hint=hint)


def _grant(response: requests.Response) -> str:
    accepted = response.headers.get("X-Accepted-GitHub-Permissions")
    scopes = response.headers.get("X-Accepted-OAuth-Scopes")
    if accepted:
        return f"Grant the token the permission {accepted}."
    if scopes:
        return f"Grant the token one of the scopes {scopes}."
    return "Grant the permission that `compliancectl collectors permissions github` names."


def _not_json(response: requests.Response) -> Garbage:
    kind = response.headers.get("Content-Type", "no content type")
    return Garbage(f"{_path(response)}: the answer is not JSON ({kind})", hint="Check the proxy and the base URL.")


def _path(response: requests.Response) -> str:
    request = response.request
    return f"{request.method} {request.path_url.partition('?')[0]}"
