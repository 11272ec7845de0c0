"""What the probes share: how names become addresses, and how often something is tried."""

from __future__ import annotations

import ipaddress
import ssl
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeVar
from urllib.parse import urlsplit

from compliancectl import clock
from compliancectl.collectors.base import Context, Diagnosis, Session
from compliancectl.collectors.probes import names, wire
from compliancectl.collectors.probes.config import ProbesConfig
from compliancectl.collectors.probes.wire import Failed, Place
from compliancectl.errors import Denied, Missing, Unreachable
from compliancectl.model.evidence import Attempt, Principal

if TYPE_CHECKING:
    import dns.resolver

T = TypeVar("T")
TRIES = 2
"""How often something that fell silent, or was cut off, is tried."""


@dataclass
class Record:
    """The attempts of one probe, for the evidence."""

    attempts: list[Attempt]

    def note(self, outcome: str) -> None:
        """Write down one attempt that has just ended."""
        self.attempts.append(Attempt(at=clock.now(), outcome=outcome))


class ProbesSession(Session):
    """Asks as anybody can; only canaries have credentials. Thread-safe."""

    def __init__(self, config: ProbesConfig, context: Context) -> None:
        self.config = config
        self.context = context
        self._lock = threading.Lock()
        self._resolver: dns.resolver.Resolver | None = None

    @property
    def timeout_s(self) -> float:
        """How long one connection may take, in seconds."""
        return min(self.config.timeout_s, self.context.deadline_s)

    def resolver(self) -> dns.resolver.Resolver:
        """What names are looked up with."""
        with self._lock:
            if self._resolver is None:
                self._resolver = names.resolver(self.config.resolver, self.timeout_s)
            return self._resolver

    def trust(self) -> ssl.SSLContext:
        """A TLS client that believes what the scope trusts.

        Raises:
            Denied: if the file of roots cannot be used.
        """
        roots = str(self.context.folder / self.config.ca_file) if self.config.ca_file else None
        try:
            return wire.trusting(roots)
        except OSError as error:
            raise Denied(
                f"the trusted roots in {self.config.ca_file} cannot be used: {error.strerror or error}",
                hint="`ca_file` is a PEM file of certificates, relative to the scope file.",
            ) from None

    def place(self, host: str, port: int) -> Place:
        """Where `host` is reached: what `connect_to` says, itself if it is an address, else what DNS says first.

        Raises:
            CollectError: if there is no address.
        """
        chosen = self.config.connect_to.get(f"{host}:{port}")
        if chosen:
            address, _, text = chosen.rpartition(":")
            return Place(host, port, address.strip("[]"), int(text))
        try:
            return Place(host, port, str(ipaddress.ip_address(host)), port)
        except ValueError:
            found = names.addresses(self.resolver(), host)
        if not found:
            raise Missing(f"{host} has no address in DNS", hint="Correct its name in the scope file, or its DNS.")
        return Place(host, port, found[0], port)

    def locate(self, url: str) -> tuple[Place, str]:
        """Where a URL is reached, and what is asked for there: its path with its query.

        Raises:
            CollectError: if there is no address.
        """
        parts = urlsplit(url)
        place = self.place(str(parts.hostname), parts.port or (443 if parts.scheme == "https" else 80))
        return place, (parts.path or "/") + (f"?{parts.query}" if parts.query else "")

    def persist(self, probe: Callable[[], T], record: Record) -> T:
        """Try until there is an answer; what stays silent or cut off after a repetition is an answer too.

        Raises:
            Failed: how it ended.
            Unreachable: if there is no way to the other side.
        """
        for number in range(1, TRIES + 1):
            try:
                answer = probe()
            except Failed as failed:
                record.note(failed.outcome)
                if failed.outcome not in ("silent", "closed") or number == TRIES:
                    raise
            except Unreachable:
                record.note("unreachable")
                if number == TRIES:
                    raise
            else:
                record.note("answered")
                return answer
        raise AssertionError("TRIES is at least one")

    def principal(self) -> Principal:
        """Nobody in particular, and the accounts of the canaries."""
        named = (name for c in self.config.canaries for name in (c.credential, c.proof.credential if c.proof else None))
        variables = sorted({name for name in named if name})
        return Principal(
            subject="anybody on the network of this machine",
            authentication=f"none; of canaries: {', '.join(variables)}" if variables else "none",
            read_only="yes: looks names up, makes TLS handshakes and sends GET requests",
        )

    def doctor(self) -> Iterator[Diagnosis]:
        """Look every name up and connect to every place as collect would."""
        from compliancectl.collectors.probes.doctor import examine

        yield from examine(self)

    def close(self) -> None:
        """Nothing is held open."""
