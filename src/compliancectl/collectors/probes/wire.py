"""Connections as a stranger makes them: TCP, a first TLS record, one HTTP exchange; and what becomes of each.

A connection that fails says something about the other side only in some ways. These are told apart: nobody listens
(`refused`), the other side ends the connection (`closed`), it says so in TLS (`alert`), its certificate is not to be
trusted (`untrusted`), it says nothing in time (`silent`), what it says is not the protocol (`garbage`).
"""

from __future__ import annotations

import errno
import http.client
import socket
import ssl
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from compliancectl.collectors.calls import why
from compliancectl.errors import Unreachable

Outcome = Literal["answered", "refused", "closed", "alert", "untrusted", "silent", "garbage"]
BODY_LIMIT = 2_000_000
"""Most bytes of a page that are read."""
_CLOSED = (errno.ECONNRESET, errno.EPIPE, errno.ECONNABORTED)


class Failed(Exception):
    """A connection or exchange that did not come about."""

    def __init__(self, outcome: Outcome, detail: str) -> None:
        super().__init__(detail)
        self.outcome: Outcome = outcome
        self.detail = detail


@dataclass(frozen=True)
class Place:
    """Where a connection goes."""

    host: str
    """The name that is asked for."""
    port: int
    address: str
    """The address that is connected to."""
    address_port: int


@dataclass(frozen=True)
class Exchange:
    """One HTTP response."""

    status: int
    headers: list[tuple[str, str]]
    body: bytes = b""
    cut: bool = False
    """The body was longer than is read."""

    def header(self, name: str) -> str | None:
        """The values of a header joined by commas; None if it is not there."""
        values = [value for key, value in self.headers if key.lower() == name.lower()]
        return ", ".join(values) if values else None


@dataclass
class Tried:
    """What became of one attempt, for the record."""

    outcome: str
    detail: str = ""
    exchange: Exchange | None = field(default=None)


def connect(place: Place, timeout_s: float) -> socket.socket:
    """Open a TCP connection.

    Raises:
        Failed: if the other side did not take it.
        Unreachable: if there is no way to it, which says nothing about it.
    """
    try:
        return socket.create_connection((place.address, place.address_port), timeout=timeout_s)
    except OSError as error:
        raise failure(error, f"{place.address}:{place.address_port}") from None


def failure(error: Exception, where: str) -> Failed | Unreachable:
    """What an exception of a connection means."""
    if isinstance(error, ssl.SSLCertVerificationError):
        return Failed("untrusted", error.verify_message)
    if isinstance(error, ssl.SSLEOFError | ssl.SSLZeroReturnError):
        return Failed("closed", "ended without a word")
    if isinstance(error, ssl.SSLError):
        said = (error.reason or why(error)).lower().replace("_", " ")
        return Failed("alert" if "alert" in said else "garbage", said)
    if isinstance(error, TimeoutError):
        return Failed("silent", "no answer in time")
    if isinstance(error, ConnectionRefusedError):
        return Failed("refused", "nobody listens")
    if isinstance(error, http.client.RemoteDisconnected):
        return Failed("closed", "ended without an answer")
    if isinstance(error, http.client.HTTPException):
        return Failed("garbage", why(error))
    if isinstance(error, OSError) and error.errno in _CLOSED:
        return Failed("closed", why(error))
    return Unreachable(f"no way to {where}: {why(error)}", hint="Check the network from here to there.")


def trusting(roots: str | None) -> ssl.SSLContext:
    """A client that believes only certificates of trusted roots that are made out to the name."""
    return ssl.create_default_context(cafile=roots)


def credulous() -> ssl.SSLContext:
    """A client that takes any certificate: as an intruder would, who comes to look."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context


def secured(place: Place, context: ssl.SSLContext, timeout_s: float) -> ssl.SSLSocket:
    """Open a TLS connection.

    Raises:
        Failed: if it did not come about.
        Unreachable: if there is no way to it.
    """
    plain = connect(place, timeout_s)
    try:
        return context.wrap_socket(plain, server_hostname=place.host)
    except OSError as error:
        plain.close()
        raise failure(error, place.address) from None


def get(
    place: Place, path: str, timeout_s: float, context: ssl.SSLContext | None, sent: Mapping[str, str] | None = None
) -> Exchange:
    """One GET, without following where it leads; `context` None: over plain HTTP; `sent`: further headers.

    Raises:
        Failed: if there was no HTTP response.
        Unreachable: if there is no way to it.
    """
    stream = secured(place, context, timeout_s) if context else connect(place, timeout_s)
    usual = 443 if context else 80
    host = place.host if place.port == usual else f"{place.host}:{place.port}"
    more = "".join(f"{name}: {value}\r\n" for name, value in (sent or {}).items())
    with stream:
        try:
            stream.sendall(
                f"GET {path or '/'} HTTP/1.1\r\nHost: {host}\r\nUser-Agent: compliancectl\r\nAccept: */*\r\n"
                f"{more}Accept-Encoding: identity\r\nConnection: close\r\n\r\n".encode("ascii")
            )
            response = http.client.HTTPResponse(stream, method="GET")
            response.begin()
            body = response.read(BODY_LIMIT + 1)
        except (OSError, http.client.HTTPException) as error:
            raise failure(error, place.address) from None
    headers = [(name, value) for name, value in response.getheaders()]
    return Exchange(response.status, headers, body[:BODY_LIMIT], len(body) > BODY_LIMIT)
