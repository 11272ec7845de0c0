"""What is kept, and shown to an auditor, of a personal value that a pseudonym stands for in the evidence."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from compliancectl.model.base import Model, Wire

PSEUDONYM = r"^person-[a-z2-7]{26}$"


class Opening(Model):
    """One line of `openings.jsonl`, which lies outside every run and bundle: whoever has it knows the person."""

    kind: str
    value: str
    key: str = Field(pattern=r"^[0-9a-f]{64}$")
    """Made for this value alone: the pseudonym is HMAC-SHA256 of the value under it, in base32, cut to 128 bits."""
    salt: str
    pseudonym: str = Field(pattern=PSEUDONYM)


class Disclosure(Wire):
    """What the preparer hands to an auditor to show which value one pseudonym stands for, and no other."""

    version: Literal[1] = 1
    run_id: str
    statement_sha256: str = Field(pattern=r"^[0-9a-f]{64}$")
    """Of the signed statement of the bundle that it was made for."""
    pseudonym: str = Field(pattern=PSEUDONYM)
    disclosure: str
    """RFC 9901: base64url of the JSON array `[salt, pseudonym, value]`. The SHA-256 of this text, in base64url, is the
    commitment in the bundle's `item.json`."""
