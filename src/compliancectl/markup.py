"""Foreign text in Markdown: nothing in it is markup, a mention or a link."""

from __future__ import annotations

import re

from compliancectl.export.words import line


def quoted(text: str) -> str:
    """Evidence text as code, in which nothing is a mention, a link or markup."""
    fence = "`" * (max((len(run) for run in re.findall("`+", text)), default=0) + 1)
    return f"{fence} {text} {fence}"


def escaped(text: str) -> str:
    """Text of ours, with every character that Markdown reads as markup made plain."""
    return "".join(f"\\{c}" if c in "\\`*_[]<>#@|" else c for c in text)


def cell(text: str) -> str:
    """Text on one line, as a cell of a table or a part of a heading."""
    return escaped(line(text))
