"""Templates → HTML. The only owner of Jinja2.

Everything that a template prints is escaped twice without its asking: `finalize` makes hidden characters visible,
autoescape makes markup harmless. A name that does not exist is an error, not an empty string.
"""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import Callable, Collection
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from compliancectl.errors import FileError, UsageError
from compliancectl.load.document import read
from compliancectl.report import text
from compliancectl.report.brand import Brand

if TYPE_CHECKING:
    import jinja2

TEMPLATE = "template.html.j2"
_OWN = "brand"
"""Under this name the templates of the organisation's own folder are found."""


@dataclass(frozen=True)
class Kind:
    """A kind of report: a folder with `template.html.j2`, `report.yaml` and, if it needs one, `style.css`."""

    name: str
    title: str
    description: str
    reader: str
    """Whom it is for."""
    views: tuple[str, ...]
    """What it needs beyond the assessment itself: names in `views.VIEWS`; each is a variable of its template."""
    internals: bool
    """False if nothing may be enclosed in it: it is for everybody."""
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
    return Kind(
        folder.name,
        data["title"],
        data["description"],
        data["reader"],
        tuple(data.get("views", ())),
        data.get("internals", True),
        folder,
    )


def html(
    kind: Kind, reports: Path, values: dict[str, Any], glyphs: Collection[int], *, brand: Brand, screen: bool = False
) -> str:
    """Fill the template of `kind` with `values`.

    Args:
        kind: the kind.
        reports: the folder of all kinds.
        values: variables of the template.
        glyphs: characters that the reader's fonts have; every other one is written out.
        brand: the organisation's look; its own template of this kind comes before ours.
        screen: whether it is for a browser instead of for paper.

    Raises:
        FileError: if a template of the organisation's own is wrong.
    """
    import jinja2

    environment = _environment(reports, glyphs, brand, screen)
    own = f"{_OWN}/{kind.name}.html.j2"
    mine = brand.folder is not None and (brand.folder / f"{kind.name}.html.j2").is_file()
    try:
        template = environment.get_template(own if mine else f"{kind.name}/{TEMPLATE}")
        return str(template.render(kind=kind, brand=brand, screen=screen, **values))
    except jinja2.TemplateError as error:
        if not mine:
            raise
        file = f"{brand.folder}/{kind.name}.html.j2"
        line = getattr(error, "lineno", None)
        hint = "Extend our template, and replace blocks that it has."
        raise FileError(f"{str(error).rstrip('.')}.", file=file, line=line, hint=hint) from None


def _environment(reports: Path, glyphs: Collection[int], brand: Brand, screen: bool) -> jinja2.Environment:
    import jinja2
    from jinja2.sandbox import ImmutableSandboxedEnvironment
    from markupsafe import Markup

    def finalize(value: Any) -> Any:
        if isinstance(value, Markup) or not isinstance(value, str):
            return value
        return text.visible(value, glyphs)

    loader: jinja2.BaseLoader = jinja2.FileSystemLoader(reports)
    # Ours are trusted and a sandbox costs time; an organisation's own templates may come from anywhere.
    made = jinja2.Environment
    if brand.folder is not None:
        made = ImmutableSandboxedEnvironment
        loader = jinja2.ChoiceLoader([loader, jinja2.PrefixLoader({_OWN: jinja2.FileSystemLoader(brand.folder)})])
    environment = made(
        loader=loader,
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        finalize=finalize,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    plain = ("prose", "number", "sentence", "instant", "day", "on_day", "topic", "size", "listed", "shorten", "compact")
    environment.filters.update({name: getattr(text, name) for name in plain})
    environment.filters.update(_markup(glyphs))
    environment.globals.update(count=text.count, period=text.period, css=_css(reports, brand), **_script(reports))
    return environment


def _markup(glyphs: Collection[int]) -> dict[str, Callable[[str], Any]]:
    """Filters that return markup of their own around text that they escape."""
    from markupsafe import Markup, escape

    def listing(value: str) -> Markup:
        lines = [escape(line) if line else Markup("&nbsp;") for line in text.visible_lines(value, glyphs)]
        # A page holds two lines of a query at the least, at its end as at its beginning.
        held = {0, len(lines) - 3, len(lines) - 2}
        plain, kept = Markup("<code>{}</code>"), Markup('<code class="held">{}</code>')
        return Markup("").join((kept if n in held else plain).format(line) for n, line in enumerate(lines))

    def breakable(value: str) -> Markup:
        return Markup("_<wbr>").join(escape(part) for part in text.visible(value, glyphs).split("_"))

    def rich(value: str) -> Markup:
        """A text from a control file: what stands between backticks is set as code."""
        parts = text.visible(value, glyphs).split("`")
        if len(parts) % 2 == 0:
            return escape("`".join(parts))
        quoted = (Markup('<code class="lit">{}</code>').format(p) if i % 2 else escape(p) for i, p in enumerate(parts))
        return Markup("").join(quoted)

    def names(values: Collection[str]) -> Markup:
        """All of them in one run of text: an element for each takes as long as a line for each."""
        return Markup(", ").join(text.visible(value, glyphs) for value in values)

    def css_string(value: str) -> Markup:
        return Markup(text.css_string(text.visible(value, glyphs)))  # noqa: S704  # every special character is a CSS escape

    return {"listing": listing, "breakable": breakable, "rich": rich, "names": names, "css_string": css_string}


def _css(reports: Path, brand: Brand) -> Callable[[str], Any]:
    """A function for templates: the text of a shipped style, with the accent colour in place; empty if there is none."""
    from markupsafe import Markup

    def css(name: str) -> Markup:
        file = reports / name
        return Markup(file.read_text("utf-8").replace("var(--accent)", brand.accent) if file.exists() else "")  # noqa: S704  # shipped

    return css


def _script(reports: Path) -> dict[str, Any]:
    """The script of the HTML report, the digest by which its own policy lets it run, and its fonts as data URIs."""
    from markupsafe import Markup

    script = (reports / "shared" / "screen" / "filter.js").read_text("utf-8")
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()

    def fonts() -> Markup:
        style = (reports / "shared" / "screen" / "fonts.css").read_text("utf-8")

        def inline(match: re.Match[str]) -> str:
            data = base64.b64encode((reports / "shared" / "screen" / match[1]).read_bytes()).decode()
            return f"url(data:font/woff2;base64,{data})"

        return Markup(re.sub(r"url\(([\w-]+\.woff2)\)", inline, style))  # noqa: S704  # shipped

    return {"script": Markup(script), "script_sha256": digest, "fonts": fonts}  # noqa: S704  # shipped
