"""Signers: whatever can sign a statement. A key in a file, or a key that never leaves a service.

    key.pem                                                   a file (`keys`)
    gcpkms://projects/P/locations/L/keyRings/R/cryptoKeys/K/cryptoKeyVersions/1    Google Cloud KMS (`kms`)

All give the same seal: ECDSA P-256 with SHA-256 over the statement, so whoever verifies need not know which it was.
"""

from __future__ import annotations

from pathlib import Path
from typing import Protocol

from compliancectl.seal import dsse, keys


class Signer(Protocol):
    """Signs statements with one key."""

    @property
    def key_id(self) -> str:
        """SHA-256 of the public key."""

    @property
    def public_pem(self) -> bytes:
        """The public key, as it is enclosed."""

    @property
    def warnings(self) -> tuple[str, ...]:
        """What a person should mend about the key."""

    def sign(self, payload: bytes) -> dsse.Envelope:
        """Sign a statement."""


def load(reference: str | Path) -> Signer:
    """The signer that a person names: a file, or an address.

    Raises:
        FileError: if the file cannot be used.
        UsageError: if the address names no key version.
        CollectError: if the service cannot be reached or refuses.
    """
    from compliancectl.seal import kms

    text = str(reference)
    if text.startswith((kms.SCHEME, kms.SCHEME.replace("//", "/"))):
        return kms.load(text)
    return keys.load_private(Path(reference))
