"""The YAML files of the company: its definition, with anchors and merge keys, and the files that it keeps itself."""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path
from typing import Any


def read_yaml(path: Path) -> Any:
    """The plain data of a file that comes with the program; days and instants stay text."""
    import yaml

    return yaml.load(path.read_bytes(), Loader=_loader())


def write_yaml(path: Path, data: Any) -> None:
    """Write plain data as one YAML file, in its own order."""
    import yaml

    text = yaml.safe_dump(data, sort_keys=False, allow_unicode=True, width=110)
    path.write_text(text, encoding="utf-8")


@cache
def _loader() -> Any:
    """A safe loader that knows the plain scalars of YAML 1.2's core schema, and neither days nor `yes` and `no`."""
    import yaml

    class Loader(yaml.CSafeLoader):
        yaml_implicit_resolvers: dict[str, Any] = {}

    kinds = {
        "bool": (r"true|false", "tf"),
        "int": r"[-+]?[0-9]+",
        "float": r"[-+]?(?:[0-9]*\.[0-9]+|[0-9]+\.)(?:[eE][-+]?[0-9]+)?",
        "null": (r"~|null|", ["~", "n", ""]),
        "merge": (r"<<", "<"),
    }
    for kind, pattern in kinds.items():
        text, first = pattern if isinstance(pattern, tuple) else (pattern, "-+.0123456789")
        Loader.add_implicit_resolver(f"tag:yaml.org,2002:{kind}", re.compile(rf"^(?:{text})$"), list(first))
    return Loader
