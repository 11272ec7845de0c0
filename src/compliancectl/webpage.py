"""A public page as sentences, and what of it is in a register of claims. Pure, but for `fetch`.

Words are compared, not looks: case, white space, kinds of quotation marks and dashes make no difference, nor does
markup inside a sentence.
"""

from __future__ import annotations

import difflib
import re
import unicodedata
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from html.parser import HTMLParser

from compliancectl.errors import FileError, UsageError
from compliancectl.model.claim import Claim

MAX_BYTES = 20 * 1024**2
"""Largest page that is read."""
SHORTEST = 4
"""Words from which on a piece of text is a sentence; a shorter one is a label (`Overview`, `Read more`)."""
_ALIKE = 0.6
"""Similarity from which on a sentence is offered as the new wording of one that has gone."""

_HIDDEN = frozenset({"script", "style", "template", "noscript", "head"})
_INLINE = frozenset(
    [
        "a",
        "abbr",
        "acronym",
        "b",
        "bdi",
        "bdo",
        "cite",
        "code",
        "data",
        "dfn",
        "em",
        "font",
        "i",
        "ins",
        "kbd",
        "mark",
        "q",
        "s",
        "samp",
        "small",
        "span",
        "strong",
        "sub",
        "sup",
        "time",
        "tspan",
        "u",
        "var",
        "wbr",
    ]
)
_END = re.compile(r"[.!?…][\"'”’)\]]*(\s+)(?=[\"'“‘(\[]*[A-Z0-9À-Þ])")
_ABBREVIATED = re.compile(r"(?:^|[\s(])(?:e\.g|i\.e|Inc|Ltd|Corp|Co|Art|No|vs|etc|approx|U\.S|[A-Z])\.[\"'”’)\]]*$")
_SAME = str.maketrans(
    {"‘": "'", "’": "'", "‚": "'", "“": '"', "”": '"', "„": '"', "–": "-", "—": "-", "‐": "-", "‑": "-", "−": "-"}
)


@dataclass(frozen=True)
class Gone:
    """A registered sentence that is not on the page."""

    claim: Claim
    perhaps: str | None
    """A sentence of the page that reads like it."""


@dataclass(frozen=True)
class Comparison:
    """A page against a register."""

    found: tuple[Claim, ...]
    gone: tuple[Gone, ...]
    unregistered: tuple[str, ...]
    """Sentences of the page that no claim quotes, in order."""
    labels: tuple[str, ...]
    """Pieces too short to be sentences that no claim quotes."""


def normal(text: str) -> str:
    """The words of a text, so that two spellings of the same words are equal."""
    plain = unicodedata.normalize("NFKC", text).translate(_SAME).casefold()
    plain = "".join(c for c in plain if unicodedata.category(c) != "Cf")
    return " ".join(plain.split())


def pieces(data: str) -> tuple[str, ...]:
    """The visible text of an HTML page or a plain text, cut into sentences and labels, in order."""
    if re.search(r"<(?:!doctype|html|body|head|div|p|h[1-6]|main|section|span)\b", data, re.IGNORECASE):
        parser = _Text()
        parser.feed(data)
        parser.close()
        blocks = parser.blocks()
    else:
        blocks = re.split(r"\n\s*\n", data)
    return tuple(sentence for block in blocks for sentence in _sentences(" ".join(block.split())))


def compare(found: Sequence[str], claims: Iterable[Claim]) -> Comparison:
    """Hold the pieces of a page against the claims that a register has of it.

    A claim is there when its words stand on the page one after another, even over the border of two blocks (a diagram
    splits a promise into boxes). A piece is registered when a claim quotes any part of it.
    """
    spans: list[tuple[int, int]] = []
    text = ""
    for piece in found:
        words = normal(piece)
        start = len(text) + bool(text)
        text = f"{text} {words}" if text else words
        spans.append((start, start + len(words)))
    here: list[Claim] = []
    gone: list[Claim] = []
    quoted: list[tuple[int, int]] = []
    for claim in claims:
        places = _occurrences(text, normal(claim.text))
        quoted += places
        (here if places else gone).append(claim)
    free = [p for p, span in zip(found, spans, strict=True) if not any(a < span[1] and span[0] < b for a, b in quoted)]
    sentences = tuple(piece for piece in free if len(piece.split()) >= SHORTEST)
    return Comparison(
        found=tuple(here),
        gone=tuple(Gone(claim, _nearest(claim.text, sentences)) for claim in gone),
        unregistered=sentences,
        labels=tuple(piece for piece in free if len(piece.split()) < SHORTEST),
    )


def _occurrences(text: str, words: str) -> list[tuple[int, int]]:
    """Where the words stand as whole words."""
    if not words:
        return []
    pattern = rf"(?<!\w){re.escape(words)}(?!\w)"
    return [match.span() for match in re.finditer(pattern, text)]


def _nearest(text: str, sentences: Sequence[str]) -> str | None:
    """The sentence that shares most words with a text, if it shares enough of them."""
    wanted = normal(text).split()
    best, found = _ALIKE, None
    for sentence in sentences:
        matcher = difflib.SequenceMatcher(None, wanted, normal(sentence).split(), autojunk=False)
        shared = sum(block.size for block in matcher.get_matching_blocks()) / len(wanted)
        if shared > best:
            best, found = shared, sentence
    return found


def _sentences(block: str) -> list[str]:
    made: list[str] = []
    cuts = [match.span(1) for match in _END.finditer(block)]
    starts, ends = [0, *(end for _, end in cuts)], [*(start for start, _ in cuts), len(block)]
    for part in (block[start:end] for start, end in zip(starts, ends, strict=True)):
        if made and _ABBREVIATED.search(made[-1]):
            made[-1] += f" {part}"
        elif part.strip():
            made.append(part.strip())
    return made


class _Text(HTMLParser):
    """Visible text by block: what stands in one paragraph, cell, heading or box."""

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self._hidden: list[str] = []
        self._current: list[str] = []
        self._blocks: list[str] = []

    def blocks(self) -> list[str]:
        """The blocks that hold text, in order."""
        self._cut()
        return self._blocks

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag == "body":  # a page may leave out the end of its head
            self._hidden.clear()
        if tag in _HIDDEN:
            self._hidden.append(tag)
        elif tag not in _INLINE:
            self._cut()

    def handle_endtag(self, tag: str) -> None:
        if self._hidden and tag in self._hidden:
            while self._hidden.pop() != tag:
                pass
        elif tag not in _INLINE:
            self._cut()

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag not in _INLINE:
            self._cut()

    def handle_data(self, data: str) -> None:
        if not self._hidden:
            self._current.append(data)

    def _cut(self) -> None:
        text = " ".join("".join(self._current).split())
        if text:
            self._blocks.append(text)
        self._current = []


def fetch(url: str) -> str:
    """Read a public page.

    Raises:
        UsageError: if it is no web address, cannot be reached, or does not answer with a page.
    """
    import requests

    if not re.fullmatch(r"https?://\S+", url):
        raise UsageError(f"{url!r} is no web address", hint="Begin it with https://, or name a file with --page.")
    saved = "Check the address, or save the page and name the file with --page."
    try:
        with requests.get(url, timeout=30, stream=True, headers={"Accept": "text/html,text/plain"}) as answer:
            if answer.status_code != 200:
                raise UsageError(f"{url} answers {answer.status_code} {answer.reason}", hint=saved)
            data = b""
            for part in answer.iter_content(65536):
                data += part
                if len(data) > MAX_BYTES:
                    raise UsageError(f"{url} is longer than {MAX_BYTES:,} bytes", hint=saved)
            declared = "charset" in answer.headers.get("Content-Type", "").lower()
            return data.decode((answer.encoding if declared else None) or "utf-8", "replace")
    except LookupError:
        raise UsageError(f"{url} names a character set that does not exist", hint=saved) from None
    except requests.RequestException as error:
        raise UsageError(f"{url} cannot be read: {error}", hint=saved) from None


def decode(data: bytes, file: str) -> str:
    """The text of a saved page.

    Raises:
        FileError: if it is not UTF-8 or too long.
    """
    if len(data) > MAX_BYTES:
        raise FileError(f"The page is longer than {MAX_BYTES:,} bytes.", file=file, hint="Save the text of it alone.")
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise FileError("The page is not UTF-8.", file=file, hint="Save it as UTF-8.") from None
