"""The seal as a Sigstore bundle v0.3: the same envelope and time stamps, in the form that cosign and others read.

https://docs.sigstore.dev/about/bundle/ : JSON of `dev.sigstore.bundle.v1.Bundle`. A bundle holds exactly one signature, so
each signer has one of their own. With a plain key, the verification material is a hint that names it, and nothing more.
"""

from __future__ import annotations

import base64
from collections.abc import Sequence
from typing import Any

from compliancectl import canonical
from compliancectl.seal import dsse

MEDIA_TYPE = "application/vnd.dev.sigstore.bundle.v0.3+json"


def write(envelope: dsse.Envelope, stamps: Sequence[bytes]) -> bytes:
    """Write the Sigstore bundle of one signature.

    Args:
        envelope: The signed statement.
        stamps: RFC 3161 responses over this very signature.
    """
    material: dict[str, Any] = {"publicKey": {"hint": envelope.key_id}, "tlogEntries": []}
    if stamps:
        times = [{"signedTimestamp": _encode(stamp)} for stamp in stamps]
        material["timestampVerificationData"] = {"rfc3161Timestamps": times}
    return canonical.to_lines(
        [
            {
                "mediaType": MEDIA_TYPE,
                "verificationMaterial": material,
                "dsseEnvelope": {
                    "payload": _encode(envelope.payload),
                    "payloadType": dsse.PAYLOAD_TYPE,
                    "signatures": [{"sig": _encode(envelope.signature)}],
                },
            }
        ]
    )


def _encode(data: bytes) -> str:
    return base64.b64encode(data).decode("ascii")
