"""Google Cloud KMS: a key that signs and never leaves the service. The REST API, v1, with Application Default Credentials.

Only the digest of what is signed is sent. Every answer carries CRC-32C sums against damage on the way, as the
documentation of the service asks callers to check; and whatever it says, the signature is verified with the key before it
is used.
"""

from __future__ import annotations

import base64
import functools
import hashlib
import os
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from compliancectl.errors import CollectError, Denied, Garbage, Missing, SourceFailed, Unreachable, UsageError
from compliancectl.seal import dsse, keys

if TYPE_CHECKING:
    from google.auth.transport.requests import AuthorizedSession

SCHEME = "gcpkms://"
ENDPOINT_VARIABLE = "COMPLIANCECTL_ENDPOINT_KMS"
_ENDPOINT = "https://cloudkms.googleapis.com"
_SCOPE = "https://www.googleapis.com/auth/cloudkms"
_ALGORITHM = "EC_SIGN_P256_SHA256"
_VERSION = re.compile(
    r"projects/[^/]+/locations/[^/]+/keyRings/[A-Za-z0-9_-]+/cryptoKeys/[A-Za-z0-9_-]+/cryptoKeyVersions/[0-9]+"
)
_TIMEOUT_S = 30.0
_LOGIN = "Set Application Default Credentials, for example with `gcloud auth application-default login`."
_ROLE = "The principal needs roles/cloudkms.signerVerifier on this key."


@dataclass(frozen=True)
class KmsKey:
    """One version of a key in Google Cloud KMS, ready to sign."""

    name: str
    key_id: str
    public_pem: bytes
    session: AuthorizedSession
    warnings: tuple[str, ...] = ()

    def sign(self, payload: bytes) -> dsse.Envelope:
        """Have the service sign a statement.

        Raises:
            CollectError: if it cannot be reached, refuses, or gives no signature of this key.
        """
        digest = hashlib.sha256(dsse.pae(dsse.PAYLOAD_TYPE, payload)).digest()
        said = _call(
            self.session,
            "POST",
            f"{self.name}:asymmetricSign",
            {"digest": {"sha256": base64.b64encode(digest).decode()}, "digestCrc32c": str(crc32c(digest))},
        )
        signature = _bytes(said, "signature", "signatureCrc32c")
        if said.get("verifiedDigestCrc32c") is not True or said.get("name") != self.name:
            raise Garbage("Cloud KMS signed with another key, or did not receive the digest whole", hint="Try again.")
        envelope = dsse.Envelope(payload, self.key_id, signature)
        key = keys.parse_public(self.public_pem)
        if key is None or not dsse.verify(envelope, key):
            raise Garbage("the signature that Cloud KMS gave is not by this key", hint="Try again.")
        return envelope


def load(reference: str) -> KmsKey:
    """Find a key version and its public key.

    Raises:
        UsageError: if `reference` names no key version, or one that cannot seal.
        CollectError: if the service cannot be reached or refuses.
    """
    from google.auth.transport.requests import AuthorizedSession

    name = re.sub(r"^gcpkms:/+", "", reference)
    if not _VERSION.fullmatch(name):
        hint = f"Write {SCHEME}projects/P/locations/L/keyRings/R/cryptoKeys/K/cryptoKeyVersions/1."
        raise UsageError(f"{reference!r} names no version of a key", hint=hint)
    session = AuthorizedSession(_credentials(), refresh_timeout=_TIMEOUT_S, max_refresh_attempts=1)
    said = _call(session, "GET", f"{name}/publicKey")
    if said.get("algorithm") != _ALGORITHM:
        hint = f"Make a key with the purpose ASYMMETRIC_SIGN and the algorithm {_ALGORITHM}."
        raise UsageError(f"{name} signs with {said.get('algorithm')}, which seals no bundle", hint=hint)
    pem = said.get("pem")
    if not isinstance(pem, str) or str(crc32c(pem.encode())) != str(said.get("pemCrc32c")) or said.get("name") != name:
        raise Garbage("the public key that Cloud KMS gave was damaged on the way", hint="Try again.")
    key = keys.parse_public(pem.encode())
    if key is None:
        raise Garbage("the public key that Cloud KMS gave is no ECDSA P-256 key", hint="Name another key.")
    return KmsKey(name, dsse.key_id(key), keys.public_pem(key), session)


def _credentials() -> Any:
    import google.auth
    from google.auth import exceptions

    try:
        return google.auth.default(scopes=[_SCOPE])[0]
    except (exceptions.GoogleAuthError, OSError, ValueError) as error:
        raise Denied(f"no usable Google credentials for Cloud KMS: {error}", hint=_LOGIN) from None


def _call(session: AuthorizedSession, method: str, path: str, body: dict[str, Any] | None = None) -> dict[str, Any]:
    import requests
    from google.auth import exceptions

    base = os.environ.get(ENDPOINT_VARIABLE, _ENDPOINT).rstrip("/")
    try:
        answer = session.request(
            method,
            f"{base}/v1/{path}",
            json=body,
            timeout=_TIMEOUT_S,
            max_allowed_time=_TIMEOUT_S,
            allow_redirects=False,
        )
    except exceptions.GoogleAuthError as error:
        raise Denied(
            f"Google gave no token for Cloud KMS: {error.args[0] if error.args else error}", hint=_LOGIN
        ) from None
    except (requests.RequestException, OSError) as error:
        raise Unreachable(f"Cloud KMS cannot be reached: {error}", hint="Check the network.") from error
    _refuse(answer.status_code, path)
    try:
        said = answer.json()
    except ValueError as error:
        raise Garbage("Cloud KMS answered with something that is not JSON", hint="Check the endpoint.") from error
    if not isinstance(said, dict):
        raise Garbage("Cloud KMS answered in another form than documented", hint="Check the endpoint.")
    return said


def _refuse(status: int, path: str) -> None:
    if status in (401, 403):
        raise Denied(f"Cloud KMS refuses {path}: HTTP {status}", hint=_ROLE)
    if status == 404:
        raise Missing(f"Cloud KMS knows no {path}", hint="Check the name of the key and its version.")
    if status != 200:
        error: CollectError = SourceFailed(f"Cloud KMS answered {path} with HTTP {status}", hint="Try again later.")
        raise error


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
