"""A sealed run, made once, and a lake in a folder with it, copied for each test."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from lakes import RUN, Lake, Made, make, publish

from compliancectl.cli import app


@pytest.fixture(scope="session")
def made(tmp_path_factory: pytest.TempPathFactory) -> Made:
    return make(tmp_path_factory.mktemp("made"))


@pytest.fixture(scope="session")
def _laid_out(made: Made, tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("lake")
    assert publish(made, place / "lake") == 0
    assert app.run(["tables", "get", str(place / "lake"), RUN, "-o", str(place / "got")]) == 0
    return place


@pytest.fixture
def lake(made: Made, _laid_out: Path, tmp_path: Path) -> Lake:
    place = Path(shutil.copytree(_laid_out, tmp_path / "copy"))
    for path in place.rglob("*"):
        path.chmod(0o755 if path.is_dir() else 0o644)
    return Lake(place / "lake", place / "got/bundle", place / "got/run", made)
