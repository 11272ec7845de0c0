"""The stages one after another, as `run` and `demo` need them, with what people see meanwhile."""

from __future__ import annotations

import getpass
import os
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from compliancectl import clock, disk
from compliancectl.cli import console
from compliancectl.errors import NotReadyError, OutputError, UsageError

if TYPE_CHECKING:
    from compliancectl.cli.journal import Journal
    from compliancectl.cli.project import Project
    from compliancectl.engines.base import Engine
    from compliancectl.model.certificate import Certificate
    from compliancectl.model.evidence import RunRecord
    from compliancectl.model.manifest import BundleRecord, Operator, Verification
    from compliancectl.model.result import Results
    from compliancectl.model.shard import ShardRecord

Paper = Literal["A4", "Letter"]
Form = Literal["pdf", "html"]
KEY_VARIABLE = "COMPLIANCECTL_SIGNING_KEY"
OPENINGS_VARIABLE = "COMPLIANCECTL_OPENINGS"
AUTHORITY_VARIABLE = "COMPLIANCECTL_TIMESTAMP_AUTHORITY"


@dataclass(frozen=True)
class Outputs:
    """Where everything of one run goes."""

    folder: Path

    @property
    def run(self) -> Path:
        return self.folder / "run"

    @property
    def bundle(self) -> Path:
        return self.folder / "bundle"

    @property
    def archive(self) -> Path:
        return self.folder / "bundle.zip"

    @property
    def reports(self) -> Path:
        return self.folder / "reports"


def collect_stage(
    project: Project,
    folder: Path,
    *,
    resume: bool,
    deadline_s: float,
    max_calls: int | None = None,
    part: ShardRecord | None = None,
    openings: Path | None = None,
    write_probes: bool = False,
) -> RunRecord:
    """Collect with progress on stderr."""
    from compliancectl.cli.project import tables_of
    from compliancectl.collect import collect

    if openings is not None and openings.resolve().is_relative_to(folder.resolve()):
        hint = "Name a folder of your own: whoever has the openings knows the people."
        raise UsageError("the openings cannot lie in the run's folder, which is handed over", hint=hint)

    tables = tables_of(project.selected, project.catalogue.tables)
    with console.collecting() as view:
        record = collect(
            project.scope,
            project.collectors,
            tables,
            folder,
            resume=resume,
            deadline_s=deadline_s,
            max_calls=max_calls,
            part=part,
            openings=openings,
            write_probes=write_probes,
            tell=view.tell,
        )
    if record.status != "complete":
        view.shortfall()
    return record


def evaluate_stage(
    project: Project,
    folder: Path,
    as_of: datetime | None,
    engine: tuple[Engine, Certificate] | None = None,
    tables: str | None = None,
    *,
    copy: bool = False,
) -> Results:
    """Judge a run folder, with its tables where `tables` says, if they are not in it.

    With `copy`, tables of a bucket are copied even if the engine could read them there.
    """
    from compliancectl import store
    from compliancectl.cli import places
    from compliancectl.evaluate import evaluate

    run = store.read_run(folder)
    if run.status == "open":
        hint = "Continue it: `compliancectl collect --resume --output FOLDER`."
        raise NotReadyError(f"the collection in {folder} did not finish", hint=hint)
    reader = (engine[0], project.catalogue.tables) if engine is not None and not copy else None
    with places.run_tables(tables, reader) as away, console.step("evaluating"):
        return evaluate(
            folder,
            project.selected,
            project.catalogue.tables,
            scope=project.scope,
            waivers=project.waivers,
            as_of=as_of,
            frameworks=project.catalogue.frameworks,
            claims=project.claims,
            catalogue=project.catalogue.controls,
            engine=engine,
            disabled=project.disabled,
            left_out=project.left_out,
            away=away(run.id) if away is not None else None,
        )


def bundle_stage(
    run: Path, out: Path, key: Path | str, archive: Path | None, authority: str | None = None
) -> BundleRecord:
    """Seal a run folder, with a time stamp by `authority` (an address) if there is one."""
    from compliancectl.bundle import bundle
    from compliancectl.seal import timestamp

    def stamp(signature: bytes) -> bytes:
        return timestamp.ask(authority or "", signature)

    with console.step("sealing the bundle"):
        return bundle(run, out, key=key, archive=archive, operator=operator(), stamp=stamp if authority else None)


def report_stage(
    kind: str,
    bundle: Path,
    out: Path,
    paper: Paper,
    *,
    form: Form = "pdf",
    brand: Path | None = None,
    earlier: tuple[Path, ...] = (),
    samples: tuple[Path, ...] = (),
    finish: Callable[[bytes], bytes] = lambda data: data,
) -> None:
    """Write one report."""
    from compliancectl.report import render

    disk.refuse_sealed(out)  # a file that is added breaks the seal
    with disk.output_errors(out):
        out.parent.mkdir(parents=True, exist_ok=True)
    with console.step(f"writing the {kind} report"):
        render(kind, bundle, out, form=form, paper=paper, brand=brand, earlier=earlier, samples=samples, finish=finish)


def refuse_altered(bundle: Path) -> None:
    """Nothing is reported about a sealed bundle that does not verify; whose seal it is, is the reader's question.

    Raises:
        VerifyError: if a step of the verification fails.
    """
    from compliancectl.period.check import verify_package
    from compliancectl.period.kind import is_package
    from compliancectl.verify import verify

    if bundle.is_dir() and not (bundle / "SHA256SUMS").exists():
        return  # a run folder; the report says on its cover that it is not sealed
    if not bundle.exists():
        return  # the report says so, with its own hint
    with console.step("verifying the bundle"):
        failure = (verify_package(bundle) if is_package(bundle) else verify(bundle)).failure
    if failure is not None:
        raise failure


def verify_stage(path: Path, key_id: str) -> Verification:
    """Verify against the one key that the caller has just sealed with."""
    from compliancectl.model.trust import Trust, TrustedKey
    from compliancectl.verify import verify

    with console.step("verifying"):
        return verify(path, trust=Trust(keys=(TrustedKey(key_id=key_id, name="the key of this run"),)))


def operator() -> Operator:
    """Who runs this: the CI job's actor, or the user."""
    from compliancectl.model.manifest import Operator

    for variable in ("COMPLIANCECTL_OPERATOR", "GITHUB_ACTOR", "GITLAB_USER_LOGIN"):
        if os.environ.get(variable):
            return Operator(id=os.environ[variable], kind="ci" if os.environ.get("CI") else "person")
    try:
        return Operator(id=getpass.getuser(), kind="ci" if os.environ.get("CI") else "person")
    except (KeyError, OSError):
        return Operator(id="unknown", kind="ci" if os.environ.get("CI") else "person")


def instant(text: str | None) -> datetime | None:
    """Parse `--as-of`; `now` is the present."""
    if text is None:
        return None
    if text == "now":
        return clock.now()
    try:
        return clock.parse(text)
    except ValueError:
        raise UsageError(
            f"--as-of: {text!r} is no instant", hint="Write it as 2026-08-01T00:00:00Z, or `now`."
        ) from None


def signing_key(key: str | None) -> str:
    """The key to seal with: `--key`, or the environment.

    Raises:
        UsageError: if none is named.
    """
    named = key or os.environ.get(KEY_VARIABLE)
    if not named:
        hint = f"Make one with `compliancectl keys new`, then name it with --key or {KEY_VARIABLE}."
        raise UsageError("no signing key is named", hint=hint)
    return named


def new_output(folder: Path | None, stem: str) -> Path:
    """The folder to write to: the one named, or a new one with the time in its name."""
    return folder or Path(f"{stem}-{clock.now():%Y%m%dT%H%M%SZ}")


def refuse_sealed(outputs: Outputs) -> None:
    """Never write over a bundle, or into one.

    Raises:
        OutputError: if the folder already holds one, or is one.
    """
    disk.refuse_sealed(outputs.folder)
    if outputs.bundle.exists() or outputs.archive.exists():
        raise OutputError(f"{outputs.folder} already holds a sealed bundle", hint="Choose a new folder with --output.")


def _is_collected(project: Project, folder: Path) -> bool:
    """Whether collection is done and only a later stage was interrupted: there is nothing to fetch again."""
    from compliancectl import store

    if not (folder / store.RUN_FILE).exists():
        return False
    record = store.read_run(folder)
    return record.status == "complete" and record.scope_sha256 == project.scope.sha256


@dataclass(frozen=True)
class Ending:
    """What becomes of a run once it is collected."""

    key: Path | str
    kinds: tuple[str, ...]
    paper: Paper
    as_of: datetime | None = None
    authority: str | None = None
    book: Journal | None = None
    exit_code: Callable[[Results], int] = lambda results: results.exit_code


def whole(project: Project, outputs: Outputs, gather: Callable[[], object], ending: Ending) -> int:
    """All stages in one go; prints the summary and the paths, returns the exit code (the highest that applies).

    Args:
        project: the scope and what it selects.
        outputs: where everything goes.
        gather: brings the evidence to `outputs.run`: collects it, or joins its shards.
        ending: how to judge, seal, enter and report.
    """
    from compliancectl import store
    from compliancectl.cli import summary
    from compliancectl.cli.verification import describe
    from compliancectl.seal import signers

    refuse_sealed(outputs)
    signers.load(ending.key)  # a wrong key must be found before an hour of collection, not after
    with disk.output_errors(outputs.folder):
        outputs.folder.mkdir(parents=True, exist_ok=True)
    book = ending.book
    opened = book.open(project) if book else None  # before the first call: a run that is dropped stays visible
    gather()
    results = evaluate_stage(project, outputs.run, ending.as_of)
    made = bundle_stage(outputs.run, outputs.bundle, ending.key, outputs.archive, ending.authority)
    if book and opened is not None:
        book.seal(opened, store.read_run(outputs.run), results, outputs.bundle)
    for kind in ending.kinds:
        report_stage(kind, outputs.bundle, outputs.reports / f"{kind}.pdf", ending.paper)
    verification = verify_stage(outputs.archive, made.key_id)
    summary.show(results)
    summary.paths(outputs.bundle, outputs.archive, *(outputs.reports / f"{kind}.pdf" for kind in ending.kinds))
    describe(verification)
    return max(ending.exit_code(results), verification.exit_code)


def gather_stage(
    project: Project,
    folder: Path,
    *,
    resume: bool,
    deadline_s: float,
    max_calls: int | None = None,
    openings: Path | None = None,
    write_probes: bool = False,
) -> None:
    """Collect, unless that is done and only a later stage was interrupted."""
    if not (resume and _is_collected(project, folder)):
        collect_stage(
            project,
            folder,
            resume=resume,
            deadline_s=deadline_s,
            max_calls=max_calls,
            openings=openings,
            write_probes=write_probes,
        )
