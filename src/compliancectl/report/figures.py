"""The geometry of the figures. Colours and strokes are the templates' business; here are only numbers and words."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Segment:
    """A part of a bar."""

    outcome: str
    value: int
    x: float
    width: float


@dataclass(frozen=True)
class Bar:
    """Counts by outcome as one stacked bar."""

    width: float
    segments: tuple[Segment, ...]
    total: int
    text: str
    """The same in words; also what is read out instead of the figure."""


@dataclass(frozen=True)
class Cell:
    """One criterion in a strip."""

    outcome: str
    x: float
    width: float


@dataclass(frozen=True)
class Strip:
    """One cell for each criterion, in the order of the framework, with gaps between its groups."""

    width: float
    cells: tuple[Cell, ...]
    text: str


@dataclass(frozen=True)
class Ages:
    """How long findings of one severity are open, each a stroke, against the days that they may be."""

    severity: str
    width: float
    strokes: tuple[tuple[float, int, bool], ...]
    """(x, findings of that age, whether they are over the limit), youngest first."""
    limit: float
    """x of the deadline."""
    allowed: int
    longest: int
    text: str


@dataclass(frozen=True)
class Rosette:
    """A closed curve for each turn; a function of the digest alone."""

    paths: tuple[str, ...]
    radius: float


def bar(parts: Sequence[tuple[str, int, str]], *, width: float = 1000, gap: float = 3, least: float = 14) -> Bar:
    """Lay out (outcome, count, words) as a bar in which even a single failure among thousands can be seen.

    A part that would be narrower than `least` gets `least`, and the others share what remains.
    """
    shown = [(outcome, value, words) for outcome, value, words in parts if value]
    total = sum(value for _, value, _ in shown)
    text = ", ".join(words for _, _, words in shown) or "no items"
    if not shown:
        return Bar(width, (), 0, text)
    space = width - gap * (len(shown) - 1)
    widths = _share([value for _, value, _ in shown], space, least)
    segments, x = [], 0.0
    for (outcome, value, _), wide in zip(shown, widths, strict=True):
        segments.append(Segment(outcome, value, round(x, 2), round(wide, 2)))
        x += wide + gap
    return Bar(width, tuple(segments), total, text)


def _share(values: Sequence[int], space: float, least: float) -> list[float]:
    """Widths in proportion to `values`, none under `least`, together `space`."""
    small: set[int] = set()
    while True:
        rest = sum(v for i, v in enumerate(values) if i not in small)
        scale = (space - least * len(small)) / rest if rest else 0.0
        new = {i for i, v in enumerate(values) if i not in small and v * scale < least}
        if not new or len(small | new) == len(values):
            return [least if i in small else v * scale for i, v in enumerate(values)]
        small |= new


def strip(groups: Sequence[Sequence[str]], text: str, *, width: float = 1000) -> Strip:
    """Lay out outcomes, group by group."""
    cells = sum(len(group) for group in groups)
    if not cells:
        return Strip(width, (), text)
    between, inner = 7.0, 1.6
    wide = (width - between * (len(groups) - 1) - inner * (cells - len(groups))) / cells
    found, x = [], 0.0
    for group in groups:
        for outcome in group:
            found.append(Cell(outcome, round(x, 2), round(wide, 2)))
            x += wide + inner
        x += between - inner
    return Strip(width, tuple(found), text)


def ages(severity: str, days: Sequence[int], allowed: int, *, width: float = 1000) -> Ages:
    """Lay out ages in days on a line from 0 to a little beyond the oldest, or the limit."""
    longest = max((*days, allowed))
    scale = (width - 20) / (longest * 1.08 or 1)
    tally: dict[int, int] = {}
    for age in days:
        tally[age] = tally.get(age, 0) + 1
    strokes = tuple((round(10 + age * scale, 1), number, age > allowed) for age, number in sorted(tally.items()))
    late = sum(age > allowed for age in days)
    text = f"{len(days)} {severity}, open for up to {max(days)} days; {allowed} are allowed; {late} over the limit"
    return Ages(severity, width, strokes, round(10 + allowed * scale, 1), allowed, longest, text)


def rosette(digest: str, *, radius: float = 500, points: int = 192) -> Rosette:
    """Draw the bundle's digest as a guilloche: a picture that changes when one byte of the bundle does.

    An aid to the eye, not a proof: it follows from the first twelve bytes of `digest` (hexadecimal). Three bands of
    waves; within a band the curves turn a little from one to the next, which weaves them into each other.
    """
    seed = bytes.fromhex(digest)[:12]
    paths: list[str] = []
    bands = ((0.2, 0.46, seed[0:4]), (0.46, 0.72, seed[4:8]), (0.72, 0.97, seed[8:12]))
    for number, (inner, outer, part) in enumerate(bands):
        lobes = 7 + part[0] % 12 + 4 * number
        twist = (0.7 + part[1] / 255 * 1.3) * math.tau / lobes
        fine = lobes * (2 + part[2] % 2)
        for turn in range(14):
            curve = _ring(inner, outer, lobes, fine, turn / 14 * twist, part[3] / 255, points)
            paths.append(_smooth([(radius * x, radius * y) for x, y in curve]))
    return Rosette(tuple(paths), radius)


def _ring(
    inner: float, outer: float, lobes: int, fine: int, turned: float, ripple: float, points: int
) -> list[tuple[float, float]]:
    """One closed wave between two radii, in units of the whole figure."""
    middle, swing = (inner + outer) / 2, (outer - inner) / 2
    curve = []
    for step in range(points):
        angle = step / points * math.tau
        wave = math.cos(lobes * (angle + turned)) * (0.9 - 0.25 * ripple)
        wave += math.cos(fine * (angle - turned) + ripple * math.tau) * (0.1 + 0.25 * ripple)
        distance = middle + swing * wave
        curve.append((distance * math.cos(angle), distance * math.sin(angle)))
    return curve


def _smooth(points: Sequence[tuple[float, float]]) -> str:
    """A closed path through the middles of `points`, with the points as control points of quadratic curves."""
    middles = [((a[0] + b[0]) / 2, (a[1] + b[1]) / 2) for a, b in zip(points, [*points[1:], points[0]], strict=True)]
    start = f"M{middles[-1][0]:.1f} {middles[-1][1]:.1f}"
    curves = [f"Q{p[0]:.1f} {p[1]:.1f} {m[0]:.1f} {m[1]:.1f}" for p, m in zip(points, middles, strict=True)]
    return f"{start}{''.join(curves)}Z"
