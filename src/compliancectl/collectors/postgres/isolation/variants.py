"""Rows to try a policy on: a tenant's own, another tenant's, and those between that leaky policies accept.

They live in this process and in the server's memory for the length of one statement. What is kept of them is their
kind. A real row lends only the columns that policies and foreign keys read.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from compliancectl.collectors.postgres.isolation.model import Column, Facts, Key, Policy, Relation

Row = dict[str, Any]
Samples = Mapping[str, Row]
"""Relation → a row that the person owns, reduced to the columns that count."""

_LITERAL = re.compile(r"'((?:[^']|'')*)'(?!::regclass)")
_NUMBER = re.compile(r"(?<![\w.'\"])(\d{1,9})(?![\w.'\"])")
_SETTING = re.compile(r"current_setting\(\s*'([^']+)'", re.IGNORECASE)
_UUID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}", re.IGNORECASE)
_WHOLE = ("integer", "bigint", "smallint", "numeric")


@dataclass(frozen=True)
class Person:
    """A session that belongs to a tenant."""

    name: str
    tenant: str
    settings: Mapping[str, str]
    role: str | None = None
    """The role that it takes; None: whichever is probed."""

    @property
    def identities(self) -> tuple[str, ...]:
        """Other values that say who it is: of settings, and of JSON within them."""
        found = {v for text in self.settings.values() for v in _scalars(text)}
        return tuple(sorted(found - {self.tenant}))


@dataclass(frozen=True)
class Variant:
    """One row and what it stands for."""

    kind: str
    """`own`, `other`, `sample`, `mixed`, `flag`, `literal`, `user`, `hard-coded`, `pattern`, `no tenant`, `reference`."""
    note: str
    """The column or foreign key that makes it special."""
    row: Row


def literals(policies: Iterable[Policy]) -> tuple[str, ...]:
    """String and number constants of the expressions, names of settings left out, sorted."""
    found: set[str] = set()
    for policy in policies:
        for text in (policy.using, policy.check):
            bare = _SETTING.sub("", text or "")
            found |= {match.replace("''", "'") for match in _LITERAL.findall(bare)}
            found |= set(_NUMBER.findall(_LITERAL.sub("", bare)))
    return tuple(sorted(value for value in found if value and len(value) < 200))


def settings_read(policies: Iterable[Policy], facts: Facts) -> frozenset[str]:
    """Settings that the expressions read, themselves or through functions of the application."""
    found: set[str] = set()
    seen: set[str] = set()
    todo: list[str] = []
    for policy in policies:
        for text in (policy.using, policy.check):
            found |= set(_SETTING.findall(text or ""))
        todo += policy.functions
    while todo:
        signature = todo.pop()
        function = facts.functions.get(signature)
        if function is not None and signature not in seen:
            seen.add(signature)
            found |= function.settings
            todo += function.functions
    return frozenset(found)


def relevant(facts: Facts, relation: Relation) -> tuple[str, ...]:
    """Columns that decide: the tenant key, what the policies read, both ends of foreign keys; in the table's order."""
    names = {relation.tenant_key} | {c for p in facts.policies.get(relation.qualified, ()) for c in p.columns}
    for key in facts.keys:
        if key.kind == "foreign key":
            names |= set(key.columns) if key.relation == relation.qualified else set()
            names |= set(key.parent_columns) if key.parent == relation.qualified else set()
    return tuple(name for name in relation.columns if name in names)


def fits(column: Column, value: str) -> bool:
    """Whether a text can be a value of a column."""
    if column.type == "uuid":
        return bool(_UUID.fullmatch(value))
    if column.type in _WHOLE:
        return value.lstrip("-").isdigit() and len(value) < 10
    return column.category == "S"


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
        self.key = relation.tenant_key
        self.columns = [relation.columns[name] for name in relevant(facts, relation)]
        self.foreign = [k for k in facts.keys if k.kind == "foreign key" and k.relation == relation.qualified]
        self.free = [
            c for c in self.columns if c.name != self.key and not any(c.name in k.columns for k in self.foreign)
        ]
        prefix = f"{relation.qualified}."
        self.open_columns = {
            name.removeprefix(prefix) for name in facts.declared["shared_columns"] if name.startswith(prefix)
        }

    def all(self) -> list[Variant]:
        """Every row, declared shared columns switched off."""
        if self.key is not None and not fits(self.relation.columns[self.key], self.other.tenant):
            return []
        return [Variant(v.kind, v.note, self._unshared(v.row)) for v in self._all() if v.note not in self.open_columns]

    def _unshared(self, row: Row) -> Row:
        return {
            n: (False if self.relation.columns[n].category == "B" else None) if n in self.open_columns else v
            for n, v in row.items()
        }

    def _all(self) -> Iterator[Variant]:
        name = self.relation.qualified
        for person, samples, kinds in (
            (self.me, self.mine, ("own", "own")),
            (self.other, self.theirs, ("sample", "other")),
        ):
            if name in samples:
                yield Variant(kinds[0], "", {**samples[name], **self._keyed(person)})
            if self.key is not None or self._parents(person, samples):
                yield Variant(kinds[1], "", self._synthetic(person, samples))
                yield from (
                    Variant(kinds[1], c.name, {**self._synthetic(person, samples), c.name: value})
                    for c in self.free
                    for value in person.identities
                    if c.category == "S" and fits(c, value)
                )
        if self.key is not None:
            yield Variant("other", "", self._keyed(self.other))
            yield from self._mixed()
            yield from self._odd_keys(self.relation.columns[self.key])
        if self.key is not None or name in self.theirs or self._parents(self.other, self.theirs):
            yield from self._flags()
        yield from self._references()

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
            value = next((v for v in person.identities if column.category != "S" and fits(column, v)), None)
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
                yield Variant("mixed", self.key or "", {**base, **tied, **self._keyed(self.other)})

    def _flags(self) -> Iterator[Variant]:
        """Rows of the other with switches on and constants of the expressions in place."""
        base = self._synthetic(self.other, self.theirs) or dict(self.theirs.get(self.relation.qualified, {}))
        text = " ".join(f"{p.using} {p.check}" for p in self.policies)
        for column in self.free:
            if column.category == "B":
                yield Variant("flag", column.name, {**base, column.name: True})
                yield Variant("flag", column.name, {**base, column.name: False})
            if column.category in ("S", "U", "N", "E"):
                tried = (*literals(self.policies), *(("0", "-1", "1000000") if column.category == "N" else ()))
                usable = [v for v in tried if column.category == "E" or fits(column, v)]
                yield from (Variant("literal", column.name, {**base, column.name: value}) for value in usable)
            if column.category == "S" and re.search(r"\b(current_user|session_user|current_role)\b", text, re.I):
                for role in self.facts.app_roles:
                    yield Variant("user", column.name, {**base, column.name: role})
            if column.category == "D":
                yield from (
                    Variant("flag", column.name, {**base, column.name: day}) for day in ("2001-01-01", "2999-01-01")
                )

    def _odd_keys(self, column: Column) -> Iterator[Variant]:
        mine, other = self.me.tenant, self.other.tenant
        shared = set(self.facts.declared["shared_tenants"])
        if not column.not_null:
            yield Variant("no tenant", column.name, {**self._synthetic(self.me, self.mine), column.name: None})
        for value in literals(self.policies):
            if fits(column, value) and value not in {mine, *shared}:
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
    elif column.type in _WHOLE and len(value) < 8:
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
