"""Trust: whose signatures a verifier accepts. Always the verifier's own files, never the bundle's."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from compliancectl.errors import FileError
from compliancectl.model.trust import Trust, TrustedKey
from compliancectl.seal import dsse, identity, keys, note, timestamp

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
        return Trust.model_validate(_resolved(document))
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"]) or "the file"
        raise FileError(f"{where}: {first['msg']}", file=path, line=document.line(*first["loc"]), hint=_FORM) from error


def _resolved(document: Document) -> Any:
    """The data of a policy with the files that it names, which lie beside it, read: keys, authorities, roots."""
    data = document.data
    if not isinstance(data, dict):
        return data
    data = dict(data)
    if isinstance(data.get("ledger"), dict):
        data["ledger"] = _ledger(document, dict(data["ledger"]))
    for part, resolve in (("keys", _key), ("authorities", _authority), ("identities", _identity)):
        if isinstance(data.get(part), list):
            data[part] = [
                resolve(document, index, dict(entry)) if isinstance(entry, dict) else entry
                for index, entry in enumerate(data[part])
            ]
    return data


def _key(document: Document, index: int, entry: dict[str, Any]) -> dict[str, Any]:
    """Replace `key_file` by the id of the key in that file."""
    if not isinstance(entry.get("key_file"), str):
        return entry
    if entry.keys() & {"key_id", "keyId"}:
        line = document.line("keys", index, "key_file")
        message = f"keys.{index}: key_file and key_id both name the key"
        raise FileError(message, file=document.file, line=line, hint="Keep one of them.")
    path = document.file.parent / entry.pop("key_file")
    return {**entry, "key_id": dsse.key_id(keys.load_public(path))}


def _ledger(document: Document, entry: dict[str, Any]) -> dict[str, Any]:
    """Replace `key_file` and `checkpoint_files` by what is in them."""
    if isinstance(entry.get("key_file"), str):
        entry["key"] = _text(document.file.parent / entry.pop("key_file")).strip()
    files = entry.pop("checkpoint_files", None)
    if isinstance(files, list):
        kept = [_text(document.file.parent / str(file)) for file in files]
        entry["checkpoints"] = [*(entry.get("checkpoints") or ()), *kept]
    if isinstance(entry.get("key"), str):
        note.check_verifier(entry["key"])
    return entry


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise FileError("the file cannot be read", file=path, hint="Check the path in the trust policy.") from error


def _authority(document: Document, index: int, entry: dict[str, Any]) -> dict[str, Any]:
    """Replace `file` by the certificates in it."""
    if not isinstance(entry.get("file"), str):
        return entry
    path = document.file.parent / entry.pop("file")
    timestamp.read_authorities(path)
    return {**entry, "certificates": path.read_text(encoding="ascii", errors="replace")}


def _identity(document: Document, index: int, entry: dict[str, Any]) -> dict[str, Any]:
    """Replace `trusted_root_file` by what is in it."""
    if not isinstance(entry.get("trusted_root_file"), str):
        return entry
    path = document.file.parent / entry.pop("trusted_root_file")
    text = _text(path)
    if not identity.is_trusted_root(text):
        hint = "Give a trusted_root.json, as `gh attestation trusted-root` or `cosign trusted-root create` write it."
        raise FileError("this is no Sigstore trusted root", file=path, hint=hint)
    return {**entry, "trusted_root": text}


_FORM = (
    "Write version: 1, keys: a list of {key_file: ci.pub.pem, name: …} or {key_id: 64 hex digits, name: …}, each with "
    "valid_from and valid_until if need be; identities: a list of {name: …, issuer: https://…, identity: …, "
    "trusted_root_file: trusted_root.json}; authorities: a list of {file: tsa-root.pem, name: …}; ledger: {key_file: "
    "verifier.txt, checkpoint_files: [kept], latest: true}; and require: "
    "{organization, system, environment, complete, max_age_days, signers, timestamps, stamped_within_hours}."
)
