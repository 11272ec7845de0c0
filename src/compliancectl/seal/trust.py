"""Trust: whose signatures a verifier accepts. Always the verifier's own files, never the bundle's."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from compliancectl.errors import FileError
from compliancectl.model.trust import Trust, TrustedKey
from compliancectl.seal import dsse, keys

if TYPE_CHECKING:
    from compliancectl.load.document import Document


def load(policy: Path | None = None, public_keys: Sequence[Path] = ()) -> Trust | None:
    """Put together a trust policy (YAML, or JSON, which is YAML too) and public key files.

    Returns:
        None if neither is given: the verifier has not said whom they trust.

    Raises:
        FileError: if a file cannot be read or is not what it should be; with the line, for a policy.
    """
    trust = _policy(policy) if policy is not None else None
    given = tuple(TrustedKey(key_id=dsse.key_id(keys.load_public(path)), name=path.name) for path in public_keys)
    if trust is None:
        return Trust(keys=given) if given else None
    return trust.model_copy(update={"keys": (*trust.keys, *given)})


def _policy(path: Path) -> Trust:
    from pydantic import ValidationError

    from compliancectl.load.document import read

    try:
        document = read(path)
    except FileError as error:
        raise FileError(
            error.message, file=path, line=error.line, hint=f"{error.hint or ''} {_FORM}".strip()
        ) from error
    try:
        return Trust.model_validate(_with_key_ids(document))
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"]) or "the file"
        raise FileError(f"{where}: {first['msg']}", file=path, line=document.line(*first["loc"]), hint=_FORM) from error


def _with_key_ids(document: Document) -> Any:
    """The data of a policy, with `key_file` (a path beside the policy) replaced by the id of the key in that file."""
    data = document.data
    entries = data.get("keys") if isinstance(data, dict) else None
    if not isinstance(entries, list):
        return data
    replaced = []
    for index, entry in enumerate(entries):
        if isinstance(entry, dict) and isinstance(entry.get("key_file"), str):
            if entry.keys() & {"key_id", "keyId"}:
                line = document.line("keys", index, "key_file")
                message = f"keys.{index}: key_file and key_id both name the key"
                raise FileError(message, file=document.file, line=line, hint="Keep one of them.")
            rest = {name: value for name, value in entry.items() if name != "key_file"}
            entry = {**rest, "key_id": dsse.key_id(keys.load_public(document.file.parent / entry["key_file"]))}
        replaced.append(entry)
    return {**data, "keys": replaced}


_FORM = (
    "Write version: 1, keys: a list of {key_file: ci.pub.pem, name: …} or {key_id: 64 hex digits, name: …}, each with "
    "valid_from and valid_until if need be, and require: {organization, system, environment, complete, max_age_days}."
)
