"""Each source's section of the scope file, checked by its collector's own model, with errors that name the line."""

from __future__ import annotations

from collections.abc import Mapping

import pydantic

from compliancectl.errors import FileError
from compliancectl.load.problems import nearest
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
    first = error.errors()[0]
    parts = ["sources", name, *(str(part) for part in first["loc"])]
    message = first["msg"].removeprefix("Value error, ")
    hint = "`compliancectl init` writes a commented example of every section."
    if first["type"] == "extra_forbidden":
        message = "no such key"
        known = sorted(config.model_fields) if len(first["loc"]) == 1 else []
        close = nearest(parts[-1], known)
        hint = f"Did you mean {close!r}?" if close else hint
    return FileError(f"{'.'.join(parts)}: {message}", file=scope.file, line=_line(scope, parts), hint=hint)


def _line(scope: Scope, parts: list[str]) -> int | None:
    """The line of the key, or of the nearest key around it."""
    for length in range(len(parts), 0, -1):
        if (line := scope.lines.get(".".join(parts[:length]))) is not None:
            return line
    return None
