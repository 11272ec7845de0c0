"""Claims: public statements of the organisation, and what the evidence makes of them."""

from __future__ import annotations

from typing import Literal

from compliancectl.model.base import Instant, Model, Wire

Testable = Literal["automatic", "hybrid", "attested", "statement"]
"""What can tell whether a claim is true: machines, machines and documents, documents only, or nothing at all."""

Basis = Literal["own", "vendor", "plan"]
"""Who keeps a claim, and when: the organisation today, a vendor for it, or the organisation at a later date."""

ClaimStatus = Literal["contradicted", "unproven", "evidenced", "inherited", "planned", "not testable"]
"""Always worked out from results, never declared."""

Bearing = Literal["supports", "contradicts", "silent", "absent"]
"""What one control says about a claim; `absent` when no such control was judged."""


class ClaimPage(Model):
    """A public page that statements stand on."""

    id: str
    title: str
    url: str | None = None


class Reference(Model):
    """What must hold for a claim: a whole control, one of its tests, or one check of a test."""

    control: str
    test: str | None = None
    check: str | None = None

    @classmethod
    def parse(cls, text: str) -> Reference:
        """Read `CONTROL`, `CONTROL.test` or `CONTROL.test.check`."""
        control, _, rest = text.partition(".")
        test, _, check = rest.partition(".")
        return cls(control=control, test=test or None, check=check or None)

    def __str__(self) -> str:
        return ".".join(part for part in (self.control, self.test, self.check) if part)


class Claim(Model):
    """One public statement."""

    id: str
    text: str
    """The words as they stand on the page, or as much of the sentence as makes the promise."""
    page: str
    section: str | None = None
    testable: Testable
    basis: Basis = "own"
    controls: tuple[Reference, ...] = ()
    """What must hold for it to be true, all of it."""
    note: str | None = None
    line: int = 0


class ClaimRegister(Model):
    """One register of claims; `claims.yaml`."""

    pages: tuple[ClaimPage, ...]
    claims: tuple[Claim, ...]
    file: str = ""
    """Path as it was given; empty when it was not read from a file."""
    sha256: str = ""
    """Digest of the file's exact bytes."""

    def page(self, id: str) -> ClaimPage | None:
        """Return the page called `id`, or None."""
        return next((page for page in self.pages if page.id == id), None)


class Ground(Model):
    """What one referenced control, test or check says about a claim."""

    reference: str
    """`BCP-03.separate-region`."""
    bearing: Bearing
    sentence: str
    """Why, in words: counts, the first finding, or what could not be judged."""


class ClaimResult(Model):
    """One claim and what the evidence makes of it."""

    id: str
    text: str
    page: str
    section: str | None = None
    testable: Testable
    basis: Basis
    status: ClaimStatus
    since: Instant | None = None
    """The earliest of the assessments given, without a gap, that already came to this status."""
    grounds: tuple[Ground, ...] = ()
    note: str | None = None


class ClaimsResult(Wire):
    """What `claims --format json` prints."""

    version: Literal[1] = 1
    organization: str
    system: str
    environment: str
    run_id: str
    as_of: Instant
    register_sha256: str
    """Digest of the register's file."""
    claims: tuple[ClaimResult, ...]

    @property
    def exit_code(self) -> int:
        """0 nothing contradicted or unproven, 1 contradicted, 3 unproven; the highest counts."""
        found = {claim.status for claim in self.claims}
        if "unproven" in found or not found:
            return 3
        return 1 if "contradicted" in found else 0
