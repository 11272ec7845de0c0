"""Which TLS versions a server takes: a client that offers exactly one, and the server's first word.

The offer is made by the local TLS library, and the bytes that it really sends are looked at before they are sent: a
library whose own policy forbids an old version sends nothing, and then the server was not asked. The server's first
record decides: its hello names the version that it chose; an alert refuses.
"""

from __future__ import annotations

import socket
import ssl
import warnings
from dataclasses import dataclass

from compliancectl.collectors.probes import wire
from compliancectl.collectors.probes.wire import Failed, Place

VERSIONS = {"1.0": 0x0301, "1.1": 0x0302, "1.2": 0x0303, "1.3": 0x0304}
"""RFC 8446, section 4.2.1, and its forerunners."""

_ALERT, _HANDSHAKE = 21, 22
_SERVER_HELLO = 2
_SUPPORTED_VERSIONS = 43
_ALERTS = {
    10: "unexpected_message",
    40: "handshake_failure",
    47: "illegal_parameter",
    50: "decode_error",
    70: "protocol_version",
    71: "insufficient_security",
    80: "internal_error",
    86: "inappropriate_fallback",
    112: "unrecognized_name",
    116: "certificate_required",
}
REFUSALS = frozenset({"handshake_failure", "protocol_version", "insufficient_security", "inappropriate_fallback"})
"""Alerts that are about what was offered; others, `internal_error` above all, are not."""


@dataclass(frozen=True)
class Offered:
    """One offer of one version, and the answer."""

    version: str
    outcome: str
    """`hello`, `alert`, `closed`, `silent`, `garbage`, or `not offered` when the local library would not."""
    alert: str | None = None
    chosen: str | None = None
    """The version that the server chose."""
    hello: str = ""
    """What was sent, in hexadecimal."""
    answer: str = ""
    """The first record that came back, in hexadecimal."""


def offer(place: Place, version: str, timeout_s: float) -> Offered:
    """Offer one version and read the server's first word.

    Raises:
        Failed: if nobody takes the connection.
        Unreachable: if there is no way to it.
    """
    hello = client_hello(place.host, version)
    if not hello:
        return Offered(version, "not offered")
    with wire.connect(place, timeout_s) as stream:
        try:
            stream.sendall(hello)
            record = _first_word(stream)
        except OSError as error:
            failed = wire.failure(error, place.address)
            if not isinstance(failed, Failed):
                raise failed from None
            return Offered(version, failed.outcome, hello=hello.hex())
    if record is None:
        return Offered(version, "closed", hello=hello.hex())
    outcome, alert, chosen = read(record)
    return Offered(version, outcome, alert, chosen, hello.hex(), record.hex())


def client_hello(host: str, version: str) -> bytes:
    """The first bytes of a client that speaks this version alone; empty if the local library does not speak it."""
    number = VERSIONS[version]
    context = wire.credulous()
    try:
        context.set_ciphers("ALL:@SECLEVEL=0")
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)  # it is offered in order to be refused
            context.minimum_version = context.maximum_version = ssl.TLSVersion(number)
        outgoing = ssl.MemoryBIO()
        client = context.wrap_bio(ssl.MemoryBIO(), outgoing, server_hostname=host)
        client.do_handshake()
    except ssl.SSLWantReadError:
        sent = outgoing.read()
        return sent if speaks(sent, number) else b""
    except (ssl.SSLError, ValueError):
        return b""
    return b""


def speaks(hello: bytes, number: int) -> bool:
    """Whether a client's hello offers a version: in its own field up to 1.2, in an extension from 1.3 on."""
    if len(hello) < 11 or hello[0] != _HANDSHAKE or hello[5] != 1:
        return False
    if number < VERSIONS["1.3"]:
        return int.from_bytes(hello[9:11], "big") == number
    return bytes((0, _SUPPORTED_VERSIONS, 0, 3, 2, 3, 4)) in hello


def _first_word(stream: socket.socket) -> bytes | None:
    """The first record that is more than a warning; None if the connection ends before one."""
    while True:
        head = _exactly(stream, 5)
        if head is None:
            return None
        body = _exactly(stream, int.from_bytes(head[3:5], "big")) if head[0] in (_ALERT, _HANDSHAKE) else b""
        if body is None:
            return None
        if not (head[0] == _ALERT and body[:1] == b"\x01"):  # e.g. that the name is unknown, and the hello follows
            return head + body


def _exactly(stream: socket.socket, count: int) -> bytes | None:
    data = b""
    while len(data) < count:
        part = stream.recv(count - len(data))
        if not part:
            return None
        data += part
    return data


def read(record: bytes) -> tuple[str, str | None, str | None]:
    """What a server's first record says: outcome, alert, chosen version."""
    kind, body = record[0], record[5:]
    if kind == _ALERT and len(body) >= 2:
        return "alert", _ALERTS.get(body[1], f"alert {body[1]}"), None
    if kind == _HANDSHAKE and len(body) >= 38 and body[0] == _SERVER_HELLO:
        number = _negotiated(body)
        return "hello", None, next((name for name, value in VERSIONS.items() if value == number), f"0x{number:04x}")
    return "garbage", None, None


def _negotiated(hello: bytes) -> int:
    """The version in a server's hello (RFC 8446, section 4.1.3)."""
    version = int.from_bytes(hello[4:6], "big")
    at = 38 + 1 + hello[38] + 3 if len(hello) > 38 else len(hello)
    end = at + 2 + int.from_bytes(hello[at : at + 2], "big")
    at += 2
    while at + 4 <= min(end, len(hello)):
        kind, size = int.from_bytes(hello[at : at + 2], "big"), int.from_bytes(hello[at + 2 : at + 4], "big")
        if kind == _SUPPORTED_VERSIONS and size == 2:
            return int.from_bytes(hello[at + 4 : at + 6], "big")
        at += 4 + size
    return version
