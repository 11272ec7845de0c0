"""PyGithub as transport: its authentication and its requester, with our own policy for retries and records.

PyGithub would throttle and repeat requests by itself, and out of sight; both are switched off. A connection of
ours is handed to its requester for every request, which keeps the response exactly as it came.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from compliancectl import __version__, canonical
from compliancectl.collectors.base import Context
from compliancectl.collectors.calls import Answer, TryAgain, call
from compliancectl.collectors.github.config import GitHubConfig
from compliancectl.collectors.github.judge import Judge
from compliancectl.collectors.github.pace import Pace
from compliancectl.errors import CollectError, Denied, Garbage, RateLimited, SourceFailed, Unreachable

if TYPE_CHECKING:
    import requests
    from github.Requester import Requester

API_VERSION = "2022-11-28"
PAGE_SIZE = 100


class Connection:
    """One request on a shared HTTP session, in the form that PyGithub's requester asks for."""

    def __init__(self, http: requests.Session, root: str, timeout_s: float) -> None:
        self._http, self._root, self._timeout = http, root, timeout_s
        self.response: requests.Response | None = None
        self._request: tuple[str, str, Any, dict[str, str]] | None = None

    def request(self, verb: str, url: str, input: Any, headers: dict[str, str], stream: bool = False) -> None:
        """Note what to send."""
        self._request = (verb, url, input, headers)

    def getresponse(self) -> Any:
        """Send it, keep the response, and hand PyGithub its view of it."""
        from github.Requester import RequestsResponse

        assert self._request is not None
        verb, url, body, headers = self._request
        self.response = self._http.request(
            verb, self._root + url, headers=headers, data=body, timeout=self._timeout, allow_redirects=False
        )
        if self.response.status_code == 202:  # PyGithub would sleep and ask again, unseen and without end
            raise TryAgain(SourceFailed(f"GitHub is still computing the answer to {verb} {url}"))
        if self.response.is_redirect:  # it would follow, and lose the query on the way
            raise Moved(self.response)
        return RequestsResponse(self.response)

    def close(self) -> None:
        """Nothing to do: the session is shared."""


class Moved(Exception):
    """A redirection; carries the response to judge."""

    def __init__(self, response: requests.Response) -> None:
        super().__init__("moved")
        self.response = response


class Client:
    """Sends requests to one GitHub host with one set of credentials. Thread-safe."""

    def __init__(self, config: GitHubConfig, context: Context) -> None:
        import requests

        self._config, self._context = config, context
        self._http = session(config.base_url)
        adapter = requests.adapters.HTTPAdapter(max_retries=0, pool_maxsize=32)
        self._http.mount("https://", adapter)
        self._http.mount("http://", adapter)
        self._requester: Requester | None = None
        self._pace = Pace(config.requests_per_minute)
        self._lock = threading.Lock()

    @property
    def requester(self) -> Requester:
        """PyGithub's requester, built at first use because credentials may be missing.

        Raises:
            Denied: if there are no usable credentials.
        """
        with self._lock:
            if self._requester is None:
                import github

                self._requester = github.Github(
                    auth=_credentials(self._config, self._context),
                    base_url=self._config.base_url.rstrip("/"),
                    timeout=max(1, round(self._timeout_s)),
                    user_agent=f"compliancectl/{__version__}",
                    per_page=PAGE_SIZE,
                    retry=None,
                    seconds_between_requests=None,
                    seconds_between_writes=None,
                    api_version=API_VERSION,
                ).requester
            return self._requester

    @property
    def _timeout_s(self) -> float:
        return min(self._config.timeout_s, self._context.deadline_s)

    def get(
        self, path: str, parameters: dict[str, Any], *, also_fine: tuple[int, ...] = (), etag: str | None = None
    ) -> Answer:
        """GET one REST resource; `path` may also be an absolute URL of the same host, as in `Link` headers.

        Args:
            path: where.
            parameters: of the query.
            also_fine: statuses that are an answer, too.
            etag: of an answer that is at hand; GitHub may then answer 304 without a body.

        Raises:
            CollectError: see `judge`.
        """
        self._pace.take(self._context.progress)
        if etag is None:
            judge = Judge(self._config.secondary_pause_s, also_fine)
            return self._call("GET", path, judge, parameters=dict(parameters))
        judge = Judge(self._config.secondary_pause_s, (*also_fine, 304))
        return self._call("GET", path, judge, parameters=dict(parameters), headers={"If-None-Match": etag})

    @property
    def asker(self) -> str:
        """A digest that tells one set of credentials from another."""
        app = self._config.app
        secret = f"{app.id} {app.installation}" if app else os.environ.get(self._config.token_env, "").strip()
        return canonical.sha256(f"{self._config.base_url} {secret}".encode())

    def graphql(self, document: str, variables: Mapping[str, Any], *, parts: bool = False) -> tuple[Answer, Any]:
        """POST one GraphQL document; with `parts`, one that asks about many things and may be refused some of them.

        Returns:
            The answer, and its body, parsed: an object.

        Raises:
            CollectError: see `judge`.
        """
        judge = Judge(self._config.secondary_pause_s, parts=parts)
        body = {"query": document, "variables": dict(variables)}
        answer = self._call("POST", self.requester.graphql_url, judge.graphql, input=body)
        return answer, judge.body

    def write(self, verb: str, path: str, body: Mapping[str, Any], *, again: bool) -> Answer:
        """POST or PATCH one REST resource. Collectors never do.

        Args:
            verb: `POST` or `PATCH`.
            path: where.
            body: what to send.
            again: whether it may be repeated when nobody knows if it was done.

        Raises:
            CollectError: see `judge`.
        """
        deadline_s = self._context.deadline_s if again else 0.0  # no time for a second attempt
        judge = Judge(self._config.secondary_pause_s)
        return self._call(verb, path, judge, deadline_s=deadline_s, input=dict(body))

    def _call(self, verb: str, url: str, judge: Any, *, deadline_s: float | None = None, **more: Any) -> Answer:
        requester = self.requester
        root = f"{requester.scheme}://{requester.hostname_and_port}"

        def send() -> requests.Response:
            connection = Connection(self._http, root, self._timeout_s)
            try:
                requester.requestJson(verb, url, cnx=connection, **more)  # type: ignore[arg-type]
            except Moved as moved:
                return moved.response
            except Exception as error:
                raise _translated(error) from None
            if connection.response is None:
                raise Garbage("PyGithub did not send the request")
            return connection.response

        allowed_s = self._context.deadline_s if deadline_s is None else deadline_s
        return call(send, judge, deadline_s=allowed_s, pause_s=self._config.retry_pause_s)

    def installation_permissions(self) -> dict[str, str] | None:
        """What GitHub granted with the App's current installation token; None when it did not say.

        PyGithub keeps the answer that the token came in, but names it in private.
        """
        granted = getattr(self.requester.auth, "_AppInstallationAuth__installation_authorization", None)
        return granted.permissions if granted is not None else None

    def close(self) -> None:
        """Close the connections."""
        self._http.close()
        if self._requester is not None:
            self._requester.close()


def session(root: str) -> requests.Session:
    """A session that takes proxy and certificates from the environment once, not for every request, and never reads .netrc."""
    import requests

    http = requests.Session()
    said = http.merge_environment_settings(root, {}, None, None, None)
    http.proxies, http.verify, http.trust_env = said["proxies"], said["verify"], False
    return http


def _credentials(config: GitHubConfig, context: Context) -> Any:
    from github import Auth

    if config.app is None:
        token = os.environ.get(config.token_env, "").strip()
        if not token:
            raise Denied(
                f"no GitHub token: the environment variable {config.token_env} is not set",
                hint=f"Set {config.token_env}, or configure a GitHub App under `app:`.",
            )
        return Auth.Token(token)
    path = context.folder / config.app.private_key
    try:
        key = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise Denied(
            f"the private key of the GitHub App cannot be read: {error}",
            hint="Check `app.private_key` in the scope file.",
        ) from None
    return Auth.AppInstallationAuth(Auth.AppAuth(config.app.id, key), config.app.installation)


def _translated(error: Exception) -> Exception:
    """PyGithub's own failures (while it fetches an installation token) in this product's terms."""
    import jwt
    import requests

    from github import GithubException

    if isinstance(error, (requests.exceptions.RequestException, CollectError, TryAgain)):
        return error
    if isinstance(error, GithubException):
        said = error.data.get("message", "") if isinstance(error.data, dict) else ""
        if error.status == 429 or (error.status == 403 and "rate limit" in said.lower()):
            return TryAgain(RateLimited(f"GitHub asks to wait before it gives an installation token: {said}"))
        if error.status >= 500:
            return TryAgain(SourceFailed(f"GitHub answered {error.status} when asked for an installation token"))
        return Denied(
            f"GitHub refused an installation token ({error.status}): {said}",
            hint="Check the App's id, its private key and the installation id.",
        )
    if isinstance(error, (jwt.exceptions.PyJWTError, ValueError)):
        return Denied(f"the GitHub App's private key cannot sign: {error}", hint="Use the PEM file from GitHub.")
    return Unreachable(f"PyGithub failed: {type(error).__name__}: {error}")
