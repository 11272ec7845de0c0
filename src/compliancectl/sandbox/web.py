"""The HTTP server that the sandbox's vendors share: routes to a handler, keeps a log, misbehaves on request."""

from __future__ import annotations

import json
import re
import socket
import ssl
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Literal
from urllib.parse import parse_qsl, urlsplit


@dataclass(frozen=True)
class Request:
    """What a client sent."""

    method: str
    path: str
    query: tuple[tuple[str, str], ...]
    headers: dict[str, str]
    """Names in lower case."""
    body: bytes

    @property
    def json(self) -> Any:
        """The body as JSON; None when there is none."""
        return json.loads(self.body) if self.body else None

    def param(self, name: str) -> str | None:
        """The first value of a query parameter, or None."""
        return next((value for key, value in self.query if key == name), None)


@dataclass
class Response:
    """What the sandbox answers."""

    status: int = 200
    body: bytes = b""
    headers: dict[str, str] = field(default_factory=dict)

    @classmethod
    def of(cls, data: Any, status: int = 200, headers: dict[str, str] | None = None) -> Response:
        """A JSON answer."""
        body = json.dumps(data, ensure_ascii=False).encode()
        return cls(status, body, {"Content-Type": "application/json; charset=utf-8", **(headers or {})})


Kind = Literal["status", "disconnect", "slow", "garbage", "vendor"]


@dataclass
class Misbehaviour:
    """One way in which matching requests go wrong, for as long as `times` lasts."""

    path: str
    """Regular expression, searched in `METHOD /path`, or in what else a vendor's server describes a request by."""
    kind: Kind = "status"
    """`status`: answer with `status`, `headers`, `body`; `disconnect`: close in the middle of the body; `slow`: wait
    `seconds` first (or until the server stops); `garbage`: bytes that are not the protocol; `vendor`: handled by the vendor
    part, which looks for `name` (endless page token, disabled API)."""
    name: str = ""
    status: int = 500
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes = b"{}"
    seconds: float = 1.0
    times: int = 1_000_000
    """How many more requests it meets."""


class WebServer:
    """A threaded HTTP/1.1 server on loopback."""

    def __init__(
        self,
        handler: Callable[[Request], Response],
        *,
        host: str = "127.0.0.1",
        port: int = 0,
        tls: ssl.SSLContext | None = None,
        describe: Callable[[Request], str] = lambda request: f"{request.method} {request.path}",
    ) -> None:
        self.handler = handler
        self.describe = describe
        self.log: list[Request] = []
        self.misbehaviours: list[Misbehaviour] = []
        self._lock = threading.Lock()
        self._stopping = threading.Event()
        self._server = _Threaded((host, port), _handler_class(self))
        if tls is not None:
            self._server.socket = tls.wrap_socket(self._server.socket, server_side=True)
        self.host, self.port = host, int(self._server.server_address[1])
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)

    @property
    def url(self) -> str:
        """`http://127.0.0.1:PORT` (https when it speaks TLS)."""
        scheme = "https" if isinstance(self._server.socket, ssl.SSLSocket) else "http"
        return f"{scheme}://{self.host}:{self.port}"

    def start(self) -> WebServer:
        """Begin to serve, in a thread."""
        self._thread.start()
        return self

    def stop(self) -> None:
        """Stop and release the port."""
        self._stopping.set()
        self._server.shutdown()
        self._server.server_close()

    def take(self, request: Request, kind: Kind | None = None, name: str = "") -> Misbehaviour | None:
        """The misbehaviour that this request meets, if any; counts it as used."""
        line = self.describe(request)
        with self._lock:
            for rule in self.misbehaviours:
                fits = (kind is None and rule.kind != "vendor") or (rule.kind == kind and rule.name == name)
                if fits and rule.times > 0 and re.search(rule.path, line):
                    rule.times -= 1
                    return rule
        return None


class _Threaded(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 64

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that goes away is not worth a traceback."""


def _handler_class(server: WebServer) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        disable_nagle_algorithm = True

        def log_message(self, format: str, *args: Any) -> None:
            """Silent: `WebServer.log` keeps the requests."""

        def _serve(self) -> None:
            length = int(self.headers.get("Content-Length") or 0)
            split = urlsplit(self.path)
            request = Request(
                self.command,
                split.path,
                tuple(parse_qsl(split.query, keep_blank_values=True)),
                {k.lower(): v for k, v in self.headers.items()},
                self.rfile.read(length),
            )
            server.log.append(request)
            rule = server.take(request)
            if rule is None or rule.kind == "slow":
                if rule is not None:
                    server._stopping.wait(rule.seconds)
                self._send(server.handler(request))
            elif rule.kind == "status":
                self._send(Response(rule.status, rule.body, {"Content-Type": "application/json", **rule.headers}))
            elif rule.kind == "garbage":
                self.wfile.write(b"\x00\x01garbage, not HTTP\r\n\r\n")
                self.close_connection = True
            else:
                self._send(server.handler(request), cut=True)

        def _send(self, response: Response, *, cut: bool = False) -> None:
            self.send_response(response.status)
            for name, value in response.headers.items():
                self.send_header(name, value)
            if response.status not in (204, 304):
                self.send_header("Content-Length", str(len(response.body)))
            self.end_headers()
            if cut:
                self.wfile.write(response.body[: len(response.body) // 2])
                self.wfile.flush()
                self.connection.shutdown(socket.SHUT_RDWR)
                self.close_connection = True
            elif self.command != "HEAD":
                self.wfile.write(response.body)

        do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = do_HEAD = _serve

    return Handler
