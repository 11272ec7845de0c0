"""Rows to try a policy on: a tenant's own, another tenant's, and those between that leaky policies accept.

They live in this process and in the server's memory for the length of one statement. What is kept of them is their
kind. A real row lends only the columns that policies and foreign keys read.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from compliancectl.collectors.postgres.isolation.apart import apart
from compliancectl.collectors.postgres.isolation.model import Facts
from compliancectl.collectors.postgres.isolation.objects import WHOLE, Column, Key, Policy, Relation
from compliancectl.collectors.postgres.isolation.openings import openings

Row = dict[str, Any]
Samples = Mapping[str, Row]
"""Relation → a row that the person owns, reduced to the columns that count."""

_LITERAL = re.compile(r"'((?:[^']|'')*)'(?!::regclass)")
_NUMBER = re.compile(r"(?<![\w.'\"])(\d{1,9})(?![\w.'\"])")
_SETTING = re.compile(r"current_setting\(\s*'([^']+)'", re.IGNORECASE)
_WHOAMI = re.compile(r"\b(current_user|session_user|current_role)\b", re.IGNORECASE)
_NAME = re.compile(r"[a-z_]\w*(\.[a-z_]\w*)+", re.IGNORECASE)
_START = re.compile(r"([a-z_]\w*\.)+", re.IGNORECASE)
_TOKEN = re.compile(r"[^\s'%]{1,40}")
"""A string of a function that may be a value to compare with; messages and formats are none."""
_WORD = re.compile(r"[a-z_]\w*", re.IGNORECASE)


@dataclass(frozen=True)
class Person:
    """A session that belongs to a tenant."""

    name: str
    tenant: str
    settings: Mapping[str, str]
    role: str | None = None
    """The role that it takes; None: whichever is probed."""
    alone: bool = False
    """Whether the role is this tenant's alone, so that it says who the session is."""

    @property
    def identities(self) -> tuple[str, ...]:
        """Other values that say who it is: of settings, and of JSON within them."""
        found = {v for text in self.settings.values() for v in _scalars(text)}
        return tuple(sorted((found | ({self.role} if self.role and self.alone else set())) - {self.tenant}))


@dataclass(frozen=True)
class Variant:
    """One row and what it stands for."""

    kind: str
    """`own`, `other`, `mixed`, `flag`, `literal`, `user`, `hard-coded`, `pattern`, `no tenant`, `reference`; of rows that are
    there `sample`, or `stored` with a `copy`; `moved` is mine with another tenant's key, `shared` one that all may see."""
    note: str
    """The column or foreign key that makes it special."""
    row: Row


def literals(policies: Iterable[Policy], facts: Facts | None = None) -> tuple[str, ...]:
    """String and number constants of the expressions, and strings of the functions that they call, sorted.

    Names of settings are left out. Without facts the functions are.
    """
    found: set[str] = set()
    for policy in policies:
        for text in (policy.using, policy.check):
            bare = _SETTING.sub("", text or "")
            found |= {match.replace("''", "'") for match in _LITERAL.findall(bare)}
            found |= set(_NUMBER.findall(_LITERAL.sub("", bare)))
        for function in facts.called(policy.functions) if facts else ():
            found |= {value for value in function.constants - function.settings if _TOKEN.fullmatch(value)}
    return tuple(sorted(value for value in found if value and len(value) < 200))


def settings_read(policies: Iterable[Policy], facts: Facts) -> frozenset[str]:
    """Settings that the expressions read, themselves or through functions of the application.

    Where a function reads whatever setting it is told, every string with a dot may be the name, or its beginning.
    """
    found: set[str] = set()
    for policy in policies:
        texts = f"{policy.using} {policy.check}"
        found |= set(_SETTING.findall(texts))
        called = facts.called(policy.functions)
        for function in called:
            found |= function.settings
        if any(function.settings_by_name for function in called):
            words = set(_LITERAL.findall(texts)).union(*(function.constants for function in called))
            found |= {word for word in words if _NAME.fullmatch(word)}
            starts = {word for word in words if _START.fullmatch(word)}
            found |= {start + word for start in starts for word in words if _WORD.fullmatch(word)}
    return frozenset(found)


def relevant(facts: Facts, relation: Relation) -> tuple[str, ...]:
    """Columns that decide: the tenant key, what the policies read, both ends of foreign keys; in the table's order."""
    names = {relation.tenant_key} | {c for p in facts.policies.get(relation.qualified, ()) for c in p.columns}
    for key in facts.keys:
        if key.kind == "foreign key":
            names |= set(key.columns) if key.relation == relation.qualified else set()
            names |= set(key.parent_columns) if key.parent == relation.qualified else set()
    return tuple(name for name in relation.columns if name in names)


def make(facts: Facts, relation: Relation, me: Person, other: Person, mine: Samples, theirs: Samples) -> list[Variant]:
    """All rows to try in a session of `me`, with `other` as the stranger; duplicates are left out."""
    tried = _Maker(facts, relation, me, other, mine, theirs).all()
    seen: set[str] = set()
    kept = []
    for variant in tried:
        mark = f"{variant.kind}/{json.dumps(variant.row, sort_keys=True, default=str)}"
        if mark not in seen:
            seen.add(mark)
            kept.append(variant)
    return kept


class _Maker:
    """Makes the rows of one table for one pair of persons."""

    def __init__(
        self, facts: Facts, relation: Relation, me: Person, other: Person, mine: Samples, theirs: Samples
    ) -> None:
        self.facts, self.relation, self.me, self.other, self.mine, self.theirs = (
            facts,
            relation,
            me,
            other,
            mine,
            theirs,
        )
        self.policies = facts.policies.get(relation.qualified, ())
        self.constants = literals(self.policies, facts)
        self.key = relation.tenant_key
        self.columns = [relation.columns[name] for name in relevant(facts, relation)]
        self.foreign = [k for k in facts.keys if k.kind == "foreign key" and k.relation == relation.qualified]
        self.free = [
            c for c in self.columns if c.name != self.key and not any(c.name in k.columns for k in self.foreign)
        ]
        prefix = f"{relation.qualified}."
        self.open_columns: dict[str, Sequence[str] | None] = {
            name.removeprefix(prefix): values
            for name, values in facts.declared["shared_columns"].items()
            if name.startswith(prefix) and name.removeprefix(prefix) in relation.columns
        }

    def all(self) -> list[Variant]:
        """Every row. What is declared shared may be seen, but not changed: such rows are of the kind `shared`."""
        if self.key is not None and not self.relation.columns[self.key].fits(self.other.tenant):
            return []
        return [made for variant in self._all() for made in self._shared(variant)]

    def _shared(self, variant: Variant) -> Iterator[Variant]:
        """The row as nobody has shared it; beside it the shared one."""
        opened = [name for name in self.open_columns if name in variant.row and self._opens(name, variant.row[name])]
        if not opened:
            yield variant
            return
        mine = variant.kind in ("own", "reference")
        if not mine:
            yield Variant("shared", opened[0], variant.row)
        if self.key in opened and mine:
            yield variant
        elif self.key not in opened and (mine or variant.note not in opened):
            yield Variant(variant.kind, variant.note, {**variant.row, **{n: self._closed(n) for n in opened}})

    def _opens(self, name: str, value: Any) -> bool:
        values = self.open_columns[name]
        if values is not None:
            return (str(value).lower() if isinstance(value, bool) else str(value)) in values
        return value is True if self.relation.columns[name].category == "B" else value is not None

    def _closed(self, name: str) -> Any:
        """A value with which the row is nobody else's business."""
        column, values = self.relation.columns[name], self.open_columns[name]
        if column.category == "B":
            return values is not None and "true" not in values
        known = (column.labels if column.category == "E" else ()) or [c for c in self.constants if column.fits(c)]
        return next((c for c in known if c not in (values or ())), None) if values is not None else None

    def _all(self) -> Iterator[Variant]:
        name = self.relation.qualified
        for person, samples, kind in ((self.me, self.mine, "own"), (self.other, self.theirs, "other")):
            if name in samples:
                stored = {**samples[name], **self._keyed(person)}
                yield from [Variant("own", "", stored)] if kind == "own" else self._stored(stored)
            base = self._synthetic(person, samples)
            if self.key is not None or base:
                yield Variant(kind, "", base)
                yield from (
                    Variant(kind, c.name, {**base, c.name: value})
                    for c in self.free
                    for value in person.identities
                    if c.category == "S" and c.fits(value)
                )
        if self.key is not None:
            yield Variant("other", "", self._keyed(self.other))
            yield from self._mixed()
            yield from self._odd_keys(self.relation.columns[self.key])
        elif any(not policy.columns for policy in self.policies):
            # Such a policy does not look at the row at all: any row will do.
            yield Variant("other", "", {})
        if self.key is not None or name in self.theirs or self._parents(self.other, self.theirs):
            yield from self._flags()
        yield from self._references()

    def _stored(self, row: Row) -> Iterator[Variant]:
        """A row that is there; and a copy of it, if what must be unique keeps it from being written once more."""
        copy = apart(self.facts, self.relation, row, {}, same=True)
        yield Variant("sample" if copy == row else "stored", "", row)
        if copy != row:
            yield Variant("copy", "", copy)

    def _keyed(self, person: Person) -> Row:
        return {self.key: person.tenant} if self.key is not None else {}

    def _parents(self, person: Person, samples: Samples) -> Row:
        """Values of foreign keys that lead to the person's rows."""
        row: Row = {}
        for key in self.foreign:
            parent = self.facts.relations.get(key.parent or "")
            known = samples.get(key.parent or "", {})
            if parent is not None and parent.qualified == self.facts.declared.get("tenant_root"):
                known = {**known, **({parent.tenant_key: person.tenant} if parent.tenant_key else {})}
            for column, there in zip(key.columns, key.parent_columns, strict=True):
                if column != self.key and known.get(there) is not None:
                    row[column] = known[there]
        return row

    def _synthetic(self, person: Person, samples: Samples) -> Row:
        row = {**self._parents(person, samples), **self._keyed(person)}
        for column in self.free:
            value = next((v for v in person.identities if column.category != "S" and column.fits(v)), None)
            if value is not None:
                row[column.name] = value
        return row

    def _bound(self) -> set[str]:
        """Columns that a foreign key ties to the tenant key, so that a row cannot mix them."""
        return {c for k in self.foreign if self.key in k.columns for c in k.columns if c != self.key}

    def _mixed(self) -> Iterator[Variant]:
        """A row with everything of mine and only the tenant key of the other: it shows a policy that looks elsewhere."""
        theirs = {**self._synthetic(self.other, self.theirs), **self.theirs.get(self.relation.qualified, {})}
        for base in (self.mine.get(self.relation.qualified), self._synthetic(self.me, self.mine)):
            if base is not None:
                tied = {name: theirs.get(name) for name in self._bound()}
                row = {**base, **tied, **self._keyed(self.other)}
                beside = apart(self.facts, self.relation, row, theirs, same=False)
                yield Variant("mixed", self.key or "", beside)
                if beside != row:
                    yield Variant("moved", self.key or "", row)

    def _flags(self) -> Iterator[Variant]:
        """Rows of the other with switches on, constants of the expressions in place, and the session's own keys in lists."""
        base = self._synthetic(self.other, self.theirs) or dict(self.theirs.get(self.relation.qualified, {}))
        text = " ".join(f"{p.using} {p.check}" for p in self.policies)
        mine = (self.me.tenant, *self.me.identities)
        for column in self.free:
            for kind, value in openings(column, self.policies, self.constants, mine):
                yield Variant(kind, column.name, {**base, column.name: value})
            # Where each tenant has a role of its own, a row with another role's name is that tenant's.
            if column.category == "S" and not self.me.alone and _WHOAMI.search(text):
                yield from (Variant("user", column.name, {**base, column.name: role}) for role in self.facts.app_roles)

    def _odd_keys(self, column: Column) -> Iterator[Variant]:
        mine, other = self.me.tenant, self.other.tenant
        shared = set(self.facts.declared["shared_tenants"])
        if not column.not_null:
            yield Variant("no tenant", column.name, {**self._synthetic(self.me, self.mine), column.name: None})
        for value in sorted(shared):
            if column.fits(value) and value != mine:
                yield Variant("shared", column.name, {column.name: value})
        for value in self.constants:
            if column.fits(value) and value not in {mine, *shared}:
                yield Variant("hard-coded", column.name, {column.name: value})
        for value in _neighbours(column, mine):
            if value not in {mine, other, *shared}:
                yield Variant("pattern", column.name, {column.name: value})

    def _references(self) -> Iterator[Variant]:
        """My own row with one foreign key that leads to a row of the other."""
        base = self.mine.get(self.relation.qualified) or self._synthetic(self.me, self.mine)
        theirs = self._parents(self.other, self.theirs)
        for key in self.foreign:
            if self.key not in key.columns and self.facts.holds_tenants(key.parent or "") and _leads(key, theirs):
                row = {**base, **self._keyed(self.me), **{c: theirs[c] for c in key.columns}}
                yield Variant("reference", key.name, row)


def _leads(key: Key, row: Row) -> bool:
    return all(row.get(column) is not None for column in key.columns)


def _neighbours(column: Column, value: str) -> Iterator[str]:
    """Keys that a comparison by pattern takes for this one."""
    if column.type == "uuid":
        yield f"{value[:24]}{'0' * 11}7"
        yield f"{'7' * 8}{value[8:]}"
    elif column.type in WHOLE and len(value) < 8:
        yield from (f"{value}0", f"{value}7", f"1{value}")
    elif column.category == "S":
        yield from (f"{value}x", f"x{value}")
        yield from (value[:-1], value[1:]) if len(value) > 1 else ()


def _scalars(text: str) -> Iterator[str]:
    """A setting's value, or what is in it when it is JSON."""
    try:
        value = json.loads(text)
    except ValueError:
        yield text
        return
    todo = [value]
    while todo:
        item = todo.pop()
        if isinstance(item, dict):
            todo += item.values()
        elif isinstance(item, list):
            todo += item
        elif item is not None and not isinstance(item, bool):
            yield str(item)
