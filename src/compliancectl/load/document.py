"""One YAML 1.2 file as plain data that remembers its lines.

Stricter than YAML: UTF-8 only, one document, no anchors, aliases, tags or merge keys, text keys, no key twice.
Plain scalars follow the YAML 1.2 core schema, so `on`, `NO` and `2026-08-01` are text.
"""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from compliancectl import canonical
from compliancectl.errors import FileError
from compliancectl.load.nodes import Node, TooDeep, compose

MAX_BYTES = 1_000_000
"""Largest file that people are expected to write, in bytes."""
MAX_DEPTH = 40
_MAX_BRACKETS = 200
"""Open brackets at one place, those in texts included."""
_INVISIBLE = frozenset({"Cf", "Cn", "Co", "Cs", "Zl", "Zp"})
"""Unicode categories of signs without a shape: format and direction marks, line separators, private use."""

Path_ = tuple[str | int, ...]

_NULL = re.compile(r"^(?:~|null|Null|NULL|)$")
_BOOL = re.compile(r"^(?:true|True|TRUE|false|False|FALSE)$")
_INT = re.compile(r"^[-+]?[0-9]+$")
_FLOAT = re.compile(
    r"^[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?$|^[-+]?\.(?:inf|Inf|INF)$|^\.(?:nan|NaN|NAN)$"
)


@dataclass(frozen=True)
class Document:
    """Plain data, its lines, and the digest of the exact bytes it was read from."""

    file: Path
    data: Any
    sha256: str
    lines: dict[Path_, int] = field(repr=False)
    """Path → line of the key (or of the list entry)."""
    text_lines: dict[Path_, int] = field(repr=False)
    """Path of a text → the line on which the text itself begins (block texts begin below their key)."""

    def line(self, *path: str | int) -> int:
        """The line of `path`, or of the nearest thing that encloses it."""
        for end in range(len(path), -1, -1):
            if path[:end] in self.lines:
                return self.lines[path[:end]]
        return 1

    def text_line(self, *path: str | int) -> int:
        """The line on which the text at `path` begins."""
        return self.text_lines.get(path) or self.line(*path)

    def flat_lines(self) -> dict[str, int]:
        """Dotted path → line, as `Scope.lines` holds it."""
        return {".".join(str(part) for part in path): line for path, line in self.lines.items() if path}


def read(path: Path) -> Document:
    """Read one YAML file.

    Raises:
        FileError: if it cannot be read, or is not the strict YAML described above.
    """
    return parse(path, content(path))


def parse(path: Path, raw: bytes) -> Document:
    """Read the bytes of a YAML file; `path` is only named.

    Raises:
        FileError: if they are not the strict YAML described above.
    """
    reader = _Reader(path)
    node = _compose(path, _text(path, raw))
    if node is None:
        raise FileError("The file is empty.", file=path, line=1, hint="Write its keys, or remove the file.")
    data = reader.value(node, ())
    return Document(path, data, canonical.sha256(raw), reader.lines, reader.text_lines)


def content(path: Path) -> bytes:
    """The bytes of a file of a size that is read.

    Raises:
        FileError: if it cannot be read, or is too large.
    """
    try:
        if not path.is_file():
            what = "is a folder, not a file" if path.is_dir() else "does not exist"
            raise FileError(f"The file {what}.", file=path, hint="Check the path.")
        size = path.stat().st_size
        if size > MAX_BYTES:
            raise FileError(
                f"The file has {size:,} bytes; at most {MAX_BYTES:,} are read.", file=path, hint="Split it."
            )
        return path.read_bytes()
    except OSError as error:
        raise FileError(
            f"The file cannot be read: {error.strerror}.", file=path, hint="Check its permissions."
        ) from error


def _text(path: Path, raw: bytes) -> str:
    try:
        text = raw.decode("utf-8")
    except UnicodeDecodeError as error:
        line = raw[: error.start].count(b"\n") + 1
        raise FileError("The file is not UTF-8.", file=path, line=line, hint="Save it as UTF-8.") from error
    if text.startswith("\ufeff"):
        raise FileError(
            "The file starts with a byte order mark.", file=path, line=1, hint="Save it as UTF-8 without one."
        )
    _refuse_invisible(path, text)
    return text


def _refuse_invisible(path: Path, text: str) -> None:
    """What a reader cannot see can make a line say something else than it shows."""
    for number, line in enumerate(text.split("\n"), 1):
        if line.isascii():
            continue
        for sign in line:
            if unicodedata.category(sign) in _INVISIBLE or sign == "\x85":
                name = unicodedata.name(sign, "unnamed").lower()
                raise FileError(
                    f"The file holds an invisible character: U+{ord(sign):04X} ({name}).",
                    file=path,
                    line=number,
                    hint="Delete it, and check that the line says what it seems to say.",
                )


def _compose(path: Path, text: str) -> Node | None:
    from yaml import MarkedYAMLError, YAMLError

    if (line := _too_deep(text)) is not None:
        raise FileError("The file nests too deeply.", file=path, line=line, hint="Write it flatter.")
    try:
        found = compose(text, MAX_DEPTH)
    except MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        line = min(mark.line, text.rstrip().count("\n")) + 1 if mark is not None else 1
        raise FileError(_plain(error, text, line), file=path, line=line, hint=_yaml_hint(error, text, line)) from error
    except YAMLError as error:
        bad = getattr(error, "position", None)
        line = text[:bad].count("\n") + 1 if isinstance(bad, int) else 1
        raise FileError(
            "The file holds a character that YAML forbids.", file=path, line=line, hint="Remove it."
        ) from error
    except TooDeep as error:
        raise FileError("The file nests too deeply.", file=path, line=error.line, hint="Write it flatter.") from error
    if len(found) > 1:
        line = found[1].line
        raise FileError("The file holds more than one document.", file=path, line=line, hint="Remove the line `---`.")
    return found[0] if found else None


def _too_deep(text: str) -> int | None:
    """The line on which brackets nest deeper than anybody means them to; the library takes seconds to find out."""
    depth = 0
    for sign in re.finditer(r"[\[{}\]]", text):
        depth = depth + 1 if sign.group() in "[{" else max(0, depth - 1)
        if depth > _MAX_BRACKETS:
            return text.count("\n", 0, sign.start()) + 1
    return None


def _plain(error: Any, text: str, line: int) -> str:
    if _tab_at(text, line) or "'\\t'" in str(error.problem):
        return "A tab stands where YAML needs spaces."
    context = f"{error.context}, " if error.context else ""
    return f"This is not YAML: {context}{error.problem}."


def _yaml_hint(error: Any, text: str, line: int) -> str:
    if _tab_at(text, line) or "'\\t'" in str(error.problem):
        return "Indent with spaces."
    if "mapping values are not allowed" in str(error.problem):
        return "Put quotes around a text that holds `: `."
    return "Check indentation, quotes and brackets at or just above this line."


def _tab_at(text: str, line: int) -> bool:
    lines = text.splitlines()
    return line <= len(lines) and "\t" in lines[line - 1][: len(lines[line - 1]) - len(lines[line - 1].lstrip()) + 1]


class _Reader:
    def __init__(self, path: Path) -> None:
        self.path = path
        self.lines: dict[Path_, int] = {}
        self.text_lines: dict[Path_, int] = {}

    def value(self, node: Node, path: Path_) -> Any:
        self.lines.setdefault(path, node.line)
        self._refuse_marks(node)
        if node.kind == "scalar":
            block = node.style in ("|", ">")
            self.text_lines[path] = node.line + (1 if block else 0)
            return node.value if node.style else plain_scalar(node.value)
        if node.kind == "mapping":
            return self._mapping(node, path)
        return [self.value(child, (*path, index)) for index, child in enumerate(node.value)]

    def _mapping(self, node: Node, path: Path_) -> dict[str, Any]:
        result: dict[str, Any] = {}
        for key_node, value_node in node.value:
            key = self._key(key_node)
            if key in result:
                first = self.lines[(*path, key)]
                raise self._error(
                    key_node.line, f'The key "{key}" stands twice; the first is on line {first}.', "Keep one."
                )
            self.lines[(*path, key)] = key_node.line
            result[key] = self.value(value_node, (*path, key))
        return result

    def _key(self, node: Node) -> str:
        self._refuse_marks(node)
        if node.kind != "scalar":
            raise self._error(node.line, "A key must be text, not a list or a mapping.", "Write a plain key.")
        if node.value == "<<" and not node.style:
            raise self._error(node.line, "YAML merge keys (`<<`) are not accepted.", "Write the keys out.")
        if not node.style and not isinstance(plain_scalar(node.value), str):
            raise self._error(
                node.line, f"The key {node.value or 'that is empty'} is not text.", "Put quotes around it."
            )
        return str(node.value)

    def _refuse_marks(self, node: Node) -> None:
        if node.kind == "alias" or node.anchor is not None:
            raise self._error(
                node.line, "YAML anchors and aliases (`&name`, `*name`) are not accepted.", "Write the value out."
            )
        if node.tag is not None:
            raise self._error(node.line, f"YAML tags (`{node.tag}`) are not accepted.", "Remove it.")

    def _error(self, line: int, message: str, hint: str) -> FileError:
        return FileError(message, hint=hint, file=self.path, line=line)


def plain_scalar(text: str) -> str | int | float | bool | None:
    """What a plain scalar means in the YAML 1.2 core schema (without hexadecimal and octal numbers)."""
    if _NULL.match(text):
        return None
    if _BOOL.match(text):
        return text.lower() == "true"
    if _INT.match(text):
        return int(text) if len(text) <= 18 else text
    if _FLOAT.match(text):
        return (
            float(text.replace(".inf", "inf").replace(".nan", "nan"))
            if not text.lstrip("+-").startswith(".i")
            else text
        )
    return text
