"""The schema map: what the application's own tables and columns are called, and what the catalogue says of each.

Controls speak of roles that columns play (`share_links` / `token`); only the scope knows their names. Each declared
column is looked up in the catalogue; one that is not there is a row that says so, and no mistake of the scope.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any

from compliancectl.collectors.base import Reply
from compliancectl.collectors.postgres.application import SchemaMap
from compliancectl.collectors.postgres.redact import GONE
from compliancectl.collectors.postgres.shape import Record, flag, items


def values(mapped: SchemaMap) -> tuple[list[str], list[str], list[str], list[str]]:
    """The query's parameters: things, roles, tables, columns."""
    found = sorted(mapped.rows())
    things, roles, tables, columns = (list(part) for part in zip(*found, strict=True)) if found else ([], [], [], [])
    return things, roles, tables, columns


def row(record: Record, reply: Reply) -> Mapping[str, Any]:
    """A row of `postgres.schema_map`."""
    thing, role, table = record["thing"], record["role"], record["qualified"]
    part = f":{table}" if thing == "education_records" else ""
    checks = items(record["checks"])
    return {
        "resource": f"{thing}{part}/{role}",
        "thing": thing,
        "role": role,
        "table": table,
        "column": record["name"] or None,
        "present": flag(record["present"]),
        "type": record["type"],
        "nullable": flag(record["nullable"]),
        "default": record["default_expression"],
        "is_unique": flag(record["is_unique"]),
        "references": record["refers_to"],
        "checks": checks,
        "allowed_values": items(record["labels"]) or _allowed(checks or []),
        "min_length": _least(checks or [], _LENGTH),
        "min_value": _least(checks or [], _VALUE),
    }


# How PostgreSQL writes a constraint back: CHECK ((length(token) >= 22)), CHECK ((balance >= (0)::numeric)),
# CHECK ((provider = ANY (ARRAY['google'::text, 'password'::text]))).
_LENGTH = re.compile(r"(?:char_|character_|octet_)?length\([^<>=]*\)\s*(>=|>|=)\s*\(?(\d+)\)?")
_VALUE = re.compile(r'(?:^|\()(?:"[^"]+"|\w+)\s*(>=|>)\s*\(?\'?(-?\d+)\'?\)?(?:::[\w ]+)?\)')
_LIST = re.compile(r"CHECK \(\(.* = ANY \(+ARRAY\[(.*)\](?:\)::[\w ]+\[\])?\)+")
_WORD = re.compile(r"'((?:[^']|'')*)'(?:::[\w ]+)?")


def _allowed(checks: list[str]) -> list[str] | None:
    """The values that a constraint lists; None when none does, or when one of them is not to be told."""
    for check in checks:
        match = _LIST.fullmatch(check)
        if match and not _either(check):
            found = [word.replace("''", "'") for word in _WORD.findall(match[1])]
            return None if GONE in found else sorted(found)
    return None


def _least(checks: list[str], pattern: re.Pattern[str]) -> int | None:
    """The greatest lower bound that the constraints set together, all of which hold."""
    found = [
        int(number) + (sign == ">") for check in checks if not _either(check) for sign, number in pattern.findall(check)
    ]
    return max(found, default=None)


def _either(check: str) -> bool:
    """Whether a constraint holds in more than one way, so that no part of it binds by itself."""
    bare = _WORD.sub("''", check)
    return bool(re.search(r"\b(OR|NOT|CASE)\b", bare))


def trigger(record: Record, reply: Reply) -> Mapping[str, Any]:
    """A row of `postgres.trigger`."""
    return {
        "resource": f"{record['relation']}/{record['name']}",
        **{key: record[key] for key in ("name", "relation", "function")},
        **{key: flag(record[key]) for key in ("on_insert", "on_update", "on_delete")},
        "mentions": items(record["mentions"]),
    }


def redact_checks(record: Record) -> int:
    """Replace the literals of constraints and defaults that are not plain words."""
    from compliancectl.collectors.postgres.redact import literals

    record["default_expression"], found = literals(record["default_expression"])
    if record["checks"] is not None:
        kept = [literals(str(check)) for check in json.loads(record["checks"])]
        record["checks"] = json.dumps([text for text, _ in kept], ensure_ascii=False)
        found += sum(count for _, count in kept)
    return found
