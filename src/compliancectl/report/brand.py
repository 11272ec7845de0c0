"""How an organisation makes the reports its own: a folder with `brand.yaml`, and blocks that it words differently.

    brand.yaml              logo, accent colour, confidentiality line; all optional
    assessment.html.j2      optional, one per kind: `{% extends "assessment/template.html.j2" %}` and the blocks to replace
    style.css               optional: rules after ours

What stands in the folder is the organisation's own, but it cannot reach outside: templates run in Jinja2's sandbox, and
nothing that a style names is fetched.
"""

from __future__ import annotations

import base64
import re
from dataclasses import dataclass
from pathlib import Path

from compliancectl.errors import FileError, UsageError
from compliancectl.load.document import read
from compliancectl.load.forms import Form, Text, fill
from compliancectl.load.problems import Problems

ACCENT = "#2b3f8f"
CONFIDENTIALITY = "Confidential"
LEAST_CONTRAST = 4.5
"""Of text in the accent colour on white paper, as WCAG 2.2 (1.4.3) has it."""
LARGEST_LOGO = 512 * 1024
_COLOUR = re.compile(r"#[0-9a-fA-F]{6}")
_TYPES = {".png": "image/png", ".svg": "image/svg+xml"}
_ACTIVE = re.compile(rb"<script|<foreignObject|\son\w+\s*=|<!ENTITY|@import|(?:href|src)\s*=\s*[\"'](?!#|data:)", re.I)


class BrandForm(Form):
    """`brand.yaml`."""

    logo: Text | None = None
    """PNG or SVG beside the file."""
    accent: Text | None = None
    """`#rrggbb`."""
    confidentiality: Text | None = None
    """Printed on every page."""


@dataclass(frozen=True)
class Brand:
    """What is the organisation's own about a report."""

    accent: str = ACCENT
    confidentiality: str = CONFIDENTIALITY
    logo: str | None = None
    """As a data URI, so that the report stays one file."""
    css: str = ""
    folder: Path | None = None
    """Where templates of its own are."""


PLAIN = Brand()


def load(folder: Path | None) -> Brand:
    """Read a brand folder; without one, the plain look.

    Raises:
        UsageError: if there is no such folder.
        FileError: naming file and line of a colour that cannot be read on paper, a logo that is none, and the like.
    """
    if folder is None:
        return PLAIN
    if not folder.is_dir():
        raise UsageError(f"there is no folder {folder}", hint="Name a folder with brand.yaml.")
    said, style = folder / "brand.yaml", folder / "style.css"
    form = _form(said) if said.exists() else BrandForm()
    css = _text(style) if style.exists() else ""
    if "</" in css:
        raise FileError('A style cannot hold "</".', file=style, hint="Leave markup out of the style.")
    return Brand(
        accent=form.accent or ACCENT,
        confidentiality=form.confidentiality or CONFIDENTIALITY,
        logo=_logo(folder, form.logo) if form.logo else None,
        css=css,
        folder=folder,
    )


def _form(file: Path) -> BrandForm:
    document, problems = read(file), Problems(file)
    form = fill(BrandForm, document, problems)
    if form is not None and form.accent is not None:
        if not _COLOUR.fullmatch(form.accent):
            problems.add(document.line("accent"), f'"{form.accent}" is no colour.', "Write it as #2b3f8f.")
        elif (found := contrast(form.accent)) < LEAST_CONTRAST:
            message = f"Text in {form.accent} on white has a contrast of {found:.1f}:1; people need {LEAST_CONTRAST}:1."
            problems.add(document.line("accent"), message, "Choose a darker colour.")
    problems.raise_if_any()
    assert form is not None
    return form


def contrast(colour: str) -> float:
    """Contrast of a colour on white, as WCAG 2.2 defines it: 1 (white) to 21 (black)."""
    parts = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in parts]
    return 1.05 / (0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2] + 0.05)


def _logo(folder: Path, name: str) -> str:
    file = folder / name
    kind = _TYPES.get(file.suffix.lower())
    if kind is None or not file.resolve().is_relative_to(folder.resolve()):
        raise FileError(f"{name} cannot be the logo.", file=folder / "brand.yaml", hint="Put a PNG or SVG beside it.")
    data = _bytes(file)
    if len(data) > LARGEST_LOGO:
        raise FileError(f"The logo has more than {LARGEST_LOGO // 1024} kB.", file=file, hint="Make it smaller.")
    if kind == "image/png" and not data.startswith(b"\x89PNG\r\n\x1a\n"):
        raise FileError("This is no PNG.", file=file, hint="Save the logo as PNG or SVG.")
    if kind == "image/svg+xml" and (b"<svg" not in data or _ACTIVE.search(data)):
        message = "This SVG is none, holds scripts, or leads to other files."
        raise FileError(message, file=file, hint="Save it as a plain SVG with everything inside it.")
    return f"data:{kind};base64,{base64.b64encode(data).decode()}"


def _bytes(file: Path) -> bytes:
    try:
        return file.read_bytes()
    except OSError as error:
        raise FileError(f"It cannot be read: {error.strerror}.", file=file, hint="Correct the name.") from None


def _text(file: Path) -> str:
    try:
        return _bytes(file).decode()
    except UnicodeDecodeError:
        raise FileError("It is not UTF-8.", file=file, hint="Save it as UTF-8.") from None
