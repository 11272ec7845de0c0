"""Which of the company's faults can be switched on together, so that one collection shows several.

Faults of one source go together if no test is turned by two of them and none changes what another one changes. Then what
turns is the sum of what each turns, and nothing else, unless two mistakes cancel out; `make faults` tries each alone.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from compliancectl.sandbox.company import Fault

MOST = 24
APART = frozenset({"features-not-labelled"})
"""Faults whose check looks at all items together, so that another fault hides them."""
HIDES = frozenset({("edge-unguarded", "edge-without-limit"), ("security-txt-gone", "mailbox-takes-no-mail")})
"""The first takes away what the second is seen in, without turning the same test."""


@dataclass
class _Group:
    section: str
    names: list[str] = field(default_factory=list)
    tests: set[str] = field(default_factory=set)
    paths: list[tuple[str, ...]] = field(default_factory=list)

    def takes(self, fault: Fault, paths: list[tuple[str, ...]]) -> bool:
        return (
            len(self.names) < MOST
            and fault.section == self.section
            and not self.tests & set(fault.turns)
            and not any((name, fault.id) in HIDES or (fault.id, name) in HIDES for name in self.names)
            and not any(_touches(mine, other) for mine in self.paths for other in paths)
        )

    def add(self, fault: Fault, paths: list[tuple[str, ...]]) -> None:
        self.names.append(fault.id)
        self.tests |= set(fault.turns)
        self.paths += paths


def together(faults: Iterable[Fault]) -> list[tuple[str, ...]]:
    """The faults in groups, the same each time."""
    groups: list[_Group] = []
    alone: list[tuple[str, ...]] = []
    for fault in sorted(faults, key=lambda f: f.id):
        paths = [_parts(path) for path in (*fault.set, *fault.remove)]
        if _needs_to_be_alone(fault):
            alone.append((fault.id,))
            continue
        group = next((g for g in groups if g.takes(fault, paths)), None)
        if group is None:
            group = _Group(fault.section)
            groups.append(group)
        group.add(fault, paths)
    return sorted([tuple(group.names) for group in groups] + alone)


def _needs_to_be_alone(fault: Fault) -> bool:
    """A source that is lost hides the others; an entry that leaves a list gives the rest other numbers."""
    lost = any("*" in checks for checks in fault.turns.values()) or fault.section == "company"
    return lost or fault.id in APART or any(_parts(path)[-1].isdigit() for path in fault.remove)


def _parts(path: str) -> tuple[str, ...]:
    return tuple(path.split("/") if "/" in path else path.split("."))


def _touches(one: tuple[str, ...], other: tuple[str, ...]) -> bool:
    shared = min(len(one), len(other))
    return one[:shared] == other[:shared]
