"""The projects below an organisation or folder, and what Cloud Asset Inventory holds of them.

Cloud Asset Inventory is asked first: one list for the whole organisation, as of the start of the run, so that all feeds
speak about the same instant. Where it is switched off or not permitted, Resource Manager says which projects there are,
and each is asked itself.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Generator, Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from fnmatch import fnmatchcase
from functools import partial
from typing import TYPE_CHECKING, Any

from compliancectl import clock
from compliancectl.collectors.base import Reply
from compliancectl.collectors.gcp.listing import Listing, Page, Tally, pages
from compliancectl.collectors.gcp.redact import Drop
from compliancectl.collectors.gcp.shaping import text
from compliancectl.collectors.gcp.verdict import Asked
from compliancectl.errors import ApiDisabled, CollectError, Denied

if TYPE_CHECKING:
    from compliancectl.collectors.gcp.config import GcpConfig
    from compliancectl.collectors.gcp.session import GcpSession

PAGE = 1000
PROJECT_TYPE = "cloudresourcemanager.googleapis.com/Project"
LIST = "cloudasset.assets.listResource"


@dataclass(frozen=True)
class Project:
    """One project below a root."""

    id: str
    number: str
    left_out: str | None
    """Why it is not in scope; None: it is."""
    above: tuple[str, ...] = ()
    """The folders that it lies in, up to the root, and the root."""


@dataclass(frozen=True)
class Inventory:
    """The projects below one root."""

    root: str
    projects: tuple[Project, ...]
    refused: CollectError | None
    """Why Cloud Asset Inventory could not be read; None: it was."""
    patterns: str

    @property
    def chosen(self) -> list[str]:
        """Ids of the projects in scope, sorted."""
        return sorted(project.id for project in self.projects if project.left_out is None)

    @property
    def above(self) -> list[str]:
        """The root, and the folders below it in which projects in scope lie, sorted."""
        return sorted({self.root, *(place for p in self.projects if p.left_out is None for place in p.above)})

    @property
    def by_number(self) -> dict[str, Project]:
        return {project.number: project for project in self.projects}

    @property
    def words(self) -> str:
        """For completeness: how many projects there are, and how many are in scope."""
        return f"{len(self.chosen)} of {len(self.projects)} projects below {self.root} ({self.patterns})"


def left_out(config: GcpConfig, project: str, state: Any) -> str | None:
    """Why a project is not in scope, or None."""
    if state != "ACTIVE":
        return f"its state is {state}"
    if not any(fnmatchcase(project, pattern) for pattern in config.include):
        return "no include pattern matches it"
    for pattern in config.exclude:
        if fnmatchcase(project, pattern):
            return f"the exclude pattern {pattern} matches it"
    return None


def discover(session: GcpSession, root: str, tally: Tally) -> Generator[Reply, None, Inventory]:
    """Yield the replies that name the projects below a root; return the inventory.

    Raises:
        CollectError: if neither way to learn the projects is open.
    """
    config = session.config
    refused: CollectError | None = None
    found: list[Project] = []
    drops = (Drop("assets[].resource.data.labels", "label", session.labels),)
    try:
        for page in asset_pages(session, root, (PROJECT_TYPE,), tally, drops=drops):
            some = [
                _project(config, asset["resource"]["data"], ancestor(asset), _up_to(root, asset["ancestors"]))
                for asset in page.items
            ]
            yield _told(page.reply, some)
            found += some
    except (Denied, ApiDisabled) as error:
        if found:
            raise
        refused = error
        found = yield from _walk(session, root, tally)
    patterns = f"include {', '.join(config.include)}; exclude {', '.join(config.exclude) or 'nothing'}"
    return Inventory(root, tuple(sorted(found, key=lambda p: p.id)), refused, patterns)


def _told(reply: Reply, found: list[Project]) -> Reply:
    """With the reason for each project that is left out, which is the scope's and not the source's."""
    reasons = {project.id: project.left_out for project in found if project.left_out is not None}
    return replace(reply, context={"part": "projects", "left_out": json.dumps(reasons)})


def _up_to(root: str, ancestors: list[str]) -> tuple[str, ...]:
    """What lies between an asset and the root, and the root; what lies above it is not ours to ask."""
    return tuple(ancestors[1 : ancestors.index(root) + 1])


def _project(config: GcpConfig, data: Mapping[str, Any], name: str, above: tuple[str, ...]) -> Project:
    """A project, as version 1 or 3 of the Resource Manager API writes it."""
    state = data.get("state", data.get("lifecycleState"))
    known = text(data, "projectId")
    return Project(known, name.removeprefix("projects/"), left_out(config, known, state), above)


def _walk(session: GcpSession, root: str, tally: Tally) -> Generator[Reply, None, list[Project]]:
    """Resource Manager: the projects of the root and of every folder below it."""
    found: list[Project] = []
    parents: list[tuple[str, ...]] = [(root,)]
    while parents:
        above = parents.pop()
        parent = above[0]
        for page in pages(session, _children(session, parent, "projects"), tally):
            some = [_project(session.config, project, text(project, "name"), above) for project in page.items]
            yield _told(page.reply, some)
            found += some
        for page in pages(session, _children(session, parent, "folders"), tally):
            yield page.reply
            parents += [(text(folder, "name"), *above) for folder in page.items]
    return found


def _children(session: GcpSession, parent: str, kind: str) -> Listing:
    return Listing(
        Asked("resourcemanager", f"resourcemanager.{kind}.list", parent),
        f"v3/{kind}",
        kind,
        ("pageSize", 100),
        params=(("parent", parent),),
        drops=(Drop(f"{kind}[].labels", "label", session.labels),),
        context={"part": kind},
        counted=kind == "projects",
    )


# -- assets -----------------------------------------------------------------------------------------------------------


class Outside(Drop):
    """Takes what belongs to projects that are not in scope out of a page before it is kept."""

    def __init__(self, inventory: Inventory, tally: Tally, key: str, place: Callable[[Any], str]) -> None:
        super().__init__(f"{key}[]", "out of scope")
        # the base class is frozen
        object.__setattr__(self, "_apply", partial(_inside, inventory.by_number, tally, key, place))

    def __call__(self, data: Any) -> int:
        """Drop them; of a project that the inventory does not know, a warning stays, which makes the item partial."""
        count: int = self._apply(data)  # type: ignore[attr-defined]
        return count


def _inside(known: Mapping[str, Project], tally: Tally, key: str, place: Callable[[Any], str], data: Any) -> int:
    items = data.get(key, []) if isinstance(data, dict) else []
    if not isinstance(items, list) or not all(isinstance(item, dict) for item in items):
        return 0  # the list itself is refused later
    kept = []
    for item in items:
        kind, _, number = place(item).partition("/")
        if kind != "projects" or (number in known and known[number].left_out is None):
            kept.append(item)
        elif number not in known:
            tally.warnings.append(f"{item.get('name', key)} belongs to projects/{number}, which was not found")
    if len(kept) != len(items):
        data[key] = kept
    return len(items) - len(kept)


def ancestor(asset: Mapping[str, Any]) -> str:
    """`projects/NUMBER`, `folders/F` or `organizations/N`: what an asset lies in.

    Raises:
        ValueError: if the source did not say it.
    """
    found = asset["ancestors"][0]
    if not isinstance(found, str) or "/" not in found:
        raise ValueError(f"ancestors begin with {found!r}")
    return found


def asset_pages(
    session: GcpSession,
    root: str,
    types: tuple[str, ...],
    tally: Tally,
    *,
    content: str | None = "RESOURCE",
    permission: str = LIST,
    drops: tuple[Drop, ...] = (),
    counted: bool = True,
    at: datetime | None = None,
) -> Iterator[Page]:
    """Pages of `assets.list` as of the start of the run, or of another instant."""
    listing = Listing(
        Asked("cloudasset", permission, root),
        f"v1/{root}/assets",
        "assets",
        ("pageSize", PAGE),
        params=(
            *(("assetTypes", kind) for kind in types),
            *((("contentType", content),) if content else ()),
            ("readTime", clock.text(at or session.context.as_of)),
        ),
        drops=drops,
        counted=counted,
    )
    yield from pages(session, listing, tally)


def assets(
    session: GcpSession,
    inventory: Inventory,
    types: tuple[str, ...],
    tally: Tally,
    context: Mapping[str, str],
    **how: Any,
) -> Iterator[Page]:
    """The assets in scope; each reply's context says which project has which number."""
    drops = (Outside(inventory, tally, "assets", ancestor), *how.pop("drops", ()))
    known = inventory.by_number
    for page in asset_pages(session, inventory.root, types, tally, drops=drops, **how):
        numbers = {number for asset in page.items for number in _number(ancestor(asset))}
        names = {number: known[number].id for number in sorted(numbers)}
        yield Page(
            replace(page.reply, context={**context, "assets": inventory.root, "projects": json.dumps(names)}),
            page.items,
        )


def _number(place: str) -> list[str]:
    kind, _, number = place.partition("/")
    return [number] if kind == "projects" else []


def place_named(name: str) -> str:
    """`projects/P` of a project's id; `organizations/N` and `folders/F` as they are."""
    return name if "/" in name else f"projects/{name}"


def place_of(asset: Mapping[str, Any], names: Mapping[str, str]) -> str:
    """The project id of an asset, or `organizations/N`, `folders/F`."""
    place = ancestor(asset)
    number = place.removeprefix("projects/")
    return place if number == place else names[number]


def by_place(data: Mapping[str, Any], context: Mapping[str, str]) -> dict[str, list[Any]]:
    """The assets of a kept page by place, in the order of the page."""
    names = json.loads(context["projects"])
    found: dict[str, list[Any]] = {}
    for asset in data.get("assets", []):
        found.setdefault(place_of(asset, names), []).append(asset)
    return found
