"""Certification: an engine may judge by a control once it has answered every example and null probe as DuckDB does.

Compared are whole answers, value by value: every column of the population and the truth of every check, with the
example's rows as given and with each value that the test reads missing in turn. That DuckDB's own answers are what the
author expects is shown by `controls test`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path

import compliancectl
from compliancectl import canonical
from compliancectl.engines.base import Answer, Engine, EngineFailed, World
from compliancectl.errors import FileError, UsageError
from compliancectl.load.problems import raise_all
from compliancectl.model.certificate import Certificate, CertifiedControl, Difference
from compliancectl.model.control import Control
from compliancectl.model.table import Table
from compliancectl.query.answers import answer, answer_sql
from compliancectl.query.bind import Bound
from compliancectl.query.examples import Workbench, prepared
from compliancectl.query.given import Rows, leaves, replaced
from compliancectl.query.limits import Stopped
from compliancectl.query.syntax import Refused
from compliancectl.query.version import engine_version

_SHOWN = 3
"""Differences of one control that are described; all of them count."""


def certify(
    engine: Engine,
    controls: Iterable[Control],
    tables: Mapping[str, Table],
    progress: Callable[[str], None] = lambda text: None,
) -> Certificate:
    """Let an engine answer what DuckDB answers, and compare.

    Raises:
        FileErrors: an example cannot be prepared.
    """
    bench = Workbench(tables)
    try:
        found = []
        for control in sorted(controls, key=lambda c: c.id):
            progress(control.id)
            found.append(_control(bench, engine, control, tables))
    finally:
        bench.close()
    return Certificate(
        engine=engine.version(),
        translator=engine.translator(),
        reference=engine_version(),
        tool_version=compliancectl.__version__,
        controls=tuple(found),
    )


def read(path: Path, engine: str) -> Certificate:
    """A certificate from its file.

    Raises:
        UsageError: there is none, or it is no certificate.
    """
    hint = f"Run `compliancectl engines certify {engine}`, which writes it."
    if not path.is_file():
        raise UsageError(f"{engine} is not certified: there is no {path}", hint=hint)
    try:
        return Certificate.model_validate_json(path.read_bytes())
    except (OSError, ValueError) as error:
        raise UsageError(f"{path} is no certificate of an engine", hint=hint) from error


def require(certificate: Certificate, engine: Engine, controls: Iterable[Control], tables: Mapping[str, Table]) -> None:
    """Hold a certificate against what is about to be judged.

    Raises:
        UsageError: it is another engine's, or a control is not certified as it stands.
    """
    hint = f"Run `compliancectl engines certify {engine.name}`."
    for what, certified, present in (
        ("engine", certificate.engine, engine.version()),
        ("translator", certificate.translator, engine.translator()),
    ):
        if certified != present:
            raise UsageError(f"the certificate is for the {what} {certified}, but this is {present}", hint=hint)
    known = {control.id: control for control in certificate.controls}
    for control in controls:
        found = known.get(control.id)
        if found is None:
            raise UsageError(f"{engine.name} is not certified for {control.id}", hint=hint)
        if found.sha256 != control.sha256 or found.tables_sha256 != _contract(control, tables):
            raise UsageError(f"{control.id} was changed after {engine.name} was certified for it", hint=hint)
        if found.unexampled or not found.worlds:
            tests = ", ".join(found.unexampled) or "it"
            raise UsageError(
                f"{engine.name} is not certified for {control.id}: there is no example of {tests}, so nothing shows "
                "how it is answered",
                hint="Add an example, or judge it on duckdb (`--only` selects controls).",
            )
        if found.differing:
            raise UsageError(
                f"{engine.name} is not certified for {control.id}: {found.differing} of {found.worlds} answers differed",
                hint="Judge it on duckdb (`--only` selects controls).",
            )


def _control(bench: Workbench, engine: Engine, control: Control, tables: Mapping[str, Table]) -> CertifiedControl:
    worlds, differences = 0, []
    examples = list(prepared(bench, control))
    engine.declare({name: tables[name] for _, bound, _ in examples for name in bound.tables}, {})
    alike: dict[tuple[str, str], list[tuple[str, Bound, Rows]]] = {}
    for example in examples:  # of one test at one time, with the same parameters: they ask the same
        alike.setdefault((example[1].test.id, answer_sql(example[1])), []).append(example)
    for mine in alike.values():
        bound = mine[0][1]
        try:
            engine.prepare(bound)
        except Refused as refused:
            where = f"{control.file}:{bound.test.population_line}, "
            differences += [Difference(where=where + called, what=refused.message) for called, _, _ in mine]
            worlds += len(mine)
            continue
        asked = [world for called, _, rows in mine for world in _worlds(called, bound, rows, tables)]
        worlds += len(asked)
        for world, theirs in zip(asked, engine.worlds(bound, tables, asked), strict=True):
            ours = _ours(bench, bound, world)
            if _difference(ours, theirs) is None:
                continue
            (alone,) = engine.worlds(bound, tables, [world])  # it was asked together with others, and that may be why
            if (what := _difference(ours, alone)) is not None:
                differences.append(Difference(where=world.name, what=what))
    return CertifiedControl(
        id=control.id,
        sha256=control.sha256,
        tables_sha256=_contract(control, tables),
        worlds=worlds,
        differing=len(differences),
        differences=tuple(differences[:_SHOWN]),
        unexampled=tuple(test.id for test in control.tests if not test.examples),
    )


def _worlds(called: str, bound: Bound, rows: Rows, tables: Mapping[str, Table]) -> Iterator[World]:
    yield World(called, rows)
    for leaf in leaves(rows, bound, dict(tables)):
        yield World(
            f"{called}, without {leaf.name} in row {leaf.row + 1}", {**rows, leaf.table: replaced(rows, leaf, None)}
        )


def _ours(bench: Workbench, bound: Bound, world: World) -> Answer | EngineFailed:
    try:
        return answer(bench, bound, world.rows)
    except Stopped as stopped:
        return EngineFailed(str(stopped))


def _difference(ours: Answer | EngineFailed, theirs: Answer | EngineFailed) -> str | None:
    if isinstance(theirs, EngineFailed):
        return None if isinstance(ours, EngineFailed) else str(theirs)
    if isinstance(ours, EngineFailed):
        return f"DuckDB fails here, and this engine answers: {ours}"
    mine, other = sorted(map(repr, ours)), sorted(map(repr, theirs))
    if mine == other:
        return None
    if len(mine) != len(other):
        return f"{len(mine)} items on DuckDB, {len(other)} here"
    first, second = next((a, b) for a, b in zip(mine, other, strict=True) if a != b)
    return f"{first} on DuckDB, {second} here"


def _contract(control: Control, tables: Mapping[str, Table]) -> str:
    """A digest of the declared types of every table that the control's texts name."""
    texts = " ".join(test.population.lower() for test in control.tests)
    named = {name: [(c.name, c.type.sql, c.required) for c in tables[name]] for name in sorted(tables) if name in texts}
    return canonical.sha256(canonical.to_bytes(named))


def admit(
    engine: tuple[Engine, Certificate],
    controls: Sequence[Control],
    bound: Mapping[str, tuple[Bound, ...]],
    tables: Mapping[str, Table],
) -> None:
    """Refuse an engine that is not certified, and SQL that it does not accept, before anything runs.

    Raises:
        UsageError: it is not certified for what is about to be judged.
        FileErrors: it does not accept some SQL.
    """
    require(engine[1], engine[0], controls, tables)
    engine[0].declare({name: tables[name] for tests in bound.values() for test in tests for name in test.tables}, {})
    raise_all([fault for control in controls for fault in refusals(engine[0], control, bound[control.id])])


def refusals(engine: Engine, control: Control, bound: Iterable[Bound]) -> list[FileError]:
    """What an engine does not accept of a control, with file and line."""
    found = []
    for test in bound:
        try:
            engine.prepare(test)
        except Refused as refused:
            line = test.test.population_line
            found.append(FileError(refused.message, hint=refused.hint, file=control.file, line=line))
    return found
