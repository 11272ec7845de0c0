"""A control of a measure's own, written as a file and loaded as people's files are."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from compliancectl.model.control import Control

_TEXT = """\
id: %s
title: %s
objective: %s
satisfies: {soc2: [CC8.1]}
owner: platform
severity: high
frequency: daily
remediation: Look at each item.
tests:
  - id: measured
    population: |
%s
    checks:
%s
    examples:
      - given: {}
        then: {}
"""


def loaded(folder: Path, id: str, title: str, population: str, checks: Mapping[str, tuple[str, str]]) -> Control:
    """A control with one test.

    Args:
        folder: where its file is put, below a topic's folder.
        id: such as `BENCH-01`.
        title: also what it is for.
        population: its SQL.
        checks: name → what is expected of an item, and the sentence about one of which it is not true.
    """
    from compliancectl import load

    file = folder / "bench" / f"{id}.yaml"
    file.parent.mkdir(exist_ok=True)
    sql = "\n".join(f"      {line}" for line in population.splitlines())
    said = "\n".join(
        f"      {name}: {{expect: {json.dumps(expect)}, finding: {json.dumps(finding)}}}"
        for name, (expect, finding) in checks.items()
    )
    file.write_text(_TEXT % (id, title, title, sql, said))
    return load.load_control(file)
