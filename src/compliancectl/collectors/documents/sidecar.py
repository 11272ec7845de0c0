"""The small YAML file beside a document, which says what the document is: `restore-2026.pdf` and `restore-2026.pdf.yaml`."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import Annotated, Any

from pydantic import BeforeValidator, Field
from pydantic_core import PydanticCustomError

from compliancectl import clock
from compliancectl.load import document
from compliancectl.load.forms import Form, Text, fill
from compliancectl.load.problems import Problems
from compliancectl.model.base import Instant


def _instant(value: Any) -> Any:
    if isinstance(value, datetime):
        return value
    try:
        return clock.parse(value)
    except (TypeError, ValueError):
        raise PydanticCustomError(
            "instant", "write a day such as 2026-08-01, or an instant such as 2026-08-01T09:30:00Z"
        ) from None


When = Annotated[Instant, BeforeValidator(_instant)]
"""A date, meaning its first instant in UTC, or an RFC 3339 instant."""


class Agreement(Form):
    """Terms of an agreement with a vendor."""

    vendor: Text
    kind: Text
    """`dpa`, `baa` …"""
    signed: When
    version: Text | None = None
    scc_module: Text | None = None
    breach_notice_hours: int | None = Field(default=None, ge=0)
    audit_right: bool | None = None
    deletion_term: bool | None = None
    no_training: bool | None = None
    personal_data: bool | None = None
    ai: bool | None = None


class RestoreTest(Form):
    """What a restore test showed."""

    performed: When
    rto_minutes: int = Field(ge=0)
    """From the decision to a working database, in minutes."""
    rpo_minutes: int = Field(ge=0)
    """Age of the newest data that came back, in minutes."""
    checks_passed: bool
    signed_by: Text


class Vendor(Form):
    """One line of the vendor register."""

    vendor: Text
    personal_data: bool
    ai: bool


class Sidecar(Form):
    """What a sidecar may say."""

    kind: str = Field(pattern=r"^[a-z][a-z0-9-]*$")
    subject: Text
    title: Text
    owner: Text
    approver: Text | None = None
    """Who approved it."""
    issued: When
    expires: When | None = None
    status: Text | None = None
    """`performed`, `planned`, `adopted` …"""
    target: When | None = None
    """When something planned is to happen."""
    performed_by: Text | None = None
    independent: bool | None = None
    """Whether who performed it is independent of the organisation."""
    covers_start: When | None = None
    covers_end: When | None = None
    """Half-open span of time that the document is about."""
    agreement: Agreement | None = None
    restore_test: RestoreTest | None = None
    vendors: tuple[Vendor, ...] | None = None


_FACTS = (("agreement", "agreement"), ("restore-test", "restore_test"), ("vendor-register", "vendors"))
"""Kind of document → the key under which it says more; no other kind has that key."""
_PAST = (("issued",), ("agreement", "signed"), ("restore_test", "performed"), ("covers_end",))


def read(path: Path, as_of: datetime) -> tuple[dict[str, Any], str]:
    """Read a sidecar: its values, JSON-ready, and the digest of its exact bytes.

    Raises:
        FileError: it is not strict YAML, says too little or too much, or something lies in the future that cannot
            (`FileErrors` if in several places).
    """
    parsed, problems = document.read(path), Problems(path)
    said = fill(Sidecar, parsed, problems)
    if said is not None:
        _check_facts(said, parsed, problems)
        _check_times(said, as_of, parsed, problems)
    problems.raise_if_any()
    assert said is not None
    return said.model_dump(mode="json", exclude_none=True), parsed.sha256


def _check_facts(said: Sidecar, parsed: document.Document, problems: Problems) -> None:
    for kind, key in _FACTS:
        given = getattr(said, key) is not None
        if said.kind == kind and not given:
            problems.add(parsed.line("kind"), f'A document of kind {kind} says more under "{key}".', f'Add "{key}:".')
        if said.kind != kind and given:
            problems.add(
                parsed.line(key), f'Only a document of kind {kind} has "{key}".', f"Remove it, or write kind: {kind}."
            )


def _check_times(said: Sidecar, as_of: datetime, parsed: document.Document, problems: Problems) -> None:
    for place in _PAST:
        when = _at(said, place)
        if when is not None and when > as_of:
            problems.add(
                parsed.line(*place),
                f"{'.'.join(place)} lies in the future: {clock.text(when)}.",
                "Correct the date; what is planned belongs under `target`.",
            )
    for first, last in (("issued", "expires"), ("covers_start", "covers_end")):
        start, end = getattr(said, first), getattr(said, last)
        if start is not None and end is not None and end < start:
            problems.add(parsed.line(last), f"{last} lies before {first}.", "Correct one of the two.")


def _at(said: Sidecar, place: tuple[str, ...]) -> datetime | None:
    here: Any = said
    for name in place:
        here = getattr(here, name) if here is not None else None
    return here if isinstance(here, datetime) else None
