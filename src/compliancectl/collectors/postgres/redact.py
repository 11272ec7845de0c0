"""What leaves an answer before it is kept: literals, values and options that may be secrets or personal data."""

from __future__ import annotations

import json
import re
from collections.abc import Callable

Record = dict[str, str | None]
Redactor = Callable[[Record], int]
"""Changes a record in place; returns how many values it replaced."""

GONE = "…"
_LITERAL = re.compile(r"(E?)'((?:[^']|'')*)'(::regclass)?")
_PLAIN = re.compile(r"[a-z_]+(?:\.[a-z_]+)*(?: [a-z]+)?|\{\}|", re.IGNORECASE)
_SERVERS_OWN = frozenset({"pgaudit", "cloudsql", "cron", "auto_explain", "plpgsql", "pg_stat_statements"})
_HIDDEN_SETTINGS = re.compile(r"(conninfo|passphrase|password(?!_encryption)|secret|token|key)", re.IGNORECASE)
_HARMLESS_OPTIONS = ("map=", "clientcert=", "clientname=")


def expressions(*columns: str) -> Redactor:
    """A redactor that replaces string literals in SQL expressions unless they are plain words."""

    def redact(record: Record) -> int:
        count = 0
        for column in columns:
            record[column], found = literals(record[column])
            count += found
        return count

    return redact


def literals(expression: str | None) -> tuple[str | None, int]:
    """Replace string literals that are not plain lower-case-like words; names of relations stay."""
    if expression is None:
        return None, 0
    count = 0

    def swap(match: re.Match[str]) -> str:
        nonlocal count
        if match[3] or (not match[1] and _PLAIN.fullmatch(match[2])):
            return match[0]
        count += 1
        return f"'{GONE}'"

    return _LITERAL.sub(swap, expression), count


def setting_value(record: Record) -> int:
    """Replace the value of a setting that the server does not define itself, or whose name speaks of secrets."""
    name = record["name"] or ""
    family, dot, _ = name.partition(".")
    foreign = bool(dot) and family not in _SERVERS_OWN
    if not foreign and not _HIDDEN_SETTINGS.search(name):
        return 0
    record["value"] = GONE
    return 1


def hba_options(record: Record) -> int:
    """Replace the values of options that may be passwords of directories."""
    options: list[str] = json.loads(record["options"] or "null") or []
    kept = [o if o.startswith(_HARMLESS_OPTIONS) else f"{o.partition('=')[0]}={GONE}" for o in options]
    if record["options"] is not None:
        record["options"] = json.dumps(kept, ensure_ascii=False)
    return sum(1 for old, new in zip(options, kept, strict=True) if old != new)


CLASSES: dict[Redactor, str] = {setting_value: "setting value", hba_options: "connection rule option"}
"""What a redactor's replacements are called; string literals otherwise."""
