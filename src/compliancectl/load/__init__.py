"""Loading of the files that people write: scope, controls, frameworks, waivers, claims.

Nothing is executed and nothing is guessed. Every mistake carries its file and line, all mistakes of a file are
reported in one go, and a misspelt name comes with the name that was probably meant.
"""

from __future__ import annotations

from compliancectl.load.claims import load_claims
from compliancectl.load.controls import check_criteria, check_overrides, load_control, load_controls
from compliancectl.load.frameworks import load_frameworks
from compliancectl.load.left_out import disabled, left_out
from compliancectl.load.problems import FileErrors
from compliancectl.load.scope import load_scope
from compliancectl.load.select import select
from compliancectl.load.waivers import load_waivers

__all__ = [
    "FileErrors",
    "check_criteria",
    "check_overrides",
    "disabled",
    "left_out",
    "load_claims",
    "load_control",
    "load_controls",
    "load_frameworks",
    "load_scope",
    "load_waivers",
    "select",
]
