"""A sealed bundle, open for reading: every byte that is used is held against SHA256SUMS on the way.

Verification comes first and is the caller's; this adds that what is read now is what was listed then.
"""

from __future__ import annotations

import hashlib
import io
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar, cast

import pydantic

from compliancectl import canonical
from compliancectl.errors import FileError, NotReadyError, UsageError, VerifyError
from compliancectl.model.base import Wire
from compliancectl.model.evidence import EvidenceItem, RunRecord
from compliancectl.model.manifest import VerifyStep
from compliancectl.model.result import ItemResult, Results, TestResult
from compliancectl.seal import Problem, archive, container, records, sums
from compliancectl.seal.records import Whole

_RECORD = 256 * 1024**2
_PIECE = 64 * 1024
_LINE = 64 * 1024**2
"""Longest line of an items file, in bytes."""
W = TypeVar("W", bound=Wire)


@dataclass(frozen=True)
class Bundle:
    """One sealed bundle."""

    name: str
    """File or folder name, as a person would call it."""
    members: container.Container = field(repr=False)
    digests: Mapping[str, str] = field(repr=False)
    """Member name → SHA-256, as SHA256SUMS lists it."""
    sums_sha256: str
    """Digest of SHA256SUMS: the one number that stands for the whole bundle."""
    run: RunRecord
    results: Results

    def read(self, name: str) -> bytes:
        """A member whole.

        Raises:
            VerifyError: if it is not what SHA256SUMS lists.
        """
        data = container.read(self.members, name, limit=_RECORD)
        self._same(name, canonical.sha256(data))
        return data

    def evidence(self) -> tuple[EvidenceItem, ...]:
        """The evidence items, sorted by id."""
        names = [name for name in self.digests if name.startswith("evidence/") and name.endswith("/item.json")]
        return tuple(_parse(EvidenceItem, f"{self.name}/{name}", self.read(name)) for name in sorted(names))

    def lines(self, test: TestResult) -> Iterator[bytes]:
        """Every item of a test's population as it is written, sorted by resource; none when it was not judged.

        Raises:
            VerifyError: after the last one, if the file is not what SHA256SUMS lists.
        """
        if test.items_path is None:
            return
        digest = hashlib.sha256()
        # A member of an archive has no buffer of its own, and would look for the end of a line byte by byte.
        with io.BufferedReader(cast("io.RawIOBase", self.members.open(test.items_path)), _PIECE) as stream:
            while line := stream.readline(_LINE):
                digest.update(line)
                yield line
        self._same(test.items_path, digest.hexdigest())

    def items(self, test: TestResult) -> Iterator[ItemResult]:
        """Every item of a test's population, sorted by resource; none when it was not judged.

        Raises:
            VerifyError: after the last one, if the file is not what SHA256SUMS lists.
        """
        for line in self.lines(test):
            yield ItemResult.model_validate_json(line)

    def _same(self, name: str, digest: str) -> None:
        if self.digests.get(name) != digest:
            raise VerifyError(
                f"{name} is not what SHA256SUMS lists",
                step=VerifyStep.DIGESTS,
                file=self.name,
                hint="It was changed while it was being read. Get the bundle again.",
            )


@contextmanager
def opened(path: Path) -> Iterator[Bundle]:
    """Open a sealed bundle, folder or ZIP.

    Raises:
        UsageError: there is nothing at `path`.
        NotReadyError: it is not a sealed bundle.
        FileError: it cannot be read by this version.
        VerifyError: something in it is not what SHA256SUMS lists.
    """
    if not path.exists():
        raise UsageError(f"{path} does not exist", hint="Name a bundle: the folder, or its ZIP.")
    with _readable(path), archive.opened(path) as members:
        yield _bundle(path, members)


@contextmanager
def held(path: Path, whole: Whole) -> Iterator[Bundle]:
    """A bundle that was just verified, as verification has it open; nothing is parsed a second time.

    Raises:
        FileError: it can no longer be read.
        VerifyError: something in it is not what SHA256SUMS lists.
    """
    run, results = whole.records.run, whole.records.results
    if run is None or results is None:
        raise NotReadyError(f"{path} is not whole", hint="Name a sealed bundle, as `compliancectl run` makes it.")
    with _readable(path):
        yield Bundle(path.resolve().name, whole.members, whole.digests, whole.sums_sha256, run, results)


@contextmanager
def _readable(path: Path) -> Iterator[None]:
    try:
        yield
    except Problem as problem:
        file = f"{path}/{problem.member}" if problem.member else path
        raise FileError(problem.message, file=file, hint=problem.hint or "Get the bundle again.") from None


def _bundle(path: Path, members: container.Container) -> Bundle:
    for name in (sums.NAME, records.RUN, records.RESULTS):
        if name not in members.sizes:
            raise NotReadyError(
                f"{path} holds no {name}", hint="Name a sealed bundle, as `compliancectl run` makes it."
            )
    listing = container.read(members, sums.NAME, limit=_RECORD)
    digests = sums.parse(listing)
    found: dict[str, bytes] = {}
    for name in (records.RUN, records.RESULTS):
        found[name] = container.read(members, name, limit=_RECORD)
        if digests.get(name) != canonical.sha256(found[name]):
            raise VerifyError(f"{name} is not what SHA256SUMS lists", step=VerifyStep.DIGESTS, file=path)
    return Bundle(
        name=path.resolve().name,
        members=members,
        digests=digests,
        sums_sha256=canonical.sha256(listing),
        run=_parse(RunRecord, f"{path}/{records.RUN}", found[records.RUN]),
        results=_parse(Results, f"{path}/{records.RESULTS}", found[records.RESULTS]),
    )


def _parse(kind: type[W], name: str, data: bytes) -> W:
    try:
        return kind.model_validate_json(data)
    except pydantic.ValidationError as error:
        first = error.errors(include_url=False)[0]
        where = ".".join(str(part) for part in first["loc"]) or "top"
        message = f"This is not a file that this version can read: {where}: {first['msg']}."
        raise FileError(message, file=name, hint="Use the version that wrote it.") from None
