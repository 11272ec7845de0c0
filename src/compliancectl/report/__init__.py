"""Stage 4: a bundle → a PDF that an assessor can read, search, link through and repeat, or the same as one HTML file.

    source    reads the bundle (folder or ZIP) or the evaluated run folder; population: the items of one test
    book      what every report may say: sentences, orders, references
    views     what some kinds say beyond it: claims, gaps, records of processing …
    figures   the geometry of bars, strips and the rosette on the cover
    text      makes foreign text safe to read
    brand     the organisation's own look and words
    template  Jinja2: `reports/<kind>/`
    pdf       WeasyPrint: PDF/A-3a, tagged, deterministic
    speed     what it does needlessly often is done once

A report is a folder under `reports/` that extends `shared/document.html.j2`. The same bundle gives the same bytes.
"""

from __future__ import annotations

import contextlib
import os
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Literal, get_args

from compliancectl import canonical, resources
from compliancectl.errors import OutputError, UsageError
from compliancectl.report import book, pdf, source, subject, template, views
from compliancectl.report.brand import load as load_brand
from compliancectl.report.pdf import Paper
from compliancectl.report.template import Kind

__all__ = ["Form", "Kind", "Paper", "ReportRecord", "kinds", "render"]

Form = Literal["pdf", "html"]
EVERY_CHARACTER = range(0x110000)
"""A browser has fonts for what ours lack."""


@dataclass(frozen=True)
class ReportRecord:
    """A report that was written."""

    kind: str
    path: Path
    sha256: str
    bytes: int
    pages: int | None
    """None for HTML."""
    bundle_digest: str
    """SHA-256 of the bundle's SHA256SUMS; of results.json when the run is not sealed."""
    sealed: bool
    remarks: tuple[str, ...] = ()
    """What the renderer remarked without failing."""


def kinds(folder: Path | None = None) -> tuple[Kind, ...]:
    """The reports that can be rendered, sorted by name."""
    return template.kinds(folder or resources.reports_folder())


def render(
    kind: str,
    bundle: Path,
    out: Path,
    *,
    form: Form = "pdf",
    generated: datetime | None = None,
    paper: Paper = "A4",
    brand: Path | None = None,
    earlier: Sequence[Path] = (),
    samples: Sequence[Path] = (),
    folder: Path | None = None,
    finish: Callable[[bytes], bytes] = lambda data: data,
    progress: Callable[[str], None] = lambda text: None,
) -> ReportRecord:
    """Write the report `kind` about `bundle` to `out`.

    Args:
        kind: name of a folder under `reports/`.
        bundle: a bundle (folder or .zip), or a run folder that has been evaluated.
        out: the file; an existing one is replaced in one step, or left as it was.
        form: `pdf`, or `html` for one file that needs no network.
        generated: printed as the report's date. Left out, it is the instant of judgement, and the same bundle gives
            the same bytes.
        paper: `A4` or `Letter`; HTML has no use for it.
        brand: folder with the organisation's `brand.yaml` and blocks of its own.
        earlier: assessments of before, for kinds that say since when something is so.
        samples: samples that were drawn from the package, for kinds about a period.
        folder: where the kinds of reports are; left out, the shipped ones.
        finish: gets the finished bytes before they are written and returns those to write: a signature is added here.
        progress: is told what is going on.

    Raises:
        UsageError: for a kind, paper or bundle that does not exist.
        NotReadyError: if the bundle holds no results.
        VerifyError: if a file of a sealed bundle is not the one that was sealed.
        FileError: if a file in the bundle or the brand folder is damaged.
        OutputError: if `out` cannot be written.
    """
    reports = (folder or resources.reports_folder()).resolve()
    chosen = template.find(kind, reports)
    if paper not in get_args(Paper):
        raise UsageError(f"there is no paper called {paper!r}", hint="Choose A4 or Letter.")
    _check_output(out)
    own, screen = load_brand(brand), form == "html"
    progress("reading")
    read = subject.load(bundle, chosen.views, screen=screen, tables=views.tables(chosen.views))
    moment = generated or read.results.as_of
    content = book.compose(read, generated=moment, paper=paper, classification=own.confidentiality)
    progress("composing")
    made = views.make(chosen.views, views.Ground(bundle, read, content, tuple(earlier), tuple(samples)))
    glyphs = EVERY_CHARACTER if screen else pdf.glyphs(reports / "shared" / "fonts")
    html = template.html(chosen, reports, {"book": content, **made}, glyphs, brand=own, screen=screen)
    if screen:
        laid = pdf.Rendered(html.encode(), None, ())
    else:
        progress("laying out pages")
        enclosures = _enclosures(read, content) if chosen.internals else []
        enclosures += [extra for view in made.values() for extra in getattr(view, "enclosures", ())]
        laid = pdf.write(html, reports, identifier=content.identifier, created=moment, enclosures=enclosures)
    progress("writing")
    data = finish(laid.data)
    _write(out, data)
    digest = canonical.sha256(data)
    return ReportRecord(kind, out, digest, len(data), laid.pages, read.digest, read.sealed, laid.remarks)


def _enclosures(read: source.Source, content: book.Book) -> list[pdf.Enclosure]:
    found = [pdf.Enclosure("results.json", "Results of every control, test and check", "Data", read.results_bytes)]
    if read.sums is not None:
        found.append(pdf.Enclosure("SHA256SUMS", "Digest of every file of the bundle", "Supplement", read.sums))
    if read.statement is not None:
        found.append(pdf.Enclosure("statement.json", "The signed statement of the seal", "Supplement", read.statement))
    for table in content.tables:
        found.append(pdf.Enclosure(table.name, f"All {table.rows:,} items of the population", "Data", table.data))
    return found


def _check_output(out: Path) -> None:
    if out.is_dir():
        raise OutputError(f"{out} is a folder", hint="Name the file to write.")
    if out.exists() and not out.is_file():
        raise OutputError(f"{out} is not a plain file", hint="Name the file to write.")
    if not out.parent.is_dir():
        raise OutputError(f"the folder {out.parent} does not exist", hint="Make it, or choose another place.")


def _write(out: Path, data: bytes) -> None:
    """Put the whole file in place in one step; on failure what was there before stays."""
    temporary: Path | None = None
    try:
        handle, name = tempfile.mkstemp(dir=out.parent, prefix=f".{out.name}.", suffix=".new")
        temporary = Path(name)
        with os.fdopen(handle, "wb") as stream:
            stream.write(data)
            stream.flush()
            os.fsync(stream.fileno())
        temporary.chmod(0o644)
        temporary.replace(out)
    except OSError as error:
        if temporary is not None:
            with contextlib.suppress(OSError):
                temporary.unlink()
        hint = "Free some space, or choose another place."
        raise OutputError(f"cannot write {out}: {error.strerror}", hint=hint) from None
