"""Signers: whatever can sign a statement. A key in a file, one that never leaves a service, or an identity.

    key.pem                                                   a file (`keys`)
    gcpkms://projects/P/locations/L/keyRings/R/cryptoKeys/K/cryptoKeyVersions/1    Google Cloud KMS (`kms`)
    sigstore: or sigstore:FILE                                the identity of a CI job, by Sigstore (`keyless`)

All give the same seal: ECDSA P-256 with SHA-256 over the statement. With an identity the key is made for one signature
and forgotten; whose it was is enclosed.
"""

from __future__ import annotations

from pathlib import Path
from typing import Protocol

from compliancectl.seal import keys
from compliancectl.seal.signed import Signed


class Signer(Protocol):
    """Signs statements."""

    @property
    def warnings(self) -> tuple[str, ...]:
        """What a person should mend about the key."""

    def sign(self, payload: bytes) -> Signed:
        """Sign a statement.

        Raises:
            CollectError: if a service that is needed for it cannot be reached, refuses, or gives no good signature.
        """


def load(reference: str | Path) -> Signer:
    """The signer that a person names: a file, or an address. What can be found wrong without signing is found here.

    Raises:
        FileError: if the file cannot be used.
        UsageError: if the address names no key version, or a library that it needs is not installed.
        CollectError: if the service cannot be reached or refuses, or there is no identity.
    """
    from compliancectl.seal import keyless, kms

    text = str(reference)
    if text.startswith(keyless.SCHEME):
        return keyless.load(text)
    if text.startswith((kms.SCHEME, kms.SCHEME.replace("//", "/"))):
        return kms.load(text)
    return keys.load_private(Path(reference))
