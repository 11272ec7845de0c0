"""A name server for the company's zones, over UDP: real DNS messages, answered with authority."""

from __future__ import annotations

import socketserver
import threading
from typing import Any


class NameServer:
    """Answers from `zones`: name → kind → records as text. A kind that is `SERVFAIL` makes the server fail."""

    def __init__(self, zones: dict[str, dict[str, list[str]]]) -> None:
        self.zones = zones
        self.asked: list[tuple[str, str]] = []
        self.failing: set[tuple[str, str]] = set()
        """Names and kinds for which the server fails."""
        server = self

        class Handler(socketserver.BaseRequestHandler):
            def handle(self) -> None:
                wire, stream = self.request
                stream.sendto(server.answer(wire), self.client_address)

        self._server = socketserver.ThreadingUDPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
        self._thread.start()

    @property
    def address(self) -> str:
        """`127.0.0.1:PORT`."""
        return f"127.0.0.1:{self._server.server_address[1]}"

    def answer(self, wire: bytes) -> bytes:
        """The answer to one query."""
        import dns.flags
        import dns.message
        import dns.rcode
        import dns.rdatatype
        import dns.rrset

        query = dns.message.from_wire(wire)
        question = query.question[0]
        name, kind = question.name.to_text(omit_final_dot=True).lower(), dns.rdatatype.to_text(question.rdtype)
        self.asked.append((name, kind))
        response: Any = dns.message.make_response(query)
        response.flags |= dns.flags.AA
        if (name, kind) in self.failing:
            response.set_rcode(dns.rcode.SERVFAIL)
        elif name not in self.zones:
            response.set_rcode(dns.rcode.NXDOMAIN)
        else:
            records = [_quoted(text) if kind == "TXT" else text for text in self.zones[name].get(kind, [])]
            if records:
                response.answer.append(dns.rrset.from_text(question.name, 300, "IN", kind, *records))
        return bytes(response.to_wire())

    def stop(self) -> None:
        """Release the port."""
        self._server.shutdown()
        self._server.server_close()


def _quoted(text: str) -> str:
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'
