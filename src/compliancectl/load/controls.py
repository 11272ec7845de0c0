"""Control files: strict loading, one file or whole folders."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any

from compliancectl import clock
from compliancectl.errors import FileError
from compliancectl.load.document import Document, content, parse
from compliancectl.load.documents import documents_test
from compliancectl.load.forms import ControlForm, ExampleForm, TestForm, fill, kind
from compliancectl.load.problems import FileErrors, Problems, raise_all, suggestion
from compliancectl.model.control import Check, Control, DocumentNeed, Example, Test
from compliancectl.model.framework import Framework
from compliancectl.model.scope import Scope

RESERVED = ("as_of", "period_start", "period_end")
"""Parameters that the engine provides."""

_NOT_CONTROLS = ("frameworks",)
_NOT_CONTROL_FILES = ("claims.yaml", "waivers.yaml")


def load_controls(folders: Iterable[Path]) -> tuple[Control, ...]:
    """Read every control file in `folders` (sub-folders are topics), sorted by id.

    Raises:
        FileError: with file and line: any mistake in any file, and ids that occur twice, naming both files.
    """
    controls: dict[str, Control] = {}
    problems: list[FileError] = []
    for path in _control_files(folders):
        try:
            control = load_control(path)
        except FileErrors as errors:
            problems.extend(errors.problems)
            continue
        except FileError as error:
            problems.append(error)
            continue
        first = controls.setdefault(control.id, control)
        if first is not control:
            message = f"The control {control.id} is also defined in {first.file}."
            problems.append(FileError(message, hint="Give one of them another id.", file=path, line=control.line("id")))
    raise_all(problems)
    return tuple(controls[id] for id in sorted(controls))


def _control_files(folders: Iterable[Path]) -> list[Path]:
    found: list[Path] = []
    for folder in folders:
        if not folder.is_dir():
            raise FileError("The folder of controls does not exist.", file=folder, hint="Check the path.")
        for path in sorted([*folder.rglob("*.yaml"), *folder.rglob("*.yml")]):
            inside = path.relative_to(folder).parts
            hidden = any(part.startswith(".") for part in inside)
            if not hidden and not set(inside[:-1]) & set(_NOT_CONTROLS) and path.name not in _NOT_CONTROL_FILES:
                found.append(path)
    return found


def load_control(path: Path, *, topic: str | None = None) -> Control:
    """Read one control file; `topic` defaults to the name of its folder.

    Raises:
        FileError: with file and line, for the one mistake (`FileErrors` for several).
    """
    return _control(path, topic or path.resolve().parent.name, content(path))


@lru_cache(maxsize=512)
def _control(path: Path, topic: str, raw: bytes) -> Control:
    """A control never changes, and the same file is read again by each stage of a run and for each bundle of a period."""
    document, problems = parse(path, raw), Problems(path)
    form = fill(ControlForm, document, problems)
    if form is not None:
        _check_form(form, path, document, problems)
    problems.raise_if_any()
    assert form is not None
    tests = [_test(test, index, document) for index, test in enumerate(form.tests)]
    needs = tuple(
        DocumentNeed(**need.model_dump(), line=document.line("evidence", index))
        for index, need in enumerate(form.evidence)
    )
    if needs:
        tests.append(documents_test(needs))
    own = form.model_dump(
        include={"id", "title", "objective", "owner", "severity", "frequency", "remediation", "params"}
    )
    return Control(
        **own,
        satisfies=form.satisfies,
        tests=tuple(tests),
        evidence=needs,
        file=str(path),
        topic=topic,
        sha256=document.sha256,
        lines={"/".join(map(str, place)): line for place, line in document.lines.items() if place},
    )


def _test(form: TestForm, index: int, document: Document) -> Test:
    checks = tuple(
        Check(
            name=name,
            expect=check.expect.strip(),
            finding=check.finding.strip(),
            line=document.line("tests", index, "checks", name),
            expect_line=document.text_line("tests", index, "checks", name, "expect"),
        )
        for name, check in form.checks.items()
    )
    examples = tuple(_example(example, index, number, document) for number, example in enumerate(form.examples))
    return Test(
        id=form.id,
        population=form.population,
        checks=checks,
        may_be_empty=form.may_be_empty,
        optional_fields=form.optional_fields,
        examples=examples,
        line=document.line("tests", index),
        population_line=document.text_line("tests", index, "population"),
    )


def _example(form: ExampleForm, test: int, number: int, document: Document) -> Example:
    values = {name: getattr(form, name) for name in ("name", "given", "then", "params", "as_of")}
    period = (form.period[0], form.period[1]) if form.period else None
    return Example(**values, period=period, line=document.line("tests", test, "examples", number))


def _check_form(form: ControlForm, path: Path, document: Document, problems: Problems) -> None:
    """The rules that a form alone cannot say."""
    stem = path.stem
    if stem != form.id and not stem.startswith(f"{form.id}-"):
        hint = f'Name the file "{form.id}-….yaml", or correct the id.'
        problems.add(document.line("id"), f'The id {form.id} is not the start of the file name "{path.name}".', hint)
    if not form.tests and not form.evidence:
        problems.add(1, "The control has neither tests nor evidence, so nothing would be checked.", 'Add "tests:".')
    for name, value in form.params.items():
        _check_param(name, value, document.line("params", name), problems)
    _check_names(form, document, problems)
    for index, test in enumerate(form.tests):
        for number, example in enumerate(test.examples):
            _check_example(form, example, (index, number), document, problems)


def _check_names(form: ControlForm, document: Document, problems: Problems) -> None:
    seen: set[str] = set()
    for index, test in enumerate(form.tests):
        line = document.line("tests", index, "id")
        if test.id in seen:
            problems.add(line, f'Two tests are called "{test.id}".', "Give one of them another id.")
        if test.id == "documents" and form.evidence:
            problems.add(line, 'The test id "documents" belongs to the evidence of this control.', "Choose another id.")
        seen.add(test.id)
    needs: set[tuple[str, str]] = set()
    for index, need in enumerate(form.evidence):
        if (need.kind, need.subject) in needs:
            problems.add(
                document.line("evidence", index), f"The document {need.kind} of {need.subject} is listed twice."
            )
        needs.add((need.kind, need.subject))


def _check_example(
    form: ControlForm, example: ExampleForm, at: tuple[int, int], document: Document, problems: Problems
) -> None:
    place = ("tests", at[0], "examples", at[1])
    for name in example.params:
        if name not in form.params:
            hint = suggestion(name, form.params)
            problems.add(document.line(*place, "params", name), f'The control has no parameter "{name}".', hint)
    for key, text in (
        ("as_of", example.as_of),
        ("period", (example.period or ("",))[0]),
        ("period", (example.period or ("",))[-1]),
    ):
        if text:
            _check_instant(text, document.line(*place, key), problems)
    checks = form.tests[at[0]].checks
    for resource, wanted in example.then.items():
        for name in wanted if isinstance(wanted, dict) else ():
            if name not in checks:
                hint = suggestion(name, checks)
                problems.add(document.line(*place, "then", resource, name), f'The test has no check "{name}".', hint)


def _check_instant(text: str, line: int, problems: Problems) -> None:
    try:
        clock.parse(text)
    except ValueError:
        problems.add(line, f'"{text}" is not an instant.', "Write it like 2026-08-01T00:00:00Z.")


def _check_param(name: str, value: Any, line: int, problems: Problems) -> None:
    if name in RESERVED:
        problems.add(line, f'The parameter name "{name}" belongs to the engine.', "Choose another name.")
    elif (fault := param_fault(value)) is not None:
        problems.add(
            line,
            f"The parameter {name} {fault}.",
            "Use text, whole numbers, true/false, or a list or mapping of those.",
        )


def param_fault(value: Any) -> str | None:
    """Why a value cannot be a parameter, as the rest of a sentence; None if it can."""
    match value:
        case bool() | int() | str():
            return None
        case list() | tuple():
            kinds = {type(entry) for entry in value}
            if not value:
                return "is an empty list, whose type nobody can tell"
            return None if len(kinds) == 1 and kinds <= {int, str} else "must be a list of texts or of whole numbers"
        case dict():
            fault = next((entry for entry in value.values() if not isinstance(entry, bool | int | str)), None)
            if not value:
                return "is an empty mapping"
            return None if fault is None else f"holds {kind(fault)}"
        case _:
            return f"is {kind(value)}"


def check_criteria(controls: Iterable[Control], frameworks: Iterable[Framework]) -> None:
    """Check that every criterion in `satisfies` exists.

    Raises:
        FileError: naming file and line of each that does not.
    """
    known = {framework.id: framework for framework in frameworks}
    problems: list[FileError] = []
    for control in controls:
        for id, criteria in control.satisfies.items():
            problems.extend(_criteria_faults(control, id, criteria, known))
    raise_all(problems)


def _criteria_faults(
    control: Control, id: str, criteria: tuple[str, ...], known: Mapping[str, Framework]
) -> Iterable[FileError]:
    if id not in known:
        hint = suggestion(id, known)
        yield FileError(
            f'There is no framework "{id}".', hint=hint, file=control.file, line=control.line("satisfies", id)
        )
        return
    ids = [criterion.id for criterion in known[id].criteria]
    for index, criterion in enumerate(criteria):
        line = control.line("satisfies", id, index)
        if criterion not in ids:
            message = f'{known[id].name} has no criterion "{criterion}".'
            yield FileError(message, hint=suggestion(criterion, ids), file=control.file, line=line)
        if criterion in criteria[:index]:
            yield FileError(
                f'The criterion "{criterion}" stands twice.', hint="Keep one.", file=control.file, line=line
            )


def check_overrides(scope: Scope, controls: Iterable[Control]) -> None:
    """Check that every parameter override of a scope names a control and a parameter, and keeps its type.

    Raises:
        FileError: naming file and line of each that does not.
    """
    known = {control.id: control for control in controls}
    problems = Problems(scope.file)
    for id, overrides in scope.controls.params.items():
        line = scope.lines.get(f"controls.params.{id}")
        if id not in known:
            problems.add(line, f'The parameters name the control "{id}", which does not exist.', suggestion(id, known))
            continue
        for name, value in overrides.items():
            _check_override(known[id], name, value, scope.lines.get(f"controls.params.{id}.{name}", line), problems)
    problems.raise_if_any()


def _check_override(control: Control, name: str, value: Any, line: int | None, problems: Problems) -> None:
    if name not in control.params:
        otherwise = None if control.params else "It has no parameters."
        hint = suggestion(name, control.params, otherwise=otherwise)
        problems.add(line, f'{control.id} has no parameter "{name}".', hint)
        return
    fault = override_fault(control.params[name], value)
    if fault is not None:
        problems.add(line, f"{control.id}: the parameter {name} {fault}.", f"Its default is {control.params[name]!r}.")


def override_fault(default: Any, value: Any) -> str | None:
    """Why `value` cannot stand for a parameter with this default, as the rest of a sentence; None if it can."""
    fault = param_fault(value)
    if fault is not None:
        return fault
    if _kind(default) != _kind(value):
        return f"must be {_kind(default)}, but it is {kind(value)}"
    if isinstance(default, dict) and {k: _kind(v) for k, v in default.items()} != {
        k: _kind(v) for k, v in value.items()
    }:
        return f"must have exactly the keys {', '.join(sorted(default))}, with values of the same kinds"
    return None


def _kind(value: Any) -> str:
    match value:
        case bool():
            return "true or false"
        case int():
            return "a whole number"
        case str():
            return "text"
        case list() | tuple():
            return f"a list of {'whole numbers' if value and isinstance(value[0], int) else 'texts'}"
        case _:
            return "keys and values"
