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
    scope: dict[str, Any]
    env: dict[str, str] = field(default_factory=dict)
    web: WebServer | None = None

    def stop(self) -> None:
        """Nothing runs; the folder stays for whoever wants to look."""


def start(company: Company, folder: Path) -> Part:
    """Write every document and its sidecar into `folder`, which stands beside the scope file."""
    for entry in company.sections["documents"].values():
        write(folder, entry)
    return Part(folder=folder, scope={"folder": company.sections["company"]["documents_folder"]})


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
    path = folder / entry["file"]
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(entry["text"] if "text" in entry else _csv(entry["rows"]), encoding="utf-8")
    if "said" in entry:
        write_yaml(path.with_name(path.name + ".yaml"), entry["said"])
