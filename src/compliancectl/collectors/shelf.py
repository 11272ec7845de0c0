"""Pages of a long list, kept until the run is complete, so that the next try of the same run goes on after them.

What is kept is what would become evidence: replies after declared redactions, each with the token of the page after it. A page
appears whole or not at all. They count only for the same question, asked by the same principal with the same version of this
tool: another one might see something else, or keep something else of it.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import compliancectl
from compliancectl import canonical, disk
from compliancectl.collectors.base import Context, Reply
from compliancectl.collectors.flat import flat, unflat


@dataclass(frozen=True)
class Kept:
    """One page."""

    reply: Reply
    token: str
    """Of the page after it, in the source's own terms; empty: it is the last."""
    data: Any = None
    """What the reply says, if that is at hand."""


@dataclass(frozen=True)
class Shelf:
    """The pages of one list."""

    folder: Path

    def pages(self) -> list[Kept]:
        """Those that are there without a gap, from the first on."""
        found: list[Kept] = []
        while (page := self.page(len(found) + 1)) is not None:
            found.append(page)
        return found

    def put(self, number: int, page: Kept) -> None:
        """Keep a page, by its number from one on.

        Raises:
            OutputError: if the disk is full.
        """
        raw = json.dumps({"token": page.token, "reply": flat(page.reply)}).encode()
        with disk.output_errors(self.folder):
            disk.write_whole(self._file(number), raw)

    def clear(self) -> None:
        """Begin again: no page stays, not even one behind a gap, which the next list would take for its own."""
        for file in sorted(self.folder.glob("page-*.json"), reverse=True):
            file.unlink(missing_ok=True)

    def _file(self, number: int) -> Path:
        return self.folder / f"page-{number:05d}.json"

    def page(self, number: int) -> Kept | None:
        """A page by its number from one on; None if it is not there, or damaged."""
        try:
            said: dict[str, Any] = json.loads(self._file(number).read_bytes())
            return Kept(unflat(said["reply"]), said["token"])
        except (OSError, ValueError, KeyError, TypeError):
            return None


def shelf_of(context: Context, source: str, asker: str, question: Any) -> Shelf | None:
    """Where the pages of the answer to a question are kept; None: this run keeps none.

    Args:
        context: of the run.
        source: name of the collector.
        asker: tells one principal from another.
        question: everything that the answer depends on, ready for JSON.
    """
    if context.unfinished is None:
        return None
    asked = [asker, compliancectl.__version__, context.people is not None]
    name = canonical.sha256(canonical.to_bytes([asked, json.loads(json.dumps(question))]))
    return Shelf(context.unfinished / source / name[:32])
