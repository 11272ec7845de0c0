"""The command on isolation, run on one database; and the whole of a database, to compare."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from compliancectl.cli import app


@pytest.fixture
def isolation(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]):
    """Run the command on one database; returns exit code, standard output and standard error."""
    import yaml

    def run(db: Any, *arguments: str, **changes: Any) -> tuple[int, str, str]:
        scope = tmp_path / "compliancectl.yaml"
        waits = changes.pop("timeouts_s", {})
        section = {**db.section(**changes), "timeouts_s": waits}
        sources = {"postgres": json.loads(json.dumps(section))}
        said = yaml.safe_dump({"organization": "Larkspur", "system": "App", "sources": sources})
        scope.write_text(said, encoding="utf-8")
        monkeypatch.setenv("COLUMNS", "200")
        code = app.run(["postgres", "isolation", "--scope", str(scope), *arguments])
        said = capsys.readouterr()
        assert "SEEDED-SECRET" not in said.out + said.err
        assert "seeded-person" not in said.out + said.err
        return code, said.out, said.err

    return run
