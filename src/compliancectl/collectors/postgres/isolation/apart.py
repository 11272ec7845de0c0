"""Rows that could stand beside the ones that are there: what must be unique is changed. Pure.

A row with my user's key and another tenant's is no leak if the user's key must be unique: it cannot be beside mine. And
nobody writes a copy of another tenant's row with that row's own key.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from compliancectl.collectors.postgres.isolation.model import Facts
from compliancectl.collectors.postgres.isolation.objects import Column, Relation

Row = dict[str, Any]
FRESH = {"uuid": "eeeeeeee-eeee-4eee-beee-eeeeeeeeeeee", "N": "31999", "S": "no-such-row"}
"""A value that no row has, by type or category of type."""


def apart(facts: Facts, relation: Relation, row: Mapping[str, Any], theirs: Mapping[str, Any], *, same: bool) -> Row:
    """A row that can be beside the one that it was made of.

    Args:
        facts: the catalogue.
        relation: the table.
        row: the row.
        theirs: another tenant's values, to take where a value cannot be made up.
        same: whether the tenant is the same as in the other row, so that what must be unique within a tenant counts too.
    """
    made = dict(row)
    linked = {c for k in facts.keys if k.parent and k.relation == relation.qualified for c in k.columns}
    for key in facts.keys:
        if key.kind != "unique" or key.relation != relation.qualified or key.partial:
            continue
        if any(made.get(name) is None for name in key.columns) or (relation.tenant_key in key.columns and not same):
            continue
        free = [name for name in key.columns if name != relation.tenant_key and name not in linked]
        value = next(((name, _fresh(relation.columns[name])) for name in free if _fresh(relation.columns[name])), None)
        if value is not None:
            made[value[0]] = value[1]
        elif not same:
            made.update({name: theirs[name] for name in key.columns if theirs.get(name) is not None})
    return made


def _fresh(column: Column) -> str | None:
    return FRESH.get(column.type) or FRESH.get(column.category)
