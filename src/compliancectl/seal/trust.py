"""Trust: whose signatures a verifier accepts. Always the verifier's own files, never the bundle's."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

from compliancectl.errors import FileError
from compliancectl.model.manifest import Trust, TrustedKey
from compliancectl.seal import dsse, keys


def load(policy: Path | None = None, public_keys: Sequence[Path] = ()) -> Trust | None:
    """Put together the keys of a `trust.json` and of public key files.

    Returns:
        None if neither is given: the verifier has not said whom they trust.

    Raises:
        FileError: if a file cannot be read or is not what it should be.
    """
    trusted = list(_policy(policy).keys) if policy is not None else []
    for path in public_keys:
        trusted.append(TrustedKey(key_id=dsse.key_id(keys.load_public(path)), name=path.name))
    return Trust(keys=tuple(trusted)) if trusted else None


def _policy(path: Path) -> Trust:
    from pydantic import ValidationError

    try:
        return Trust.model_validate(json.loads(path.read_bytes()))
    except OSError as error:
        raise FileError(
            f"the trust file cannot be read: {error.strerror}", file=path, hint="Check the path."
        ) from error
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"]) or "the file"
        raise FileError(f"{where}: {first['msg']}", file=path, hint=_FORM) from error
    except ValueError as error:
        raise FileError(f"this is not JSON: {error}", file=path, hint=_FORM) from error


_FORM = (
    'Write {"version": 1, "keys": [{"keyId": "<64 hex digits>", "name": "…", '
    '"validFrom": "2026-01-01T00:00:00Z", "validUntil": "2027-01-01T00:00:00Z"}]}.'
)
