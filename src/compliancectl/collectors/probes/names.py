"""Names in DNS, with dnspython: the one module that knows that library.

That a name or a record does not exist is an answer of DNS. That no server answers, or one fails, is not: then nothing
is known.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from compliancectl.errors import SourceFailed, Unreachable

if TYPE_CHECKING:
    import dns.resolver


def resolver(server: str | None, timeout_s: float) -> dns.resolver.Resolver:
    """A resolver that asks `server` (`address:port`), or those of the system.

    Raises:
        Unreachable: if the system names none.
    """
    import dns.resolver

    try:
        made = dns.resolver.Resolver(configure=server is None)
    except dns.resolver.NoResolverConfiguration:
        hint = "Name one with `resolver` in the scope file."
        raise Unreachable("this machine has no DNS server configured", hint=hint) from None
    if server:
        address, _, port = server.rpartition(":")
        made.nameservers, made.port = [address.strip("[]")], int(port)
    made.lifetime, made.timeout = timeout_s, max(timeout_s / 3, 0.1)
    return made


def look_up(resolver: dns.resolver.Resolver, name: str, kind: str) -> list[str]:
    """The records of one kind, as text, in the order of their text; none if the name or the kind does not exist.

    Raises:
        Unreachable: if no server answers in time.
        SourceFailed: if the servers fail.
    """
    import dns.exception
    import dns.resolver

    try:
        answer: Any = resolver.resolve(name, kind, raise_on_no_answer=False, search=False)
    except dns.resolver.NXDOMAIN:
        return []
    except dns.exception.Timeout:
        raise Unreachable(f"no DNS server answered about {name} {kind} in time", hint="Check the network.") from None
    except dns.exception.DNSException as error:
        first = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise SourceFailed(
            f"DNS failed for {name} {kind}: {first}", hint="Repeat it; then ask who runs the zone."
        ) from None
    return sorted(_text(record, kind) for record in answer.rrset or ())


def addresses(resolver: dns.resolver.Resolver, name: str) -> list[str]:
    """IPv4 addresses, then IPv6 addresses.

    Raises:
        CollectError: if they cannot be looked up.
    """
    return look_up(resolver, name, "A") + look_up(resolver, name, "AAAA")


def _text(record: Any, kind: str) -> str:
    """A record as one text; the pieces of a TXT record belong together (RFC 7208, section 3.3)."""
    if kind == "TXT":
        return b"".join(record.strings).decode("utf-8", "replace")
    return str(record.to_text())
