"""Each source's section of the scope file, checked by its collector's own model, with errors that name the line."""

from __future__ import annotations

from collections.abc import Mapping

import pydantic

from compliancectl.errors import FileError
from compliancectl.load.forms import dotted, in_words, keys_at
from compliancectl.load.problems import suggestion
from compliancectl.model.scope import Scope
from compliancectl.plugins import Installed


def validate_sections(scope: Scope, collectors: Mapping[str, Installed]) -> dict[str, pydantic.BaseModel]:
    """Check each source's section against its collector's own model.

    Raises:
        FileError: naming file, line, the key and what it should be.
    """
    checked: dict[str, pydantic.BaseModel] = {}
    for name, installed in collectors.items():
        config: type[pydantic.BaseModel] = installed.collector.config
        try:
            checked[name] = config.model_validate(scope.sources[name])
        except pydantic.ValidationError as error:
            raise _section_error(scope, name, config, error) from None
    return checked


def _section_error(
    scope: Scope, name: str, config: type[pydantic.BaseModel], error: pydantic.ValidationError
) -> FileError:
    found = error.errors(include_url=False)
    # A misspelt key is missing under its right name too; the misspelling is what to mend.
    first = next((e for e in found if e["type"] == "extra_forbidden"), found[0])
    place = tuple(part for part in first["loc"] if isinstance(part, int) or not part.startswith("function-"))
    parts: tuple[str | int, ...] = ("sources", name, *place)
    hint: str | None = "`compliancectl init` writes a commented example of every section."
    if first["type"] == "extra_forbidden":
        message = f'Unknown key "{parts[-1]}" in {dotted(parts[:-1])}.'
        hint = suggestion(str(parts[-1]), keys_at(config, place[:-1])) or hint
    elif first["type"] == "missing":
        message = f'The key "{parts[-1]}" is missing in {dotted(parts[:-1])}.'
    else:
        message, own = in_words(dotted(parts), {**first, "msg": first["msg"].removeprefix("Value error, ")})
        hint = own or hint
    return FileError(message, file=scope.file, line=_line(scope, [str(part) for part in parts]), hint=hint)


def _line(scope: Scope, parts: list[str]) -> int | None:
    """The line of the key, or of the nearest key around it."""
    for length in range(len(parts), 0, -1):
        if (line := scope.lines.get(".".join(parts[:length]))) is not None:
            return line
    return None
