"""Keys: ECDSA P-256 as PEM files, which `openssl` reads too."""

from __future__ import annotations

import os
import stat
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from compliancectl.disk import output_errors
from compliancectl.errors import FileError, OutputError
from compliancectl.seal import dsse
from compliancectl.seal.signed import Signed

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePrivateKey, EllipticCurvePublicKey
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

PASSPHRASE_VARIABLE = "COMPLIANCECTL_KEY_PASSPHRASE"  # noqa: S105  # the name, not the value
_MAX_BYTES = 64 * 1024


@dataclass(frozen=True)
class KeyFiles:
    """A new key."""

    private: Path
    public: Path
    key_id: str
    encrypted: bool


@dataclass(frozen=True)
class SigningKey:
    """A private key, ready to sign."""

    private: EllipticCurvePrivateKey
    key_id: str
    public_pem: bytes
    warnings: tuple[str, ...] = ()

    def sign(self, payload: bytes) -> Signed:
        """Sign a statement."""
        return Signed(dsse.sign(payload, self.private), self.public_pem)


def new_key(path: Path, *, force: bool = False) -> KeyFiles:
    """Make a key: `<path>.pem`, readable by its owner alone, and `<path>.pub.pem`, which you give to verifiers.

    The private key is encrypted when COMPLIANCECTL_KEY_PASSPHRASE is set.

    Raises:
        OutputError: if either file exists and `force` is not given, or cannot be written.
    """
    from cryptography.hazmat.primitives.asymmetric import ec

    base = path.with_name(path.name.removesuffix(".pem"))
    private, public = base.with_name(base.name + ".pem"), base.with_name(base.name + ".pub.pem")
    if not force:
        _refuse_existing(private, public)
    key = ec.generate_private_key(ec.SECP256R1())
    with output_errors(private):
        base.parent.mkdir(parents=True, exist_ok=True)
        _write(private, private_pem(key), 0o600, replace=force)
        try:
            _write(public, public_pem(key.public_key()), 0o644, replace=force)
        except BaseException:
            if not force:
                private.unlink()  # half a pair is no key; the next attempt must not find it in its way
            raise
    return KeyFiles(private, public, dsse.key_id(key.public_key()), encrypted=_passphrase() is not None)


def load_private(path: Path) -> SigningKey:
    """Read a private key; COMPLIANCECTL_KEY_PASSPHRASE opens an encrypted one.

    Raises:
        FileError: if it cannot be read, is no private key, is of another kind, or its passphrase is missing or wrong.
    """
    from cryptography.hazmat.primitives.asymmetric import ec

    data = read_file(path)
    key = parse_private(data, path)
    if not isinstance(key, ec.EllipticCurvePrivateKey) or key.curve.name != "secp256r1":
        raise _wrong_kind(path)
    public = key.public_key()
    return SigningKey(key, dsse.key_id(public), public_pem(public), _warnings(path))


def load_public(path: Path) -> EllipticCurvePublicKey:
    """Read a public key file.

    Raises:
        FileError: if it cannot be read, is no public key, or is of another kind.
    """
    data = read_file(path)
    if b"PRIVATE KEY" in data:
        raise FileError(
            "this is a private key; a verifier needs only the public one", file=path, hint="Give the .pub.pem file."
        )
    key = parse_public(data)
    if key is None:
        raise _wrong_kind(path)
    return key


def parse_public(data: bytes) -> EllipticCurvePublicKey | None:
    """Read a public key in PEM; None if `data` is anything but an ECDSA P-256 public key."""
    from cryptography.exceptions import UnsupportedAlgorithm
    from cryptography.hazmat.primitives.asymmetric import ec
    from cryptography.hazmat.primitives.serialization import load_pem_public_key

    try:
        key = load_pem_public_key(data)
    except (ValueError, UnsupportedAlgorithm):
        return None
    return key if isinstance(key, ec.EllipticCurvePublicKey) and key.curve.name == "secp256r1" else None


def public_pem(key: EllipticCurvePublicKey) -> bytes:
    """Write a public key in PEM, in the one form that we write."""
    from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

    return key.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)


def parse_private(data: bytes, path: Path) -> object:
    """Read a private key in PEM, of whatever kind.

    Raises:
        FileError: if it is none, or its passphrase is missing or wrong.
    """
    from cryptography.exceptions import UnsupportedAlgorithm
    from cryptography.hazmat.primitives.serialization import load_pem_private_key

    encrypted = b"ENCRYPTED" in data
    passphrase = _passphrase() if encrypted else None
    if encrypted and passphrase is None:
        raise FileError(
            "the key is encrypted and no passphrase is given", file=path, hint=f"Set {PASSPHRASE_VARIABLE}."
        )
    try:
        return load_pem_private_key(data, passphrase)
    except (ValueError, TypeError, UnsupportedAlgorithm) as error:
        if encrypted:
            raise FileError(
                "the passphrase does not open this key", file=path, hint=f"Correct {PASSPHRASE_VARIABLE}."
            ) from error
        raise FileError(
            "this is not a private key in PEM", file=path, hint="Make one with `compliancectl keys new`."
        ) from error


def private_pem(key: EllipticCurvePrivateKey | Ed25519PrivateKey) -> bytes:
    """Write a private key in PEM, encrypted if COMPLIANCECTL_KEY_PASSPHRASE is set."""
    from cryptography.hazmat.primitives.serialization import (
        BestAvailableEncryption,
        Encoding,
        KeySerializationEncryption,
        NoEncryption,
        PrivateFormat,
    )

    passphrase = _passphrase()
    guard: KeySerializationEncryption = BestAvailableEncryption(passphrase) if passphrase else NoEncryption()
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, guard)


def _passphrase() -> bytes | None:
    return os.environ.get(PASSPHRASE_VARIABLE, "").encode() or None


def _refuse_existing(*paths: Path) -> None:
    for path in paths:
        if os.path.lexists(path):
            raise OutputError(
                "a key is here already; without it nobody can sign as before",
                file=path,
                hint="Choose another name, or give --force to replace it for good.",
            )


def _write(path: Path, data: bytes, mode: int, *, replace: bool) -> None:
    """Create the file with `mode` from its first instant; never through a link, never over another file."""
    target = path.with_name(f".{path.name}.new") if replace else path
    if replace:
        target.unlink(missing_ok=True)
    handle = os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
    try:
        with os.fdopen(handle, "wb") as stream:
            stream.write(data)
            stream.flush()
            os.fsync(handle)
    except BaseException:
        target.unlink(missing_ok=True)
        raise
    if replace:
        target.replace(path)


def write_new(path: Path, data: bytes) -> None:
    """Write a private file that does not exist yet."""
    _write(path, data, 0o600, replace=False)


def read_file(path: Path) -> bytes:
    """Read a file that holds a key.

    Raises:
        FileError: if it cannot be read, or is far too long.
    """
    try:
        with path.open("rb") as stream:
            data = stream.read(_MAX_BYTES + 1)
    except OSError as error:
        raise FileError(
            f"the key cannot be read: {error.strerror}", file=path, hint="Check the path and its permissions."
        ) from error
    if len(data) > _MAX_BYTES:
        raise FileError("this is far too long for a key", file=path, hint="Give a key in PEM.")
    return data


def _wrong_kind(path: Path) -> FileError:
    return FileError(
        "this is not an ECDSA P-256 key in PEM, the only kind that seals a bundle",
        file=path,
        hint="Make one with `compliancectl keys new`.",
    )


def _warnings(path: Path) -> tuple[str, ...]:
    mode = stat.S_IMODE(path.stat().st_mode)
    if mode & 0o077:
        return (f"{path} can be read by others than its owner (mode {mode:04o}); run: chmod 600 {path}",)
    return ()
