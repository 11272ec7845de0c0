"""Frameworks and their criteria, in our own words."""

from __future__ import annotations

from typing import Literal

from compliancectl.model.base import Model


class Criterion(Model):
    """One numbered demand: CC8.1, 32(1)(b), 99.31(a)(1)(ii)."""

    id: str
    group: str
    title: str
    summary: str
    type: Literal["technical", "organizational", "both"]
    role: str | None = None
    """Whom it binds: controller, processor or both (GDPR, SOC 2 privacy); institution, vendor, both, context (FERPA)."""
    when: Literal["always", "conditional"] = "always"


class Framework(Model):
    """A published set of demands; `controls/frameworks/<id>.yaml`."""

    id: str
    name: str
    version: str
    notes: tuple[str, ...] = ()
    criteria: tuple[Criterion, ...]
    file: str = ""
    """Path as it was given; empty when it was not read from a file."""
    sha256: str = ""
    """Digest of the file's exact bytes."""

    def criterion(self, id: str) -> Criterion | None:
        """Return the criterion called `id`, or None."""
        return next((c for c in self.criteria if c.id == id), None)
