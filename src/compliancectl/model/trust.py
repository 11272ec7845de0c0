"""Trust: whom a verifier believes, and what they ask of a bundle. Always the verifier's own file."""

from __future__ import annotations

from typing import Literal, Self

from pydantic import Field, model_validator

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


class Authority(Model):
    """A time stamp authority whose word the verifier accepts."""

    name: str = Field(min_length=1)
    certificates: str = Field(min_length=1)
    """Its root certificates, in PEM."""


class TrustedLedger(Model):
    """The ledger in which every bundle must be found."""

    key: str = Field(min_length=1)
    """Its verifier key, as `ledger new` prints it."""
    checkpoints: tuple[str, ...] = ()
    """Checkpoints that the verifier kept: the ledger was only added to since."""
    latest: bool = False
    """The bundle must be the last one that was sealed."""


class Demands(Model):
    """What a bundle must be, besides being signed by a trusted key; what is left out is not asked for."""

    organization: str | None = None
    system: str | None = None
    environment: str | None = None
    complete: bool = False
    """The run collected everything that it was asked to."""
    max_age_days: int | None = Field(None, alias="maxAgeDays", ge=1)
    """The run finished at most so many days ago: an old bundle is not handed over as a new one."""
    signers: tuple[str, ...] = ()
    """Names of keys that must all have signed or countersigned."""
    timestamps: int = Field(0, ge=0)
    """Time stamps by so many of the authorities."""
    stamped_within_hours: int | None = Field(None, alias="stampedWithinHours", ge=1)
    """The first time stamp came at most so long after the end of the run: nothing was sealed late and dated back."""


class Trust(Wire):
    """A trust policy. Nothing in a bundle is a root of trust."""

    version: Literal[1] = 1
    keys: tuple[TrustedKey, ...] = Field(min_length=1)
    authorities: tuple[Authority, ...] = ()
    ledger: TrustedLedger | None = None
    require: Demands = Demands()

    @model_validator(mode="after")
    def _demands_can_be_met(self) -> Self:
        unknown = sorted(set(self.require.signers) - {key.name for key in self.keys})
        if unknown:
            raise ValueError(f"require.signers names {unknown[0]!r}, which is the name of no key")
        wanted = max(self.require.timestamps, 1 if self.require.stamped_within_hours else 0)
        if wanted > len(self.authorities):
            raise ValueError("require asks for more time stamps than there are authorities")
        return self

    def find(self, key_id: str) -> tuple[TrustedKey, ...]:
        """All entries for `key_id`; a key may have several periods."""
        return tuple(key for key in self.keys if key.key_id == key_id)
