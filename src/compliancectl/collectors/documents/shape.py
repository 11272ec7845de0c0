"""From the kept listing to rows: pure."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

from compliancectl import clock
from compliancectl.collectors.base import Reply, Row
from compliancectl.collectors.documents.kinds import REGISTERS
from compliancectl.collectors.documents.registers import times

ENCLOSED = "document"
"""Marks a reply that is a document's own bytes, of which no row is made."""
_MEASURED = ("sha256", "bytes", "media_type")
_TIMES = ("issued", "expires", "target", "covers_start", "covers_end")


def shape(reply: Reply) -> Iterator[Row]:
    """Rows of every table, document by document."""
    if ENCLOSED in reply.context:
        return
    for document in json.loads(reply.body)["documents"]:
        yield from _rows(document)


def _rows(document: Mapping[str, Any]) -> Iterator[Row]:
    path = document["path"]
    measured = {key: document[key] for key in _MEASURED}
    sidecar = document["sidecar"]
    yield "document.file", {"resource": path, **measured, "described": sidecar is not None}
    if sidecar is None:
        return
    said = sidecar["said"]
    yield (
        "document.attestation",
        {
            "resource": path,
            **measured,
            **{
                key: said.get(key)
                for key in ("kind", "subject", "title", "owner", "status", "performed_by", "independent", "approver")
            },
            **{key: _moment(said.get(key)) for key in _TIMES},
        },
    )
    if "agreement" in said:
        terms = said["agreement"]
        yield (
            "document.agreement",
            {"resource": path, **terms, "signed": _moment(terms["signed"]), "expires": _moment(said.get("expires"))},
        )
    if "restore_test" in said:
        test = said["restore_test"]
        yield (
            "document.restore_test",
            {"resource": path, "subject": said["subject"], **test, "performed": _moment(test["performed"])},
        )
    for vendor in said.get("vendors", ()):
        yield "document.vendor", {"resource": f"{path}#{vendor['vendor']}", **vendor}
    for row in document.get("rows", ()):
        instants = times(said["kind"])
        values = {name: _moment(value) if name in instants else value for name, value in row.items()}
        yield REGISTERS[said["kind"]].table.name, {"resource": f"{path}#{row['id']}", **values}


def _moment(value: str | None) -> Any:
    return None if value is None else clock.parse(value)
