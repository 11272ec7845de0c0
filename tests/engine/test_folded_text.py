"""Folded YAML text is one line of plain text, without marks of the YAML library."""

from __future__ import annotations

from pathlib import Path

from compliancectl import load


def test_folded_text_has_no_marks_where_lines_were_joined(tmp_path: Path) -> None:
    file = tmp_path / "ACME-01-folded.yaml"
    file.write_text(
        "id: ACME-01\ntitle: >-\n  one\n  two\nobjective: x\nsatisfies: {soc2: [CC6.1]}\nowner: x\nseverity: low\n"
        "frequency: daily\nremediation: >\n  first\n  second\nevidence:\n"
        "  - {kind: policy, subject: x, max_age_days: 1, owner: x}\n"
    )
    control = load.load_control(file)
    assert (control.title, control.remediation) == ("one two", "first second\n")
