"""An assessment as it was kept: the results, and the files that they were judged by, from a bundle or a run folder.

Nothing is verified here: `verify` says whether a bundle is as it was sealed. Only the digests that the results
themselves state are held.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from pydantic import ValidationError

from compliancectl import canonical
from compliancectl.errors import FileError, NotReadyError, UsageError
from compliancectl.load.claims import load_claims
from compliancectl.load.frameworks import load_frameworks
from compliancectl.model.claim import ClaimRegister
from compliancectl.model.framework import Framework
from compliancectl.model.result import ItemResult, Results
from compliancectl.seal import Problem, archive, container

RESULTS = "results/results.json"
CLAIMS = "catalog/claims.yaml"
_FRAMEWORKS = "catalog/frameworks/"
_LARGE = 1024**3


@dataclass(frozen=True)
class Assessed:
    """One assessment that was kept."""

    path: Path
    results: Results
    files: dict[str, bytes]
    """Member → bytes: the register of claims, the frameworks and the items of every test, as far as they are there."""

    def claims(self) -> ClaimRegister | None:
        """The register that was kept with the results, or None.

        Raises:
            FileError: if it is damaged.
        """
        if CLAIMS not in self.files:
            return None
        with TemporaryDirectory(prefix="compliancectl-") as folder:
            file = Path(folder) / "claims.yaml"
            file.write_bytes(self.files[CLAIMS])
            return load_claims(file).model_copy(update={"file": f"{self.path}/{CLAIMS}"})

    def frameworks(self) -> tuple[Framework, ...]:
        """The frameworks that were kept with the results.

        Raises:
            FileError: if one is damaged.
        """
        with TemporaryDirectory(prefix="compliancectl-") as folder:
            for name, data in self.files.items():
                if name.startswith(_FRAMEWORKS):
                    (Path(folder) / Path(name).name).write_bytes(data)
            return load_frameworks(Path(folder))

    def items(self, path: str, sha256: str | None, *, passing: bool = False) -> Iterator[ItemResult]:
        """The items of a test that do not pass, or all of them, from the file whose digest the results state.

        Raises:
            FileError: if the file is missing or another.
        """
        data = self.files.get(path)
        if data is None or canonical.sha256(data) != sha256:
            message = "This file is missing, or is not what results.json says."
            raise FileError(message, file=f"{self.path}/{path}", hint="Evaluate again.")
        for line in data.splitlines():
            if passing or json.loads(line)["outcome"] != "pass":
                yield ItemResult.model_validate_json(line)


def read(path: Path) -> Assessed:
    """Read a bundle (folder or ZIP) or an evaluated run folder.

    Raises:
        UsageError: if there is nothing at `path`.
        NotReadyError: if it was not evaluated.
        FileError: if it is damaged.
    """
    if not path.exists():
        raise UsageError(f"{path} does not exist", hint="Name a bundle (folder or .zip) or an evaluated run folder.")
    try:
        with _open(path) as members:
            if RESULTS not in members.sizes:
                raise NotReadyError(f"{path} is not evaluated", hint="Run `compliancectl evaluate` first.")
            results = _results(path, container.read(members, RESULTS, limit=_LARGE))
            wanted = [n for n in members.sizes if n == CLAIMS or n.startswith((_FRAMEWORKS, "results/items/"))]
            return Assessed(path, results, {name: container.read(members, name, limit=_LARGE) for name in wanted})
    except Problem as problem:
        file = f"{path}/{problem.member}" if problem.member else path
        raise FileError(problem.message, file=file, hint=problem.hint or "Make the bundle again.") from None


def _open(path: Path) -> container.Container:
    if path.is_file():
        return archive.Archive(path)
    return container.Folder(path, only=("results", "catalog"))


def _results(path: Path, data: bytes) -> Results:
    try:
        return Results.model_validate_json(data)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        where = ".".join(str(part) for part in first["loc"]) or "top"
        message = f"These are not results that this version can read: {where}: {first['msg']}."
        raise FileError(message, file=f"{path}/{RESULTS}", hint="Run `compliancectl evaluate` again.") from None
