"""Trust: whom a verifier believes, and what they ask of a bundle. Always the verifier's own file."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from compliancectl.model.base import Instant, Model, Wire


class TrustedKey(Model):
    """A key whose signatures the verifier accepts, and for which runs."""

    key_id: str = Field(alias="keyId", pattern=r"^[0-9a-f]{64}$")
    """SHA-256 of the public key (SubjectPublicKeyInfo, DER)."""
    name: str = Field(min_length=1)
    valid_from: Instant | None = Field(None, alias="validFrom")
    valid_until: Instant | None = Field(None, alias="validUntil")
    """Exclusive. Compared with the time at which the run finished, as the signer states it."""

    def covers(self, instant: Instant) -> bool:
        """True if `instant` lies in the key's validity."""
        after = self.valid_from is None or self.valid_from <= instant
        return after and (self.valid_until is None or instant < self.valid_until)


class Demands(Model):
    """What a bundle must be, besides being signed by a trusted key; what is left out is not asked for."""

    organization: str | None = None
    system: str | None = None
    environment: str | None = None
    complete: bool = False
    """The run collected everything that it was asked to."""
    max_age_days: int | None = Field(None, alias="maxAgeDays", ge=1)
    """The run finished at most so many days ago: an old bundle is not handed over as a new one."""


class Trust(Wire):
    """A trust policy. Nothing in a bundle is a root of trust."""

    version: Literal[1] = 1
    keys: tuple[TrustedKey, ...] = Field(min_length=1)
    require: Demands = Demands()

    def find(self, key_id: str) -> tuple[TrustedKey, ...]:
        """All entries for `key_id`; a key may have several periods."""
        return tuple(key for key in self.keys if key.key_id == key_id)
