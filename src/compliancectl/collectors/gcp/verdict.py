"""What an answer of a Google REST API means: fine, try again, or why the source could not be read."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from compliancectl.collectors.calls import TryAgain, busy, retry_after
from compliancectl.collectors.gcp.services import SERVICES, Service
from compliancectl.errors import ApiDisabled, CollectError, Denied, Garbage, Missing, RateLimited, SourceFailed

if TYPE_CHECKING:
    import requests

_NAMED = (
    re.compile(r"[Pp]ermission '([a-z]\w*(?:\.\w+)+)'"),
    re.compile(r"Required '([a-z]\w*(?:\.\w+)+)'"),
    re.compile(r"does not have ([a-z]\w*(?:\.\w+)+) access"),
)
LOGIN = "Run `gcloud auth application-default login`, or set GOOGLE_APPLICATION_CREDENTIALS to a valid key file."
"""What to do about credentials."""

_DISABLED = {"SERVICE_DISABLED", "accessNotConfigured"}
ENDPOINT = "Check the endpoint: a proxy or another service may be answering."
FAULT = "Repeat it; if it stays, the fault is the API's: report it to Google."
LATER = "Repeat later; if it stays, look at Google's status page."
SLOWER = "Repeat later; run with fewer workers, or ask for more quota."
_QUOTA = {"rateLimitExceeded", "userRateLimitExceeded", "quotaExceeded", "RATE_LIMIT_EXCEEDED", "RESOURCE_EXHAUSTED"}


@dataclass(frozen=True)
class Asked:
    """What was asked, for the words of a refusal."""

    service: str
    permission: str
    where: str
    """The project or organisation, e.g. `projects/larkspur-prod`."""

    @property
    def api(self) -> Service:
        return SERVICES[self.service]


def disabled(asked: Asked, message: str) -> ApiDisabled:
    """The API is switched off where it was asked."""
    kind, _, name = asked.where.partition("/")
    flag = f" --project={name}" if kind == "projects" else ""
    return ApiDisabled(
        f"{asked.api.title} ({asked.api.host}) is disabled for {asked.where}: {message}",
        hint=f"Run `gcloud services enable {asked.api.host}{flag}` and repeat a few minutes later.",
    )


def denied(asked: Asked, message: str, permission: str | None) -> Denied:
    """A permission is missing; names it and the role that would grant it."""
    missing = permission or _permission_in(message) or asked.permission
    return Denied(
        f"{asked.where} refused {missing}: {message}",
        hint=f"Grant {missing}, for example with the role {asked.api.role} on {asked.where}.",
    )


def unauthenticated(message: str) -> Denied:
    """The credentials were not accepted."""
    return Denied(f"Google did not accept the credentials: {message}", hint=LOGIN)


def missing(asked: Asked, message: str) -> Missing:
    """What was asked for does not exist."""
    return Missing(
        f"{asked.where}: {asked.api.title} found nothing by that name: {message}",
        hint="Check the names in the scope file, and that the principal may see them.",
    )


def judge(response: requests.Response, asked: Asked) -> TryAgain | CollectError | None:
    """What a response means; None when it is an answer."""
    if response.status_code == 200:
        return (
            None
            if isinstance(body(response), dict)
            else Garbage(
                f"{asked.api.title} answered HTTP 200 with something that is not a JSON object",
                hint=ENDPOINT,
            )
        )
    again = busy(response)
    if again is not None:
        return _name(again, asked)
    return _refusal(response, asked)


def body(response: requests.Response) -> Any:
    """The JSON of a response, or None if it is not JSON."""
    try:
        return response.json()
    except ValueError:
        return None


def _refusal(response: requests.Response, asked: Asked) -> TryAgain | CollectError:
    problem = _Problem.of(body(response))
    status = response.status_code
    if problem is None:
        return Garbage(
            f"{asked.api.title} answered HTTP {status} with something that is not Google's error format", hint=ENDPOINT
        )
    if status == 401:
        return unauthenticated(problem.message)
    if status == 403 and problem.reasons & _DISABLED:
        return disabled(asked, problem.message)
    if status == 403 and problem.reasons & _QUOTA:
        return _name(TryAgain(RateLimited(problem.message), retry_after(response)), asked)
    if status == 403:
        return denied(asked, problem.message, problem.permission)
    if status == 404:
        return missing(asked, problem.message)
    return SourceFailed(
        f"{asked.api.title} answered HTTP {status} for {asked.where}: {problem.message}",
        hint="Check the names in the scope file; if they are right, please report it.",
    )


def _name(again: TryAgain, asked: Asked) -> TryAgain:
    """Say which API and place it was, and what to do."""
    error = again.error
    hint = SLOWER if isinstance(error, RateLimited) else LATER
    return TryAgain(type(error)(f"{asked.api.title}, {asked.where}: {error.message}", hint=hint), again.after_s)


def _permission_in(message: str) -> str | None:
    for pattern in _NAMED:
        if match := pattern.search(message):
            return match.group(1)
    return None


@dataclass(frozen=True)
class _Problem:
    """Google's error body: old style (`errors[].reason`) and new style (`details[]` with ErrorInfo)."""

    message: str
    reasons: frozenset[str]
    permission: str | None

    @classmethod
    def of(cls, data: Any) -> _Problem | None:
        error = data.get("error") if isinstance(data, dict) else None
        if not isinstance(error, dict):
            return None
        infos = [d for d in _dicts(error.get("details")) if "reason" in d]
        reasons = {str(e.get("reason")) for e in _dicts(error.get("errors"))} | {str(d["reason"]) for d in infos}
        named = [holder.get("permission") for d in infos for holder in _dicts([d.get("metadata")])]
        return cls(
            str(error.get("message", "no message")), frozenset(reasons), next((str(n) for n in named if n), None)
        )


def _dicts(value: Any) -> list[dict[str, Any]]:
    """The objects in a list; whatever else is there says nothing."""
    return [item for item in value if isinstance(item, dict)] if isinstance(value, list) else []
