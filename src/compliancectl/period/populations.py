"""The united populations of a period as files: every item once, as the capture that counts for it has it.

What counts is the worst outcome, and of several captures with it the first. The line of such an item is the line of
that bundle, byte for byte; where it comes from stands in the list beside it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from pydantic_core import from_json

from compliancectl.errors import VerifyError
from compliancectl.export.source import Bundle, opened
from compliancectl.model.manifest import VerifyStep
from compliancectl.model.result import ItemOutcome
from compliancectl.period.capture import Capture, CapturedControl
from compliancectl.period.items import judged, worse
from compliancectl.period.judge import Chain

FOLDER = "populations"
Name = tuple[str, str]
"""Control and test."""


@dataclass
class Origin:
    """Where one item of the united population comes from."""

    outcome: ItemOutcome
    capture: Capture
    first: Capture
    last: Capture
    captures: int


def origins(chain: Chain, control: str, test: str) -> dict[str, Origin]:
    """Resource → where it comes from."""
    seen: list[tuple[Capture, CapturedControl]] = [
        (capture, capture.controls[control]) for capture in chain.inside if control in capture.controls
    ]
    captures, _ = judged(chain.start, chain.end, control, test, seen, chain.outside)
    found: dict[str, Origin] = {}
    for capture, held in captures:
        if held.population is None:
            continue
        for resource, outcome in held.population.outcomes.items():
            known = found.get(resource)
            if known is None:
                found[resource] = Origin(outcome, capture, capture, capture, 1)
                continue
            if worse(outcome, known.outcome):
                known.outcome, known.capture = outcome, capture
            known.last, known.captures = capture, known.captures + 1
    return found


def file_name(control: str, test: str) -> str:
    """Where a population lies in a package."""
    return f"{FOLDER}/{control}.{test}.jsonl"


def write(chain: Chain, tests: Iterable[Name], folder: Path, out: Path) -> None:
    """Write the populations of the tests into `out`, sorted by resource.

    Args:
        chain: the period.
        tests: which.
        folder: where the bundles are, by the names that the captures have.
        out: the package's folder.

    Raises:
        VerifyError: a bundle is not what it was when it was verified.
    """
    wanted: dict[str, dict[Name, set[str]]] = {}
    by_name = {capture.bundle: capture for capture in (*chain.inside, *chain.outside)}
    names = sorted(tests)
    (out / FOLDER).mkdir()
    for name in names:
        for resource, origin in origins(chain, *name).items():
            wanted.setdefault(origin.capture.bundle, {}).setdefault(name, set()).add(resource)
        (out / file_name(*name)).touch()
    for bundle in sorted(wanted):
        with opened(folder / bundle) as source:
            if source.sums_sha256 != by_name[bundle].bundle_sha256:
                hint = "It was exchanged while the period was being judged. Run again."
                raise VerifyError(
                    "this is not the bundle that was verified", step=VerifyStep.SUBJECT, file=folder / bundle, hint=hint
                )
            for name, resources in wanted[bundle].items():
                with (out / file_name(*name)).open("ab") as stream:
                    stream.writelines(line for _, line in _lines(source, name, resources))
    for name in names:
        _sort(out / file_name(*name))


def _lines(source: Bundle, name: Name, resources: set[str]) -> Iterator[tuple[str, bytes]]:
    control = next(control for control in source.results.controls if control.id == name[0])
    test = next(test for test in control.tests if test.id == name[1])
    for line in source.lines(test):
        resource = from_json(line)["resource"]
        if resource in resources:
            yield resource, line


def _sort(file: Path) -> None:
    with file.open("rb") as stream:
        lines = sorted(stream, key=lambda line: str(from_json(line)["resource"]))
    file.write_bytes(b"".join(lines))
