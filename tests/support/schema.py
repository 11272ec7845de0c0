"""Hold data against the JSON Schema that the product publishes for it."""

from __future__ import annotations

import json
from typing import Any

import jsonschema_rs

from compliancectl.schemas import schemas


def faults(name: str, data: Any) -> list[str]:
    """What the schema `docs/schema/<name>.schema.json` objects to."""
    validator = jsonschema_rs.validator_for(json.loads(schemas()[f"docs/schema/{name}.schema.json"]))
    return [error.message for error in validator.iter_errors(data)]
