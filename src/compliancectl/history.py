"""Outcomes of controls over many runs, read from the bundles' results. It does not verify them: `period` does."""

from __future__ import annotations

import tempfile
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import Any

from compliancectl import clock
from compliancectl.errors import NotReadyError, UsageError
from compliancectl.export.source import opened
from compliancectl.model.history import ControlHistory, ControlPoint, History, RunPoint
from compliancectl.model.result import Counts
from compliancectl.period.capture import bundles
from compliancectl.query.history import Overview, Source, outcomes, overview
from compliancectl.seal import records

BARS = "▁▂▃▄▅▆▇█"
_COUNTS = ("passed", "failed", "waived", "excluded", "unknown")


def read(
    folder: Path,
    *,
    paths: Iterable[Path] | None = None,
    since: datetime | None = None,
    only: Sequence[str] = (),
    index: Path | None = None,
) -> History:
    """Read the history of a folder of bundles.

    Args:
        folder: searched at any depth.
        paths: the bundles below it that count; None: all that are there.
        since: leave earlier runs out.
        only: ids of controls; empty means all.
        index: file in which what was read is kept for the next time; None: everything is read.

    Raises:
        UsageError: there is no such folder or control, or bundles of several systems lie together.
        NotReadyError: there is no run.
        FileError: results that cannot be read.
    """
    if not folder.is_dir():
        raise UsageError(f"{folder} is not a folder", hint="Name a folder that holds bundles, or gs://BUCKET/PREFIX.")
    with _results(folder, bundles(folder) if paths is None else paths) as sources:
        rows = outcomes(sources, index, since=clock.text(since) if since else None, only=only)
    subjects = sorted({row[2:5] for row in rows})
    _check_subjects(folder, subjects)
    known: dict[str, list[Any]] = {}
    for row in rows:
        known.setdefault(row[5], []).append(row)
    organization, system, environment = subjects[0]
    return History(
        organization=organization,
        system=system,
        environment=environment,
        runs=_runs(rows),
        controls=tuple(_control(known[id]) for id in sorted(known)),
    )


def glance(
    folder: Path,
    width: int,
    *,
    paths: Iterable[Path] | None = None,
    since: datetime | None = None,
    only: Sequence[str] = (),
    index: Path | None = None,
) -> Overview:
    """The same history thinned to `width` points a control, for people; arguments and errors as `read`."""
    if not folder.is_dir():
        raise UsageError(f"{folder} is not a folder", hint="Name a folder that holds bundles, or gs://BUCKET/PREFIX.")
    with _results(folder, bundles(folder) if paths is None else paths) as sources:
        found = overview(sources, index, width, since=since, only=only)
    _check_subjects(folder, found.subjects if found else ())
    assert found is not None  # without one, there are no subjects
    return found


def _check_subjects(folder: Path, subjects: Sequence[tuple[str, ...]]) -> None:
    if not subjects:
        raise NotReadyError(f"there is no run below {folder}", hint="Name the folder that holds the bundles.")
    if len(subjects) > 1:
        names = "; ".join(", ".join(subject) for subject in subjects)
        raise UsageError(f"bundles of several systems lie together: {names}", hint="Give each a folder of its own.")


@contextmanager
def _results(folder: Path, paths: Iterable[Path]) -> Iterator[list[Source]]:
    """The results of all bundles; those in ZIP files are laid out only when they have to be read."""
    with tempfile.TemporaryDirectory(prefix="compliancectl-history-") as scratch:
        found: list[Source] = []
        for number, path in enumerate(paths):
            name = path.relative_to(folder).as_posix()
            if path.is_dir():
                file = path / records.RESULTS
                if file.is_file():
                    found.append(_source(name, file, partial(_same, file)))
            elif not (path.with_suffix("") / records.RESULTS).is_file():  # beside its folder it says nothing new
                found.append(_source(name, path, partial(_unpacked, path, Path(scratch) / f"{number}.json")))
        yield found


def _source(name: str, file: Path, read: Callable[[], Path]) -> Source:
    about = file.stat()
    return Source(name, about.st_size, about.st_mtime_ns, read)


def _same(file: Path) -> Path:
    return file


def _unpacked(path: Path, file: Path) -> Path:
    with opened(path) as bundle:
        file.write_bytes(bundle.read(records.RESULTS))
    return file


def _runs(rows: Sequence[Any]) -> tuple[RunPoint, ...]:
    tally: dict[tuple[datetime, str], Counter[Any]] = {}
    for row in rows:
        tally.setdefault((row[0], row[1]), Counter())[row[8]] += 1
    return tuple(
        RunPoint(run_id=run, as_of=at, controls=dict(sorted(counts.items()))) for (at, run), counts in tally.items()
    )


def _control(rows: Sequence[Any]) -> ControlHistory:
    latest = rows[-1]
    points = tuple(
        ControlPoint(
            run_id=row[1], as_of=row[0], outcome=row[8], items=Counts(**dict(zip(_COUNTS, row[9:], strict=True)))
        )
        for row in rows
    )
    return ControlHistory(id=latest[5], title=latest[6], severity=latest[7], points=points)


def sparkline(values: Sequence[int]) -> str:
    """Numbers as bars: nothing at 0, the highest at the largest."""
    most = max(values, default=0)
    return "".join(" " if value <= 0 else BARS[(value * len(BARS) - 1) // most] for value in values)


def bars(points: Sequence[tuple[str, int] | None]) -> str:
    """The points of a line as bars: `?` where nothing was found because nothing could be judged, `·` without a run."""
    drawn = sparkline([point[1] if point else 0 for point in points])
    return "".join(
        "·" if point is None else "?" if point == ("inconclusive", 0) else bar
        for point, bar in zip(points, drawn, strict=True)
    )
