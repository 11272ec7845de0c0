"""`compliancectl doctor` for the probes: can names be looked up, and can the places be reached from here."""

from __future__ import annotations

from collections.abc import Iterator
from urllib.parse import urlsplit

from compliancectl.collectors.base import Diagnosis
from compliancectl.collectors.probes import canaries, handshake, wire
from compliancectl.collectors.probes.session import ProbesSession
from compliancectl.collectors.probes.wire import Failed
from compliancectl.errors import CollectError


def examine(session: ProbesSession) -> Iterator[Diagnosis]:
    """One line per TLS version that can be offered, the roots, and each place."""
    yield from _versions()
    yield _roots(session)
    yield from _names(session)
    yield from _credentials(session)
    for host, port in _places(session):
        yield _reach(session, host, port)


def _versions() -> Iterator[Diagnosis]:
    for version in handshake.VERSIONS:
        if handshake.client_hello("example.com", version):
            yield Diagnosis(f"offering TLS {version}", "ok", "this machine's TLS library can")
        else:
            fix = "Use a Python whose OpenSSL still has that version, or other answers to it stay unknown."
            yield Diagnosis(f"offering TLS {version}", "missing", "this machine's TLS library refuses", fix)


def _roots(session: ProbesSession) -> Diagnosis:
    try:
        count = len(session.trust().get_ca_certs())
    except CollectError as error:
        return Diagnosis("trusted roots", "missing", error.message, error.hint)
    if not count and not session.config.ca_file:
        return Diagnosis("trusted roots", "ok", "the system's folder of certificates, read when it is needed")
    return Diagnosis("trusted roots", "ok" if count else "missing", f"{count} certificates")


def _names(session: ProbesSession) -> Iterator[Diagnosis]:
    from compliancectl.collectors.probes import names

    for name in session.config.mail_domains:
        try:
            found = names.look_up(session.resolver(), name, "MX")
        except CollectError as error:
            yield Diagnosis(f"DNS of {name}", "unknown", error.message, error.hint)
        else:
            yield Diagnosis(f"DNS of {name}", "ok", f"{len(found)} mail exchangers")


def _credentials(session: ProbesSession) -> Iterator[Diagnosis]:
    for canary in session.config.canaries:
        unset = canaries.missing(canary)
        fix = f"Set {unset[0]} to the value of the header {canary.header}." if unset else None
        detail = f"{' and '.join(unset)} not set" if unset else "its credentials are set"
        if not unset and not canary.credential:
            detail = "needs no credential"
        yield Diagnosis(f"canary {canary.name}", "missing" if unset else "ok", detail, fix)


def _places(session: ProbesSession) -> list[tuple[str, int]]:
    config = session.config
    named = [
        *(page.url for page in config.pages),
        *(page.url for page in config.statements),
        *(c.url for c in config.canaries),
        *(api.url for api in config.apis),
    ]
    urls = [urlsplit(url) for url in named]
    found = [(host, 443) for host in (*config.hostnames, *config.security_txt, *(o.host for o in config.origins))]
    found += [(str(u.hostname), u.port or (443 if u.scheme == "https" else 80)) for u in urls]
    return sorted(set(found))


def _reach(session: ProbesSession, host: str, port: int) -> Diagnosis:
    subject = f"{host}:{port}"
    try:
        place = session.place(host, port)
        wire.connect(place, session.timeout_s).close()
    except Failed as failed:
        return Diagnosis(
            subject, "unknown", f"{failed.outcome}: {failed.detail}", "Check the hostname and the network."
        )
    except CollectError as error:
        return Diagnosis(subject, "unknown", error.message, error.hint)
    return Diagnosis(subject, "ok", f"{place.address} takes connections")
