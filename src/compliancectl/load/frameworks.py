"""`controls/frameworks/*.yaml`: frameworks and their criteria."""

from __future__ import annotations

from pathlib import Path

from pydantic import Field

from compliancectl.errors import FileError
from compliancectl.load.document import read
from compliancectl.load.forms import Form, Text, fill
from compliancectl.load.problems import FileErrors, Problems, raise_all
from compliancectl.model.framework import Criterion, Framework


class FrameworkForm(Form):
    """A published set of demands."""

    id: Text
    name: Text
    version: Text
    notes: tuple[Text, ...] = ()
    criteria: tuple[Criterion, ...] = Field(min_length=1)


def load_frameworks(folder: Path) -> tuple[Framework, ...]:
    """Read every framework in `folder`, sorted by id.

    Raises:
        FileError: with file and line, for the first or for all mistakes.
    """
    if not folder.is_dir():
        raise FileError("The folder of frameworks does not exist.", file=folder, hint="Check the path.")
    found: list[Framework] = []
    problems: list[FileError] = []
    for path in sorted(folder.glob("*.yaml")):
        try:
            found.append(load_framework(path))
        except FileErrors as errors:
            problems.extend(errors.problems)
        except FileError as error:
            problems.append(error)
    raise_all(problems)
    return tuple(sorted(found, key=lambda framework: framework.id))


def load_framework(path: Path) -> Framework:
    """Read one framework file.

    Raises:
        FileError: with file and line.
    """
    document, problems = read(path), Problems(path)
    form = fill(FrameworkForm, document, problems)
    if form is not None:
        if form.id != path.stem:
            problems.add(
                document.line("id"), f'The id "{form.id}" differs from the file name "{path.name}".', "Make them equal."
            )
        seen: dict[str, int] = {}
        for index, criterion in enumerate(form.criteria):
            line = document.line("criteria", index, "id")
            if criterion.id in seen:
                problems.add(
                    line, f"The criterion {criterion.id} stands twice; the first is on line {seen[criterion.id]}."
                )
            seen.setdefault(criterion.id, line)
    problems.raise_if_any()
    assert form is not None
    values = {name: getattr(form, name) for name in FrameworkForm.model_fields}
    return Framework(**values, file=str(path), sha256=document.sha256)
