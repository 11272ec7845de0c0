"""What WeasyPrint and the libraries below it do needlessly often is done once. The pages are the same.

Each piece names what it replaces and puts it back afterwards. A release of theirs that no longer has it is noticed at once:
the report fails by its name.
"""

from __future__ import annotations

import gc
import re
import zlib
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from functools import lru_cache
from typing import Any

LEVEL = 6
"""Of zlib, its default."""
_UNUSED = re.compile(r"^::(?:footnote|note)-\w+ \{.*\}$", re.MULTILINE)
_MARKER = re.compile(r"^::marker \{", re.MULTILINE)


@contextmanager
def without_gc() -> Iterator[None]:
    """Layout makes millions of objects that all stay; looking for garbage among them is a fifth of the time.

    Afterwards they count as old: the next ordinary collection would otherwise go through all of them while they are
    still in use. What an earlier report left behind goes first.
    """
    was = gc.isenabled()
    gc.collect()
    gc.disable()
    try:
        yield
    finally:
        if was:
            gc.freeze()
            gc.enable()
            gc.unfreeze()


@contextmanager
def references_once() -> Iterator[None]:
    """Every tag names its page by a list that pydyf makes anew each time: with pages × tags, a tenth of the time."""
    import pydyf

    before = pydyf.PDF.page_references
    kept: list[tuple[bytes, ...]] = [()]

    def references(pdf: Any) -> tuple[bytes, ...]:
        if len(kept[0]) * 3 != len(pdf.pages["Kids"]):
            kept[0] = before.fget(pdf)
        return kept[0]

    pydyf.PDF.page_references = property(references)
    try:
        yield
    finally:
        pydyf.PDF.page_references = before


@contextmanager
def patterns_once() -> Iterator[None]:
    """tinyhtml5 keeps the patterns by which it reads under a key that it never looks up, and makes them for each text."""
    from tinyhtml5 import inputstream

    class Patterns(dict[tuple[Iterable[str], bool], re.Pattern[str]]):
        def __missing__(self, key: tuple[Iterable[str], bool]) -> re.Pattern[str]:
            characters, among = key
            listed = "".join(f"\\x{ord(character):02x}" for character in characters)
            pattern = self[key] = re.compile(f"[{'' if among else '^'}{listed}]+")
            return pattern

    before = inputstream.characters_until_regex
    inputstream.characters_until_regex = Patterns()
    try:
        yield
    finally:
        inputstream.characters_until_regex = before


@contextmanager
def lightly_compressed() -> Iterator[None]:
    """Compress at zlib's own level: pydyf's highest one takes three times as long for two hundredths less."""
    import pydyf

    class Light:
        @staticmethod
        def compressobj(level: int) -> Any:
            return zlib.compressobj(min(level, LEVEL))

    before = pydyf.zlib
    pydyf.zlib = Light
    try:
        yield
    finally:
        pydyf.zlib = before


@contextmanager
def bytes_by_type() -> Iterator[None]:
    """Names, numbers and operators are told apart by what they are in one look; pydyf asks four times, a million times over.

    Coordinates and colours come again and again, so that the text of a number is kept.
    """
    import pydyf

    before = pydyf._to_bytes
    number = lru_cache(maxsize=65_536)(before)

    def to_bytes(item: Any) -> bytes:
        kind = type(item)
        if kind is bytes:
            found: bytes = item
        elif kind is str:
            found = item.encode("ascii")
        elif kind is float:
            found = number(item)
        else:
            found = before(item)
        return found

    pydyf._to_bytes = to_bytes
    try:
        yield
    finally:
        pydyf._to_bytes = before


def keep_bytes(pdf: Any) -> None:
    """Put each object's bytes in its place: pydyf makes them for the file, and once more for the file's identifier."""
    import pydyf

    class Kept(pydyf.Object):  # type: ignore[misc]
        data = b""
        compressible = False

    for index, item in enumerate(pdf.objects):
        if item.free == "f":
            continue
        kept = pdf.objects[index] = Kept()
        kept.number, kept.generation = item.number, item.generation
        kept.data, kept.compressible = item.data, item.compressible


def default_styles(html: str) -> Any:
    """WeasyPrint's own style sheet, without the parts of footnotes and with list markers for list items only.

    As it stands it gives every element six pseudo-elements with a style of their own, which no report draws.
    A page that speaks of footnotes keeps them.
    """
    import weasyprint
    from weasyprint.css.counters import CounterStyle
    from weasyprint.html import UA

    text = _MARKER.sub("li::marker, summary::marker {", UA)
    if "footnote" not in html and "note(" not in html:
        text = _UNUSED.sub("", text)
    return weasyprint.CSS(string=text, counter_style=CounterStyle())
