"""DSSE v1.0.2: the signed envelope. Fifteen lines of format over ECDSA P-256 with SHA-256.

What is signed is not the payload but its pre-authentication encoding (PAE), which binds the payload's type and
length. The key id is a hint in DSSE; ours is the SHA-256 of the public key (SubjectPublicKeyInfo, DER), so that
`openssl` and `sha256sum` alone can compute it.
"""

from __future__ import annotations

import base64
import binascii
import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from compliancectl import canonical
from compliancectl.seal import Problem

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePrivateKey, EllipticCurvePublicKey

PAYLOAD_TYPE = "application/vnd.in-toto+json"


@dataclass(frozen=True)
class Envelope:
    """A payload and the one signature over it."""

    payload: bytes
    key_id: str
    signature: bytes
    """ASN.1 DER, as `openssl dgst -verify -signature` reads it."""

    @property
    def pae(self) -> bytes:
        """The exact bytes that are signed."""
        return pae(PAYLOAD_TYPE, self.payload)

    def to_line(self) -> bytes:
        """The envelope as one line of RFC 8785 JSON."""
        signature = {"keyid": self.key_id, "sig": _encode(self.signature)}
        return canonical.to_lines(
            [{"payload": _encode(self.payload), "payloadType": PAYLOAD_TYPE, "signatures": [signature]}]
        )


def pae(payload_type: str, payload: bytes) -> bytes:
    """The pre-authentication encoding: `DSSEv1 <length> <type> <length> <payload>`, lengths in bytes."""
    kind = payload_type.encode()
    return b"DSSEv1 %d %s %d %s" % (len(kind), kind, len(payload), payload)


def sign(payload: bytes, key: EllipticCurvePrivateKey) -> Envelope:
    """Sign `payload`. The same payload and key give the same signature (RFC 6979) where OpenSSL can do that."""
    from cryptography.exceptions import UnsupportedAlgorithm
    from cryptography.hazmat.primitives.asymmetric import ec
    from cryptography.hazmat.primitives.hashes import SHA256

    message = pae(PAYLOAD_TYPE, payload)
    try:
        signature = key.sign(message, ec.ECDSA(SHA256(), deterministic_signing=True))
    except UnsupportedAlgorithm:  # cryptography built on an OpenSSL before 3.2: a random nonce is as good a proof
        signature = key.sign(message, ec.ECDSA(SHA256()))
    return Envelope(payload, key_id(key.public_key()), signature)


def verify(envelope: Envelope, key: EllipticCurvePublicKey) -> bool:
    """True if the envelope's signature over its payload was made with the private half of `key`."""
    from cryptography.exceptions import InvalidSignature
    from cryptography.hazmat.primitives.asymmetric import ec
    from cryptography.hazmat.primitives.hashes import SHA256

    try:
        key.verify(envelope.signature, envelope.pae, ec.ECDSA(SHA256()))
    except InvalidSignature:
        return False
    return True


def key_id(key: EllipticCurvePublicKey) -> str:
    """SHA-256 of the public key's SubjectPublicKeyInfo in DER, in lower-case hexadecimal."""
    from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

    return canonical.sha256(key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo))


def parse(data: bytes, *, member: str) -> Envelope:
    """Read one envelope with one signature, exactly as `Envelope.to_line` writes it.

    Raises:
        Problem: if `data` is not such an envelope, or says more than one.
    """
    try:
        envelope = _from_json(json.loads(data))
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise Problem("is not a DSSE envelope with one signature", member=member) from error
    if envelope.to_line() != data:
        raise Problem("is not one envelope on one line in RFC 8785 form", member=member)
    return envelope


def _from_json(value: Any) -> Envelope:
    if value["payloadType"] != PAYLOAD_TYPE or len(value["signatures"]) != 1:
        raise ValueError("payloadType or number of signatures")
    signature = value["signatures"][0]
    return Envelope(_decode(value["payload"]), str(signature["keyid"]), _decode(signature["sig"]))


def _encode(data: bytes) -> str:
    return base64.b64encode(data).decode("ascii")


def _decode(text: str) -> bytes:
    try:
        return base64.b64decode(text, validate=True)
    except binascii.Error as error:
        raise ValueError("not base64") from error
