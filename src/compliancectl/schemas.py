"""JSON Schemas of the files that people write and of those that we write, generated from the models that read them.

They are committed so that editors and other programs can use them; `make schema` writes them anew, and a test holds the
committed ones against the models. A schema says what a form can say; the loader knows more (SQL, names, criteria).
"""

from __future__ import annotations

import json
from importlib import import_module
from typing import Any

from pydantic import BaseModel

CONTROL = "controls/control.schema.json"
"""Lies in the catalogue, so that it ships with it and a control file can name it."""

_DIALECT = "https://json-schema.org/draft/2020-12/schema"


_WRITTEN = {
    "run": ("evidence.RunRecord", "run.json: one run of collect"),
    "evidence": ("evidence.EvidenceItem", "evidence/<source>/<feed>/<target>/item.json: one evidence item"),
    "results": ("result.Results", "results/results.json: what the checks said"),
    "item": ("result.ItemResult", "results/items/*.jsonl: one item of a population, a line each"),
    "bundle": ("manifest.BundleRecord", "bundle.json: what is handed over"),
    "statement": ("manifest.Statement", "The in-toto statement that is signed: the manifest of a bundle"),
    "history": ("history.History", "What `history` finds"),
    "certificate": (
        "certificate.Certificate",
        "What an engine other than DuckDB is certified for: catalog/engine.json",
    ),
    "period": ("period.Period", "What `period` finds"),
    "period-statement": (
        "package.PeriodStatement",
        "The in-toto statement that is signed: the manifest of a period package",
    ),
    "sample": ("sample.Sample", "What `sample` draws: items, and how to draw them again"),
    "shard": ("shard.ShardRecord", "`shard.json`: which part of a run a folder holds"),
    "claims-result": ("claim.ClaimsResult", "What `claims --format json` prints"),
    "gaps": ("gap.Gaps", "What `gaps --format json` prints"),
    "review-campaign": ("review.Campaign", "campaign.json: what an access review asks, and whom"),
    "review": ("review.Review", "What `reviews check --format json` prints"),
    "roadmap": ("roadmap.Roadmap", "What `roadmap --format json` prints"),
    "reperformance": ("reperform.Reperformance", "What `reperform --format json` prints"),
    "verification": ("manifest.Verification", "What `verify --format json` prints"),
    "replay": ("replay.Replay", "What `replay --format json` prints"),
    "diff": ("diff.Diff", "What `diff --format json` prints"),
    "ledger-entry": ("ledger.Entry", "entries.jsonl of a ledger, a line each"),
    "coverage": ("ledger.Coverage", "What `ledger coverage --format json` prints"),
    "kept": ("depot.Kept", "What a store writes about a bundle (`record.json`)"),
    "hold": ("depot.Hold", "What a store writes about a legal hold"),
    "tombstone": ("depot.Tombstone", "What a store leaves of a purged bundle"),
    "lake-run": ("lake.LakeRun", "What is recorded where a run's tables lie (`runs/<run>.json`)"),
    "disclosure": ("redaction.Disclosure", "What `redactions open` writes"),
}
"""Name of the schema → model below `compliancectl.model`, and what it describes."""


def schemas() -> dict[str, bytes]:
    """Every schema as it is committed, by path from the top of the tree."""
    from compliancectl.load.claims import ClaimsForm
    from compliancectl.load.forms import ControlForm
    from compliancectl.load.scope import ScopeForm
    from compliancectl.load.waivers import WaiversForm

    control = _of(ControlForm, "Control", "validation")
    control["anyOf"] = [{"required": ["tests"]}, {"required": ["evidence"]}]
    found = {
        CONTROL: control,
        "docs/schema/claims.schema.json": _of(ClaimsForm, "Claims", "validation"),
        "docs/schema/waivers.schema.json": _of(WaiversForm, "Waivers", "validation"),
        "docs/schema/scope.schema.json": _of(ScopeForm, "Scope", "validation"),
        "docs/schema/trust.schema.json": _trust(),
    }
    for name, (place, title) in _WRITTEN.items():
        module, _, model = place.partition(".")
        written: type[BaseModel] = getattr(import_module(f"compliancectl.model.{module}"), model)
        found[f"docs/schema/{name}.schema.json"] = _of(written, title, "serialization")
    return {path: (json.dumps(found[path], indent=2, ensure_ascii=False) + "\n").encode() for path in sorted(found)}


def _trust() -> dict[str, Any]:
    """The trust policy as people write it: it may name files, which are read before the model sees it."""
    from compliancectl.model.trust import Trust

    made = _of(Trust, "Trust policy", "validation", by_alias=False)
    key, authority = made["$defs"]["TrustedKey"], made["$defs"]["Authority"]
    text = {"minLength": 1, "type": "string"}
    key["properties"]["key_file"] = {**text, "description": "Public key (PEM), relative to the policy."}
    key["required"] = ["name"]
    key["oneOf"] = [{"required": ["key_id"]}, {"required": ["key_file"]}]
    authority["properties"] = {
        "name": text,
        "file": {**text, "description": "Root certificates (PEM), relative to it."},
    }
    authority["required"] = ["name", "file"]
    ledger = made["$defs"]["TrustedLedger"]
    ledger["properties"]["key_file"] = {**text, "description": "File with the verifier key, relative to the policy."}
    ledger["properties"]["checkpoint_files"] = {"type": "array", "items": text, "description": "Checkpoints kept."}
    ledger.pop("required")
    ledger["oneOf"] = [{"required": ["key"]}, {"required": ["key_file"]}]
    return made


def _of(model: type[BaseModel], title: str, mode: Any, *, by_alias: bool = True) -> dict[str, Any]:
    made = _plain(model.model_json_schema(mode=mode, by_alias=by_alias))
    return {"$schema": _DIALECT, **made, "title": title}


def _plain(node: Any) -> Any:
    """Without the titles that only repeat names; closed where the model is closed."""
    if isinstance(node, list):
        return [_plain(entry) for entry in node]
    if not isinstance(node, dict):
        return node
    made = {key: _plain(value) for key, value in node.items() if key != "title" or isinstance(value, dict)}
    if "patternProperties" in made:
        made["additionalProperties"] = False
    return made
