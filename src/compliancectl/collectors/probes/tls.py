"""TLS at the edge: which versions a hostname takes, and the certificate that it shows."""

from __future__ import annotations

import ssl
from collections.abc import Iterator
from typing import Any

from compliancectl import clock
from compliancectl.collectors.base import Feed, Fetched, Reply, Row, Target
from compliancectl.collectors.probes import handshake, kept, wire
from compliancectl.collectors.probes.session import ProbesSession, Record
from compliancectl.collectors.probes.wire import Failed, Place
from compliancectl.errors import Unreachable
from compliancectl.model.table import BOOL, INT, TEXT, TIME, Column, ListOf, Table

_RFC = "RFC 8446"


def _accepted(version: str) -> Column:
    text = f"TLS {version} is taken; NULL: the answer does not tell, or this machine could not offer it."
    return Column(f"tls{version.replace('.', '')}", BOOL, text, f"{_RFC}: first record of the server")


def _answer(version: str) -> Column:
    text = f"Answer to an offer of TLS {version} alone: `hello`, `hello 1.1` with another version, `alert protocol_version`, `closed`, `not offered` …"
    return Column(f"tls{version.replace('.', '')}_answer", TEXT, text, f"{_RFC}: first record of the server")


TLS = Table(
    "probes.tls",
    "One row per public hostname: each TLS version that was offered to it, alone, and the answer.",
    (
        Column("resource", TEXT, "`https://HOST`.", "scope", required=True),
        Column("hostname", TEXT, "The hostname.", "scope: hostnames", required=True),
        Column("address", TEXT, "Address that was connected to.", "DNS", required=True),
        *(_accepted(version) for version in handshake.VERSIONS),
        *(_answer(version) for version in handshake.VERSIONS),
    ),
    key=("resource",),
)

CERTIFICATE = Table(
    "probes.certificate",
    "One row per public hostname: the certificate that it shows.",
    (
        Column("resource", TEXT, "`https://HOST`.", "scope", required=True),
        Column("hostname", TEXT, "The hostname.", "scope: hostnames", required=True),
        Column("address", TEXT, "Address that was connected to.", "DNS", required=True),
        Column("trusted", BOOL, "A client that trusts the roots takes chain, dates and name.", "TLS handshake"),
        Column("distrust", TEXT, "Why not.", "OpenSSL's verification result"),
        Column("subject", TEXT, "Whom it is made out to.", "RFC 5280: subject"),
        Column("issuer", TEXT, "Who made it out.", "RFC 5280: issuer"),
        Column("names", ListOf(TEXT), "Hostnames that it is good for.", "RFC 5280: subjectAltName"),
        Column("not_before", TIME, "From when it is good.", "RFC 5280: validity.notBefore"),
        Column("not_after", TIME, "Until when it is good.", "RFC 5280: validity.notAfter"),
        Column("key_type", TEXT, "`RSA`, `EC`, or another kind of key.", "RFC 5280: subjectPublicKeyInfo"),
        Column("key_bits", INT, "Size of the key in bits; NULL for kinds that have one size.", "the same"),
        Column("signature", TEXT, "Digest that it is signed with: `sha256`.", "RFC 5280: signatureAlgorithm"),
        Column("sha256", TEXT, "Digest of the certificate.", "derived"),
    ),
    key=("resource",),
)


def targets(session: ProbesSession) -> Iterator[Target]:
    """One per hostname."""
    for host in session.config.hostnames:
        yield Target(host, f"https://{host}")


def fetch(session: ProbesSession, target: Target) -> Fetched:
    """Offer each version alone, then make an ordinary handshake, and one that takes any certificate."""
    place, asked, record = session.place(target.name, 443), clock.now(), Record([])
    offers = [_offer(session, place, version, record) for version in handshake.VERSIONS]
    shown = _certificate(session, place, record)
    yield kept.reply(
        {"hostname": target.name, "address": place.address, "offers": offers, "certificate": shown},
        f"TLS handshakes with {target.name}:443",
        asked,
        record,
    )
    return kept.whole("one offer of each TLS version and one full handshake, each answered or repeated")


def _offer(session: ProbesSession, place: Place, version: str, record: Record) -> dict[str, Any]:
    """One offer; whoever ends the connection, or falls silent, is asked again."""

    def once() -> handshake.Offered:
        answer = handshake.offer(place, version, session.timeout_s)
        if answer.outcome in ("closed", "silent"):
            last.append(answer)
            raise Failed(answer.outcome, "no first record")  # type: ignore[arg-type]
        return answer

    last: list[handshake.Offered] = []
    try:
        found = session.persist(once, record)
    except Failed as failed:
        if not last:
            raise Unreachable(f"{place.host} took no connection: {failed.detail}", hint=_HINT) from None
        found = last[-1]
    return {
        "version": found.version,
        "outcome": found.outcome,
        "alert": found.alert,
        "chosen": found.chosen,
        "client_hello": found.hello,
        "first_record": found.answer,
    }


_HINT = "Check the hostname and the network; something between here and there may stop connections."


def _certificate(session: ProbesSession, place: Place, record: Record) -> dict[str, Any]:
    trust, distrust = session.trust(), None
    try:
        pem = _shown(session, place, trust, record)
    except Failed as failed:
        distrust = failed.detail
        if failed.outcome != "untrusted":
            return {"outcome": failed.outcome, "detail": failed.detail}
        try:
            pem = _shown(session, place, wire.credulous(), record)
        except Failed as again:
            return {"outcome": again.outcome, "detail": again.detail}
    return {"outcome": "shown", "trusted": distrust is None, "distrust": distrust, "pem": pem}


def _shown(session: ProbesSession, place: Place, context: ssl.SSLContext, record: Record) -> str:
    def once() -> str:
        with wire.secured(place, context, session.timeout_s) as stream:
            raw = stream.getpeercert(binary_form=True)
        if not raw:
            raise Failed("garbage", "no certificate was shown")
        return ssl.DER_cert_to_PEM_cert(raw)

    return session.persist(once, record)


def shape(reply: Reply) -> Iterator[Row]:
    """One row of each table."""
    data = kept.seen(reply)
    common = {"resource": f"https://{data['hostname']}", "hostname": data["hostname"], "address": data["address"]}
    some = any(offer["outcome"] == "hello" for offer in data["offers"])
    row: dict[str, Any] = dict(common)
    for offer in data["offers"]:
        name = f"tls{offer['version'].replace('.', '')}"
        row[name] = accepted(offer, some)
        down = offer["chosen"] if offer["chosen"] != offer["version"] else None  # an older server answers with its own
        row[f"{name}_answer"] = " ".join(filter(None, (offer["outcome"], offer["alert"], down)))
    yield TLS.name, row
    shown = data["certificate"]
    if shown["outcome"] == "shown":
        about = {"trusted": shown["trusted"], "distrust": shown["distrust"], **described(shown["pem"])}
        yield CERTIFICATE.name, {**common, **about}
    else:
        yield CERTIFICATE.name, {**common, "distrust": f"{shown['outcome']}: {shown['detail']}"}


def accepted(offer: dict[str, Any], some: bool) -> bool | None:
    """Whether a version was taken.

    An end of the connection refuses a version only if another version is taken at the same place: then it is not the
    network that ends it.
    """
    if offer["outcome"] == "hello":
        return bool(offer["chosen"] == offer["version"])
    if offer["outcome"] == "alert" and offer["alert"] in handshake.REFUSALS:
        return False
    return False if offer["outcome"] == "closed" and some else None


def described(pem: str) -> dict[str, Any]:
    """What a certificate says."""
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes
    from cryptography.hazmat.primitives.asymmetric import ec, rsa

    certificate = x509.load_pem_x509_certificate(pem.encode("ascii"))
    try:
        alternatives = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
        names = sorted(str(name.value) for name in alternatives)
    except x509.ExtensionNotFound:
        names = []
    key, digest = certificate.public_key(), certificate.signature_hash_algorithm
    kind = {rsa.RSAPublicKey: "RSA", ec.EllipticCurvePublicKey: "EC"}
    return {
        "subject": certificate.subject.rfc4514_string(),
        "issuer": certificate.issuer.rfc4514_string(),
        "names": names,
        "not_before": certificate.not_valid_before_utc,
        "not_after": certificate.not_valid_after_utc,
        "key_type": next((name for of, name in kind.items() if isinstance(key, of)), type(key).__name__),
        "key_bits": getattr(key, "key_size", None),
        "signature": digest.name if digest else None,
        "sha256": certificate.fingerprint(hashes.SHA256()).hex(),
    }


FEEDS = (
    Feed(
        name="tls",
        description="TLS versions that public hostnames take, and their certificates.",
        tables=(TLS, CERTIFICATE),
        targets=targets,
        fetch=fetch,
        shape=shape,
    ),
)
