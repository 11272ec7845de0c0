"""What is kept of code: how it sets a variable of the database, and where it sends prompts. Pure; nothing else of a file stays.

The kept lines are written by this module and not quoted, so that no value, no name of a person and no comment comes along.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

_NAME = r"[A-Za-z_]\w*\.[A-Za-z_]\w*"
_SET = re.compile(rf"\bSET\s+(LOCAL\s+|SESSION\s+)?[\"'`]?({_NAME})[\"'`]?\s*(?:=|\bTO\b)", re.IGNORECASE)
_CALL = re.compile(rf"\b(set_config|current_setting)\s*\(\s*[\"']({_NAME})[\"']", re.IGNORECASE)
COMPUTED = "(computed)"
"""Stands for hosts that the code works out."""
_LONGEST = 500
"""Characters within which a call must end."""

_KEY = r"[\"']?\b{}\b[\"']?\s*[:=]\s*"
_LISTS = {name: re.compile(_KEY.format(name) + r"(\[[^\]]*\]|[^\s,;)}\]]+)") for name in ("only", "order")}
_FALLBACKS = re.compile(_KEY.format("allow_fallbacks") + r"(true|false)", re.IGNORECASE)
_MODELS = re.compile(r"(?i:\w*models?)[\"']?\s*[:=]\s*(\[[^\]]*\]|[\"'][^\"']*[\"'])")
_TEXT = re.compile(r"[\"']([\w.:/@-]+)[\"']")


def settings(text: str) -> str:
    """One line per statement that sets or reads a variable of the form `a.b`: what it does, and the variable."""
    return "\n".join(sorted({*_statements(text), *_calls(text)}))


def routing(text: str) -> str:
    """One line per host or model that requests to a router of models may reach, and whether others may take over."""
    found = {f"{name} {item}" for name, pattern in _LISTS.items() for item in _items(pattern, text)}
    found |= {f"model {item}" for item in _items(_MODELS, text) if "/" in item}
    found |= {f"allow_fallbacks {match.group(1).lower()}" for match in _FALLBACKS.finditer(text)}
    return "\n".join(sorted(found))


def _statements(text: str) -> Iterator[str]:
    for match in _SET.finditer(text):
        yield f"{'transaction' if (match.group(1) or '').strip().upper() == 'LOCAL' else 'session'} {match.group(2)}"


def _calls(text: str) -> Iterator[str]:
    """`set_config(name, value, true)` ends with the transaction; a third argument that is no literal tells nothing."""
    for match in _CALL.finditer(text):
        if match.group(1).lower() == "current_setting":
            yield f"read {match.group(2)}"
            continue
        last = _last_argument(text[match.end() : match.end() + _LONGEST]).lower()
        use = {"true": "transaction", "false": "session"}.get(last, "unclear")
        yield f"{use} {match.group(2)}"


def _last_argument(rest: str) -> str:
    """The last argument of a call of which the first one has been read; nothing if it does not end."""
    depth, quote, start = 0, "", 0
    for place, sign in enumerate(rest):
        if quote:
            quote = "" if sign == quote else quote
        elif sign in "\"'`":
            quote = sign
        elif sign in "([{":
            depth += 1
        elif sign in ")]}" and depth:
            depth -= 1
        elif sign == ")":
            return rest[start:place].strip()
        elif sign == "," and not depth:
            start = place + 1
    return ""


def _items(pattern: re.Pattern[str], text: str) -> Iterator[str]:
    """The texts that are written there; `COMPUTED` where something else is."""
    for match in pattern.finditer(text):
        quoted = _TEXT.findall(match.group(1))
        yield from quoted
        if not quoted and match.group(1).strip("[] \t\r\n"):
            yield COMPUTED
