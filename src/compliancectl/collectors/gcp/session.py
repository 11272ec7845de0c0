"""An open connection to Google Cloud: credentials, one HTTP session per thread, and the record of what was asked when."""

from __future__ import annotations

import os
import threading
from collections.abc import Generator, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any, cast

from compliancectl import clock
from compliancectl.collectors.base import Context, Diagnosis, Session
from compliancectl.collectors.calls import Answer, TryAgain, call
from compliancectl.collectors.gcp.config import GcpConfig
from compliancectl.collectors.gcp.oauth import TokenRequest, acting_as, default_credentials, refresh, refused
from compliancectl.collectors.gcp.pace import Pace
from compliancectl.collectors.gcp.redact import REDACTED
from compliancectl.collectors.gcp.verdict import Asked, judge, unauthenticated
from compliancectl.errors import ApiDisabled, CollectError
from compliancectl.model.evidence import Principal

if TYPE_CHECKING:
    import requests
    from google.auth.credentials import Credentials
    from google.auth.transport.requests import AuthorizedSession

    from compliancectl.collectors.gcp.inventory import Inventory


@dataclass(frozen=True)
class Request:
    """One REST request."""

    asked: Asked
    path: str
    """Below the service's endpoint: `v1/projects/p1/instances`."""
    params: Sequence[tuple[str, str]] = ()
    json: Mapping[str, Any] | None = None
    """Body of a POST; None: a GET."""


class GcpSession(Session):
    """Asks Google Cloud with Application Default Credentials. Thread-safe."""

    def __init__(self, config: GcpConfig, context: Context) -> None:
        self.config = config
        self.context = context
        self._environment = dict(os.environ)
        self._lock = threading.RLock()
        self._local = threading.local()
        self._opened: list[requests.Session] = []
        self._channels: list[Any] = []
        self.log_clients: dict[str, Any] = {}
        """Clients of Cloud Logging, made by `logclient` at the first call."""
        self._credentials: Credentials | None = None
        self._plain: requests.Session | None = None
        self._principal: Principal | None = None
        self.pace = Pace(context.max_calls or config.max_calls)
        """What every request passes before it is sent."""
        self._inventories: dict[str, Inventory | CollectError] = {}
        self._discovering = threading.Lock()
        self._enabled: dict[str, frozenset[str] | CollectError] = {}
        self._asking_usage = threading.Lock()
        self._times: dict[tuple[str, str], tuple[datetime, datetime]] = {}

    def endpoint(self, service: str) -> str:
        """The base URL of a service, without a slash at the end."""
        return self.config.endpoint(service, self._environment)

    def environment(self, name: str) -> str | None:
        """An environment variable as it was when the session was opened."""
        return self._environment.get(name)

    def labels(self, value: Any) -> Any:
        """Labels with the values of those that are not evidence redacted."""
        if not isinstance(value, Mapping):
            return value
        return {name: text if name in self.config.label_names else REDACTED for name, text in value.items()}

    # -- asking ---------------------------------------------------------------------------------------------------

    def ask(self, request: Request) -> Answer:
        """Send one request until it is answered.

        Raises:
            CollectError: why there is no usable answer.
        """
        refused: list[int] = []

        def verdict(response: requests.Response) -> TryAgain | CollectError | None:
            if response.status_code == 401 and not refused:
                refused.append(401)
                self.forget_token()
                return TryAgain(unauthenticated("HTTP 401"), 0.0)
            return judge(response, request.asked)

        try:
            return call(
                lambda: self._send(request),
                verdict,
                deadline_s=self.context.deadline_s,
                pause_s=self.config.retry_pause_s,
            )
        except ApiDisabled as off:
            raise self.confirmed(request.asked, off) from None

    def confirmed(self, asked: Asked, off: ApiDisabled) -> ApiDisabled:
        """The refusal of an API that is switched off, with what Service Usage says about it."""
        from compliancectl.collectors.gcp.enabled import confirmed

        return confirmed(self, asked, off)

    def enabled_apis(self, where: str) -> frozenset[str] | CollectError:
        """The APIs that Service Usage says are enabled in a project, asked once; or why it does not say."""
        from compliancectl.collectors.gcp.enabled import read

        with self._asking_usage:
            if where not in self._enabled:
                try:
                    self._enabled[where] = read(self, where)
                except CollectError as error:
                    self._enabled[where] = error
            return self._enabled[where]

    def _send(self, request: Request) -> requests.Response:
        from google.auth import exceptions

        self.token()
        self.pace.pass_through(request.asked.service)
        try:
            return self._http().request(
                "GET" if request.json is None else "POST",
                f"{self.endpoint(request.asked.service)}/{request.path}",
                params=list(request.params),
                json=request.json,
                timeout=self.timeout_s,
                allow_redirects=False,
            )
        except exceptions.GoogleAuthError as error:  # another thread gave up the token in this very moment
            raise refused(error) from None

    @property
    def timeout_s(self) -> float:
        """How long one attempt may take, in seconds."""
        return min(60.0, self.context.deadline_s)

    def _http(self) -> AuthorizedSession:
        """This thread's session; hidden repetition is off everywhere, so that every attempt is on record."""
        known: AuthorizedSession | None = getattr(self._local, "http", None)
        if known is None:
            from google.auth.transport.requests import AuthorizedSession

            known = AuthorizedSession(
                self.credentials(), refresh_status_codes=(), max_refresh_attempts=0, auth_request=self.transport()
            )
            known.headers["User-Agent"] = "compliancectl"
            self._local.http = known
            with self._lock:
                self._opened.append(known)
        return known

    # -- credentials ----------------------------------------------------------------------------------------------

    def credentials(self) -> Credentials:
        """Application Default Credentials, or those of the service account that they impersonate.

        Raises:
            Denied: if there are none, or they cannot be read.
        """
        with self._lock:
            if self._credentials is None:
                found = default_credentials(self.config.quota_project)
                if self.config.impersonate:
                    endpoint = self.endpoint("iamcredentials")
                    found = acting_as(found, self.config.impersonate, endpoint, self.config.quota_project)
                self._credentials = found
            return self._credentials

    def token(self) -> str:
        """A valid access token.

        Raises:
            CollectError: if Google refuses the credentials, or does not answer with a token.
            TryAgain: if the token endpoint cannot be reached, or is busy.
        """
        with self._lock:
            credentials = self.credentials()
            refresh(credentials, self.transport())
            return str(credentials.token)

    def forget_token(self) -> None:
        """Make the next request ask for a new token."""
        with self._lock:
            self.credentials().token = None

    def transport(self) -> TokenRequest:
        """What google-auth sends token requests with; without repetition of its own."""
        import requests

        with self._lock:
            if self._plain is None:
                self._plain = requests.Session()
                self._opened.append(self._plain)
            return TokenRequest(self._plain, self.timeout_s)

    def principal(self) -> Principal:
        """Who asks, and whether they could have changed anything."""
        with self._lock:
            if self._principal is None:
                from compliancectl.collectors.gcp.identity import identify

                self._principal = identify(self)
            return self._principal

    # -- where --------------------------------------------------------------------------------------------------------

    def inventory(self, root: str) -> Inventory:
        """The projects below an organisation or folder, looked for once.

        Raises:
            CollectError: if they cannot be found.
        """
        from compliancectl.collectors.gcp.inventory import discover
        from compliancectl.collectors.gcp.listing import Tally

        with self._discovering:
            if root not in self._inventories:
                self._inventories[root] = _drained(discover(self, root, Tally()))
            known = self._inventories[root]
        if isinstance(known, CollectError):
            raise known
        return known

    # -- when what was asked --------------------------------------------------------------------------------------

    @contextmanager
    def timed(self, feed: str, target: str) -> Iterator[None]:
        """Remember when a feed was fetched, for the query that finds it in the audit log."""
        start = clock.now()
        try:
            yield
        finally:
            with self._lock:
                self._times[feed, target] = (start, clock.now())

    def times(self, feed: str, target: str) -> tuple[datetime, datetime] | None:
        """When a feed was fetched from a target; None if it was not."""
        with self._lock:
            return self._times.get((feed, target))

    def keep_channel(self, channel: Any) -> None:
        """Close this gRPC channel with the session."""
        with self._lock:
            self._channels.append(channel)

    @property
    def lock(self) -> threading.RLock:
        """Guards what is made once per session."""
        return self._lock  # type: ignore[return-value]

    def doctor(self) -> Iterator[Diagnosis]:
        """Credentials, then each API and permission in each place."""
        from compliancectl.collectors.gcp.doctor import examine

        yield from examine(self)

    def close(self) -> None:
        """Close all connections."""
        with self._lock:
            for http in self._opened:
                http.close()
            for channel in self._channels:
                channel.close()
            self._opened.clear()
            self._channels.clear()


def _drained(steps: Generator[object, None, Inventory]) -> Inventory | CollectError:
    """Run to the end; what it returns, or why it could not."""
    try:
        while True:
            next(steps)
    except StopIteration as done:
        return cast("Inventory", done.value)
    except CollectError as error:
        return error
