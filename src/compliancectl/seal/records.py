"""Records: do the run, the evidence items and the results agree with the files and with each other?

Bundling asks this of what it copies, so that a run folder altered after collection is not sealed; verification asks
it again of what it reads. Digests and sizes are given, never computed here: what is judged is what was hashed.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TypeVar

from compliancectl.model import certificate
from compliancectl.model.certificate import Certificate
from compliancectl.model.evidence import EvidenceItem, ReplyRecord, RunRecord, TableRows
from compliancectl.model.manifest import ControlTotals, ItemTotals, Redaction, Totals
from compliancectl.model.result import Counts, Results, TestResult
from compliancectl.seal import Problem, names
from compliancectl.seal.container import Container

RUN = names.RUN
RESULTS = names.RESULTS
CERTIFICATE = names.CERTIFICATE
INDEX = "evidence/INDEX.csv"


@dataclass(frozen=True)
class Files:
    """The files of a bundle as they were read once: digests and sizes of all, bytes of the records."""

    digests: Mapping[str, str]
    sizes: Mapping[str, int]
    records: Mapping[str, bytes]


@dataclass(frozen=True)
class Records:
    """The records of a bundle; in a sample some may be absent."""

    run: RunRecord | None
    results: Results | None
    certificate: Certificate | None
    """Of the engine that answered, if that was another one than judged."""
    items: Mapping[str, EvidenceItem]
    """By id, sorted."""


@dataclass(frozen=True)
class Whole:
    """A bundle of which every file was there and held, while it is still open."""

    members: Container
    digests: Mapping[str, str]
    """Member name → SHA-256, as SHA256SUMS lists it."""
    sums_sha256: str
    records: Records
    """As they were hashed."""


def load(files: Files) -> Records:
    """Read the records that are there.

    Raises:
        Problem: if one is not in its declared form.
    """
    items = {}
    for name in sorted(files.records):
        if name.startswith("evidence/"):
            items[name.removeprefix("evidence/").removesuffix(names.ITEM)] = _parse(
                EvidenceItem, name, files.records[name]
            )
    return Records(
        _maybe(RunRecord, RUN, files),
        _maybe(Results, RESULTS, files),
        _maybe(Certificate, CERTIFICATE, files),
        items,
    )


def check(records: Records, files: Files, *, sample: bool = False) -> None:
    """Hold the records against the files and against each other.

    Args:
        records: What `load` gave.
        files: Every file that is there.
        sample: True if files may be missing; then only what is there is compared.

    Raises:
        Problem: at the first contradiction.
    """
    _check_commitments(records.items)
    owned = {INDEX}
    for id, item in records.items.items():
        owned |= _check_item(id, item, files, sample=sample)
    if not sample:
        _check_unowned(owned, files)
    if records.run is not None:
        _check_run(records.run, records.items, files, sample=sample)
    if records.results is not None:
        _check_results(records.results, records, files, sample=sample)
        _check_engine(records.results, records.certificate, sample=sample)


def totals(records: Records, sizes: Mapping[str, int]) -> Totals:
    """Count what the statement states; `sizes` are those of the files in SHA256SUMS."""
    controls = records.results.controls if records.results else ()
    outcomes = Counter(control.outcome.replace(" ", "_") for control in controls)
    counts = [test.counts for control in controls for test in control.tests]
    return Totals(
        evidence_items=len(records.items),
        incomplete_items=len(incomplete(records.items)),
        files=len(sizes),
        bytes=sum(sizes.values()),
        controls=ControlTotals(**outcomes),
        items=ItemTotals(**{name: sum(getattr(n, name) for n in counts) for name in Counts.model_fields}),
    )


def incomplete(items: Mapping[str, EvidenceItem]) -> list[str]:
    """Ids of the evidence items that are not `collected`."""
    return [id for id, item in items.items() if item.status != "collected"]


def redaction(items: Mapping[str, EvidenceItem]) -> Redaction:
    """Values removed or replaced before hashing, per class, over all items; what the statement states of them."""
    total: Counter[str] = Counter()
    for item in items.values():
        total.update(item.redactions)
    names = {p.pseudonym for item in items.values() for p in item.pseudonyms if p.commitment}
    return Redaction(values=total.total(), by_class=dict(sorted(total.items())), pseudonyms=len(names))


def _check_commitments(items: Mapping[str, EvidenceItem]) -> None:
    """One pseudonym stands for one value, wherever it occurs."""
    seen: dict[str, str] = {}
    for id, item in items.items():
        for found in item.pseudonyms:
            if found.commitment and seen.setdefault(found.pseudonym, found.commitment) != found.commitment:
                raise Problem(f"commits {found.pseudonym} to another value", member=f"evidence/{id}/item.json")


M = TypeVar("M", RunRecord, EvidenceItem, Results, Certificate)


def _maybe(model: type[M], name: str, files: Files) -> M | None:
    return _parse(model, name, files.records[name]) if name in files.records else None


def _parse(model: type[M], name: str, data: bytes) -> M:
    from pydantic import ValidationError

    try:
        return model.model_validate_json(data)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"]) or "the file"
        raise Problem(f"does not have its declared form: {where}: {first['msg']}", member=name) from error


def _check_item(id: str, item: EvidenceItem, files: Files, *, sample: bool) -> set[str]:
    """Compare one evidence item with its folder; return the members that belong to it."""
    folder = f"evidence/{id}/"
    record = folder + "item.json"
    if item.id != id:
        raise Problem(f"says that it is {item.id}, but lies in the folder of {id}", member=record)
    owned = {record}
    parts: tuple[ReplyRecord | TableRows, ...] = (*item.replies, *item.tables)
    for part in parts:
        name = folder + part.path
        if names.problem(name):
            raise Problem(f"names a file outside its folder: {part.path!r}", member=record)
        owned.add(name)
        if name not in files.digests and sample:
            continue
        if (files.digests.get(name), files.sizes.get(name)) != (part.sha256, part.bytes):
            raise Problem("is missing, or is not what its item.json says was collected", member=name)
    return owned


def _check_unowned(owned: set[str], files: Files) -> None:
    for name in sorted(files.digests):
        if name.startswith("evidence/") and name not in owned:
            raise Problem("lies among the evidence, but no item.json names it", member=name)


def _check_run(run: RunRecord, items: Mapping[str, EvidenceItem], files: Files, *, sample: bool) -> None:
    if run.status == "complete" and incomplete(items):
        raise Problem(f"says the run is complete, but {incomplete(items)[0]} is not `collected`", member=RUN)
    if run.evidence is None:
        raise Problem("does not say which evidence the run ended with", member=RUN)
    for id in sorted(set(run.evidence) | set(items)):
        if id not in items and sample:
            continue
        if run.evidence.get(id) != files.digests.get(f"evidence/{id}/item.json"):
            raise Problem(f"and the evidence disagree about {id}", member=RUN)


def _check_results(results: Results, records: Records, files: Files, *, sample: bool) -> None:
    if records.run is not None:
        _check_same_run(results, records.run)
    if results.run_sha256 is None:
        raise Problem("does not say which run.json was judged", member=RESULTS)
    if files.digests.get(RUN, results.run_sha256) != results.run_sha256:
        raise Problem("was made from another run.json", member=RESULTS)
    for control in results.controls:
        if not (sample and control.file not in files.digests) and files.digests.get(control.file) != control.sha256:
            raise Problem(f"is missing, or is not the file that {control.id} was judged by", member=control.file)
        for test in control.tests:
            _check_test(f"{control.id}.{test.id}", test, records, files, sample=sample)


def _check_engine(results: Results, granted: Certificate | None, *, sample: bool) -> None:
    """An engine other than the one that judged was certified for every control, as it was judged."""
    answered = certificate.answered(results.engine)
    if granted is None:
        if answered is not None and not sample:
            raise Problem(f"is missing, but {answered} answered the controls' SQL", member=CERTIFICATE)
        return
    if not granted.names(results.engine):
        raise Problem(
            f"is for {granted.engine} through {granted.translator}, but the results are of {results.engine}",
            member=CERTIFICATE,
        )
    certified = {(control.id, control.sha256) for control in granted.controls if control.granted}
    for control in results.controls:
        if (control.id, control.sha256) not in certified:
            raise Problem(f"does not certify the engine for {control.id} as it was judged", member=CERTIFICATE)


def _check_same_run(results: Results, run: RunRecord) -> None:
    for field, mine, theirs in _shared(results, run):
        if mine != theirs:
            raise Problem(f"and run.json differ in {field}: {mine} and {theirs}", member=RESULTS)


def _shared(results: Results, run: RunRecord) -> Iterator[tuple[str, str, str]]:
    yield "the run's id", results.run_id, run.id
    yield "organization", results.organization, run.organization
    yield "system", results.system, run.system
    yield "environment", results.environment, run.environment


def _check_test(name: str, test: TestResult, records: Records, files: Files, *, sample: bool) -> None:
    for use in test.tables:
        absent = [id for id in use.items if id not in records.items]
        if absent and not sample:
            raise Problem(f"{name} rests on the evidence {absent[0]}, which is not here", member=RESULTS)
    path = test.items_path
    if path is None or (path not in files.digests and sample):
        return
    if files.digests.get(path) != test.items_sha256:
        raise Problem(f"is missing, or is not what results.json says of {name}", member=path)
