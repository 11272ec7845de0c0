"""The small YAML file beside a document, which says what the document is: `restore-2026.pdf` and `restore-2026.pdf.yaml`."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import Annotated, Any

from pydantic import BeforeValidator, Field, ValidationError, model_validator

from compliancectl import clock
from compliancectl.errors import FileError
from compliancectl.model.base import Instant, Model


def _instant(value: Any) -> Any:
    if isinstance(value, str):
        return clock.parse(value)
    return value


When = Annotated[Instant, BeforeValidator(_instant)]
"""A date, meaning its first instant in UTC, or an RFC 3339 instant."""


class Agreement(Model):
    """Terms of an agreement with a vendor."""

    vendor: str
    kind: str
    """`dpa`, `baa` …"""
    signed: When
    version: str | None = None
    scc_module: str | None = None
    breach_notice_hours: int | None = Field(default=None, ge=0)
    audit_right: bool | None = None
    deletion_term: bool | None = None
    no_training: bool | None = None
    personal_data: bool | None = None
    ai: bool | None = None


class RestoreTest(Model):
    """What a restore test showed."""

    performed: When
    rto_minutes: int = Field(ge=0)
    """From the decision to a working database, in minutes."""
    rpo_minutes: int = Field(ge=0)
    """Age of the newest data that came back, in minutes."""
    checks_passed: bool
    signed_by: str


class Vendor(Model):
    """One line of the vendor register."""

    vendor: str
    personal_data: bool
    ai: bool


class Sidecar(Model):
    """What a sidecar may say."""

    kind: str = Field(pattern=r"^[a-z][a-z0-9-]*$")
    subject: str
    title: str
    owner: str
    issued: When
    expires: When | None = None
    status: str | None = None
    """`performed`, `planned`, `adopted` …"""
    target: When | None = None
    """When something planned is to happen."""
    performed_by: str | None = None
    independent: bool | None = None
    """Whether who performed it is independent of the organisation."""
    covers_start: When | None = None
    covers_end: When | None = None
    """Half-open span of time that the document is about."""
    agreement: Agreement | None = None
    restore_test: RestoreTest | None = None
    vendors: tuple[Vendor, ...] | None = None

    @model_validator(mode="after")
    def _facts_fit_kind(self) -> Sidecar:
        for kind, key in (("agreement", "agreement"), ("restore-test", "restore_test"), ("vendor-register", "vendors")):
            if (self.kind == kind) != (getattr(self, key) is not None):
                raise ValueError(f"a document of kind {kind} says so under `{key}`, and no other does")
        if self.expires is not None and self.expires < self.issued:
            raise ValueError("expires before it was issued")
        return self


_PAST = (("issued",), ("agreement", "signed"), ("restore_test", "performed"), ("covers_end",))


def read(path: Path, as_of: datetime) -> tuple[dict[str, Any], str]:
    """Read a sidecar: its values, JSON-ready, and the digest of its exact bytes.

    Raises:
        FileError: it is not strict YAML, says too little or too much, or something lies in the future that cannot.
    """
    from compliancectl.load import document

    parsed = document.read(path)
    if not isinstance(parsed.data, dict):
        raise FileError("The file must hold keys and values.", file=path, line=1)
    try:
        said = Sidecar.model_validate(parsed.data)
    except ValidationError as error:
        first = error.errors()[0]
        place = tuple(first["loc"])
        name = ".".join(map(str, place)) or "the file"
        raise FileError(f"{name}: {first['msg']}", file=path, line=parsed.line(*place)) from None
    for place in _PAST:
        when = _at(said, place)
        if when is not None and when > as_of:
            raise FileError(
                f"{'.'.join(place)} lies in the future: {clock.text(when)}",
                file=path,
                line=parsed.line(*place),
                hint="Correct the date; what is planned belongs under `target`.",
            )
    return said.model_dump(mode="json", exclude_none=True), parsed.sha256


def _at(said: Sidecar, place: tuple[str, ...]) -> datetime | None:
    here: Any = said
    for name in place:
        here = getattr(here, name) if here is not None else None
    return here if isinstance(here, datetime) else None
