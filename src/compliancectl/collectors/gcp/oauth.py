"""Tokens: finding Application Default Credentials, asking for tokens, and what it means when that fails."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast
from urllib.parse import urlsplit

from compliancectl.collectors.calls import TryAgain, speaks_http, where, why
from compliancectl.collectors.gcp.verdict import LOGIN, unauthenticated
from compliancectl.errors import CollectError, Denied, Garbage, SourceFailed, Unreachable
from compliancectl.googleapi import token_transport

if TYPE_CHECKING:
    import requests
    from google.auth.credentials import Credentials
    from google.auth.exceptions import GoogleAuthError

SCOPE = "https://www.googleapis.com/auth/cloud-platform"
"""Cloud SQL, Asset Inventory and Scheduler know no narrower scope for reading."""

_MISLED = "Check the credentials' token_uri: a proxy or another service may be answering."
_BUSY = (408, 429, 500, 502, 503, 504)


class TokenRequest:
    """What google-auth sends token requests with.

    A busy token endpoint is an error of the transport here: google-auth would repeat the request itself, with pauses
    that nobody sees.
    """

    def __init__(self, http: requests.Session, timeout_s: float) -> None:
        self._send = token_transport(http)
        self._timeout_s = timeout_s

    def __call__(self, url: str, **request: Any) -> Any:
        from google.auth import exceptions

        response = self._send(url, **{"timeout": self._timeout_s, **request})
        if response.status in _BUSY:
            raise exceptions.TransportError(f"HTTP {response.status} from {urlsplit(url).netloc}")
        return response


def default_credentials(quota_project: str | None) -> Credentials:
    """Application Default Credentials, workload identity federation among them.

    Raises:
        Denied: if there are none, or they cannot be read.
    """
    import google.auth
    from google.auth import exceptions

    try:
        federated = _federated(quota_project)
        if federated is not None:
            return federated
        credentials, _ = google.auth.default(scopes=[SCOPE], quota_project_id=quota_project)
    except exceptions.GoogleAuthError as error:
        raise Denied(f"no usable Google credentials: {_first(error)}", hint=LOGIN) from None
    except OSError as error:
        reason = f"{error.filename}: {error.strerror}"
        raise Denied(f"the file of the Google credentials cannot be read: {reason}", hint=LOGIN) from None
    except (AttributeError, KeyError, TypeError, ValueError) as error:  # JSON of another form than a key's
        raise Denied(f"the Google credentials have an unknown form ({error})", hint=LOGIN) from None
    return credentials


def _federated(quota_project: str | None) -> Credentials | None:
    """Credentials of a workload identity pool, when the file of the environment describes such.

    `google.auth.default` would look the project of the pool up besides, at a fixed address and on no record.
    """
    import json
    import os
    from pathlib import Path

    from google.auth import identity_pool

    file = os.environ.get("GOOGLE_APPLICATION_CREDENTIALS")
    if not file:
        return None
    try:
        said = json.loads(Path(file).read_bytes())
    except (OSError, ValueError):
        return None  # what is wrong with it, the library says in its own words
    source = said.get("credential_source", {}) if isinstance(said, dict) else {}
    if not isinstance(source, dict) or said.get("type") != "external_account" or not {"file", "url"} & set(source):
        return None
    found: Any = identity_pool.Credentials.from_info(said, scopes=[SCOPE])
    return cast("Credentials", found.with_quota_project(quota_project) if quota_project else found)


def acting_as(credentials: Credentials, account: str, endpoint: str, quota_project: str | None) -> Credentials:
    """Credentials of a service account, lent to whoever holds `credentials`, for an hour at a time."""
    from google.auth import impersonated_credentials

    lent: Any = impersonated_credentials.Credentials(  # type: ignore[no-untyped-call]
        source_credentials=credentials,
        target_principal=account,
        target_scopes=[SCOPE],
        lifetime=3600,
        quota_project_id=quota_project,
        iam_endpoint_override=f"{endpoint}/v1/projects/-/serviceAccounts/{account}:generateAccessToken",
    )
    return cast("Credentials", lent)


def refresh(credentials: Credentials, request: TokenRequest) -> None:
    """Get a token if there is none that is valid.

    Raises:
        Denied: if Google refuses the credentials.
        Garbage: if the token endpoint does not answer with a token.
        TryAgain: if it cannot be reached, or is busy.
    """
    from google.auth import exceptions

    try:
        if not credentials.valid:
            credentials.refresh(request)
    except exceptions.GoogleAuthError as error:
        raise refused(error) from None
    except (AttributeError, KeyError, TypeError, ValueError):
        raise Garbage("the token endpoint answered with something that is not a token", hint=_MISLED) from None


def refused(error: GoogleAuthError) -> TryAgain | CollectError:
    """What it means that there is no token."""
    from google.auth import exceptions

    if isinstance(error, exceptions.TransportError):
        if not speaks_http(error):
            return Garbage(f"no token{where(error)}: an answer that is not HTTP: {why(error)}", hint=_MISLED)
        return TryAgain(Unreachable(f"no token{where(error)}: {why(error)}", hint=f"Check the network. {_MISLED}"))
    if error.retryable:
        return TryAgain(SourceFailed(f"no token: {_first(error)}", hint="Repeat later."))
    return unauthenticated(_first(error))


def _first(error: Exception) -> str:
    """The message of a google-auth error without the response body that it carries along."""
    return str(error.args[0] if error.args else error)
