"""How a feed is fetched from an organisation or folder: from Cloud Asset Inventory, or from each project below it."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from compliancectl.collectors.base import Fetched, Reply, Row, Target
from compliancectl.collectors.gcp.inventory import LIST, Inventory, assets, by_place, place_named, place_of
from compliancectl.collectors.gcp.listing import Tally
from compliancectl.collectors.gcp.pace import Spent
from compliancectl.collectors.gcp.redact import Drop
from compliancectl.collectors.gcp.session import GcpSession
from compliancectl.errors import CollectError
from compliancectl.model.evidence import Completeness

Fetch = Callable[[GcpSession, Target], Fetched]
Shape = Callable[[Mapping[str, Any], Mapping[str, str]], Iterable[Row]]
Ask = Callable[[GcpSession, str, list[Any]], Fetched]
"""How a project is asked when its assets are known."""
SERVICE_TYPE = "serviceusage.googleapis.com/Service"


@dataclass(frozen=True)
class Everywhere:
    """How a feed is fetched from an organisation or folder. Without any of these, each project is asked itself."""

    types: tuple[str, ...] = ()
    """Asset types whose content is all that the feed needs; the projects are then not asked."""
    key: str = "items"
    """Under which key the feed's own shape expects the records."""
    context: Mapping[str, str] = field(default_factory=dict)
    """What the feed's own shape expects in the context besides the project."""
    drops: Callable[[GcpSession], tuple[Drop, ...]] = lambda session: ()
    """Declared redactions, written as for the feed's own list."""
    held: tuple[str, ...] = ()
    """Only projects that hold assets of these types are asked. With `types`: so it is below a folder, where what is
    inherited from above the folder can be learnt from the projects alone."""
    content: str | None = None
    """Content of those assets that `ask` needs; None: their names are enough. With `types`: what is read of them."""
    enabled: str | None = None
    """Only projects in which this API is enabled are asked."""
    ask: Ask | None = None
    """How a project is asked when the assets that it holds are known; None: as in any scope."""
    fetch: Callable[[GcpSession, Inventory], Fetched] | None = None
    """The whole way, for feeds that have one of their own in an organisation."""
    batches: Callable[[GcpSession, Inventory], Fetched] | None = None
    """The whole way, for feeds that can ask about many projects in one request without Cloud Asset Inventory."""
    permissions: tuple[str, ...] = (LIST,)
    """What it needs on the organisation or folder, besides the permissions of its tables."""
    root_too: bool = False
    """Where each project is asked itself, the organisation or folder is asked as well."""
    shape: Shape | None = None
    """How the assets of one place become rows, when the feed's own shape does not fit: they come whole, as `assets`."""


ASK_EACH = Everywhere()


def is_root(target: Target) -> bool:
    """Whether a target is an organisation or a folder."""
    return target.name.startswith(("organizations/", "folders/"))


def fetch_everywhere(session: GcpSession, root: str, fetch: Fetch, how: Everywhere) -> Fetched:
    """Fetch a feed from everything in scope below a root."""
    inventory = session.inventory(root)
    if how.batches is not None:
        return (yield from how.batches(session, inventory))
    if inventory.refused is not None:
        return (yield from each(session, inventory, fetch, _asked_itself(inventory), root_too=how.root_too))
    if how.fetch is not None and session.config.organization:
        return (yield from how.fetch(session, inventory))
    if how.types and not (how.held and root.startswith("folders/")):
        return (yield from _from_assets(session, inventory, how))
    tally = Tally()
    holders: dict[str, list[Any]] = {project: [] for project in inventory.chosen}
    note = "each was asked itself"
    types = how.held or ((SERVICE_TYPE,) if how.enabled else ())
    if types:
        holders = yield from _holders(session, inventory, types, how, tally)
        said = f"hold {', '.join(types)}" if how.held else f"have {how.enabled} enabled"
        note = f"{len(holders)} of them {said} according to Cloud Asset Inventory, and were asked themselves"
    return (yield from _ask(session, inventory, holders, fetch, note, how.ask, tally))


def each(session: GcpSession, inventory: Inventory, fetch: Fetch, note: str, *, root_too: bool = False) -> Fetched:
    """Ask every project in scope, and the root itself if it is told to."""
    places = {place: list[Any]() for place in (*inventory.chosen, *([inventory.root] if root_too else []))}
    return (yield from _ask(session, inventory, places, fetch, note))


def _asked_itself(inventory: Inventory) -> str:
    assert inventory.refused is not None
    return f"Cloud Asset Inventory could not be read ({inventory.refused.message}), so each was asked itself"


def _from_assets(session: GcpSession, inventory: Inventory, how: Everywhere) -> Fetched:
    tally = Tally()
    drops = tuple(below(drop, how.key) for drop in how.drops(session))
    what = {"content": how.content, "permission": how.permissions[-1]} if how.content else {}
    for page in assets(session, inventory, how.types, tally, how.context, drops=drops, **what):
        yield page.reply
    done = tally.completeness(f"{', '.join(how.types)} in Cloud Asset Inventory")
    return reworded(done, f"{done.method}; {inventory.words}")


def below(drop: Drop, key: str) -> Drop:
    """The same redaction where an asset carries the record."""
    return replace(drop, path=drop.path.replace(f"{key}[]", "assets[].resource.data", 1))


def _holders(
    session: GcpSession, inventory: Inventory, types: tuple[str, ...], how: Everywhere, tally: Tally
) -> Generator[Reply, None, dict[str, list[Any]]]:
    """Which projects hold assets of a type, or have an API enabled."""
    found: dict[str, list[Any]] = {}
    names = {project.number: project.id for project in inventory.projects}
    drops = tuple(below(drop, how.key) for drop in how.drops(session)) if how.content else ()
    pages = assets(
        session,
        inventory,
        types,
        tally,
        {"part": "where"},
        content=how.content,
        drops=drops,
        counted=False,
    )
    for page in pages:
        yield page.reply
        for asset in page.items:
            if how.enabled is None or str(asset["name"]).endswith(f"/services/{how.enabled}"):
                found.setdefault(place_of(asset, names), []).append(asset)
    return found


def _ask(
    session: GcpSession,
    inventory: Inventory,
    projects: Mapping[str, list[Any]],
    fetch: Fetch,
    note: str,
    ask: Ask | None = None,
    tally: Tally | None = None,
) -> Fetched:
    """Ask project by project. One that refuses does not keep the others from being read, and is not forgotten."""
    done: list[Completeness] = []
    failed: list[tuple[str, CollectError]] = []
    for project in sorted(projects):
        try:
            known = projects[project]
            replies = ask(session, project, known) if ask and known else fetch(session, Target(project, ""))
            done.append((yield from replies))
        except Spent:
            raise
        except CollectError as error:
            failed.append((project, error))
    if failed:
        project, first = failed[0]
        count = f"{len(failed)} of {len(projects)} projects could not be read, "
        raise type(first)(f"{count if len(projects) > 1 else ''}{project}: {first.message}", hint=first.hint)
    return _together(inventory, done, note, tally or Tally())


def _together(inventory: Inventory, done: list[Completeness], note: str, tally: Tally) -> Completeness:
    first = f": {done[0].method}" if done else ""
    return Completeness(
        method=f"{inventory.words}; {note}{first}",
        pages=tally.pages + sum(one.pages for one in done),
        items=sum(one.items for one in done),
        exhausted=all(one.exhausted for one in done),
        filters=tuple(sorted({text for one in done for text in one.filters})),
        warnings=(*tally.warnings, *(text for one in done for text in one.warnings)),
    )


def shape_assets(data: Mapping[str, Any], context: Mapping[str, str], shape: Shape, how: Everywhere) -> Iterator[Row]:
    """The rows of a page of assets: each place's records, as if the place itself had listed them."""
    if context.get("part") == "where":
        return
    for place, found in by_place(data, context).items():
        parent = place_named(place)
        where = {**context, **how.context, "project": place, "parent": parent}
        if how.shape is not None:
            yield from how.shape({"assets": found}, where)
        else:
            yield from shape({how.key: [asset["resource"]["data"] for asset in found]}, where)


def reworded(done: Completeness, method: str) -> Completeness:
    """The same completeness in other words."""
    return done.model_copy(update={"method": method})
