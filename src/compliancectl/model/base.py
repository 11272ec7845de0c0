"""The two bases of everything that crosses an edge (a file people write, a file we write)."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any

from pydantic import AfterValidator, BaseModel, ConfigDict, PlainSerializer

from compliancectl import clock


def _aware(value: datetime) -> datetime:
    if value.tzinfo is None:
        raise ValueError("must carry an offset, for example 2026-08-01T00:00:00Z")
    return value


Instant = Annotated[datetime, AfterValidator(_aware), PlainSerializer(clock.text, return_type=str)]
"""An aware instant; RFC 3339 with `Z` on the wire."""


class Model(BaseModel):
    """Frozen, and refuses keys it does not know."""

    # Deferred: a command pays for the models that it uses, and not for all that it knows.
    model_config = ConfigDict(
        frozen=True, extra="forbid", populate_by_name=True, validate_default=False, defer_build=True
    )


class Wire(Model):
    """A versioned file format of ours. `to_json` gives what is written (in RFC 8785 form)."""

    def to_json(self) -> Any:
        """JSON-ready data with absent optional fields left out."""
        return self.model_dump(mode="json", by_alias=True, exclude_none=True)
