"""Personal data in evidence: replaced before anything is hashed, and provable one value at a time.

    value ──HMAC, a key of its own──▶ pseudonym ──▶ the reply, and the rows made of it
      └──salt──▶ disclosure (RFC 9901) ──SHA-256──▶ commitment ──▶ item.json, under the seal

A pseudonym is the same wherever the same value occurs, so a control can still join and count. Keys and salts lie in a
folder that no run or bundle contains. Whoever holds it can open one value to an auditor; once the line of a person is
destroyed there, nobody can tell any more whom the pseudonym stood for, nor test a guess, and every bundle still verifies.
"""

from __future__ import annotations

import base64
import binascii
import fcntl
import hashlib
import hmac
import json
import os
import re
import secrets
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from pydantic import ValidationError

from compliancectl import canonical, disk
from compliancectl.errors import FileError, OutputError
from compliancectl.model.evidence import Pseudonym
from compliancectl.model.redaction import Opening

OPENINGS = "openings.jsonl"
_ISSUED = re.compile(rb"person-[a-z2-7]{26}")


class People:
    """The pseudonyms of one folder of openings, while a run uses it. Thread-safe."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._lock = threading.Lock()
        self._known = {(o.kind, o.value): o for o in read(folder)}
        self._issued = {o.pseudonym: o for o in self._known.values()}
        with disk.output_errors(folder):
            flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC
            self._handle = os.open(folder / OPENINGS, flags, 0o600)
        self._unwritten = False

    def pseudonym(self, kind: str, value: str) -> str:
        """What stands for `value` in the evidence.

        Raises:
            OutputError: if a new opening cannot be kept.
        """
        with self._lock:
            found = self._known.get((kind, value))
            if found is None:
                found = self._known[kind, value] = _new(kind, value)
                self._issued[found.pseudonym] = found
                with disk.output_errors(self.folder):
                    os.write(self._handle, canonical.to_lines([found.model_dump(mode="json")]))
                self._unwritten = True
            return found.pseudonym

    def opening(self, name: str) -> Opening | None:
        """The opening of a pseudonym, by now on the disk; None if it is not one of these."""
        with self._lock:
            if self._unwritten:
                with disk.output_errors(self.folder):
                    os.fsync(self._handle)
                self._unwritten = False
            return self._issued.get(name)

    def close(self) -> None:
        """Let another run use the folder."""
        os.close(self._handle)


@contextmanager
def people(folder: Path | None) -> Iterator[People | None]:
    """Hold a folder of openings for one run; None: personal values are removed and cannot be opened.

    Raises:
        OutputError: if another run uses it, or it cannot be written to.
        FileError: if what is in it is damaged.
    """
    if folder is None:
        yield None
        return
    with disk.output_errors(folder):
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        lock = (folder / ".lock").open("w")
    with lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise OutputError("another run uses these openings", file=folder, hint="Wait for it to end.") from None
        found = People(folder)
        try:
            yield found
        finally:
            found.close()


def found_in(body: bytes) -> Counter[str]:
    """How often each text that has the form of a pseudonym occurs."""
    return Counter(match.decode("ascii") for match in _ISSUED.findall(body))


def commitments(given: People | None, counts: Counter[str]) -> tuple[Pseudonym, ...]:
    """The pseudonyms that `found_in` counted, sorted, each with its commitment.

    What has the form of a pseudonym and no opening is listed without one: the source said it, or its opening was
    destroyed since a reply that is used again was kept.
    """
    return tuple(_commitment(name, n, given.opening(name) if given else None) for name, n in sorted(counts.items()))


def _new(kind: str, value: str) -> Opening:
    key = secrets.token_bytes(32)
    code = hmac.digest(key, f"{kind}\0{value}".encode("utf-8", "surrogatepass"), "sha256")[:16]
    name = "person-" + base64.b32encode(code).decode("ascii").rstrip("=").lower()
    return Opening(kind=kind, value=value, key=key.hex(), salt=_encode(secrets.token_bytes(16)), pseudonym=name)


def _commitment(name: str, count: int, opening: Opening | None) -> Pseudonym:
    if opening is None:
        return Pseudonym(pseudonym=name, count=count)
    return Pseudonym(pseudonym=name, count=count, kind=opening.kind, commitment=commitment(disclosure(opening)))


# -- opening and destroying -------------------------------------------------------------------------------------------


def read(folder: Path) -> tuple[Opening, ...]:
    """All openings of a folder, in the order in which they were made; none if there is no file.

    Raises:
        FileError: if a line is damaged. A last line that was cut short by a crash belongs to no evidence, and is left out.
    """
    file = folder / OPENINGS
    try:
        data = file.read_bytes()
    except FileNotFoundError:
        return ()
    except OSError as error:
        raise FileError(f"the openings cannot be read: {error.strerror}", file=file, hint="Check the path.") from error
    whole = data[: data.rfind(b"\n") + 1]
    if whole != data:
        with disk.output_errors(file):
            os.truncate(file, len(whole))
    try:
        return tuple(Opening.model_validate_json(line) for line in whole.splitlines())
    except ValidationError as error:
        raise FileError("a line of the openings is damaged", file=file, hint="Use a copy of the file.") from error


def disclosure(opening: Opening) -> str:
    """The disclosure of RFC 9901 for one opening."""
    text = json.dumps([opening.salt, opening.pseudonym, opening.value], ensure_ascii=False, separators=(",", ":"))
    return _encode(text.encode("utf-8", "surrogatepass"))


def commitment(disclosed: str) -> str:
    """The digest by which RFC 9901 refers to a disclosure: SHA-256 of its text, in base64url."""
    return _encode(hashlib.sha256(disclosed.encode()).digest())


def disclosed(text: str) -> tuple[str, str] | None:
    """Pseudonym and value that a disclosure names; None if it is none."""
    try:
        padded = text.encode("ascii") + b"=" * (-len(text) % 4)
        salt, name, value = json.loads(base64.b64decode(padded, altchars=b"-_", validate=True))
    except (ValueError, TypeError, binascii.Error, RecursionError):
        return None
    return (name, value) if all(isinstance(part, str) for part in (salt, name, value)) else None


def destroy(folder: Path, unwanted: Callable[[Opening], bool]) -> tuple[Opening, ...]:
    """Destroy openings for good; returns them.

    The old file is written over before it goes. What a copy, a backup or the storage below still holds is not reached.

    Raises:
        OutputError: if another run uses the folder, or it cannot be written.
        FileError: if it is damaged.
    """
    with people(folder):
        found = read(folder)
        gone = tuple(opening for opening in found if unwanted(opening))
        if gone:
            kept = [opening.model_dump(mode="json") for opening in found if opening not in gone]
            file, new = folder / OPENINGS, folder / f".{OPENINGS}.new"
            with disk.output_errors(folder):
                handle = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
                with os.fdopen(handle, "wb") as stream:
                    stream.write(canonical.to_lines(kept))
                    stream.flush()
                    os.fsync(handle)
                with file.open("r+b") as old:
                    old.write(secrets.token_bytes(file.stat().st_size))
                    old.flush()
                    os.fsync(old.fileno())
                new.replace(file)
                disk.sync(folder)
    return gone


def _encode(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).decode("ascii").rstrip("=")
