"""The manifest of a bundle (an in-toto Statement), and what bundling and verifying say."""

from __future__ import annotations

from enum import IntEnum
from typing import Literal

from pydantic import ConfigDict, Field
from pydantic.alias_generators import to_camel

from compliancectl.errors import VerifyError
from compliancectl.model.base import Instant, Model, Wire

STATEMENT_TYPE: Literal["https://in-toto.io/Statement/v1"] = "https://in-toto.io/Statement/v1"
PREDICATE_TYPE: Literal["https://compliancectl.dev/attestation/evidence-bundle/v1"] = (
    "https://compliancectl.dev/attestation/evidence-bundle/v1"
)


class Part(Model):
    """A part of the predicate: camelCase on the wire, and keys of later minor versions are ignored (in-toto's rule)."""

    model_config = ConfigDict(extra="ignore", alias_generator=to_camel)


class Digest(Part):
    """A digest set with the one algorithm that we use."""

    sha256: str = Field(pattern=r"^[0-9a-f]{64}$")


class Resource(Part):
    """A named thing and its digest: the statement's subject, or one of the inputs."""

    name: str
    digest: Digest


class BundleInfo(Part):
    """What this is."""

    id: str
    spec_version: Literal[1]


class RunInfo(Part):
    """The run of collect, and when it was evaluated."""

    id: str
    organization: str
    system: str
    environment: str
    scope_file: str
    scope_sha256: str
    status: Literal["complete", "partial"]
    started_at: Instant
    finished_at: Instant
    evaluated_at: Instant
    """The instant of judgement (`as_of`)."""


class Observation(Part):
    """The half-open span of time that the evidence speaks about. It is not the time of collection."""

    start: Instant = Field(alias="from")
    end: Instant = Field(alias="to")


class Producer(Part):
    """The tool that made the seal, and the machine that collected."""

    name: str
    version: str
    source_digest: Digest
    """Of the tool's own Python files: the SHA-256 of their list in the format of SHA256SUMS."""
    collected_with: str
    evaluated_with: str
    engine: str
    python: str
    platform: str


class Operator(Part):
    """Who ran the tool: a name as they or their CI gave it."""

    id: str = Field(min_length=1)
    kind: Literal["ci", "person"]


class ControlTotals(Part):
    """Controls by outcome."""

    no_deviations: int = 0
    deviations: int = 0
    inconclusive: int = 0
    no_occurrences: int = 0


class ItemTotals(Part):
    """Items of all populations by outcome."""

    passed: int = 0
    failed: int = 0
    waived: int = 0
    excluded: int = 0
    unknown: int = 0


class Totals(Part):
    """Counts that anyone can recompute from the files."""

    evidence_items: int
    incomplete_items: int
    """Evidence items that are not `collected`."""
    files: int
    bytes: int
    controls: ControlTotals
    items: ItemTotals


class Redaction(Part):
    """Values that collectors removed or replaced before anything was hashed."""

    values: int
    by_class: dict[str, int]
    pseudonyms: int = 0
    """Pseudonyms in the replies that have a commitment, each counted once."""


class Predicate(Part):
    """What the signer says about the files in SHA256SUMS."""

    bundle: BundleInfo
    run: RunInfo
    observation: Observation
    producer: Producer
    operator: Operator
    inputs: tuple[Resource, ...]
    """The run record and the frozen catalogue, sorted by name."""
    totals: Totals
    redaction: Redaction


class Statement(Wire):
    """An in-toto Statement v1 with one subject: SHA256SUMS."""

    model_config = ConfigDict(alias_generator=to_camel)

    type: Literal["https://in-toto.io/Statement/v1"] = Field(STATEMENT_TYPE, alias="_type")
    subject: tuple[Resource, ...] = Field(min_length=1, max_length=1)
    predicate_type: Literal["https://compliancectl.dev/attestation/evidence-bundle/v1"] = PREDICATE_TYPE
    predicate: Predicate


class BundleRecord(Wire):
    """What `bundle` made."""

    version: Literal[1] = 1
    id: str
    folder: str
    archive: str | None = None
    archive_sha256: str | None = None
    sums_sha256: str
    """Digest of SHA256SUMS: the statement's subject, and the one number that stands for the whole bundle."""
    key_id: str
    status: Literal["complete", "partial"]
    totals: Totals
    warnings: tuple[str, ...] = ()


class VerifyStep(IntEnum):
    """The steps of verification, in their order."""

    CONTAINER = 1
    NAMES = 2
    SUMS = 3
    UNLISTED = 4
    STATEMENT = 5
    SIGNATURE = 6
    SIGNER = 7
    SUBJECT = 8
    DIGESTS = 9
    RECORDS = 10
    TOTALS = 11
    STATUS = 12
    COUNTERSIGNED = 13
    TIME = 14
    DEMANDS = 15
    LEDGER = 16
    ELSEWHERE = 17


TITLES = {
    VerifyStep.CONTAINER: "Plain files only",
    VerifyStep.NAMES: "Safe names",
    VerifyStep.SUMS: "SHA256SUMS is well formed",
    VerifyStep.UNLISTED: "No file added or missing",
    VerifyStep.STATEMENT: "One statement in all its copies",
    VerifyStep.SIGNATURE: "Signature",
    VerifyStep.SIGNER: "Trusted signer",
    VerifyStep.SUBJECT: "Statement is about SHA256SUMS",
    VerifyStep.DIGESTS: "Every file unaltered",
    VerifyStep.RECORDS: "Records agree with the files",
    VerifyStep.TOTALS: "Totals",
    VerifyStep.STATUS: "Status of the run",
    VerifyStep.COUNTERSIGNED: "Countersignatures",
    VerifyStep.TIME: "Time stamps",
    VerifyStep.DEMANDS: "What you ask of it",
    VerifyStep.LEDGER: "Entered in the ledger",
    VerifyStep.ELSEWHERE: "Tables that lie elsewhere",
}
"""What people read as the name of a step."""


class StepResult(Model):
    """One step of verification and what came of it."""

    number: int
    title: str
    outcome: Literal["ok", "failed", "skipped"]
    message: str
    hint: str | None = None
    file: str | None = None


class Signer(Model):
    """Whose signature it is."""

    key_id: str
    name: str | None = None
    """As the verifier's own trust names it; None when the verifier did not say that they trust it."""
    identity: str | None = None
    """What the certificate names whose key was made for this signature alone; only if it was checked and is trusted."""
    issuer: str | None = None
    """Who says who that is."""
    signed_after: Instant | None = Field(None, alias="signedAfter")
    """The signature was not made earlier, as certificate and log show."""
    signed_before: Instant | None = Field(None, alias="signedBefore")
    """The signature was not made later."""


class TimeStamp(Model):
    """One time stamp over the signature."""

    time: Instant
    authority: str | None = None
    """As the verifier's own trust names it; None when it is by none that they trust, or they named none."""


class Verification(Wire):
    """What `verify` found, step by step."""

    version: Literal[1] = 1
    path: str
    steps: tuple[StepResult, ...]
    signer: Signer | None = None
    countersigners: tuple[Signer, ...] = ()
    timestamps: tuple[TimeStamp, ...] = ()
    run: RunInfo | None = None
    """As the signer states it; None until the signature has been checked."""
    listed: int = 0
    present: int = 0
    elsewhere: int = 0
    """Listed files that are not in the bundle, and were looked for where its tables lie; the last step says what came of it."""

    @property
    def verdict(self) -> Literal["verified", "not established", "does not verify"]:
        """`not established` when nothing is wrong but a step was left out: no trusted key, or only a sample."""
        outcomes = {step.outcome for step in self.steps}
        if "failed" in outcomes:
            return "does not verify"
        whole = self.present + self.elsewhere == self.listed
        return "verified" if whole and "skipped" not in outcomes else "not established"

    @property
    def exit_code(self) -> int:
        """0 verified, 3 not established, 4 does not verify."""
        return {"verified": 0, "not established": 3, "does not verify": 4}[self.verdict]

    @property
    def failure(self) -> VerifyError | None:
        """The first failed step as an error to raise or render."""
        for step in self.steps:
            if step.outcome == "failed":
                return VerifyError(step.message, step=step.number, hint=step.hint, file=step.file)
        return None
