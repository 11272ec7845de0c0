"""How a request is repeated and recorded: one policy for every HTTP source.

Each source says in a `judge` what an answer means (fine, try again, or a `CollectError`); this module waits,
gives up at the deadline, and keeps a record of every attempt, because a retry that nobody can see is a hole in
the evidence.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from itertools import groupby
from typing import TYPE_CHECKING, TypeVar

from compliancectl import clock
from compliancectl.errors import CollectError, Garbage, RateLimited, SourceFailed, Truncated, Unreachable
from compliancectl.model.evidence import Attempt

if TYPE_CHECKING:
    import requests
    import tenacity

MAX_ATTEMPTS = 6
MAX_PAUSE_S = 60.0
T = TypeVar("T")


def batches(things: Sequence[T], size: int) -> Iterator[list[T]]:
    """The things in lists of at most `size`, for requests that take so many."""
    for start in range(0, len(things), size):
        yield list(things[start : start + size])


@dataclass(frozen=True)
class TryAgain(Exception):
    """A judge's word that the request may be repeated."""

    error: CollectError
    """What to raise when there is no more time."""
    after_s: float | None = None
    """The pause the source asked for, in seconds; None: back off exponentially with full jitter."""


Judge = Callable[["requests.Response"], "TryAgain | CollectError | None"]


@dataclass
class Answer:
    """The final response of one request, with every attempt that led to it."""

    response: requests.Response
    requested_at: datetime
    completed_at: datetime
    attempts: list[Attempt] = field(default_factory=list)


def retry_after(response: requests.Response) -> float | None:
    """The `Retry-After` header in seconds (delta or HTTP date), or None."""
    value = response.headers.get("Retry-After")
    if value is None:
        return None
    if value.isdecimal():
        return float(value)
    from email.utils import parsedate_to_datetime

    try:
        return max(0.0, (parsedate_to_datetime(value) - clock.now()).total_seconds())
    except (TypeError, ValueError):  # not a date, or one without a zone
        return None


def call(send: Callable[[], requests.Response], judge: Judge, *, deadline_s: float, pause_s: float = 0.5) -> Answer:
    """Send until the judge is content, the deadline is near, or the attempts are used up.

    Args:
        send: performs the request once; may raise `requests` exceptions.
        judge: what an answer means.
        deadline_s: the total time allowed, pauses included, in seconds.
        pause_s: the first back-off, doubled each time, in seconds.

    Raises:
        CollectError: what the judge returned, or `Unreachable`, `Truncated`, `Garbage` for the transport's failures.
    """
    import tenacity

    attempts: list[Attempt] = []
    started = clock.now()

    def once() -> Answer:
        waited = 0
        if attempts:
            waited = int((clock.now() - attempts[-1].at).total_seconds() * 1000)
        at = clock.now()
        try:
            response = _send(send)
        except TryAgain as again:
            attempts.append(Attempt(at=at, outcome=again.error.cause, waited_ms=waited))
            raise
        attempts.append(Attempt(at=at, outcome=str(response.status_code), waited_ms=waited))
        verdict = judge(response)
        if verdict is not None:
            raise verdict
        return Answer(response, at, clock.now(), attempts)

    def wait(state: tenacity.RetryCallState) -> float:
        outcome = state.outcome.exception() if state.outcome else None
        asked = outcome.after_s if isinstance(outcome, TryAgain) else None
        return asked if asked is not None else backoff(state)

    def stop(state: tenacity.RetryCallState) -> bool:
        spent = (clock.now() - started).total_seconds()
        return state.attempt_number >= MAX_ATTEMPTS or spent + state.upcoming_sleep > deadline_s

    backoff = tenacity.wait_random_exponential(multiplier=pause_s, max=MAX_PAUSE_S)
    policy = tenacity.Retrying(retry=tenacity.retry_if_exception_type(TryAgain), wait=wait, stop=stop, reraise=True)
    try:
        return policy(once)
    except TryAgain as again:
        raise _after(again.error, attempts) from None


def _after(error: CollectError, attempts: list[Attempt]) -> CollectError:
    """The error, with what was tried before giving up: no reply is kept that could tell it."""
    if len(attempts) < 2:
        return error
    runs = [(outcome, len(list(run))) for outcome, run in groupby(attempt.outcome for attempt in attempts)]
    outcomes = ", ".join(f"{outcome} ×{count}" if count > 1 else outcome for outcome, count in runs)
    return type(error)(f"{error.message} (tried {len(attempts)} times: {outcomes})", hint=error.hint)


def _send(send: Callable[[], requests.Response]) -> requests.Response:
    """Perform one attempt; turn the transport's exceptions into this product's."""
    import requests

    try:
        return send()
    except requests.exceptions.SSLError as error:
        raise Unreachable(f"TLS failed{_at(error)}", hint="Check the certificate and the host name.") from None
    except (requests.exceptions.ChunkedEncodingError, requests.exceptions.ContentDecodingError) as error:
        hint = "Repeat it; if it stays, look for a proxy that cuts connections."
        raise TryAgain(Truncated(f"the connection broke in the middle of an answer{_at(error)}", hint=hint)) from None
    except requests.exceptions.Timeout as error:
        hint = "Check the host and the network, or allow more time with --deadline."
        raise TryAgain(Unreachable(f"no answer in time{_at(error)}", hint=hint)) from None
    except requests.exceptions.ConnectionError as error:
        raise _unconnected(error) from None
    except requests.exceptions.RequestException as error:
        raise Garbage(f"not a usable answer{_at(error)}", hint=_ENDPOINT) from None


_ENDPOINT = "Check the endpoint: a proxy or another service may be answering."
_NOBODY = (
    "Check the host, the port and the network. If the scope file sets this address, correct it there, or take it out."
)


def _unconnected(error: requests.exceptions.ConnectionError) -> TryAgain | Garbage:
    """Nobody answers, or somebody who does not speak HTTP."""
    if not speaks_http(error):
        return Garbage(f"an answer that is not HTTP{_at(error)}", hint=_ENDPOINT)
    return TryAgain(Unreachable(f"no connection{_at(error)}", hint=_NOBODY))


def _at(error: requests.exceptions.RequestException) -> str:
    """Where and why: ` (db.example): Connection refused`."""
    return f"{where(error)}: {why(error)}"


def where(error: BaseException) -> str:
    """Whom the request that failed was for, if that is known: ` (db.example:443)`."""
    from urllib.parse import urlsplit

    found: BaseException | None = error
    while found is not None:
        if url := getattr(getattr(found, "request", None), "url", None):
            return f" ({urlsplit(str(url)).netloc})"
        found = found.__cause__ or found.__context__
    return ""


def speaks_http(error: BaseException) -> bool:
    """False when the transport failed because what came is not HTTP."""
    from http.client import HTTPException, IncompleteRead, RemoteDisconnected

    cause = _first_cause(error)
    return not isinstance(cause, HTTPException) or isinstance(cause, IncompleteRead | RemoteDisconnected)


def why(error: BaseException) -> str:
    """The first cause in its own words, printable, without the layers of libraries around it."""
    cause = _first_cause(error)
    text = (cause.strerror if isinstance(cause, OSError) else None) or str(cause) or type(cause).__name__
    return repr(text)[1:-1][:200]


def _first_cause(error: BaseException) -> BaseException:
    while (before := error.__cause__ or error.__context__) is not None:
        error = before
    return error


def busy(response: requests.Response) -> TryAgain | None:
    """The common part of every judge: 429 and 5xx may be repeated; anything else is for the source to judge."""
    if response.status_code == 429:
        pause = retry_after(response)
        return TryAgain(RateLimited(f"rate limited by {response.url}"), pause)
    if response.status_code in (500, 502, 503, 504):
        return TryAgain(SourceFailed(f"HTTP {response.status_code} from {response.url}"), retry_after(response))
    return None
