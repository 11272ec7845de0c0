"""What came of deriving a bundle's tables and results once more."""

from __future__ import annotations

from typing import Literal

from compliancectl.model.base import Model, Wire


class Difference(Model):
    """One file of the bundle that did not come out the same."""

    file: str
    kind: Literal["content", "bytes", "not replayed"]
    """`content`: it says something else. `bytes`: it says the same, written in another way. `not replayed`: it could
    not be derived here, so nothing is known about it."""
    message: str
    why: str | None = None
    """The cause, as far as the versions tell it."""


class Stage(Model):
    """One derivation: tables from replies, or results from tables."""

    name: Literal["tables", "results"]
    files: int
    """Files of the bundle that had to come out."""
    same: int
    """Those that did, byte for byte."""
    differences: tuple[Difference, ...] = ()


class Tool(Model):
    """What was used to make the bundle, and here."""

    version: str
    engine: str
    source_digest: str
    """SHA-256 over the tool's own Python files, as the statement of a bundle gives it."""


class Replay(Wire):
    """The outcome of `replay`."""

    version: Literal[1] = 1
    path: str
    run_id: str
    made_with: Tool
    replayed_with: Tool
    stages: tuple[Stage, ...]

    @property
    def verdict(self) -> Literal["reproduced", "reproduced in other bytes", "not replayed in full", "differs"]:
        """The worst kind of difference counts."""
        kinds = {difference.kind for stage in self.stages for difference in stage.differences}
        if "content" in kinds:
            return "differs"
        if "not replayed" in kinds:
            return "not replayed in full"
        return "reproduced in other bytes" if "bytes" in kinds else "reproduced"

    @property
    def exit_code(self) -> int:
        """0 reproduced byte for byte, 3 not established byte for byte, 4 differs."""
        return {"reproduced": 0, "differs": 4}.get(self.verdict, 3)
