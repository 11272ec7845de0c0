"""Cloud Logging over gRPC with google-cloud-logging: the one module that knows that library.

The library's own repetition is off; every call goes through the same policy as HTTP, so that every attempt is on
record. The channel speaks TLS; the roots may be named by GRPC_DEFAULT_SSL_ROOTS_FILE_PATH, as for any gRPC client.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast
from urllib.parse import urlsplit

from compliancectl.collectors.calls import Answer, TryAgain, call
from compliancectl.collectors.gcp.session import GcpSession
from compliancectl.collectors.gcp.verdict import (
    ENDPOINT,
    LATER,
    SLOWER,
    Asked,
    denied,
    disabled,
    missing,
    unauthenticated,
)
from compliancectl.errors import ApiDisabled, CollectError, Garbage, RateLimited, SourceFailed, Unreachable, UsageError

if TYPE_CHECKING:
    import requests
    from google.api_core.exceptions import GoogleAPICallError

_NO_LIMIT = -1


class NotAccepted(SourceFailed):
    """The service does not accept the request as it is: a page token that has expired, for one."""


@dataclass(frozen=True)
class _Answered:
    """What `calls` wants to know of an answer."""

    page: Any
    status_code: str = "OK"


def rpc(session: GcpSession, asked: Asked, service: str, method: str, request: Any) -> tuple[Any, Answer]:
    """Call one method for one page.

    Args:
        session: who asks.
        asked: what for, for the words of a refusal.
        service: `config`, `logging` or `metrics`.
        method: the client's method, e.g. `list_sinks`.
        request: the request message.

    Returns:
        The response as a protobuf message, and the record of the call.

    Raises:
        CollectError: why there is no usable answer.
    """
    client = _client(session, service)
    refused: list[bool] = []

    def send() -> _Answered:
        from google.api_core import exceptions

        session.pace.pass_through("logging")
        try:
            pager = getattr(client, method)(
                request=request, retry=None, timeout=session.timeout_s, metadata=_metadata(session)
            )
        except exceptions.GoogleAPICallError as error:
            raise _judge(session, asked, error, refused) from None
        return _Answered(next(iter(pager.pages)))

    try:
        answer = call(
            cast("Any", send),
            lambda response: None,
            deadline_s=session.context.deadline_s,
            pause_s=session.config.retry_pause_s,
        )
    except ApiDisabled as off:
        raise session.confirmed(asked, off) from None
    page = cast(_Answered, cast("requests.Response | Any", answer.response)).page
    return type(page).pb(page), answer


def _client(session: GcpSession, service: str) -> Any:
    from google.cloud.logging_v2.services.config_service_v2 import ConfigServiceV2Client
    from google.cloud.logging_v2.services.config_service_v2.transports import ConfigServiceV2GrpcTransport
    from google.cloud.logging_v2.services.logging_service_v2 import LoggingServiceV2Client
    from google.cloud.logging_v2.services.logging_service_v2.transports import LoggingServiceV2GrpcTransport
    from google.cloud.logging_v2.services.metrics_service_v2 import MetricsServiceV2Client
    from google.cloud.logging_v2.services.metrics_service_v2.transports import MetricsServiceV2GrpcTransport

    with session.lock:
        if not session.log_clients:
            channel = _channel(session)
            session.keep_channel(channel)
            session.log_clients["config"] = ConfigServiceV2Client(
                transport=ConfigServiceV2GrpcTransport(channel=channel)
            )
            session.log_clients["logging"] = LoggingServiceV2Client(
                transport=LoggingServiceV2GrpcTransport(channel=channel)
            )
            session.log_clients["metrics"] = MetricsServiceV2Client(
                transport=MetricsServiceV2GrpcTransport(channel=channel)
            )
        return session.log_clients[service]


def _channel(session: GcpSession) -> Any:
    import grpc

    split = urlsplit(session.endpoint("logging"))
    if split.scheme != "https" or not split.hostname:
        raise UsageError(
            f"the endpoint of logging must be https, not {session.endpoint('logging')!r}",
            hint="Cloud Logging is asked over gRPC, which is always encrypted here.",
        )
    roots = session.environment("GRPC_DEFAULT_SSL_ROOTS_FILE_PATH")
    pem = Path(roots).read_bytes() if roots else None
    return grpc.secure_channel(
        f"{split.hostname}:{split.port or 443}",
        grpc.ssl_channel_credentials(root_certificates=pem),
        options=[("grpc.max_receive_message_length", _NO_LIMIT), ("grpc.enable_retries", 0)],
    )


def _metadata(session: GcpSession) -> list[tuple[str, str]]:
    quota = getattr(session.credentials(), "quota_project_id", None)
    return [("authorization", f"Bearer {session.token()}"), *([("x-goog-user-project", quota)] if quota else [])]


def _judge(
    session: GcpSession, asked: Asked, error: GoogleAPICallError, refused: list[bool]
) -> TryAgain | CollectError:
    code = error.grpc_status_code.name if error.grpc_status_code else "UNKNOWN"
    message = str(error.message)
    where = f"{asked.api.title}, {asked.where}: "
    if code == "UNAUTHENTICATED":
        if refused:
            return unauthenticated(message)
        refused.append(True)
        session.forget_token()
        return TryAgain(unauthenticated(message), 0.0)
    if code == "PERMISSION_DENIED":
        return _forbidden(asked, error, message)
    if code == "NOT_FOUND":
        return missing(asked, message)
    if code == "RESOURCE_EXHAUSTED":
        return TryAgain(RateLimited(f"{where}{message}", hint=SLOWER), _retry_delay(error))
    if code == "INTERNAL" and "deserializing" in message:  # the words of gRPC itself, on this side of the wire
        return Garbage(f"{where}an answer that is not the documented message", hint=ENDPOINT)
    if code in ("UNAVAILABLE", "DEADLINE_EXCEEDED"):
        return TryAgain(Unreachable(f"{where}{message}", hint="Check the host, the port, the roots and the network."))
    if code in ("INTERNAL", "ABORTED", "UNKNOWN"):
        return TryAgain(SourceFailed(f"{where}{code}: {message}", hint=LATER), _retry_delay(error))
    if code in ("UNIMPLEMENTED", "DATA_LOSS"):
        return Garbage(f"{where}{code}: {message}", hint=ENDPOINT)
    return (NotAccepted if code == "INVALID_ARGUMENT" else SourceFailed)(f"{where}{code}: {message}")


def _forbidden(asked: Asked, error: GoogleAPICallError, message: str) -> CollectError:
    if error.reason == "SERVICE_DISABLED":
        return disabled(asked, message)
    metadata: Mapping[str, str] = error.metadata or {}
    return denied(asked, message, metadata.get("permission"))


def _retry_delay(error: GoogleAPICallError) -> float | None:
    """The pause that the error asks for, in seconds."""
    details: Iterable[Any] = error.details or ()
    for detail in details:
        delay = getattr(detail, "retry_delay", None)
        if delay is not None:
            return float(delay.seconds) + float(delay.nanos) / 1e9
    return None
