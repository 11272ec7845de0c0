"""Stage 3: a finished and evaluated run becomes a sealed bundle.

    run folder ──copy, hash──▶ records checked ──▶ README, INDEX ──▶ SHA256SUMS ──▶ statement ──▶ signature ──▶ ZIP

The bundle is built beside its place and appears there whole. The same run, operator, tool and key give the same
bytes: every time in it comes from the records, none from the clock.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable
from contextlib import nullcontext
from pathlib import Path

from compliancectl import canonical, disk, shards
from compliancectl.errors import FileError, NotReadyError, OutputError, VerifyError
from compliancectl.model.evidence import RunRecord
from compliancectl.model.manifest import BundleRecord, Operator, Totals, VerifyStep
from compliancectl.seal import (
    Problem,
    additions,
    index,
    names,
    readme,
    records,
    signers,
    staging,
    statement,
    sums,
)
from compliancectl.seal import archive as zip_archive
from compliancectl.seal.container import Folder, pieces
from compliancectl.seal.records import Files, Records
from compliancectl.seal.signed import Signed

_FOLDERS = ("catalog", "evidence", "results", "shards")
_PACKED = "archive"


def bundle(
    run_folder: Path,
    out: Path,
    *,
    key: Path | str,
    archive: Path | None = None,
    operator: Operator,
    stamp: Callable[[bytes], bytes] | None = None,
    progress: Callable[[str], None] = lambda text: None,
) -> BundleRecord:
    """Seal a run.

    Args:
        run_folder: A run that is finished and evaluated. It is only read.
        out: The bundle's folder; must not exist, or be empty.
        key: The private key: a file, or the address of a key in a service (see `seal.signers`).
        archive: Also write the bundle as this ZIP file; must not exist.
        operator: Who runs this.
        stamp: Gives a time stamp (an RFC 3161 response) over the signature; what it raises ends the sealing.
        progress: Told what is going on, after each step.

    Raises:
        FileError: the key, or a record of the run, cannot be used.
        CollectError: the service that holds the key cannot be reached, or refuses.
        NotReadyError: the run is not finished or not evaluated.
        VerifyError: the run folder was altered since it was collected or evaluated.
        OutputError: `out` or `archive` exists, or there is no room.
    """
    signer = signers.load(key)
    for warning in signer.warnings:
        progress(f"warning: {warning}")
    _check_ready(run_folder)
    _check_free(out, archive)
    beside = staging.staged(archive) if archive else nullcontext()
    with staging.staged(out) as folder, beside as packing:
        record = _build(run_folder, folder, out, signer, operator, stamp, progress)
        progress("sealed")
        if archive and packing:
            record = _pack(folder, packing, archive, record)
            progress("archive packed")
        with disk.output_errors(out):
            staging.publish(folder, out)
        progress(f"bundle is at {out}")
        if archive and packing:
            with disk.output_errors(archive):
                staging.publish_file(packing / _PACKED, archive)
            progress(f"archive is at {archive}")
    return record


def _check_ready(run_folder: Path) -> None:
    path = run_folder / records.RUN
    hint = "Run `compliancectl collect` and `compliancectl evaluate` first."
    if not path.is_file():
        raise NotReadyError("there is no run here: run.json is missing", file=run_folder, hint=hint)
    try:
        run = RunRecord.model_validate_json(path.read_bytes())
    except (OSError, ValueError) as error:
        raise FileError("this cannot be read as the record of a run", file=path, hint=hint) from error
    if run.status == "open" or run.finished_at is None:
        raise NotReadyError(
            f"the run {run.id} is not finished", file=path, hint="Finish it with `compliancectl collect --resume`."
        )
    shards.refuse(run_folder)
    if not (run_folder / records.RESULTS).is_file():
        raise NotReadyError(
            f"the run {run.id} is not evaluated", file=run_folder, hint="Run `compliancectl evaluate` first."
        )


def _check_free(out: Path, archive: Path | None) -> None:
    disk.refuse_sealed(out)
    if archive:
        disk.refuse_sealed(archive)
    if os.path.lexists(out) and not (out.is_dir() and not out.is_symlink() and not any(out.iterdir())):
        raise OutputError("something else is here already", file=out, hint="Choose a folder that does not exist yet.")
    if archive and archive.resolve().is_relative_to(out.resolve()):
        raise OutputError(
            "the archive cannot lie inside the bundle that it is made from",
            file=archive,
            hint="Put it beside the bundle's folder.",
        )
    if archive and os.path.lexists(archive):
        raise OutputError("a file is here already, and is never overwritten", file=archive, hint="Choose another name.")


def _build(
    run_folder: Path,
    folder: Path,
    out: Path,
    signer: signers.Signer,
    operator: Operator,
    stamp: Callable[[bytes], bytes] | None,
    progress: Callable[[str], None],
) -> BundleRecord:
    """Fill the staging folder up to the seal."""
    try:
        with disk.output_errors(out):
            files = _copy(run_folder, folder, progress)
        found = records.load(files)
        records.check(found, files)
        run, results = found.run, found.results
        if run is None or results is None:
            raise Problem("is missing", member=records.RESULTS)
    except Problem as problem:
        raise VerifyError(
            f"{problem.member or 'the run folder'} {problem.message}; the run is not sealed",
            step=VerifyStep.RECORDS,
            file=run_folder,
            hint="The run folder was altered, or is damaged. Collect and evaluate again.",
        ) from problem
    signed, listing, totals = _seal(folder, out, files, found, signer, operator, progress)
    stamped = stamp(signed.envelope.signature) if stamp else None
    with disk.output_errors(out):
        if stamped is not None:
            disk.write_whole(folder / additions.next_timestamp(()), stamped)
        for name, data in signed.seal().items():
            disk.write_whole(folder / name, data)
        disk.sync_tree(folder)
    return BundleRecord(
        id=run.id,
        folder=str(out),
        sums_sha256=canonical.sha256(listing),
        key_id=signed.envelope.key_id,
        status="complete" if run.status == "complete" else "partial",
        totals=totals,
        warnings=signer.warnings,
    )


def _seal(
    folder: Path,
    out: Path,
    files: Files,
    found: Records,
    signer: signers.Signer,
    operator: Operator,
    progress: Callable[[str], None],
) -> tuple[Signed, bytes, Totals]:
    """Write what the seal is about, and sign it; returns the signature, SHA256SUMS and the totals."""
    run, results = found.run, found.results
    assert run is not None and results is not None
    with disk.output_errors(out):
        files = _add_own(folder, files, found, run)
        progress("README.txt and evidence/INDEX.csv written")
        totals = records.totals(found, files.sizes)
        payload = statement.make(
            run=run,
            results=results,
            operator=operator,
            totals=totals,
            redaction=records.redaction(found.items),
            digests=files.digests,
        )
        listing = sums.write(files.digests)
        disk.write_whole(folder / sums.NAME, listing)
        progress(f"{len(files.digests)} files listed in {sums.NAME}")
    return signer.sign(payload), listing, totals


def _copy(run_folder: Path, folder: Path, progress: Callable[[str], None]) -> Files:
    """Copy the run's files, hashing what is copied."""
    source = Folder(run_folder, only=(records.RUN, *_FOLDERS))
    wanted = [name for name in source.sizes if name != records.INDEX]
    for name in wanted:
        if reason := names.problem(name):
            raise Problem(f"cannot go into a bundle: the name {reason}", member=name)
    if pair := names.clash(wanted):
        raise Problem(f"and {pair[0]} are one file on some systems", member=pair[1])
    digests: dict[str, str] = {}
    sizes: dict[str, int] = {}
    kept: dict[str, bytes] = {}
    made: set[str] = set()
    start = f"{folder}/"
    for number, name in enumerate(wanted, start=1):
        parent = name.rpartition("/")[0]
        if parent not in made:
            (folder / parent).mkdir(parents=True, exist_ok=True)
            made.add(parent)
        digests[name], sizes[name] = _copy_one(source, name, start + name, kept if names.is_record(name) else None)
        if number % 100 == 0 or number == len(wanted):
            progress(f"{number} of {len(wanted)} files copied")
    return Files(digests, sizes, kept)


def _copy_one(source: Folder, name: str, target: str, kept: dict[str, bytes] | None) -> tuple[str, int]:
    """Copy and hash one file, keeping its bytes in `kept` if there is one.

    It is forced to the disk with all the others, before the bundle gets its name.
    """
    digest, count, whole = hashlib.sha256(), 0, []
    handle, size = source.handle(name)
    try:
        copy = os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o666)
        try:
            for piece in pieces(handle, size):
                digest.update(piece)
                count += _all(copy, piece)
                if kept is not None:
                    whole.append(bytes(piece))
        finally:
            os.close(copy)
    finally:
        os.close(handle)
    if kept is not None:
        kept[name] = b"".join(whole)
    return digest.hexdigest(), count


def _all(handle: int, piece: bytes | memoryview) -> int:
    """Write a piece whole: the system may take only part of it."""
    rest = memoryview(piece)
    while rest:
        rest = rest[os.write(handle, rest) :]
    return len(piece)


def _add_own(folder: Path, files: Files, found: Records, run: RunRecord) -> Files:
    """Add the two files that bundling itself writes for people."""
    own = {
        readme.NAME: readme.text(run),
        records.INDEX: index.write(found.items.values(), files.digests),
    }
    for name, data in own.items():
        disk.write_whole(folder / name, data)
    digests = {**files.digests, **{name: canonical.sha256(data) for name, data in own.items()}}
    sizes = {**files.sizes, **{name: len(data) for name, data in own.items()}}
    return Files(digests, sizes, files.records)


def _pack(folder: Path, packing: Path, archive: Path, record: BundleRecord) -> BundleRecord:
    """Write the ZIP beside its place; returns the record with its digest."""
    packed = packing / _PACKED
    with disk.output_errors(archive), packed.open("wb") as stream:
        zip_archive.write(Folder(folder), record.id, stream)
        stream.flush()
        os.fsync(stream.fileno())
    return record.model_copy(update={"archive": str(archive), "archive_sha256": canonical.sha256_file(packed)})
