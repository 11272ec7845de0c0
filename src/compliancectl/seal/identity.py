"""Whose a key was that was made for one signature and forgotten: a Sigstore bundle v0.3 of the same envelope.

It holds a certificate, by which an authority (Fulcio) bound the key to an identity that an OpenID Connect provider
vouched for, and an entry of that signature in a public log (Rekor), with the log's proof that it is there.

What it says is read without any library, and held against the seal: it must be about this very envelope and key. What it
proves is for the library `sigstore` to say (the extra of that name), offline, by the trusted root that the verifier
names. Nothing in the bundle is a root, and what was not checked is not counted.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

from compliancectl import canonical
from compliancectl.model.trust import TrustedIdentity
from compliancectl.seal import Problem, Skipped, additions, container, dsse, sigstore

if TYPE_CHECKING:
    from cryptography.x509 import Certificate
    from sigstore.verify.policy import VerificationPolicy

INSTALL = "Install it: pip install 'compliancectl[sigstore]'."
_MOST = 1024**2
_ROOT = "application/vnd.dev.sigstore.trustedroot+json;version=0.1"
# Fulcio's extensions, https://github.com/sigstore/fulcio/blob/main/docs/oid-info.md
_OTHER_NAME = "1.3.6.1.4.1.57264.1.7"
_ISSUER_V2 = "1.3.6.1.4.1.57264.1.8"


@dataclass(frozen=True)
class Enclosed:
    """What is enclosed about one key. The names are the certificate's own words until `prove` has checked them."""

    data: bytes
    member: str
    names: tuple[str, ...]
    not_before: datetime
    not_after: datetime


def read(members: container.Container, envelope: dsse.Envelope) -> Enclosed | None:
    """Read what is enclosed about the envelope's key, and hold it against the envelope; None if nothing is.

    Raises:
        Problem: if it is not a Sigstore bundle of this very envelope, with a certificate of this very key.
    """
    name = additions.identity_name(envelope.key_id)
    if name not in members.sizes:
        return None
    data = container.read(members, name, limit=_MOST)
    try:
        said = json.loads(data)
        exact = canonical.to_lines([said]) == data
        held, material = said["dsseEnvelope"], said["verificationMaterial"]
        signed = (held["payloadType"], raw(held["payload"]), [raw(one["sig"]) for one in held["signatures"]])
        kind, certificate = said["mediaType"], raw(material["certificate"]["rawBytes"])
    except (ValueError, TypeError, KeyError, RecursionError) as error:
        raise Problem("is not a Sigstore bundle with a certificate", member=name) from error
    if not exact or kind != sigstore.MEDIA_TYPE:
        raise Problem("is not a Sigstore bundle v0.3 on one line in RFC 8785 form", member=name)
    if signed != (dsse.PAYLOAD_TYPE, envelope.payload, [envelope.signature]):
        raise Problem("is about another statement, or another signature of it", member=name)
    return _enclosed(data, name, certificate, envelope.key_id)


def prove(enclosed: Enclosed, known: TrustedIdentity) -> None:
    """Check an identity by the trusted root that the verifier names for it, offline.

    The certificate is by an authority of that root, was logged when it was issued, names this identity and issuer; the
    signature is entered in a log of that root, and was made while the certificate was valid.

    Raises:
        Problem: if any of that is not so.
        Skipped: if the library is not installed.
    """
    try:
        from sigstore.models import Bundle, TrustedRoot
        from sigstore.verify import Verifier, policy
        from sigstore_models.trustroot.v1 import TrustedRoot as Form
    except ImportError:
        said = f"The identity {known.name!r} was not checked: the library `sigstore` is not installed."
        raise Skipped(said, INSTALL) from None
    try:
        verifier = Verifier(trusted_root=TrustedRoot(Form.from_json(known.trusted_root)))
        bundle = Bundle.from_json(enclosed.data)
        issued = issued_by(bundle.signing_certificate, known.issuer)
        verifier.verify_dsse(bundle, policy.AllOf([policy.Identity(identity=known.identity), issued]))
    except Exception as error:  # a stranger's bytes in another's parser: whatever it raises, nothing is proven
        reason = " ".join(str(error).split()) or type(error).__name__
        raise Problem(f"does not prove the identity {known.name!r}: {reason}", member=enclosed.member) from error


def issued_by(certificate: Certificate, issuer: str) -> VerificationPolicy:
    """The demand that a certificate names this issuer: in the newer of Fulcio's two extensions, where it has it."""
    from cryptography.x509 import ObjectIdentifier
    from sigstore.verify import policy

    newer = ObjectIdentifier(_ISSUER_V2) in {extension.oid for extension in certificate.extensions}
    return policy.OIDCIssuerV2(issuer) if newer else policy.OIDCIssuer(issuer)


def candidates(enclosed: Enclosed, known: Sequence[TrustedIdentity]) -> list[TrustedIdentity]:
    """Those trusted identities that the certificate says it is for."""
    return [one for one in known if one.identity in enclosed.names]


def is_trusted_root(text: str) -> bool:
    """True for JSON that calls itself a Sigstore trusted root; the library reads the rest."""
    try:
        return bool(json.loads(text)["mediaType"] == _ROOT)
    except (ValueError, TypeError, KeyError, RecursionError):
        return False


def _enclosed(data: bytes, name: str, certificate: bytes, key_id: str) -> Enclosed:
    from cryptography.hazmat.primitives.asymmetric import ec
    from cryptography.x509 import load_der_x509_certificate

    try:
        read = load_der_x509_certificate(certificate)
        key = read.public_key()
        names = _names(read)
    except Exception as error:  # cryptography documents no closed list of what a malformed certificate raises
        raise Problem("has no certificate that can be read", member=name) from error
    if not isinstance(key, ec.EllipticCurvePublicKey) or dsse.key_id(key) != key_id:
        raise Problem("has a certificate of another key", member=name)
    return Enclosed(data, name, names, read.not_valid_before_utc, read.not_valid_after_utc)


def _names(certificate: Certificate) -> tuple[str, ...]:
    """Whom the certificate names, in its subject alternative name."""
    from cryptography.x509 import (
        ExtensionNotFound,
        OtherName,
        RFC822Name,
        SubjectAlternativeName,
        UniformResourceIdentifier,
    )

    try:
        found = certificate.extensions.get_extension_for_class(SubjectAlternativeName).value
    except ExtensionNotFound:
        return ()
    others = [
        one.value.decode(errors="replace")
        for one in found.get_values_for_type(OtherName)
        if one.type_id.dotted_string == _OTHER_NAME
    ]
    addresses = found.get_values_for_type(UniformResourceIdentifier)
    return (*addresses, *found.get_values_for_type(RFC822Name), *others)


def raw(text: Any) -> bytes:
    """Bytes in base64, as a Sigstore bundle has them; `ValueError` if they are not."""
    if not isinstance(text, str):
        raise ValueError("not base64")
    return base64.b64decode(text, validate=True)
