"""Templates → HTML. The only owner of Jinja2.

Everything that a template prints is escaped twice without its asking: `finalize` makes hidden characters visible,
autoescape makes markup harmless. A name that does not exist is an error, not an empty string.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from compliancectl.errors import UsageError
from compliancectl.load.document import read
from compliancectl.report import text

if TYPE_CHECKING:
    import jinja2

TEMPLATE = "template.html.j2"


@dataclass(frozen=True)
class Kind:
    """A kind of report: a folder with `template.html.j2`, `style.css` and `report.yaml`."""

    name: str
    title: str
    description: str
    folder: Path


def kinds(reports: Path) -> tuple[Kind, ...]:
    """Every kind of report in the folder, sorted by name."""
    folders = sorted(f.parent for f in reports.glob(f"*/{TEMPLATE}") if not f.parent.name.startswith((".", "_")))
    return tuple(_kind(folder) for folder in folders)


def find(name: str, reports: Path) -> Kind:
    """The kind called `name`.

    Raises:
        UsageError: naming those that exist.
    """
    known = kinds(reports)
    for kind in known:
        if kind.name == name:
            return kind
    names = text.listed([k.name for k in known]) or "none"
    raise UsageError(f"there is no report called {text.visible(name, ())!r}", hint=f"Reports that exist: {names}.")


def _kind(folder: Path) -> Kind:
    data = read(folder / "report.yaml").data
    return Kind(folder.name, data["title"], data["description"], folder)


def html(kind: Kind, reports: Path, values: dict[str, Any], glyphs: Collection[int]) -> str:
    """Fill the template of `kind` with `values`."""
    return str(_environment(reports, glyphs).get_template(f"{kind.name}/{TEMPLATE}").render(kind=kind, **values))


def _environment(reports: Path, glyphs: Collection[int]) -> jinja2.Environment:
    import jinja2
    from markupsafe import Markup, escape

    def finalize(value: Any) -> Any:
        if isinstance(value, Markup) or not isinstance(value, str):
            return value
        return text.visible(value, glyphs)

    def listing(value: str) -> Markup:
        lines = (escape(line) if line else Markup("&nbsp;") for line in text.visible_lines(value, glyphs))
        return Markup("").join(Markup("<code>{}</code>").format(line) for line in lines)

    def breakable(value: str) -> Markup:
        return Markup("_<wbr>").join(escape(part) for part in text.visible(value, glyphs).split("_"))

    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(reports),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        finalize=finalize,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    filters = {
        name: getattr(text, name) for name in ("prose", "number", "sentence", "instant", "day", "size", "listed")
    }
    environment.filters.update(
        filters, listing=listing, breakable=breakable, shorten=text.shorten, compact=text.compact
    )
    environment.filters["css_string"] = lambda value: Markup(text.css_string(text.visible(value, glyphs)))  # noqa: S704  # every special character is a CSS escape
    environment.globals.update(count=text.count, period=text.period)
    return environment
