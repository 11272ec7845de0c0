"""One GitHub issue per list of gaps: what it says, and what is to be done with it. Reading and writing are the caller's.

    <!-- compliancectl gaps: … -->          whose list it is; by this line, and its author, it is found again
    <!-- open: BCP-02 SDL-04 -->            what it lists
    counts, a table of open controls, their items
    <!-- found by: as of … -->              the end of the list; beneath it, which run found it

The list says nothing of the run that found it: a later run that finds the same changes nothing.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Literal
from urllib.parse import quote

from compliancectl import clock
from compliancectl.errors import UsageError
from compliancectl.export.source import Bundle
from compliancectl.export.words import line
from compliancectl.markup import cell, quoted
from compliancectl.model.result import ControlResult
from compliancectl.notify import BAD, open_items
from compliancectl.numbers import counted

LIMIT = 65_536
"""Characters that GitHub takes as the body of an issue; counted here in UTF-16 units, which are never fewer."""
SHOWN = 25
"""Items named per control."""
LONGEST = 500
"""Characters of one item and its sentence."""
_RANK = {"critical": 0, "high": 1, "medium": 2, "low": 3}
_OPEN = re.compile(r"^<!-- open:((?: [^ >]+)*) -->$", re.MULTILINE)
_END = re.compile(r"^<!-- found by: as of (\S+) -->$", re.MULTILINE)

Deed = Literal["nothing", "create", "edit", "reopen", "close"]


@dataclass(frozen=True)
class GapList:
    """What is open in one system, as one run found it."""

    organization: str
    system: str
    environment: str
    open: tuple[tuple[ControlResult, tuple[str, ...]], ...]
    """Controls that deviate or are inconclusive, the most severe first, each with `resource: sentence` of its items."""
    judged: frozenset[str]
    disabled: tuple[str, ...]
    """Controls that the scope says do not apply."""
    as_of: str
    run_id: str
    bundle: str
    """Digest of its SHA256SUMS."""

    @property
    def marker(self) -> str:
        """The line that marks an issue as that of this system. The names cannot end the comment."""
        names = (self.organization, self.system, self.environment)
        return f"<!-- compliancectl gaps: {' / '.join(quote(name, safe=' ') for name in names)} -->"

    @property
    def title(self) -> str:
        """At most 200 characters; GitHub takes 256."""
        return line(f"Open controls: {self.system} ({self.environment})")[:200]


@dataclass(frozen=True)
class Plan:
    """What is to be done with the issue."""

    deed: Deed
    body: str


def gap_list(bundle: Bundle) -> GapList:
    """The gaps of a bundle that has been verified."""
    results = bundle.results
    found = [control for control in results.controls if control.outcome in BAD]
    return GapList(
        organization=results.organization,
        system=results.system,
        environment=results.environment,
        open=tuple(
            (
                control,
                tuple(f"{line(key[1])}: {line(said)}" for key, said in sorted(open_items(bundle, control).items())),
            )
            for control in sorted(found, key=lambda control: (_RANK[control.severity], control.id))
        ),
        judged=frozenset(control.id for control in results.controls),
        disabled=tuple(control.id for control in results.disabled),
        as_of=clock.text(results.as_of),
        run_id=results.run_id,
        bundle=bundle.sums_sha256,
    )


def plan(found: GapList, old: str | None, *, closed: bool = False) -> Plan:
    """What to do with an issue so that it says what was found.

    A control that the issue lists as open and that this run did not judge stays on the list: a run of a few controls
    closes nothing. One that the scope disables, with a reason, is taken off.

    Args:
        found: what is open now.
        old: the text that the issue has; None if there is no issue.
        closed: whether the issue is closed.

    Raises:
        UsageError: the issue tells of a later run.
    """
    text = _plain(old or "")
    end = _END.search(text)
    if end is not None and _later(end[1], found.as_of):
        raise UsageError(
            f"the issue says what was found as of {end[1]}, and this bundle is older", hint="Name the latest bundle."
        )
    listed = _OPEN.search(text)
    before = listed[1].split() if listed is not None and not closed else []
    unjudged = sorted(set(before) - found.judged - set(found.disabled))
    list_, body = _written(found, unjudged)
    if not found.open and not unjudged:
        return Plan("nothing" if old is None or closed else "close", body)
    if old is None:
        return Plan("create", body)
    if closed:
        return Plan("reopen", body)
    same = end is not None and text[: end.start()].strip() == list_.strip()
    return Plan("nothing" if same else "edit", body)


def _later(said: str, as_of: str) -> bool:
    """Whether an issue's instant is after the run's. What somebody wrote over is no instant, and binds nobody."""
    try:
        return clock.parse(said) > clock.parse(as_of)
    except ValueError:
        return False


def _plain(text: str) -> str:
    """With the ends of lines as they were written; a browser sends others."""
    return text.replace("\r\n", "\n")


def _written(found: GapList, unjudged: Iterable[str]) -> tuple[str, str]:
    """The list, and the whole text."""
    unjudged = tuple(unjudged)
    ids = sorted({*unjudged, *(control.id for control, _ in found.open)})
    head = [found.marker, f"<!-- open:{''.join(f' {id}' for id in ids)} -->", "", f"**{_counts(found, unjudged)}**", ""]
    if unjudged:
        head += [f"Open before, and not judged by this run: {', '.join(unjudged)}.", ""]
    foot = [
        f"<!-- found by: as of {found.as_of} -->",
        f"Found by run {found.run_id}, as of {found.as_of}; bundle {found.bundle}. Later runs that find the same leave this",
        "as it is. `compliancectl notify --github-issue` keeps this text and replaces what is changed in it; comments stay.",
        "",
    ]
    room = LIMIT - _units("\n".join([*head, *foot])) - 2
    list_ = "\n".join([*head, *_fitting(found, room)])
    return list_, "\n".join([list_, *foot])


def _counts(found: GapList, unjudged: tuple[str, ...]) -> str:
    deviating = sum(control.outcome == "deviations" for control, _ in found.open)
    unsure = len(found.open) - deviating
    parts = [f"{deviating:,} deviate" if deviating != 1 else "1 deviates"] if deviating else []
    parts += [f"{unsure:,} {'is' if unsure == 1 else 'are'} inconclusive"] if unsure else []
    parts += [f"{len(unjudged):,} {'was' if len(unjudged) == 1 else 'were'} not judged"] if unjudged else []
    number = len(found.open) + len(unjudged)
    said = (
        f"{counted(number, 'control')} {'is' if number == 1 else 'are'} open: {', '.join(parts)}"
        if parts
        else "No control is open"
    )
    disabled = f"; the scope disables {len(found.disabled):,}" if found.disabled else ""
    return f"{said}. {len(found.judged):,} judged{disabled}."


def _fitting(found: GapList, room: int) -> list[str]:
    """The table and the items as far as there is room, and what is left out in numbers."""
    text = _Text(room - 400)  # for the two sentences that say what is left out
    rows = ["| Control | Severity | Outcome | Owner | Items |", "|---|---|---|---|---|"] if found.open else []
    rows += [
        f"| {control.id} {cell(control.title)} | {control.severity} | {control.outcome} | {cell(control.owner)} | {len(items):,} |"
        for control, items in found.open
    ]
    left = text.add([row] for row in rows)
    text.lines += [f"| … and {counted(left, 'more control')} in the bundle | | | | |"] if left else []
    text.lines += [""] if found.open else []
    left = text.add(_section(control, items) for control, items in found.open)
    if left:
        text.lines += [
            f"The items of {counted(left, 'more control')} are in the bundle: there is no room for them here.",
            "",
        ]
    return text.lines


def _section(control: ControlResult, items: tuple[str, ...]) -> list[str]:
    lines = [f"### {control.id} {cell(control.title)} ({control.severity}): {control.outcome}", ""]
    lines += [f"- {quoted(_cut(item))}" for item in items[:SHOWN]]
    lines += [f"- … and {counted(len(items) - SHOWN, 'more item')} in the bundle"] if len(items) > SHOWN else []
    return [*lines, ""]


def _cut(text: str) -> str:
    return text if len(text) <= LONGEST else f"{text[:LONGEST]} … (cut)"


class _Text:
    """Lines that are added as long as there is room."""

    def __init__(self, room: int) -> None:
        self.lines: list[str] = []
        self._room = room

    def add(self, parts: Iterable[list[str]]) -> int:
        """Add parts, each whole, until one does not fit; returns how many are left out."""
        rest: Iterator[list[str]] = iter(parts)
        for part in rest:
            size = sum(_units(text) + 1 for text in part)
            if size > self._room:
                return 1 + sum(1 for _ in rest)
            self._room -= size
            self.lines += part
        return 0


def _units(text: str) -> int:
    """UTF-16 units."""
    return len(text.encode("utf-16-le", "surrogatepass")) // 2
