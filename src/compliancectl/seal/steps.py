"""How a step of verification is told: its outcome as a record, in words that cannot steer a terminal."""

from __future__ import annotations

from compliancectl.model.manifest import TITLES, StepResult, VerifyStep

_SHOWN = 5


def failed(step: VerifyStep, message: str, hint: str | None, file: str | None) -> StepResult:
    """The record of a step that failed."""
    return StepResult(number=step, title=TITLES[step], outcome="failed", message=plain(message), hint=hint, file=file)


def not_taken(step: VerifyStep) -> StepResult:
    """The record of a step after one that failed."""
    said = "Not reached: an earlier step failed."
    return StepResult(number=step, title=TITLES[step], outcome="skipped", message=said)


def plain(text: str) -> str:
    """The text without characters that could steer a terminal: parts of it are the bundle's own words."""
    return "".join(character if character.isprintable() else "\N{REPLACEMENT CHARACTER}" for character in text)


def some(found: list[str]) -> str:
    """The first few names, and how many more there are."""
    more = f" and {len(found) - _SHOWN} more" if len(found) > _SHOWN else ""
    return ", ".join(found[:_SHOWN]) + more
