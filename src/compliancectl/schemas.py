"""JSON Schemas of the files that people write and of those that we write, generated from the models that read them.

They are committed so that editors and other programs can use them; `make schema` writes them anew, and a test holds the
committed ones against the models. A schema says what a form can say; the loader knows more (SQL, names, criteria).
"""

from __future__ import annotations

import json
from typing import Any

from pydantic import BaseModel

CONTROL = "controls/control.schema.json"
"""Lies in the catalogue, so that it ships with it and a control file can name it."""

_DIALECT = "https://json-schema.org/draft/2020-12/schema"


def schemas() -> dict[str, bytes]:
    """Every schema as it is committed, by path from the top of the tree."""
    from compliancectl.load.claims import ClaimsForm
    from compliancectl.load.forms import ControlForm
    from compliancectl.load.scope import ScopeForm
    from compliancectl.load.waivers import WaiversForm
    from compliancectl.model.certificate import Certificate
    from compliancectl.model.claim import ClaimsResult
    from compliancectl.model.diff import Diff
    from compliancectl.model.evidence import EvidenceItem, RunRecord
    from compliancectl.model.gap import Gaps
    from compliancectl.model.history import History
    from compliancectl.model.ledger import Coverage, Entry
    from compliancectl.model.manifest import BundleRecord, Statement, Verification
    from compliancectl.model.package import PeriodStatement
    from compliancectl.model.period import Period
    from compliancectl.model.reperform import Reperformance
    from compliancectl.model.replay import Replay
    from compliancectl.model.result import ItemResult, Results
    from compliancectl.model.review import Campaign, Review
    from compliancectl.model.roadmap import Roadmap
    from compliancectl.model.sample import Sample
    from compliancectl.model.shard import ShardRecord

    control = _of(ControlForm, "Control", "validation")
    control["anyOf"] = [{"required": ["tests"]}, {"required": ["evidence"]}]
    written: dict[str, tuple[type[BaseModel], str]] = {
        "run": (RunRecord, "run.json: one run of collect"),
        "evidence": (EvidenceItem, "evidence/<source>/<feed>/<target>/item.json: one evidence item"),
        "results": (Results, "results/results.json: what the checks said"),
        "item": (ItemResult, "results/items/*.jsonl: one item of a population, a line each"),
        "bundle": (BundleRecord, "bundle.json: what is handed over"),
        "statement": (Statement, "The in-toto statement that is signed: the manifest of a bundle"),
        "history": (History, "What `history` finds"),
        "certificate": (Certificate, "What an engine other than DuckDB is certified for: catalog/engine.json"),
        "period": (Period, "What `period` finds"),
        "period-statement": (PeriodStatement, "The in-toto statement that is signed: the manifest of a period package"),
        "sample": (Sample, "What `sample` draws: items, and how to draw them again"),
        "shard": (ShardRecord, "`shard.json`: which part of a run a folder holds"),
        "claims-result": (ClaimsResult, "What `claims --format json` prints"),
        "gaps": (Gaps, "What `gaps --format json` prints"),
        "review-campaign": (Campaign, "campaign.json: what an access review asks, and whom"),
        "review": (Review, "What `reviews check --format json` prints"),
        "roadmap": (Roadmap, "What `roadmap --format json` prints"),
        "reperformance": (Reperformance, "What `reperform --format json` prints"),
        **_handed_on(),
        "verification": (Verification, "What `verify --format json` prints"),
        "replay": (Replay, "What `replay --format json` prints"),
        "diff": (Diff, "What `diff --format json` prints"),
        "ledger-entry": (Entry, "entries.jsonl of a ledger, a line each"),
        "coverage": (Coverage, "What `ledger coverage --format json` prints"),
    }
    found = {
        CONTROL: control,
        "docs/schema/claims.schema.json": _of(ClaimsForm, "Claims", "validation"),
        "docs/schema/waivers.schema.json": _of(WaiversForm, "Waivers", "validation"),
        "docs/schema/scope.schema.json": _of(ScopeForm, "Scope", "validation"),
        "docs/schema/trust.schema.json": _trust(),
    }
    for name, (model, title) in written.items():
        found[f"docs/schema/{name}.schema.json"] = _of(model, title, "serialization")
    return {path: (json.dumps(found[path], indent=2, ensure_ascii=False) + "\n").encode() for path in sorted(found)}


def _handed_on() -> dict[str, tuple[type[BaseModel], str]]:
    """What is written about a bundle after it was sealed."""
    from compliancectl.model.depot import Hold, Kept, Tombstone
    from compliancectl.model.redaction import Disclosure

    return {
        "kept": (Kept, "What a store writes about a bundle (`record.json`)"),
        "hold": (Hold, "What a store writes about a legal hold"),
        "tombstone": (Tombstone, "What a store leaves of a purged bundle"),
        "disclosure": (Disclosure, "What `redactions open` writes"),
    }


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
