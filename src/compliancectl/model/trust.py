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


class TrustedIdentity(Model):
    """Whose signatures the verifier accepts though no lasting key stands for them: a CI workflow, or a person."""

    name: str = Field(min_length=1)
    issuer: str = Field(min_length=1)
    """Who says who it is: the address of the OpenID Connect provider, `https://token.actions.githubusercontent.com`."""
    identity: str = Field(min_length=1)
    """What the certificate names, exactly: for GitHub the address of the workflow with its ref, else an e-mail address."""
    trusted_root: str = Field(alias="trustedRoot", min_length=1)
    """A Sigstore trusted root (JSON): the authorities and logs whose word counts."""
    valid_from: Instant | None = Field(None, alias="validFrom")
    valid_until: Instant | None = Field(None, alias="validUntil")
    """Exclusive. Compared with the end of the run, and with the time of the signature, which the log proves."""

    def covers(self, instant: Instant) -> bool:
        """True if `instant` lies in the time for which the identity is trusted."""
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
    """Names of keys or identities that must all have signed or countersigned."""
    timestamps: int = Field(0, ge=0)
    """Time stamps by so many of the authorities."""
    stamped_within_hours: int | None = Field(None, alias="stampedWithinHours", ge=1)
    """The first time stamp came at most so long after the end of the run: nothing was sealed late and dated back.

    The log in which an identity's signature is entered proves a time as well.
    """


class Trust(Wire):
    """A trust policy. Nothing in a bundle is a root of trust."""

    version: Literal[1] = 1
    keys: tuple[TrustedKey, ...] = ()
    identities: tuple[TrustedIdentity, ...] = ()
    authorities: tuple[Authority, ...] = ()
    ledger: TrustedLedger | None = None
    require: Demands = Demands()

    @model_validator(mode="after")
    def _demands_can_be_met(self) -> Self:
        if not self.keys and not self.identities:
            raise ValueError("it names neither a key nor an identity, so nobody is trusted")
        names = {key.name for key in self.keys} | {one.name for one in self.identities}
        unknown = sorted(set(self.require.signers) - names)
        if unknown:
            raise ValueError(f"require.signers names {unknown[0]!r}, which is the name of no key and no identity")
        if self.require.timestamps > len(self.authorities):
            raise ValueError("require asks for more time stamps than there are authorities")
        if self.require.stamped_within_hours and not self.authorities and not self.identities:
            raise ValueError("require asks for a time stamp, and there is no authority")
        return self

    def within_a_period(self) -> Trust:
        """What is asked of each bundle of a period: not that it is the latest, nor how old; a period is made of older ones."""
        ledger = self.ledger.model_copy(update={"latest": False}) if self.ledger is not None else None
        return self.model_copy(
            update={"ledger": ledger, "require": self.require.model_copy(update={"max_age_days": None})}
        )

    def find(self, key_id: str) -> tuple[TrustedKey, ...]:
        """All entries for `key_id`; a key may have several periods."""
        return tuple(key for key in self.keys if key.key_id == key_id)
