"""Google's REST APIs as the seal and the store use them: Application Default Credentials, one try, plain errors.

Collectors have their own way, with repetition on record; here a person waits, and repeats the command.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from compliancectl.errors import CollectError, Denied, Garbage, Missing, SourceFailed, Unreachable

if TYPE_CHECKING:
    import requests
    from google.auth.transport.requests import AuthorizedSession

_LOGIN = "Set Application Default Credentials, for example with `gcloud auth application-default login`."

_LOOKUP = "/allowedLocations"


@dataclass(frozen=True)
class GoogleApi:
    """One service."""

    title: str
    url: str
    variable: str
    """Environment variable with another address, for private endpoints."""
    session: AuthorizedSession
    role: str
    """What the principal needs, for the hint."""
    timeout_s: float = 60.0

    def send(self, method: str, path: str, *, allowed: tuple[int, ...] = (200,), **request: Any) -> requests.Response:
        """Send one request; `path` may be a whole address that the service gave.

        Raises:
            CollectError: if it cannot be reached, or answers with a status that is not `allowed`.
        """
        import requests
        from google.auth import exceptions

        base = os.environ.get(self.variable, self.url).rstrip("/")
        address = path if path.startswith(("http://", "https://")) else f"{base}/{path}"
        try:
            answer = self.session.request(
                method, address, timeout=self.timeout_s, max_allowed_time=None, allow_redirects=False, **request
            )
        except exceptions.GoogleAuthError as error:
            said = error.args[0] if error.args else error
            raise Denied(f"Google gave no token for {self.title}: {said}", hint=_LOGIN) from None
        except (requests.RequestException, OSError) as error:
            raise Unreachable(f"{self.title} cannot be reached: {error}", hint="Check the network.") from error
        if answer.status_code not in allowed:
            raise self._refused(answer.status_code, path)
        return answer

    def json(self, method: str, path: str, *, allowed: tuple[int, ...] = (200,), **request: Any) -> dict[str, Any]:
        """Send one request and read the JSON object that comes back.

        Raises:
            CollectError: as `send`, or if something else comes back.
        """
        answer = self.send(method, path, allowed=allowed, **request)
        try:
            said = answer.json()
        except ValueError as error:
            raise Garbage(
                f"{self.title} answered with something that is not JSON", hint="Check the endpoint."
            ) from error
        if not isinstance(said, dict):
            raise Garbage(f"{self.title} answered in another form than documented", hint="Check the endpoint.")
        return said

    def _refused(self, status: int, path: str) -> CollectError:
        what = path.partition("?")[0]
        if status in (401, 403):
            return Denied(f"{self.title} refuses {what}: HTTP {status}", hint=f"The principal needs {self.role}.")
        if status == 404:
            return Missing(f"{self.title} knows no {what}", hint="Check the name.")
        return SourceFailed(f"{self.title} answered {what} with HTTP {status}", hint="Try again later.")


def token_transport(http: requests.Session | None = None) -> Any:
    """What google-auth sends its own requests with: for tokens, and for nothing else.

    With every credential it looks up, in the background, the regions that an account is tied to, at a fixed address that
    no endpoint of the scope moves. It does without the answer, and has no switch for it but the transport it is given.
    """
    from google.auth import exceptions
    from google.auth.transport.requests import Request

    class ForTokens(Request):
        def __call__(self, url: str, *arguments: Any, **request: Any) -> Any:
            if url.endswith(_LOOKUP):
                raise exceptions.TransportError(f"not asked for: {url}")
            return super().__call__(url, *arguments, **request)  # type: ignore[no-untyped-call]

    return ForTokens(http)


def connect(title: str, url: str, variable: str, scope: str, role: str) -> GoogleApi:
    """Open a service with Application Default Credentials.

    Raises:
        Denied: if there are none that can be used.
    """
    import google.auth
    from google.auth import exceptions
    from google.auth.transport.requests import AuthorizedSession

    try:
        credentials, _ = google.auth.default(scopes=[scope])
    except (exceptions.GoogleAuthError, OSError, ValueError) as error:
        raise Denied(f"no usable Google credentials for {title}: {error}", hint=_LOGIN) from None
    session = AuthorizedSession(credentials, max_refresh_attempts=1, auth_request=token_transport())
    return GoogleApi(title, url, variable, session, role)
