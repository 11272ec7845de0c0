"""HTML → PDF/A-3a, tagged, the same bytes for the same input. The only owner of WeasyPrint.

Nothing is fetched from a network, no font of this machine is used, no date of today gets in. A character without a
glyph, a link without an end or a picture that cannot be read fails the report instead of leaving a gap in it.
"""

from __future__ import annotations

import logging
import os
import re
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal

from compliancectl.report import speed

Paper = Literal["A4", "Letter"]

_FATAL = re.compile(r"\.notdef|No anchor|Failed to load|failed to load|disallowed|outside the reports folder")
_UA = """\
<rdf:Description rdf:about="" xmlns:pdfuaid="http://www.aiim.org/pdfua/ns/id/" pdfuaid:part="1"/>
<rdf:Description rdf:about="" xmlns:pdfaExtension="http://www.aiim.org/pdfa/ns/extension/" \
xmlns:pdfaSchema="http://www.aiim.org/pdfa/ns/schema#" xmlns:pdfaProperty="http://www.aiim.org/pdfa/ns/property#">
<pdfaExtension:schemas><rdf:Bag><rdf:li rdf:parseType="Resource">
<pdfaSchema:schema>PDF/UA Universal Accessibility Schema</pdfaSchema:schema>
<pdfaSchema:namespaceURI>http://www.aiim.org/pdfua/ns/id/</pdfaSchema:namespaceURI>
<pdfaSchema:prefix>pdfuaid</pdfaSchema:prefix>
<pdfaSchema:property><rdf:Seq><rdf:li rdf:parseType="Resource">
<pdfaProperty:name>part</pdfaProperty:name><pdfaProperty:valueType>Integer</pdfaProperty:valueType>
<pdfaProperty:category>internal</pdfaProperty:category>
<pdfaProperty:description>Part of ISO 14289 to which the document conforms</pdfaProperty:description>
</rdf:li></rdf:Seq></pdfaSchema:property>
</rdf:li></rdf:Bag></pdfaExtension:schemas>
</rdf:Description>
"""


@dataclass(frozen=True)
class Enclosure:
    """A file inside the PDF."""

    name: str
    description: str
    relationship: Literal["Source", "Data", "Supplement"]
    data: bytes


@dataclass(frozen=True)
class Rendered:
    """A report's bytes and what is known about it."""

    data: bytes
    pages: int | None
    """None if it has none, as HTML."""
    remarks: tuple[str, ...]
    """What the renderer remarked without failing."""


def glyphs(fonts: Path) -> frozenset[int]:
    """The characters that the bundled fonts can show between them."""
    from fontTools.ttLib import TTFont

    found: set[int] = set()
    for file in sorted(fonts.glob("*-Regular.ttf")):
        with TTFont(file, lazy=True) as font:
            found.update(font.getBestCmap())
    return frozenset(found)


def write(html: str, reports: Path, *, identifier: str, created: datetime, enclosures: Sequence[Enclosure]) -> Rendered:
    """Lay out `html` and return the PDF's bytes.

    Raises:
        RuntimeError: if something would be missing from the pages; that is a mistake in a template.
    """
    os.environ["FONTCONFIG_FILE"] = str(reports / "shared" / "fonts" / "fonts.conf")
    from weasyprint.urls import FatalURLFetchingError

    files = [_attachment(e, created) for e in sorted(enclosures, key=lambda e: e.name)]
    with (
        _remarks() as remarks,
        speed.without_gc(),
        speed.references_once(),
        speed.lightly_compressed(),
        speed.bytes_by_type(),
    ):
        try:
            document = _source(html, reports).render(pdf_variant="pdf/a-3a", pdf_tags=True)
            data = document.write_pdf(
                finisher=_finish,
                pdf_variant="pdf/a-3a",
                pdf_tags=True,
                pdf_identifier=identifier.encode(),
                attachments=files,
            )
        except FatalURLFetchingError as error:  # no Exception: weasyprint would otherwise carry on without the file
            raise RuntimeError(f"the report would have gaps: {error}") from None
    fatal = [r for r in remarks if _FATAL.search(r)]
    if fatal:
        raise RuntimeError(f"the report would have gaps: {fatal[0]}")
    return Rendered(data, len(document.pages), tuple(remarks))


def _source(html: str, reports: Path) -> Any:
    import weasyprint

    class Source(weasyprint.HTML):  # type: ignore[misc]
        def _ua_stylesheets(self, forms: bool = False) -> list[Any]:
            return [speed.default_styles(html)] if not forms else super()._ua_stylesheets(forms)

    with speed.patterns_once():
        return Source(string=html, base_url=f"{reports.as_uri()}/", url_fetcher=_fetcher(reports))


def _attachment(enclosure: Enclosure, created: datetime) -> Any:
    import weasyprint

    moment = created.astimezone(UTC)
    return weasyprint.Attachment(
        string=enclosure.data,
        name=enclosure.name,
        description=enclosure.description,
        relationship=enclosure.relationship,
        created=moment,
        modified=moment,
    )


def _fetcher(reports: Path) -> Any:
    """Reads files below the reports folder and data URIs; anything else ends the rendering."""
    from urllib.parse import unquote, urlsplit

    from weasyprint.urls import FatalURLFetchingError, URLFetcher

    root = reports.resolve()

    class Fetcher(URLFetcher):  # type: ignore[misc]
        def fetch(self, url: str, headers: Any = None) -> Any:
            parts = urlsplit(url)
            inside = parts.scheme == "file" and Path(unquote(parts.path)).resolve().is_relative_to(root)
            if not inside and parts.scheme != "data":
                raise FatalURLFetchingError(f"{url} is outside the reports folder")
            return super().fetch(url, headers)

    return Fetcher(allowed_protocols=("file", "data"), allow_redirects=False)


class _Keeper(logging.Handler):
    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self.kept: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.kept.append(record.getMessage())


@contextmanager
def _remarks() -> Iterator[list[str]]:
    """What WeasyPrint logs, kept instead of printed."""
    keeper, names = _Keeper(), ("weasyprint", "fontTools")
    loggers = [logging.getLogger(name) for name in names]
    before = [(logger.handlers, logger.propagate) for logger in loggers]
    for logger in loggers:
        logger.handlers, logger.propagate = [keeper] if logger.name == "weasyprint" else [], False
    try:
        yield keeper.kept
    finally:
        for logger, (handlers, propagate) in zip(loggers, before, strict=True):
            logger.handlers, logger.propagate = handlers, propagate


def _finish(document: Any, pdf: Any) -> None:
    """Add the PDF/UA identification to the one RDF block, and name each enclosure once."""
    for item in pdf.objects:
        extra = getattr(item, "extra", {})
        if extra.get("Subtype") == "/XML":
            item.stream = [_with_ua(b"\n".join(_as_bytes(part) for part in item.stream))]
    files = pdf.catalog.get("AF")
    if files is not None:
        files[:] = _unique(files)
    speed.keep_bytes(pdf)


def _with_ua(packet: bytes) -> bytes:
    """Put the identification inside the RDF block; a second block would be ignored by validators."""
    if packet.count(b"</rdf:RDF>") != 1:
        raise RuntimeError("the metadata of the PDF has not exactly one RDF block")
    return packet.replace(b"</rdf:RDF>", _UA.encode() + b"</rdf:RDF>")


def _as_bytes(part: Any) -> bytes:
    return part if isinstance(part, bytes) else str(part).encode()


def _unique(values: Collection[Any]) -> list[Any]:
    return list(dict.fromkeys(values))
