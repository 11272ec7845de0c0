"""The fictional company: loads `company/*.yaml`, switches faults on, and puts relative times on the calendar.

Times in the definition are written relative to the sandbox's `now`, so that the company is always as old as
it should be: `@-3d` (72 hours ago), `@-90m`, `@+400d`, `@-3d 02:10` (three calendar days ago at 02:10 UTC). A company
that is to grow older is loaded again with a later `now` and the same `since`: what happened stays where it was.
"""

from __future__ import annotations

import copy
import re
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cache
from pathlib import Path
from typing import Any

from compliancectl import clock
from compliancectl.errors import UsageError
from compliancectl.sandbox.yamlfile import read_yaml

FOLDER = Path(__file__).parent / "company"
ASSETS_EACH = 20
"""About how many assets a project of a grown company holds."""
_TOKEN = re.compile(r"@([+-]\d+)([dhm])(?: (\d\d):(\d\d))?")
_UNIT = {"d": "days", "h": "hours", "m": "minutes"}


@dataclass(frozen=True)
class Fault:
    """One fact about the company that can be made wrong."""

    id: str
    says: str
    """What is then wrong, as one sentence."""
    section: str
    """File of the definition that it changes: `google`, `github`, `postgres`, `documents`."""
    set: dict[str, Any]
    """Dotted path in that section → new value."""
    remove: tuple[str, ...]
    """Dotted paths to delete."""
    sql: str
    """Statements run by the database's owner after loading; only for the section `postgres`."""
    turns: dict[str, list[str]]
    """`CONTROL.test` → names of the checks that turn, and no others; `["*"]`: the whole test becomes inconclusive."""


@dataclass(frozen=True)
class Company:
    """The company as one run of the sandbox serves it."""

    now: datetime
    sections: dict[str, Any]
    """`company`, `google`, `github`, `postgres`, `documents`: the YAML files, times resolved, faults applied."""
    sql: tuple[str, ...]
    """Extra statements that faults run in the database."""
    faults: tuple[Fault, ...]
    """The faults that are on."""
    projects: int | None = None
    """How many projects on Google Cloud it was grown to; None: those of the definition."""


def faults() -> dict[str, Fault]:
    """All named faults, sorted by id."""
    found: dict[str, Fault] = {}
    for file in sorted((FOLDER / "faults").glob("*.yaml")):
        for entry in _read(file):
            found[entry["id"]] = Fault(
                id=entry["id"],
                says=entry["says"],
                section=file.stem,
                set=entry.get("set", {}),
                remove=tuple(entry.get("remove", ())),
                sql=entry.get("sql", ""),
                turns=entry["turns"],
            )
    return dict(sorted(found.items()))


def load(
    on: Iterable[str] = (), now: datetime | None = None, projects: int | None = None, since: datetime | None = None
) -> Company:
    """Load the company with the named faults switched on.

    Args:
        on: names of faults.
        now: the moment that the company lives in; None: the clock.
        projects: how many projects on Google Cloud it has; None: those of the definition.
        since: what relative times start from; None: `now`.

    Raises:
        UsageError: if a fault does not exist, or the company cannot have so many projects.
    """
    known = faults()
    chosen = []
    for name in on:
        if name not in known:
            raise UsageError(f"no fault is called {name!r}", hint="`compliancectl demo --list-faults` shows them all.")
        chosen.append(known[name])
    sections = {file.stem: _read(file) for file in sorted(FOLDER.glob("*.yaml"))}
    for fault in chosen:
        _apply(sections[fault.section], fault)
    if projects is not None:
        _grow(sections["google"], projects)
    moment = (now or clock.now()).replace(microsecond=0)
    start = (since or moment).replace(microsecond=0)
    return Company(
        now=moment,
        sections={name: resolve(section, start) for name, section in sections.items()},
        sql=tuple(f.sql for f in chosen if f.sql),
        faults=tuple(chosen),
        projects=projects,
    )


def _grow(google: Any, projects: int) -> None:
    """Projects of the same kinds as those that there are, with a few assets each."""
    from compliancectl.sandbox.google.fleet import grow

    try:
        grow(google, projects, assets=ASSETS_EACH * projects)
    except ValueError as error:
        raise UsageError(f"{error}", hint="Choose a number in between with --projects.") from None


def resolve(value: Any, now: datetime) -> Any:
    """Replace every relative time in nested data by an RFC 3339 text."""
    if isinstance(value, dict):
        return {key: resolve(item, now) for key, item in value.items()}
    if isinstance(value, list):
        return [resolve(item, now) for item in value]
    if isinstance(value, str) and (match := _TOKEN.fullmatch(value)):
        return clock.text(_moment(match, now))
    return value


def _moment(match: re.Match[str], now: datetime) -> datetime:
    count, unit, hour, minute = match.groups()
    moment = now + timedelta(**{_UNIT[unit]: int(count)})
    if hour is not None:
        moment = moment.replace(hour=int(hour), minute=int(minute), second=0)
    return moment


def _read(file: Path) -> Any:
    """What a file of the definition says, as a copy that may be changed."""
    return copy.deepcopy(_parsed(file))


@cache
def _parsed(file: Path) -> Any:
    return read_yaml(file)


def _apply(section: Any, fault: Fault) -> None:
    for path, value in fault.set.items():
        parent, key = _descend(section, path)
        parent[key] = copy.deepcopy(value)
    for path in fault.remove:
        parent, key = _descend(section, path)
        del parent[key]


def _descend(section: Any, path: str) -> tuple[Any, Any]:
    """The container and the key that a dotted path names; numbers index lists; `/` may separate keys with dots."""
    parts = path.split("/") if "/" in path else path.split(".")
    here = section
    for part in parts[:-1]:
        here = here[int(part)] if isinstance(here, list) else here[part]
    last = parts[-1]
    return here, int(last) if isinstance(here, list) else last
