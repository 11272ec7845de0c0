"""Google Cloud KMS: a key that signs and never leaves the service. The REST API, v1, with Application Default Credentials.

Only the digest of what is signed is sent. Every answer carries CRC-32C sums against damage on the way, as the
documentation of the service asks callers to check; and whatever it says, the signature is verified with the key before it
is used.
"""

from __future__ import annotations

import base64
import functools
import hashlib
import re
from dataclasses import dataclass
from typing import Any

from compliancectl import googleapi
from compliancectl.errors import Garbage, UsageError
from compliancectl.seal import dsse, keys
from compliancectl.seal.signed import Signed

SCHEME = "gcpkms://"
ENDPOINT_VARIABLE = "COMPLIANCECTL_ENDPOINT_KMS"
_ENDPOINT = "https://cloudkms.googleapis.com"
_SCOPE = "https://www.googleapis.com/auth/cloudkms"
_ALGORITHM = "EC_SIGN_P256_SHA256"
_VERSION = re.compile(
    r"projects/[^/]+/locations/[^/]+/keyRings/[A-Za-z0-9_-]+/cryptoKeys/[A-Za-z0-9_-]+/cryptoKeyVersions/[0-9]+"
)
_ROLE = "roles/cloudkms.signerVerifier on this key"


@dataclass(frozen=True)
class KmsKey:
    """One version of a key in Google Cloud KMS, ready to sign."""

    name: str
    key_id: str
    public_pem: bytes
    api: googleapi.GoogleApi
    warnings: tuple[str, ...] = ()

    def sign(self, payload: bytes) -> Signed:
        """Have the service sign a statement.

        Raises:
            CollectError: if it cannot be reached, refuses, or gives no signature of this key.
        """
        digest = hashlib.sha256(dsse.pae(dsse.PAYLOAD_TYPE, payload)).digest()
        said = self.api.json(
            "POST",
            f"v1/{self.name}:asymmetricSign",
            json={"digest": {"sha256": base64.b64encode(digest).decode()}, "digestCrc32c": str(crc32c(digest))},
        )
        signature = _bytes(said, "signature", "signatureCrc32c")
        if said.get("verifiedDigestCrc32c") is not True or said.get("name") != self.name:
            raise Garbage("Cloud KMS signed with another key, or did not receive the digest whole", hint="Try again.")
        envelope = dsse.Envelope(payload, self.key_id, signature)
        key = keys.parse_public(self.public_pem)
        if key is None or not dsse.verify(envelope, key):
            raise Garbage("the signature that Cloud KMS gave is not by this key", hint="Try again.")
        return Signed(envelope, self.public_pem)


def load(reference: str) -> KmsKey:
    """Find a key version and its public key.

    Raises:
        UsageError: if `reference` names no key version, or one that cannot seal.
        CollectError: if the service cannot be reached or refuses.
    """
    name = re.sub(r"^gcpkms:/+", "", reference)
    if not _VERSION.fullmatch(name):
        hint = f"Write {SCHEME}projects/P/locations/L/keyRings/R/cryptoKeys/K/cryptoKeyVersions/1."
        raise UsageError(f"{reference!r} names no version of a key", hint=hint)
    api = googleapi.connect("Cloud KMS", _ENDPOINT, ENDPOINT_VARIABLE, _SCOPE, _ROLE)
    said = api.json("GET", f"v1/{name}/publicKey")
    if said.get("algorithm") != _ALGORITHM:
        hint = f"Make a key with the purpose ASYMMETRIC_SIGN and the algorithm {_ALGORITHM}."
        raise UsageError(f"{name} signs with {said.get('algorithm')}, which seals no bundle", hint=hint)
    pem = said.get("pem")
    if not isinstance(pem, str) or str(crc32c(pem.encode())) != str(said.get("pemCrc32c")) or said.get("name") != name:
        raise Garbage("the public key that Cloud KMS gave was damaged on the way", hint="Try again.")
    key = keys.parse_public(pem.encode())
    if key is None:
        raise Garbage("the public key that Cloud KMS gave is no ECDSA P-256 key", hint="Name another key.")
    return KmsKey(name, dsse.key_id(key), keys.public_pem(key), api)


def _bytes(said: dict[str, Any], field: str, check: str) -> bytes:
    try:
        data = base64.b64decode(said[field], validate=True)
    except (KeyError, TypeError, ValueError):
        raise Garbage(f"Cloud KMS gave no {field}", hint="Try again.") from None
    if str(crc32c(data)) != str(said.get(check)):
        raise Garbage(f"the {field} that Cloud KMS gave was damaged on the way", hint="Try again.")
    return data


@functools.cache
def _table() -> tuple[int, ...]:
    """CRC-32C (Castagnoli, RFC 3720, appendix B.4): reversed polynomial 0x82F63B78."""
    found = []
    for byte in range(256):
        value = byte
        for _ in range(8):
            value = value >> 1 ^ (0x82F63B78 if value & 1 else 0)
        found.append(value)
    return tuple(found)


def crc32c(data: bytes) -> int:
    """The CRC-32C of a few bytes."""
    value, table = 0xFFFFFFFF, _table()
    for byte in data:
        value = value >> 8 ^ table[(value ^ byte) & 0xFF]
    return value ^ 0xFFFFFFFF
