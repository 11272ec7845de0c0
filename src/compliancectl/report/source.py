"""What a report is made from: a bundle (folder or ZIP), or a run folder that has been evaluated."""

from __future__ import annotations

import tempfile
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, timedelta
from pathlib import Path
from typing import Any, TypeVar

import pydantic

from compliancectl import canonical
from compliancectl.errors import FileError, NotReadyError, UsageError, VerifyError
from compliancectl.load.claims import load_claims
from compliancectl.load.frameworks import load_frameworks
from compliancectl.model.base import Wire
from compliancectl.model.claim import ClaimRegister
from compliancectl.model.evidence import EvidenceItem, RunRecord, Window
from compliancectl.model.framework import Framework
from compliancectl.model.result import Results, TestResult
from compliancectl.report import population
from compliancectl.report.population import Population
from compliancectl.seal import Problem, archive, container, dsse, sums

RESULTS = "results/results.json"
RUN = "run.json"
SUMS = "SHA256SUMS"
STATEMENT = "seal/statement.json"
FRAMEWORKS = "catalog/frameworks/"
CLAIMS = "catalog/claims.yaml"
ENVELOPE = "seal/evidence.intoto.jsonl"
PRINTED = 25
"""Items printed for a test; a longer population is enclosed whole."""
ON_SCREEN = 20_000
"""Items of all tests together that an HTML report holds: a browser stays quick with them."""

_SMALL = 64 * 1024**2
_LARGE = 1024**3
W = TypeVar("W", bound=Wire)


@dataclass(frozen=True)
class Row:
    """One row of a table of evidence."""

    evidence: str
    """Id of the evidence item that it comes from."""
    values: Mapping[str, Any]

    def __getitem__(self, column: str) -> Any:
        return self.values[column]


@dataclass(frozen=True)
class Source:
    """One bundle or run, read and checked for what a report needs."""

    name: str
    """File or folder name, as a person would call it."""
    run: RunRecord
    results: Results
    results_bytes: bytes
    items: tuple[EvidenceItem, ...]
    """Sorted by id."""
    item_digests: dict[str, str]
    """Evidence item id → SHA-256 of its item.json."""
    frameworks: tuple[Framework, ...]
    catalog: tuple[tuple[str, str], ...]
    """Frozen inputs: (path, SHA-256), sorted."""
    sums: bytes | None
    """SHA256SUMS, or None when the run is not sealed."""
    statement: bytes | None
    signer: str | None
    """Id of the key that sealed the bundle, as its envelope names it."""
    populations: dict[tuple[str, str], Population] = field(repr=False)
    """(control, test) → its items."""
    windows: dict[tuple[str, str], tuple[Window, ...]] = field(repr=False)
    """(control, test) → what its evidence about events speaks about."""
    claims: ClaimRegister | None = field(repr=False)
    """The register of public statements that was kept, if there is one."""
    rows: dict[str, tuple[Row, ...]] = field(repr=False)
    """Table → all its rows, of the tables that were asked for."""

    @property
    def sealed(self) -> bool:
        return self.sums is not None

    @property
    def digest(self) -> str:
        """SHA-256 of SHA256SUMS; of results.json when the run is not sealed."""
        return canonical.sha256(self.sums if self.sums is not None else self.results_bytes)

    @property
    def incomplete(self) -> bool:
        """True if anything that was asked for was not collected whole."""
        return self.run.status != "complete" or any(i.status != "collected" for i in self.items)


def load(path: Path, *, screen: bool = False, tables: Sequence[str] = ()) -> Source:
    """Read a bundle or an evaluated run folder.

    Every file that is read of a sealed bundle is held against SHA256SUMS: nothing gets into a report that was changed
    after the sealing.

    Args:
        path: the bundle (folder or ZIP) or the run folder.
        screen: whether it is for a browser, which has room for more items than paper.
        tables: tables of evidence whose rows are wanted.

    Raises:
        UsageError: if there is nothing at `path`.
        NotReadyError: if it was not evaluated.
        VerifyError: if a file of a sealed bundle is not the one that was sealed.
        FileError: if a file in it is damaged.
    """
    if not path.exists():
        raise UsageError(f"{path} does not exist", hint="Name a bundle (folder or .zip) or a run folder.")
    try:
        with archive.opened(path) as members:
            return _Reader(path, members, screen, tables).source()
    except Problem as problem:
        file = f"{path}/{problem.member}" if problem.member else path
        raise FileError(problem.message, file=file, hint=problem.hint or "Make the bundle again.") from None


class _Reader:
    def __init__(self, path: Path, members: container.Container, screen: bool, tables: Sequence[str]) -> None:
        self.path = path
        self.members = members
        self.screen = screen
        self.tables = tables
        self.sums = self._seal(SUMS)
        self.listed = sums.parse(self.sums) if self.sums is not None else {}

    def source(self) -> Source:
        results_bytes = self._required(RESULTS, "Run `compliancectl evaluate` first.")
        results = self._parse(Results, RESULTS, results_bytes)
        run = self._parse(RunRecord, RUN, self._required(RUN, "Run `compliancectl collect` first."))
        item_files = [n for n in self.members.sizes if n.startswith("evidence/") and _is_item(n)]
        item_bytes = {name: self.read(name) for name in item_files}
        items = {name: self._parse(EvidenceItem, name, data) for name, data in item_bytes.items()}
        tests = [(control.id, test) for control in results.controls for test in control.tests]
        printed = share([test.counts.total for _, test in tests], ON_SCREEN) if self.screen else PRINTED
        return Source(
            name=self.path.resolve().name,
            run=run,
            results=results,
            results_bytes=results_bytes,
            items=tuple(sorted(items.values(), key=lambda i: i.id)),
            item_digests={item.id: canonical.sha256(item_bytes[name]) for name, item in items.items()},
            frameworks=self._frameworks(),
            catalog=tuple((n, canonical.sha256(self.read(n))) for n in self.members.sizes if n.startswith("catalog/")),
            sums=self.sums,
            statement=self._seal(STATEMENT),
            signer=self._signer(),
            populations={(id, test.id): self._population(id, test, printed, days(results)) for id, test in tests},
            windows={(id, test.id): _windows(test, items.values()) for id, test in tests},
            claims=self._claims(),
            rows={table: tuple(self._rows(table, items.values())) for table in self.tables},
        )

    def read(self, name: str, limit: int = _SMALL) -> bytes:
        """Read a member; in a sealed bundle, only if it is the one that was sealed."""
        data = container.read(self.members, name, limit=limit)
        if self.sums is not None and self.listed.get(name) != canonical.sha256(data):
            what = "was changed after the bundle was sealed" if name in self.listed else "was added to a sealed bundle"
            hint = f"Obtain the bundle again; `compliancectl verify {self.path}` says all that is wrong with it."
            raise VerifyError(f"{name} {what}", step=9 if name in self.listed else 4, file=self.path, hint=hint)
        return data

    def _seal(self, name: str) -> bytes | None:
        """A file of the seal itself, which cannot be listed in SHA256SUMS."""
        return container.read(self.members, name, limit=_LARGE) if name in self.members.sizes else None

    def _signer(self) -> str | None:
        line = self._seal(ENVELOPE)
        return dsse.parse(line, member=ENVELOPE).key_id if line is not None else None

    def _required(self, name: str, hint: str) -> bytes:
        if name not in self.members.sizes:
            raise NotReadyError(f"{self.path} holds no {name}", hint=hint)
        return self.read(name, _LARGE)

    def _parse(self, kind: type[W], name: str, data: bytes) -> W:
        try:
            return kind.model_validate_json(data)
        except pydantic.ValidationError as error:
            first = error.errors(include_url=False)[0]
            where = ".".join(str(part) for part in first["loc"]) or "top"
            message = f"This is not a file that this version can read: {where}: {first['msg']}."
            raise FileError(message, file=f"{self.path}/{name}", hint="Use the version that wrote it.") from None

    def _frameworks(self) -> tuple[Framework, ...]:
        files = [n for n in self.members.sizes if n.startswith(FRAMEWORKS) and n.endswith(".yaml")]
        if not files:
            raise NotReadyError(f"{self.path} holds no {FRAMEWORKS}", hint="Run `compliancectl evaluate` again.")
        with tempfile.TemporaryDirectory(prefix="compliancectl-report-") as folder:
            for name in files:
                (Path(folder) / Path(name).name).write_bytes(self.read(name))
            return load_frameworks(Path(folder))

    def _claims(self) -> ClaimRegister | None:
        if CLAIMS not in self.members.sizes:
            return None
        with tempfile.TemporaryDirectory(prefix="compliancectl-report-") as folder:
            file = Path(folder) / "claims.yaml"
            file.write_bytes(self.read(CLAIMS))
            return load_claims(file)

    def _rows(self, table: str, items: Iterable[EvidenceItem]) -> Iterable[Row]:
        """Read a table's rows, from files whose digests are those that their evidence items state."""
        from compliancectl.query.rows import read_rows

        for item in sorted(items, key=lambda i: i.id):
            for part in item.tables:
                if part.table != table or not part.rows:
                    continue
                name = f"evidence/{item.id}/{part.path}"
                data = self.read(name, _LARGE)
                if canonical.sha256(data) != part.sha256:
                    message = "The digest differs from the one in item.json."
                    raise FileError(message, file=f"{self.path}/{name}", hint="Collect again.")
                with tempfile.NamedTemporaryFile(suffix=".parquet") as file:
                    file.write(data)
                    file.flush()
                    for values in read_rows(Path(file.name)):
                        yield Row(item.id, values)

    def _population(self, control: str, test: TestResult, printed: int, period: tuple[date, date]) -> Population:
        """Read the items of a test, from a file whose digest is the one that the results state."""
        if test.items_path is None or not test.counts.total:
            return population.NOTHING
        data = self.read(test.items_path, _LARGE)
        if canonical.sha256(data) != test.items_sha256:
            message = "The digest differs from the one in results.json."
            raise FileError(message, file=f"{self.path}/{test.items_path}", hint="Evaluate again.")
        name = f"{control}.{test.id}.csv"
        return population.read(data, name=name, shown=printed, enclose=not self.screen, period=period)


def days(results: Results) -> tuple[date, date]:
    """The first and the last day of the observation period."""
    return results.period.start.date(), (results.period.end - timedelta(microseconds=1)).date()


def _windows(test: TestResult, items: Iterable[EvidenceItem]) -> tuple[Window, ...]:
    read = {id for use in test.tables for id in use.items}
    return tuple(item.window for item in items if item.id in read and item.window is not None)


def share(counts: Sequence[int], room: int) -> int:
    """The most items of one test that may be shown, so that all tests together stay within `room`.

    Small populations are shown whole before large ones are cut. Never less than on paper.
    """
    limit, left, open_tests = room, room, len(counts)
    for count in sorted(counts):
        limit = left // open_tests
        if count > limit:
            break
        left, open_tests, limit = left - count, open_tests - 1, room
    return max(limit, PRINTED)


def _is_item(name: str) -> bool:
    parts = name.split("/")
    return len(parts) == 5 and parts[-1] == "item.json" and not any(p.startswith(".") for p in parts)
