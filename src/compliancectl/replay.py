"""Replay: do the tables of a bundle follow from its replies, and the results from its tables? Offline, on a copy.

    replies ──the collector's `shape`──▶ tables ──the controls in the bundle──▶ results
                                            ‖                                      ‖
                                  those in the bundle                    those in the bundle

Each arrow is taken for itself, from what the bundle holds: where both come out the same, the results follow from the
replies. This says nothing about who sealed the bundle; that is what `verify` is for.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from compliancectl import canonical, store
from compliancectl.collectors.base import Collector, Reply, Target
from compliancectl.errors import CollectError, FileError, UsageError, VerifyError
from compliancectl.item_writer import ItemWriter
from compliancectl.load import load_claims, load_controls, load_frameworks, load_waivers
from compliancectl.model.claim import ClaimRegister
from compliancectl.model.control import Control
from compliancectl.model.evidence import EvidenceItem, ReplyRecord, TableRows
from compliancectl.model.framework import Framework
from compliancectl.model.manifest import VerifyStep
from compliancectl.model.replay import Difference, Stage
from compliancectl.model.result import Results
from compliancectl.model.scope import Scope, Selection
from compliancectl.model.waiver import Waiver
from compliancectl.query.rows import compare_rows
from compliancectl.seal import Problem, archive, container, names, records, sums

_PIECE = 1024**2
_SUMS_LIMIT = 256 * 1024**2
_SHOWN = 5
_NAMES_OF_THE_TOOL = frozenset({"tool_version", "engine"})
"""What another version writes differently although it comes to the same results."""


@dataclass(frozen=True)
class Inputs:
    """What the results of a bundle were judged by, from the files in the bundle."""

    results: Results
    controls: tuple[Control, ...]
    frameworks: tuple[Framework, ...]
    waivers: tuple[Waiver, ...]
    claims: ClaimRegister | None
    scope: Scope


def unpack(path: Path, into: Path) -> None:
    """Copy a bundle (folder or ZIP) to a folder to work in, holding every file against SHA256SUMS.

    Raises:
        VerifyError: if it is no bundle, a file is missing, or one is not what SHA256SUMS lists.
    """
    try:
        with archive.opened(path) as members:
            listed = sums.parse(container.read(members, sums.NAME, limit=_SUMS_LIMIT))
            for name, digest in listed.items():
                if name not in members.sizes:
                    raise Problem("is missing", member=name)
                if reason := names.problem(name):
                    raise Problem(f"has a name that {reason}", member=name)
                _copy(members, name, into / name)
                if canonical.sha256_file(into / name) != digest:
                    raise Problem("is not the file that SHA256SUMS lists", member=name)
    except Problem as problem:
        raise VerifyError(
            f"{problem.member or 'the bundle'} {problem.message}",
            step=VerifyStep.DIGESTS,
            file=path,
            hint=problem.hint or "`compliancectl verify` says more. Only a whole bundle can be replayed.",
        ) from problem


def _copy(members: container.Container, name: str, target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    with members.open(name) as source, target.open("xb") as copy:
        while piece := source.read(_PIECE):
            copy.write(piece)


# -- tables from replies ----------------------------------------------------------------------------------------------


def derive_tables(
    folder: Path,
    scratch: Path,
    collector: Callable[[str], Collector[Any, Any]],
    why: str | None,
    progress: Callable[[str], None] = lambda text: None,
) -> Stage:
    """Shape every reply once more, and compare the rows with those in the bundle.

    Args:
        folder: an unpacked bundle.
        scratch: an empty folder for what is derived.
        collector: gives a collector by name; raises `UsageError` if it is not installed.
        why: the cause of a difference as far as the versions tell it, if they tell one.
        progress: told about each item.
    """
    items = store.read_items(folder)
    found: list[Difference] = []
    for item in items:
        progress(item.id)
        found += _replay_item(folder, scratch, item, collector, why)
    files = sum(len(item.tables) for item in items)
    return Stage(name="tables", files=files, same=files - len({d.file for d in found}), differences=tuple(found))


def _replay_item(
    folder: Path, scratch: Path, item: EvidenceItem, collector: Callable[[str], Collector[Any, Any]], why: str | None
) -> Iterator[Difference]:
    try:
        source = collector(item.collector)
        feed = next(feed for feed in source.feeds if f"{item.collector}.{feed.name}" == item.feed)
    except UsageError as error:
        yield from _not_replayed(item, error.message)
        return
    except StopIteration:
        yield from _not_replayed(item, f"the collector {item.collector!r} that is installed has no feed {item.feed!r}")
        return
    here = folder / store.EVIDENCE / item.id
    with ItemWriter(scratch, item.collector, feed, Target(item.target, item.endpoint)) as writer:
        fault = _shape(writer, here, item)
        if fault is not None:
            yield Difference(file=f"evidence/{item.id}/item.json", kind="content", message=fault, why=why)
        if dict(writer.pseudonyms) != {p.pseudonym: p.count for p in item.pseudonyms}:
            message = "the pseudonyms that it commits to are not those in its replies"
            yield Difference(file=f"evidence/{item.id}/item.json", kind="content", message=message, why=why)
        again = {table.table: table for table in writer.derive()}
        for table in item.tables:
            difference = _compare(here / table.path, table, writer.folder, again.pop(table.table, None))
            if difference is not None:
                kind, message = difference
                yield Difference(file=f"evidence/{item.id}/{table.path}", kind=kind, message=message, why=why)
        for name in sorted(again):
            yield Difference(
                file=f"evidence/{item.id}/{name}.parquet",
                kind="content",
                message="the collector that is installed also gives this table; the bundle has none",
                why=why,
            )


def _not_replayed(item: EvidenceItem, reason: str) -> Iterator[Difference]:
    for table in item.tables:
        yield Difference(file=f"evidence/{item.id}/{table.path}", kind="not replayed", message=reason)


def _shape(writer: ItemWriter, here: Path, item: EvidenceItem) -> str | None:
    """Shape the replies in order; returns what is wrong when one cannot be, although it could when it was collected."""
    for number, record in enumerate(item.replies, start=1):
        try:
            writer.add(_reply(record, (here / record.path).read_bytes()))
        except CollectError as error:
            if number == len(item.replies) and item.cause == error.cause:
                return None  # it could not be shaped then either, and collection ended with it
            return f"{record.path} cannot be shaped: {error.message}"
    return None


def _reply(record: ReplyRecord, body: bytes) -> Reply:
    return Reply(
        body=body,
        operation=record.operation,
        requested_at=record.requested_at,
        completed_at=record.completed_at,
        status=record.status,
        parameters=record.parameters,
        media_type=record.media_type,
        request_id=record.request_id,
        etag=record.etag,
        server_date=record.server_date,
        attempts=record.attempts,
        context=record.context,
    )


def _compare(old: Path, was: TableRows, folder: Path, now: TableRows | None) -> tuple[Any, str] | None:
    """How a table differs, or None: kind of difference and a sentence."""
    if now is None:
        return "content", "the collector that is installed does not give this table"
    if was.rejected != now.rejected:
        return "content", f"{len(was.rejected)} records broke the table's contract; here, {len(now.rejected)} others do"
    if was.content_sha256 not in (None, now.content_sha256):
        return "content", "its rows are not those that the item's digest of their content was made of"
    if was.sha256 == now.sha256:
        return None
    difference = compare_rows(old, folder / now.path)
    if difference is not None:
        return "content", difference
    return "bytes", f"the same {was.rows} rows, written in other bytes"


# -- results from tables ----------------------------------------------------------------------------------------------


def read_inputs(folder: Path) -> Inputs:
    """Read what an unpacked bundle was judged by.

    Raises:
        FileError: if something in it cannot be read by this version.
    """
    results = _read_results(folder / records.RESULTS)
    catalog = folder / "catalog"
    settings = json.loads((catalog / "config.json").read_bytes())
    controls = load_controls([catalog / "controls"])
    waivers, claims = catalog / "waivers.yaml", catalog / "claims.yaml"
    params = {c.id: {use.name: use.value for use in c.params if use.overridden} for c in results.controls}
    run = store.read_run(folder)
    scope = Scope(
        organization=run.organization,
        system=run.system,
        environment=run.environment,
        controls=Selection(
            only=tuple(settings["selection"]["only"]),
            frameworks=tuple(settings["selection"]["frameworks"]),
            params={id: values for id, values in params.items() if values},
        ),
        sources={},
        file=catalog / "config.json",
        sha256=run.scope_sha256,
    )
    return Inputs(
        results=results,
        controls=controls,
        frameworks=load_frameworks(catalog / "frameworks"),
        waivers=load_waivers(waivers, controls, selection=True) if waivers.is_file() else (),
        claims=load_claims(claims, controls) if claims.is_file() else None,
        scope=scope,
    )


def _read_results(path: Path) -> Results:
    try:
        return Results.model_validate_json(path.read_bytes())
    except (OSError, ValueError) as error:
        hint = "Replay it with the version that made it."
        raise FileError("these results cannot be read by this version", file=path, hint=hint) from error


def work_folder(folder: Path, place: Path) -> Path:
    """A run folder with the bundle's evidence and without its results, for judging once more."""
    place.mkdir()
    (place / store.RUN_FILE).write_bytes((folder / store.RUN_FILE).read_bytes())
    (place / store.EVIDENCE).symlink_to((folder / store.EVIDENCE).resolve())
    return place


def compare_results(folder: Path, again: Path, why: str | None) -> Stage:
    """Compare the catalogue and the results of an unpacked bundle with those that were made from its tables.

    What another engine was certified for, and the jobs that it ran, follow from no table; `verify` holds the
    certificate against the results. What it answered is held here against what is answered without it.
    """
    old, new = _files(folder), _files(again)
    found = []
    for name in sorted(old | new):
        difference = _compare_file(folder / name, again / name)
        if difference is not None:
            kind, message = difference
            found.append(Difference(file=name, kind=kind, message=message, why=why))
    return Stage(
        name="results", files=len(old), same=len(old) - len({d.file for d in found} & old), differences=tuple(found)
    )


def results_not_replayed(folder: Path, reason: str) -> Stage:
    """The stage when judging once more was not possible at all."""
    difference = Difference(file=records.RESULTS, kind="not replayed", message=reason)
    return Stage(name="results", files=len(_files(folder)), same=0, differences=(difference,))


def _files(folder: Path) -> set[str]:
    tops = (folder / "catalog", folder / "results")
    found = {path.relative_to(folder).as_posix() for top in tops for path in top.rglob("*") if path.is_file()}
    return found - {names.CERTIFICATE, names.ENGINE_JOBS}


def _compare_file(old: Path, new: Path) -> tuple[Any, str] | None:
    """How a file differs, or None: kind of difference and a sentence."""
    if not new.is_file():
        return "content", "is in the bundle, but does not follow from its tables and controls"
    if not old.is_file():
        return "content", "follows from the tables and controls, but is not in the bundle"
    was, now = old.read_bytes(), new.read_bytes()
    if was == now:
        return None
    if old.suffix == ".json":
        places = dict(_places(json.loads(was), json.loads(now), ""))
        more = f" and {len(places) - _SHOWN} more places" if len(places) > _SHOWN else ""
        kind = "bytes" if places.keys() <= _NAMES_OF_THE_TOOL else "content"
        return kind, "; ".join(f"{place}: {text}" for place, text in list(places.items())[:_SHOWN]) + more
    lines, others = set(was.splitlines()), set(now.splitlines())
    first = sorted(lines ^ others)[:1]
    example = f", for example {first[0][:120].decode(errors='replace')}" if first else ""
    return "content", f"{len(lines - others)} lines are only in the bundle, {len(others - lines)} only here{example}"


def _places(old: Any, new: Any, path: str) -> Iterator[tuple[str, str]]:
    """Where two JSON values differ: `controls.3.outcome`, `"deviations" in the bundle, "no deviations" here`."""
    if isinstance(old, dict) and isinstance(new, dict):
        for key in sorted(old.keys() | new.keys()):
            yield from _places(old.get(key), new.get(key), f"{path}.{key}" if path else key)
    elif isinstance(old, list) and isinstance(new, list) and len(old) == len(new):
        for index, (one, other) in enumerate(zip(old, new, strict=True)):
            yield from _places(one, other, f"{path}.{index}")
    elif old != new:
        yield path or "the file", f"{_short(old)} in the bundle, {_short(new)} here"


def _short(value: Any) -> str:
    text = json.dumps(value, ensure_ascii=False)
    return text if len(text) <= 80 else text[:77] + "…"
