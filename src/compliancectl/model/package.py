"""The manifest of a period package (an in-toto Statement): what its signer says about a period."""

from __future__ import annotations

from typing import Literal

from pydantic import ConfigDict, Field
from pydantic.alias_generators import to_camel

from compliancectl.model.base import Wire
from compliancectl.model.manifest import (
    STATEMENT_TYPE,
    ControlTotals,
    Digest,
    Observation,
    Operator,
    Part,
    Resource,
)
from compliancectl.model.result import ControlOutcome

PREDICATE_TYPE: Literal["https://compliancectl.dev/attestation/period-package/v1"] = (
    "https://compliancectl.dev/attestation/period-package/v1"
)


class Maker(Part):
    """The tool that united the runs and made the seal."""

    name: str
    version: str
    source_digest: Digest
    """Of the tool's own Python files: the SHA-256 of their list in the format of SHA256SUMS."""


class PeriodPredicate(Part):
    """What the signer says about the files in SHA256SUMS."""

    spec_version: Literal[1] = 1
    organization: str
    system: str
    environment: str
    period: Observation
    outcome: ControlOutcome
    bundles: int
    """Bundles that were found, whatever became of them."""
    captures: int
    """Those that count as captures of the period."""
    not_verifying: int
    controls: ControlTotals
    last_bundle: Digest
    """Of the SHA256SUMS of the last capture, which is enclosed."""
    producer: Maker
    operator: Operator


class PeriodStatement(Wire):
    """An in-toto Statement v1 with one subject: SHA256SUMS."""

    model_config = ConfigDict(alias_generator=to_camel)

    type: Literal["https://in-toto.io/Statement/v1"] = Field(STATEMENT_TYPE, alias="_type")
    subject: tuple[Resource, ...] = Field(min_length=1, max_length=1)
    predicate_type: Literal["https://compliancectl.dev/attestation/period-package/v1"] = PREDICATE_TYPE
    predicate: PeriodPredicate
