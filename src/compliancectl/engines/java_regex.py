r"""A pattern as DuckDB reads it (RE2), written so that Java's engine matches the same texts.

The two agree on most of what is written, and differ in silence on the rest: `$` also stands before a line feed at the
end in Java, `.` leaves out more than the line feed, `\s` takes the vertical tab too, `(?i)` knows only ASCII, `\b` knows
more than ASCII. RE2's syntax: https://github.com/google/re2/wiki/Syntax; Java's: `java.util.regex.Pattern`.
"""

from __future__ import annotations

import re

from compliancectl.query.syntax import Refused

_WORD = "0-9A-Za-z_"
_SPACE = r"\t\n\f\r "
_BOUNDARY = f"(?:(?<=[{_WORD}])(?![{_WORD}])|(?<![{_WORD}])(?=[{_WORD}]))"
_ESCAPES = {
    "b": _BOUNDARY,
    "s": f"[{_SPACE}]",
    "S": f"[^{_SPACE}]",
    "A": r"\A",
    "z": r"\z",
    **{letter: f"\\{letter}" for letter in "dDwWtnrf"},
}
_IN_CLASS = {"s": _SPACE, **{letter: f"\\{letter}" for letter in "dwtnrf"}}
_POSIX = {
    "alpha": "A-Za-z",
    "digit": "0-9",
    "alnum": "0-9A-Za-z",
    "upper": "A-Z",
    "lower": "a-z",
    "space": r"\t\n\x0B\f\r ",
    "word": _WORD,
    "xdigit": "0-9A-Fa-f",
}
_GROUP = re.compile(r"\((?:\?(?::|P?<[A-Za-z][A-Za-z0-9]*>|i\)))?")
_COUNT = re.compile(r"\{\d+(?:,\d*)?\}")

PLAIN = r"^(?:\(\?i\))?(?:[A-Za-z0-9_ .:/@=~\"',;<>!#%&^$|)-]|\((?!\?)|[*+?](?![*+?])|\\[./\[*+?()^|-])*\z"
"""Patterns (this is one of Java's) that mean the same in both, once `$` is `\\z` and `(?i)` is `(?iu)`."""


def to_java(pattern: str) -> str:
    r"""The pattern in Java's words: `(?d)` at the start, so that only the line feed ends a line.

    Raises:
        Refused: it holds what has no like in Java, or what was not compared.
    """
    out, at = ["(?d)"], 0
    while at < len(pattern):
        piece, at = _piece(pattern, at)
        out.append(piece)
    return "".join(out)


def _piece(pattern: str, at: int) -> tuple[str, int]:
    char = pattern[at]
    if char == "\\":
        return _escape(pattern, at, _ESCAPES), at + 2
    if char == "[":
        return _class(pattern, at)
    if char == "$":
        return r"\z", at + 1
    if char == "(":
        return _group(pattern, at)
    if char == "{" and (count := _COUNT.match(pattern, at)) is None:
        return r"\{", at + 1
    if char == "{":
        return _unpossessive(pattern, count.group(), count.end())  # type: ignore[union-attr]
    if char in "*+?":
        return _unpossessive(pattern, char, at + 1)
    return ("\\}" if char == "}" else "\\]" if char == "]" else char), at + 1


def _unpossessive(pattern: str, piece: str, after: int) -> tuple[str, int]:
    """Java reads `a++` as one word more; RE2 does not take it at all."""
    if pattern[after : after + 1] in ("+", "*"):
        raise _refused(pattern, piece + pattern[after])
    return piece, after


def _escape(pattern: str, at: int, known: dict[str, str]) -> str:
    letter = pattern[at + 1 : at + 2]
    if letter in known:
        return known[letter]
    if letter and letter.isascii() and not letter.isalnum():
        return f"\\{letter}"
    raise _refused(pattern, f"\\{letter}")


def _group(pattern: str, at: int) -> tuple[str, int]:
    found = _GROUP.match(pattern, at)
    assert found is not None  # it begins with a bracket
    opened = found.group()
    if opened == "(" and pattern[at + 1 : at + 2] == "?":
        raise _refused(pattern, pattern[at : at + 4])
    if opened == "(?i)":
        return "(?iu)", found.end()
    return opened.replace("(?P<", "(?<"), found.end()


def _class(pattern: str, at: int) -> tuple[str, int]:
    start = at + 1
    out = ["["]
    if pattern[start : start + 1] == "^":
        out.append("^")
        start += 1
    at = start
    while at < len(pattern) and (pattern[at] != "]" or at == start):
        if pattern.startswith("[:", at):
            name, _, _ = pattern[at + 2 :].partition(":]")
            if name not in _POSIX:
                raise _refused(pattern, f"[:{name}")
            out.append(_POSIX[name])
            at += len(name) + 4
        elif pattern[at] == "\\":
            out.append(_escape(pattern, at, _IN_CLASS))
            at += 2
        else:  # Java reads [ and && inside a class as nested classes and intersections
            out.append(f"\\{pattern[at]}" if pattern[at] in "[]&^" else pattern[at])
            at += 1
    return "".join(out) + "]", at + 1


def _refused(pattern: str, what: str) -> Refused:
    return Refused(
        f"{what} in the pattern {pattern} is not known to mean the same in Java.",
        "Write it with classes, groups, | * + ? { }, ^ and $.",
    )
