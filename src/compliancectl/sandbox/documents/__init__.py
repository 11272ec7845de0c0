"""The company's documents: a folder of files, each with a sidecar that says what it is."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from compliancectl.sandbox.yamlfile import write_yaml

if TYPE_CHECKING:
    from compliancectl.sandbox.company import Company
    from compliancectl.sandbox.web import WebServer


@dataclass
class Part:
    """The folder, written."""

    folder: Path
    written: dict[str, dict[str, Any]]
    """The entries of the definition that were written, by name."""
    scope: dict[str, Any]
    env: dict[str, str] = field(default_factory=dict)
    web: WebServer | None = None

    def move(self, company: Company) -> None:
        """Write what is new or was changed, and remove what is no more."""
        before, now = self.written, company.sections["documents"]
        for entry in (entry for name, entry in before.items() if now.get(name) != entry):
            for file in _files(self.folder, entry):
                file.unlink(missing_ok=True)
        for entry in (entry for name, entry in now.items() if before.get(name) != entry):
            write(self.folder, entry)
        self.written = now

    def stop(self) -> None:
        """Nothing runs; the folder stays for whoever wants to look."""


def start(company: Company, folder: Path) -> Part:
    """Write every document and its sidecar into `folder`, which stands beside the scope file."""
    part = Part(folder, {}, {"folder": company.sections["company"]["documents_folder"]})
    part.move(company)
    return part


def _csv(rows: list[dict[str, Any]]) -> str:
    """A register as a spreadsheet saves it; the first row names the columns."""
    import csv
    import io

    stream = io.StringIO(newline="")
    writer = csv.writer(stream)
    writer.writerow(rows[0])
    writer.writerows(["" if cell is None else cell for cell in row.values()] for row in rows)
    return stream.getvalue()


def write(folder: Path, entry: dict[str, Any]) -> None:
    """Write one document: its text or rows, and beside it the sidecar unless it has none."""
    path, sidecar = _files(folder, entry)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(entry["text"] if "text" in entry else _csv(entry["rows"]), encoding="utf-8")
    if "said" in entry:
        write_yaml(sidecar, entry["said"])


def _files(folder: Path, entry: dict[str, Any]) -> tuple[Path, Path]:
    """Where a document and its sidecar lie."""
    path = folder / entry["file"]
    return path, path.with_name(path.name + ".yaml")
