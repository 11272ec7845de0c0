"""Kinds of resources that an API lists and Cloud Asset Inventory holds alike: one declaration serves both ways.

Named projects are asked with the API's own list; an organisation or folder is read from the inventory, many kinds in one
list. A kind's rows are made from a single record, which has the same form in both.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from compliancectl.collectors.base import Fetched, Row, Target
from compliancectl.collectors.gcp.everywhere import Everywhere
from compliancectl.collectors.gcp.feed import Audited, GcpFeed, feed
from compliancectl.collectors.gcp.listing import Listing, Tally, pages
from compliancectl.collectors.gcp.redact import Drop
from compliancectl.collectors.gcp.session import GcpSession
from compliancectl.collectors.gcp.shaping import text
from compliancectl.collectors.gcp.verdict import FAULT, Asked
from compliancectl.errors import Garbage
from compliancectl.model.table import Table

NO_DROPS: Callable[[GcpSession], tuple[Drop, ...]] = lambda session: ()  # noqa: E731


@dataclass(frozen=True)
class Kind:
    """One kind of resource."""

    asset: str
    """Its type in the inventory: a name, or a pattern (RE2) for kinds that come in regional variants."""
    permission: str
    path: str
    """Path of its list, with `{project}`, or with `{parent}` when it is listed below each resource of another kind."""
    items: str
    """Key of the list in the reply."""
    rows: Callable[[Mapping[str, Any], str], Iterable[Row]]
    """Record and project → rows."""
    size: tuple[str, int] | None = None
    params: tuple[tuple[str, str], ...] = ()
    scoped: str = ""
    """For aggregated lists, an object by place: the key of the list in each place."""
    parent: str = ""
    """The asset type of the kind that it is listed below; declared before it in the same feed."""
    drops: Callable[[GcpSession], tuple[Drop, ...]] = NO_DROPS
    """Declared redactions, with paths from the record on."""

    @property
    def pattern(self) -> re.Pattern[str]:
        """Matches the asset types that are of this kind."""
        return re.compile(self.asset)

    def listing(self, session: GcpSession, service: str, project: str, parent: str) -> Listing:
        """Its list in one project, or below one parent."""
        prefix = f"{self.items}.*.{self.scoped}[]." if self.scoped else f"{self.items}[]."
        return Listing(
            Asked(service, self.permission, f"projects/{project}"),
            self.path.format(project=project, parent=parent),
            self.items,
            self.size,
            params=self.params,
            drops=tuple(Drop(prefix + drop.path, drop.kind, drop.replace) for drop in self.drops(session)),
            context={"project": project, "part": self.asset},
            scoped=self.scoped,
        )

    def records(self, data: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
        """The records of a reply; of an aggregated list in the order of the places."""
        found = data.get(self.items, {} if self.scoped else [])
        if self.scoped:
            for _, place in sorted(found.items()):
                yield from place.get(self.scoped, [])
        else:
            yield from found


@dataclass(frozen=True)
class _OfKind(Drop):
    """A redaction of one kind, where the inventory lists several: what one must not say, another may."""

    pattern: re.Pattern[str] = re.compile("")

    def __call__(self, data: Any) -> int:
        found = data.get("assets", []) if isinstance(data, dict) else []
        if not isinstance(found, list):
            return 0
        of = [a for a in found if isinstance(a, dict) and self.pattern.fullmatch(str(a.get("assetType")))]
        return super().__call__({"assets": of})


def kinds_feed(
    name: str, description: str, tables: tuple[Table, ...], kinds: tuple[Kind, ...], audited: Audited
) -> GcpFeed:
    """A feed that collects kinds of resources of one API."""

    def fetch(session: GcpSession, target: Target) -> Fetched:
        tally = Tally()
        names: dict[str, list[str]] = {"": [""]}
        for kind in kinds:
            found = names.setdefault(kind.asset, [])
            for parent in sorted(names[kind.parent]):
                for page in pages(session, kind.listing(session, audited.service, target.name, parent), tally):
                    yield page.reply
                    if any(other.parent == kind.asset for other in kinds):
                        found += [text(record, "name") for record in page.items]
        return tally.completeness(", ".join(kind.scoped or kind.items for kind in kinds))

    def shape(data: Mapping[str, Any], context: Mapping[str, str]) -> Iterator[Row]:
        (kind,) = (kind for kind in kinds if kind.asset == context["part"])
        for record in kind.records(data):
            yield from kind.rows(record, context["project"])

    def shape_assets(data: Mapping[str, Any], context: Mapping[str, str]) -> Iterator[Row]:
        for asset in data["assets"]:
            of = [kind for kind in kinds if kind.pattern.fullmatch(str(asset["assetType"]))]
            if not of:
                raise Garbage(f"Cloud Asset API answered with an asset of type {asset['assetType']!r}", hint=FAULT)
            yield from of[0].rows(asset["resource"]["data"], context["project"])

    def drops(session: GcpSession) -> tuple[Drop, ...]:
        every = [(kind, drop) for kind in kinds for drop in kind.drops(session)]
        return tuple(_OfKind(f"items[].{drop.path}", drop.kind, drop.replace, kind.pattern) for kind, drop in every)

    return feed(
        name,
        description,
        tables,
        fetch,
        shape,
        audited,
        everywhere=Everywhere(types=tuple(kind.asset for kind in kinds), shape=shape_assets, drops=drops),
    )


def link(value: Any) -> str | None:
    """`//compute.googleapis.com/projects/…` of a self link of Compute Engine, or of a path; None of nothing."""
    if not isinstance(value, str) or not value:
        return None
    _, found, rest = value.partition("/compute/v1/")
    return f"//compute.googleapis.com/{rest if found else value.lstrip('/')}"


def last(value: Any) -> Any:
    """The last part of a path; what is not text is passed on."""
    return value.rpartition("/")[2] if isinstance(value, str) else value


def seconds(value: Any) -> Any:
    """A duration as Google writes it, `7776000s`, in whole seconds; anything else is passed on."""
    return int(float(value[:-1])) if isinstance(value, str) and re.fullmatch(r"\d+(\.\d+)?s", value) else value


def percent(value: Any) -> Any:
    """A share of one as whole percents; what is not a number is passed on."""
    return round(value * 100) if isinstance(value, int | float) and not isinstance(value, bool) else value
