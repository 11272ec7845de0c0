"""Where the files that ship with the product are: `controls/` and `reports/`.

In a checkout they are at the top of the tree, where people look for them; in an installed wheel they are
inside the package. This module is the one place that knows both.
"""

from __future__ import annotations

from pathlib import Path

_PACKAGE = Path(__file__).resolve().parent


def _folder(name: str) -> Path:
    shipped = _PACKAGE / "_shipped" / name
    return shipped if shipped.is_dir() else _PACKAGE.parents[1] / name


def controls_folder() -> Path:
    """The shipped control catalogue: one YAML file per control, and `frameworks/`."""
    return _folder("controls")


def reports_folder() -> Path:
    """The shipped report templates, styles and fonts."""
    return _folder("reports")
