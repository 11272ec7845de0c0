"""Signed notes and checkpoints, as c2sp.org/signed-note and c2sp.org/tlog-checkpoint define them, with Ed25519 keys.

A checkpoint is a note of three lines: the ledger's origin, its size, its Merkle root. Whoever holds one can tell later
whether the ledger was only added to. The verifier's key is one line of text, `<origin>+<hash>+<key>`.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from compliancectl.errors import FileError, OutputError
from compliancectl.seal import Problem, keys

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

_ED25519 = b"\x01"
_ORIGIN = re.compile(r"[A-Za-z0-9][A-Za-z0-9._/-]{0,199}")
_DASH = "\N{EM DASH}"


@dataclass(frozen=True)
class Checkpoint:
    """How long a ledger was, and what was in it."""

    origin: str
    size: int
    root: bytes

    @property
    def text(self) -> str:
        """What is signed."""
        return f"{self.origin}\n{self.size}\n{_encode(self.root)}\n"


@dataclass(frozen=True)
class LedgerKey:
    """A private key for one ledger."""

    private: Ed25519PrivateKey
    origin: str

    @property
    def verifier(self) -> str:
        """The public half as verifiers write it down."""
        public = self.private.public_key().public_bytes_raw()
        return f"{self.origin}+{_hash(self.origin, public).hex()}+{_encode(_ED25519 + public)}"


def new_key(path: Path, origin: str) -> LedgerKey:
    """Make a key for a ledger, readable by its owner alone, encrypted if COMPLIANCECTL_KEY_PASSPHRASE is set.

    Raises:
        OutputError: if the file exists or cannot be written.
        FileError: if the origin is not a name like `larkspur.example/evidence`.
    """
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

    if not _ORIGIN.fullmatch(origin):
        raise FileError(f"{origin!r} is no origin", hint="Write a name of your own, such as larkspur.example/evidence.")
    key = Ed25519PrivateKey.generate()
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        keys.write_new(path, keys.private_pem(key))
    except OSError as error:
        raise OutputError(
            f"the key cannot be written: {error.strerror}", file=path, hint="Name a file that does not exist yet."
        ) from error
    return LedgerKey(key, origin)


def load_key(path: Path, origin: str) -> LedgerKey:
    """Read the key of a ledger.

    Raises:
        FileError: if it cannot be read, is of another kind, or its passphrase is missing or wrong.
    """
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

    key = keys.parse_private(keys.read_file(path), path)
    if not isinstance(key, Ed25519PrivateKey):
        raise FileError("this is not the key of a ledger", file=path, hint="`compliancectl ledger new` makes one.")
    return LedgerKey(key, origin)


def sign(checkpoint: Checkpoint, key: LedgerKey) -> bytes:
    """Write a checkpoint as a signed note."""
    public = key.private.public_key().public_bytes_raw()
    signature = _hash(key.origin, public) + key.private.sign(checkpoint.text.encode())
    return f"{checkpoint.text}\n{_DASH} {key.origin} {_encode(signature)}\n".encode()


def read(data: bytes, verifier: str, *, member: str) -> Checkpoint:
    """Read a checkpoint and check its signature. Signatures by others, such as witnesses, are passed over.

    Raises:
        Problem: if it is none, is not signed by this key, or is of another ledger.
    """
    from cryptography.exceptions import InvalidSignature
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

    origin, public = _verifier(verifier)
    checkpoint, signatures = parse(data, member=member)
    if checkpoint.origin != origin:
        raise Problem(f"is of the ledger {checkpoint.origin!r}, not of {origin!r}", member=member)
    mine = f"{_DASH} {origin} "
    found = [_decode(line.removeprefix(mine)) for line in signatures if line.startswith(mine)]
    for signature in found:
        if signature[:4] != _hash(origin, public):
            continue
        try:
            Ed25519PublicKey.from_public_bytes(public).verify(signature[4:], checkpoint.text.encode())
        except InvalidSignature:
            break
        return checkpoint
    raise Problem("is not signed by the ledger's key", member=member)


def parse(data: bytes, *, member: str) -> tuple[Checkpoint, list[str]]:
    """Read a checkpoint without checking who signed it; returns it and its signature lines.

    Raises:
        Problem: if it is no checkpoint, plainly written.
    """
    try:
        text, _, rest = data.decode().partition("\n\n")
        origin, size, root = text.split("\n")
        checkpoint = Checkpoint(origin, int(size), _decode(root))
        signatures = rest.split("\n")
    except ValueError as error:
        raise Problem("is not a checkpoint", member=member) from error
    exact = checkpoint.text == text + "\n" and len(checkpoint.root) == 32 and signatures[-1] == ""
    if not exact or not signatures[:-1] or not all(line.startswith(f"{_DASH} ") for line in signatures[:-1]):
        raise Problem("is not a checkpoint, plainly written", member=member)
    return checkpoint, signatures[:-1]


def check_verifier(text: str) -> None:
    """Raise `FileError` if `text` is not the verifier key of a ledger."""
    _verifier(text)


def _verifier(text: str) -> tuple[str, bytes]:
    origin, _, rest = text.strip().partition("+")
    hash, _, key = rest.partition("+")
    try:
        public = _decode(key)
    except ValueError:
        public = b""
    if public[:1] != _ED25519 or len(public) != 33 or _hash(origin, public[1:]).hex() != hash:
        hint = "It looks like larkspur.example/evidence+0a1b2c3d+AQ…; `compliancectl ledger new` prints it."
        raise FileError(f"{text.strip()[:80]!r} is not the verifier key of a ledger", hint=hint)
    return origin, public[1:]


def _hash(origin: str, public: bytes) -> bytes:
    return hashlib.sha256(origin.encode() + b"\n" + _ED25519 + public).digest()[:4]


def _encode(data: bytes) -> str:
    return base64.b64encode(data).decode("ascii")


def _decode(text: str) -> bytes:
    try:
        return base64.b64decode(text, validate=True)
    except binascii.Error as error:
        raise ValueError("not base64") from error
