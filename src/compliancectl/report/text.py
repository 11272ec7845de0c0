r"""Text that comes from elsewhere, made safe to read: nothing hides, nothing reorders, nothing is a box.

Evidence holds names that other people chose. A right-to-left override turns `abc` into `cba` on paper, a zero-width
space makes two names look alike, and a character that no bundled font has would be an empty box. All of them are
written out as `\\u{202e}`.
"""

from __future__ import annotations

import json
import unicodedata
from collections.abc import Collection
from datetime import UTC, date, datetime, timedelta
from typing import Any

from compliancectl.numbers import counted

_RIGHT_TO_LEFT = frozenset({"R", "AL", "AN"})
_ISOLATE, _END = "\u2068", "\u2069"
"""Around a text with right-to-left letters: it reads in its own direction and leaves what stands beside it alone."""
_JSON = json.JSONEncoder(ensure_ascii=False, sort_keys=True, separators=(", ", ": "))
_INITIALS = frozenset({"ai", "api"})
_NAMED = {"\n": "\\n", "\r": "\\r", "\t": "\\t"}
_HIDDEN = frozenset({"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp", "Zs"})
MONTHS = (
    "January",
    "February",
    "March",
    "April",
    "May",
    "June",
    "July",
    "August",
    "September",
    "October",
    "November",
    "December",
)


def visible(text: str, glyphs: Collection[int]) -> str:
    """Write out every character that would not show, would reorder others, or is in no bundled font."""
    if text.isascii() and text.isprintable():
        return text
    shown = "".join(_shown(character, glyphs) for character in text)
    if any(unicodedata.bidirectional(character) in _RIGHT_TO_LEFT for character in shown):
        return f"{_ISOLATE}{shown}{_END}"
    return shown


def _shown(character: str, glyphs: Collection[int]) -> str:
    if character == " ":
        return character
    if character in _NAMED:
        return _NAMED[character]
    code = ord(character)
    if unicodedata.category(character) in _HIDDEN or (code > 0x7E and code not in glyphs):
        return f"\\u{{{code:x}}}"
    return character


def visible_lines(text: str, glyphs: Collection[int]) -> list[str]:
    """The lines of a query or other listing, tabs widened, each made visible."""
    lines = text.replace("\r\n", "\n").strip("\n").split("\n")
    return [visible(line.expandtabs(4).rstrip(" "), glyphs) for line in lines]


def prose(text: str) -> str:
    """A sentence or paragraph from a YAML file on one line; how it was broken there means nothing."""
    return " ".join(text.split(" ")).strip() if "\n" not in text else " ".join(text.split("\n")).strip()


def number(value: int) -> str:
    """`5,000`."""
    return f"{value:,}"


def count(value: int, noun: str, plural: str | None = None) -> str:
    """`1 item`, `12 items`, `no items`."""
    return counted(value, noun, plural) if value else f"no {plural or noun + 's'}"


def listed(parts: list[str]) -> str:
    """`a`, `a and b`, `a, b and c`."""
    return parts[0] if len(parts) == 1 else f"{', '.join(parts[:-1])} and {parts[-1]}" if parts else ""


def sentence(text: str) -> str:
    """The text with a capital first letter and a full stop; a name such as `gcp.sql_instance` or `app-db` stays as it is."""
    clean = prose(text)
    if not clean:
        return clean
    first = clean.partition(" ")[0].rstrip(",:;.!?")
    start = clean[0].upper() if first.isalpha() else clean[0]
    return start + clean[1:] + ("" if clean[-1] in ".!?" else ".")


def instant(value: datetime) -> str:
    """`2026-08-22 02:04:10 UTC`."""
    return value.astimezone(UTC).strftime("%Y-%m-%d %H:%M:%S UTC")


def day(value: datetime) -> str:
    """`22 August 2026`."""
    return on_day(value.astimezone(UTC).date())


def on_day(value: date) -> str:
    """`22 August 2026`."""
    return f"{value.day} {MONTHS[value.month - 1]} {value.year}"


def period(start: datetime, end: datetime) -> str:
    """A half-open period as people say it: `1 August 2026 to 31 October 2026`; one day is said once."""
    ends = end.astimezone(UTC)
    last = ends - timedelta(days=1) if (ends.hour, ends.minute, ends.second, ends.microsecond) == (0, 0, 0, 0) else ends
    first, last_day = day(start), day(max(last, start))
    return first if first == last_day else f"{first} to {last_day}"


def topic(name: str) -> str:
    """A topic as a heading: `Backup`, `AI`."""
    return name.upper() if name in _INITIALS else name.capitalize()


def size(value: int) -> str:
    """Bytes with a unit: `812 B`, `12.4 kB`, `3.1 MB` (powers of ten)."""
    if value < 1000:
        return f"{value} B"
    return f"{value / 1000:.1f} kB" if value < 1_000_000 else f"{value / 1_000_000:.1f} MB"


def shorten(text: str, limit: int) -> str:
    """The first `limit` characters, and how many were cut; the whole text if saying so would take as much room."""
    if len(text) <= limit + len(" … (99 more characters)"):
        return text
    return f"{text[:limit].rstrip()} … ({len(text) - limit:,} more characters)"


def css_string(text: str) -> str:
    """A CSS string literal in which every character but letters, digits and spaces is a hexadecimal escape."""
    inner = "".join(c if c.isascii() and (c.isalnum() or c == " ") else f"\\{ord(c):x} " for c in text)
    return f'"{inner}"'


def compact(value: Any) -> str:
    """An observed value in few characters: text as it is, everything else as JSON."""
    if value is None:
        return "NULL"
    return value if isinstance(value, str) else _JSON.encode(value)
