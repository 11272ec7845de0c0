"""Waivers: approved, reasoned, dated acceptance of named findings. They always show, and always expire."""

from __future__ import annotations

from datetime import date

from compliancectl.model.base import Model


class Waiver(Model):
    """Accepts the named failing checks of the named items of one control until `expires`."""

    id: str
    control: str
    test: str | None = None
    items: tuple[str, ...]
    """Resource names, or patterns with `*`."""
    checks: tuple[str, ...]
    """Check names; empty is refused (a waiver names what it accepts)."""
    approver: str
    reason: str
    approved: date
    expires: date
    """The last day on which it holds, in UTC."""
    line: int = 0
    file: str = ""
    """Path as it was given; empty when it was not read from a file."""
