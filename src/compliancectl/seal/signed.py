"""What a signer gives back, and how it lies in a seal."""

from __future__ import annotations

from dataclasses import dataclass

from compliancectl.disk import SEALED_BY
from compliancectl.seal import additions, dsse


@dataclass(frozen=True)
class Signed:
    """One signature over a statement."""

    envelope: dsse.Envelope
    public_pem: bytes
    """The key that it was made with."""
    identity: bytes | None = None
    """Whose key that was, if nobody keeps it: a Sigstore bundle of the same envelope."""

    def seal(self) -> dict[str, bytes]:
        """The files of a seal, member name → bytes. The envelope, which makes it a sealed bundle, comes last."""
        return {
            "seal/statement.json": self.envelope.payload,
            "seal/statement.pae": self.envelope.pae,
            "seal/statement.sig": self.envelope.signature,
            "seal/signer.pub.pem": self.public_pem,
            **self._identity(),
            SEALED_BY: self.envelope.to_line(),
        }

    def countersignature(self) -> dict[str, bytes]:
        """The files of a countersignature."""
        signature, key = additions.countersign_names(self.envelope.key_id)
        return {signature: self.envelope.signature, key: self.public_pem, **self._identity()}

    def _identity(self) -> dict[str, bytes]:
        return {additions.identity_name(self.envelope.key_id): self.identity} if self.identity is not None else {}
