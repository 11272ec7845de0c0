"""Which of the company's faults can be switched on together, so that one collection shows several.

Faults of one source go together if no check is turned by two of them and none changes what another one changes. Then what
turns is the sum of what each turns, and nothing else, unless two mistakes cancel out; `make faults` tries each alone.
A fault that takes a source away turns whole tests, so that it goes with those that turn none of them.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from compliancectl.sandbox.company import Fault

MOST = 30
APART = frozenset({"features-not-labelled"})
"""Faults whose check looks at all items together, so that another fault hides them."""
HIDES = frozenset(
    {
        ("audit-sink-too-narrow", "audit-logs-kept-too-short"),
        ("audit-sink-too-narrow", "audit-logs-unlocked"),
        ("audit-sink-too-narrow", "audit-sink-disabled"),
        ("audit-sink-too-narrow", "audit-sink-excludes"),
        ("edge-unguarded", "edge-without-limit"),
        ("inventory-stale", "picture-mandatory"),
        ("security-txt-gone", "mailbox-takes-no-mail"),
        ("security-txt-without-contact", "mailbox-takes-no-mail"),
        ("server-with-md5", "purge-counts-denied"),
        ("server-with-old-tls", "purge-counts-denied"),
        ("server-with-weak-rules", "purge-counts-denied"),
        ("server-without-tls", "purge-counts-denied"),
        ("standard-missing", "policy-changed-alone"),
        ("yearly-purge-paused", "yearly-purge-failed"),
    }
)
"""The first takes away what the second is seen in, without turning the same test."""


@dataclass
class _Group:
    section: str
    names: list[str] = field(default_factory=list)
    checks: set[tuple[str, str]] = field(default_factory=set)
    """Test and check; `*` stands for all checks of a test that could not be judged."""
    paths: list[tuple[str, ...]] = field(default_factory=list)

    def takes(self, fault: Fault, paths: list[tuple[str, ...]]) -> bool:
        return (
            len(self.names) < MOST
            and fault.section == self.section
            and not any(_meets(mine, other) for mine in self.checks for other in _checks(fault))
            and not any((name, fault.id) in HIDES or (fault.id, name) in HIDES for name in self.names)
            and not any(_touches(mine, other) for mine in self.paths for other in paths)
        )

    def add(self, fault: Fault, paths: list[tuple[str, ...]]) -> None:
        self.names.append(fault.id)
        self.checks |= _checks(fault)
        self.paths += paths


def together(faults: Iterable[Fault]) -> list[tuple[str, ...]]:
    """The faults in groups, the same each time."""
    groups: list[_Group] = []
    alone: list[tuple[str, ...]] = []
    for fault in sorted(faults, key=lambda f: f.id):
        paths = [_parts(path) for path in fault.set] + [_left(_parts(path)) for path in fault.remove]
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
    return fault.section == "company" or fault.id in APART


def _left(path: tuple[str, ...]) -> tuple[str, ...]:
    """What a removal changes: an entry that leaves a list gives the rest of the list other numbers."""
    return path[:-1] if path[-1].isdigit() else path


def _checks(fault: Fault) -> set[tuple[str, str]]:
    return {(test, check) for test, checks in fault.turns.items() for check in checks}


def _meets(one: tuple[str, str], other: tuple[str, str]) -> bool:
    return one[0] == other[0] and (one[1] == other[1] or "*" in (one[1], other[1]))


def _parts(path: str) -> tuple[str, ...]:
    return tuple(path.split("/") if "/" in path else path.split("."))


def _touches(one: tuple[str, ...], other: tuple[str, ...]) -> bool:
    shared = min(len(one), len(other))
    return one[:shared] == other[:shared]
