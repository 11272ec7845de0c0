"""Cloud Logging over gRPC with TLS: sinks, buckets, log entries."""

from __future__ import annotations

import re
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import cache, partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from compliancectl.sandbox.google import logcontent
from compliancectl.sandbox.google.contract import FOLDER
from compliancectl.sandbox.google.state import State
from compliancectl.sandbox.google.tls import Authority
from compliancectl.sandbox.google.tokens import TokenService
from compliancectl.sandbox.web import Misbehaviour, Request, WebServer
from compliancectl.sandbox.yamlfile import read_yaml

if TYPE_CHECKING:
    import grpc

SERVICE = "logging.googleapis.com"
STATUSES = (
    "INVALID_ARGUMENT",
    "UNAUTHENTICATED",
    "RESOURCE_EXHAUSTED",
    "UNAVAILABLE",
    "DEADLINE_EXCEEDED",
    "INTERNAL",
    "NOT_FOUND",
)
FAILURES = (*STATUSES, "endless-page-token", "repeated-page-token", "slow", "garbage")
"""Names of `vendor` misbehaviours that the server knows."""


@cache
def contract() -> dict[str, Any]:
    """The statement of what is served."""
    found: dict[str, Any] = read_yaml(FOLDER / "logging.grpc.yaml")
    return found


class LogServer:
    """A gRPC server on loopback. Misbehaviours are taken from the web server's list: `POST /google.logging.v2.…`."""

    def __init__(self, state: State, tokens: TokenService, web: WebServer, authority: Authority, folder: Path) -> None:
        self.state, self.tokens, self.web = state, tokens, web
        self.log: list[tuple[str, Any]] = []
        """Every request: method and message."""
        self.replies: list[tuple[str, Any]] = []
        """The last replies, for tests that look at them; at most 200."""
        self.generated_entries: int | None = None
        """When set, this many entries are made up on the fly instead of the company's."""
        self._stopping = threading.Event()
        self._server, self.port = self._start(authority, folder)

    @property
    def url(self) -> str:
        """`https://localhost:PORT`."""
        return f"https://localhost:{self.port}"

    def stop(self) -> None:
        """Stop at once."""
        self._stopping.set()
        self._server.stop(None)

    def _start(self, authority: Authority, folder: Path) -> tuple[grpc.Server, int]:
        import grpc

        key, certificate = authority.server(folder, "logging", ("127.0.0.1",), ("localhost",))
        server = grpc.server(ThreadPoolExecutor(max_workers=4), options=[("grpc.so_reuseport", 0)])
        credentials = grpc.ssl_server_credentials([(key.read_bytes(), certificate.read_bytes())])
        port = server.add_secure_port("127.0.0.1:0", credentials)
        server.add_generic_rpc_handlers(tuple(self._handlers()))
        server.start()
        return server, port

    def _handlers(self) -> list[grpc.GenericRpcHandler]:
        import grpc
        from google.cloud.logging_v2 import types

        services: dict[str, dict[str, grpc.RpcMethodHandler]] = {}
        for name, entry in contract()["methods"].items():
            service, _, method = name.partition("/")
            services.setdefault(service, {})[method] = grpc.unary_unary_rpc_method_handler(
                self._method(f"{contract()['package']}.{name}", entry["permission"]),
                request_deserializer=getattr(types, entry["request"]).deserialize,
                response_serializer=partial(_bytes, getattr(types, entry["response"])),
            )
        package = contract()["package"]
        return [grpc.method_handlers_generic_handler(f"{package}.{name}", h) for name, h in services.items()]

    def _method(self, name: str, permission: str) -> Callable[[Any, grpc.ServicerContext], Any]:
        def serve(request: Any, context: grpc.ServicerContext) -> Any:
            self.log.append((name, request))
            self._admit(name, permission, request, context)
            reply = self._answer(_described(name, request), request, context)
            self.replies = [*self.replies[-199:], (name, reply)]
            return reply

        return serve

    def _admit(self, name: str, permission: str, request: Any, context: grpc.ServicerContext) -> None:
        headers = dict(context.invocation_metadata())
        if self.tokens.check(headers.get("authorization")) is None:
            _abort(context, "UNAUTHENTICATED", "Request had invalid authentication credentials.")
        where = _where(request)
        if self.state.is_disabled(SERVICE, where):
            info = {"service": SERVICE, "consumer": f"projects/{self.state.number(where)}"}
            _abort(
                context,
                "PERMISSION_DENIED",
                f"Cloud Logging API has not been used in project {self.state.number(where)} before or it is disabled.",
                info_reason="SERVICE_DISABLED",
                info=info,
            )
        if self.state.is_denied(permission, where):
            _abort(
                context,
                "PERMISSION_DENIED",
                f"Permission '{permission}' denied on resource (or it may not exist).",
                info_reason="IAM_PERMISSION_DENIED",
                info={"permission": permission, "resource": where},
            )
        for failure in STATUSES:
            rule = self._take(_described(name, request), failure)
            if rule is not None:
                _abort(context, failure, f"The sandbox was told to answer {failure}.", retry_s=rule.seconds)

    def _take(self, name: str, failure: str) -> Misbehaviour | None:
        return self.web.take(Request("POST", f"/{name}", (), {}, b""), "vendor", failure)

    def _answer(self, name: str, request: Any, context: grpc.ServicerContext) -> Any:
        try:
            if "ListSinks" in name:
                reply = logcontent.sinks(self.state, request)
            elif "ListBuckets" in name:
                reply = logcontent.buckets(self.state, request)
            elif "ListLogMetrics" in name:
                reply = logcontent.metrics(self.state, request)
            else:
                reply = logcontent.entries(self.state, request, self.generated_entries)
        except ValueError as error:
            _abort(context, "INVALID_ARGUMENT", str(error))
        if self._take(name, "endless-page-token"):
            reply.next_page_token = f"{len(self.log)}"
        elif self._take(name, "repeated-page-token"):
            reply.next_page_token = "0"
        elif self._take(name, "garbage"):
            return b"\xff\xffgarbage"
        elif rule := self._take(name, "slow"):
            self._stopping.wait(rule.seconds)
        return reply


def _described(name: str, request: Any) -> str:
    """What misbehaviours are searched in: the method, and the page if it is not the first."""
    return f"{name} after {request.page_token}" if request.page_token else name


def _bytes(kind: Any, reply: Any) -> bytes:
    """A message on the wire; bytes are sent as they are."""
    return reply if isinstance(reply, bytes) else bytes(kind.serialize(reply))


def _where(request: Any) -> str:
    text = request.resource_names[0] if hasattr(request, "resource_names") else request.parent
    match = re.match(r"(projects|organizations|folders)/[^/]+", text)
    return match.group(0) if match else text


def _abort(
    context: grpc.ServicerContext,
    code: str,
    message: str,
    *,
    info_reason: str = "",
    info: dict[str, str] | None = None,
    retry_s: float = 0.0,
) -> None:
    """End the call with a status and details as Google sends them."""
    import grpc
    from google.protobuf import any_pb2
    from google.rpc import error_details_pb2, status_pb2
    from grpc_status import rpc_status

    details = []
    if info_reason:
        details.append(error_details_pb2.ErrorInfo(reason=info_reason, domain="googleapis.com", metadata=info or {}))
    if code == "RESOURCE_EXHAUSTED":
        delay = error_details_pb2.RetryInfo()
        delay.retry_delay.FromNanoseconds(int(retry_s * 1e9))
        details.append(delay)
    packed = []
    for detail in details:
        holder = any_pb2.Any()
        holder.Pack(detail)
        packed.append(holder)
    number = grpc.StatusCode[code].value[0]
    context.abort_with_status(rpc_status.to_status(status_pb2.Status(code=number, message=message, details=packed)))
