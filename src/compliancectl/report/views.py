"""What kinds of reports need beyond the assessment: each view is a module that makes plain data for templates.

A kind names its views in `report.yaml`; a template finds each under the view's name. A module is imported only when a
kind asks for it, and offers `TABLES` (evidence whose rows it reads) and `view(Ground)`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any

from compliancectl.report.book import Book
from compliancectl.report.source import Source

VIEWS: dict[str, str] = {
    "claims": "compliancectl.report.claims",
    "gaps": "compliancectl.report.gaps",
    "isolation": "compliancectl.report.isolation",
    "period_view": "compliancectl.report.period_view",
    "privacy": "compliancectl.report.privacy",
    "school": "compliancectl.report.school",
}
"""Name → module."""


@dataclass(frozen=True)
class Ground:
    """What a view is made from."""

    path: Path
    """The bundle or run folder."""
    source: Source
    book: Book
    earlier: tuple[Path, ...]
    """Bundles or run folders of before, as the caller gave them."""
    samples: tuple[Path, ...] = ()
    """Samples (JSON) that were drawn from the package."""


def tables(names: Sequence[str]) -> tuple[str, ...]:
    """Tables of evidence that the views read, sorted."""
    return tuple(sorted({table for name in names for table in _module(name).TABLES}))


def make(names: Sequence[str], ground: Ground) -> dict[str, Any]:
    """Name → what the view says."""
    return {name: _module(name).view(ground) for name in names}


def _module(name: str) -> Any:
    return import_module(VIEWS[name])
