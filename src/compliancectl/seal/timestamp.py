"""RFC 3161 time stamps: a third party's word that the seal's signature existed at an instant.

It is what keeps the holder of the key from sealing today what is dated a month ago. The token is about the bytes of
the signature; certificates are judged at the time in the token, so that it still counts when they have expired since.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from compliancectl.errors import CollectError, FileError, Garbage, SourceFailed, Unreachable
from compliancectl.seal import Problem

if TYPE_CHECKING:
    from cryptography.x509 import Certificate

_MOST = 1024**2
_HINT = "Use another authority, or seal without a time stamp and add one later with `compliancectl timestamp`."


@dataclass(frozen=True)
class Stamp:
    """What one token says."""

    time: datetime
    policy: str
    serial: str


def read_authorities(path: Path) -> tuple[Certificate, ...]:
    """Read the certificates (PEM) of authorities whose word counts.

    Raises:
        FileError: if it cannot be read or holds none.
    """
    from cryptography.x509 import load_pem_x509_certificates

    try:
        return tuple(load_pem_x509_certificates(path.read_bytes()))
    except OSError as error:
        raise FileError(
            f"the certificates cannot be read: {error.strerror}", file=path, hint="Check the path."
        ) from error
    except ValueError as error:
        raise FileError("there is no certificate in PEM here", file=path, hint="Give the authority's root.") from error


def read(data: bytes, signature: bytes, *, member: str) -> Stamp:
    """Read a response and hold it against the signature it must be about. This says nothing about who made it.

    Raises:
        Problem: if it is no response that grants a token, or is about other bytes.
    """
    response = _decode(data, member)
    _check(response, signature, member)
    info = response.tst_info
    return Stamp(info.gen_time, info.policy.dotted_string, str(info.serial_number))


def is_by(data: bytes, signature: bytes, roots: Sequence[Certificate], *, member: str) -> bool:
    """True if the token was made by an authority below one of `roots`, with a certificate that was valid then."""
    from rfc3161_client import VerificationError, VerifierBuilder

    response = _decode(data, member)
    _check(response, signature, member)
    for root in roots:
        try:
            VerifierBuilder(roots=[root]).build().verify_message(response, signature)
        except (VerificationError, ValueError):
            continue
        return True
    return False


def ask(url: str, signature: bytes, *, deadline_s: float = 30.0) -> bytes:
    """Ask an authority for a time stamp over `signature`; returns its response as it came.

    Raises:
        CollectError: if it cannot be reached, refuses, or answers with something else.
    """
    from rfc3161_client import HashAlgorithm, TimestampRequestBuilder

    query = TimestampRequestBuilder(data=signature, hash_algorithm=HashAlgorithm.SHA256).build()
    data = _post(url, query.as_bytes(), deadline_s)
    try:
        response = _decode(data, url)
        _check(response, signature, url)
    except Problem as problem:
        raise Garbage(f"the time stamp of {url} {problem.message}", hint=_HINT) from problem
    if response.tst_info.nonce != query.nonce:
        raise Garbage(f"the time stamp of {url} answers another question: its nonce is not ours", hint=_HINT)
    return data


def reply(url: str, query: bytes, *, digest: bytes, nonce: int, deadline_s: float = 30.0) -> bytes:
    """Have an authority answer a query that was made elsewhere; returns its response as it came.

    Args:
        url: the authority.
        query: a query of RFC 3161 in DER.
        digest: what it asks a stamp for.
        nonce: its nonce.
        deadline_s: seconds that the authority has.

    Raises:
        CollectError: if it cannot be reached, refuses, or answers another question.
    """
    data = _post(url, query, deadline_s)
    try:
        info = _decode(data, url).tst_info
    except Problem as problem:
        raise Garbage(f"the time stamp of {url} {problem.message}", hint=_HINT) from problem
    if info.nonce != nonce or info.message_imprint.message != digest:
        raise Garbage(f"the time stamp of {url} answers another question", hint=_HINT)
    return data


def _post(url: str, body: bytes, deadline_s: float) -> bytes:
    import requests

    headers = {"Content-Type": "application/timestamp-query", "Accept": "application/timestamp-reply"}
    try:
        with requests.post(
            url, data=body, headers=headers, timeout=deadline_s, stream=True, allow_redirects=False
        ) as answer:
            data = answer.raw.read(_MOST + 1, decode_content=True)
            status, kind = answer.status_code, answer.headers.get("Content-Type", "nothing")
    except ValueError as error:
        raise CollectError(f"{url} is no address of a time stamp authority: {error}", hint=_HINT) from error
    except (requests.RequestException, OSError) as error:
        raise Unreachable(f"the time stamp authority {url} cannot be reached: {error}", hint=_HINT) from error
    if status != 200:
        raise SourceFailed(f"the time stamp authority {url} answered {status}", hint=_HINT)
    if len(data) > _MOST or kind.partition(";")[0].strip() != "application/timestamp-reply":
        raise Garbage(f"the time stamp authority {url} answered with {kind}, {len(data)} bytes", hint=_HINT)
    return bytes(data)


def _decode(data: bytes, member: str) -> Any:
    from rfc3161_client import decode_timestamp_response

    try:
        response = decode_timestamp_response(data)
        whole = response.as_bytes() == data
        granted = response.status == 0
        if granted:
            _ = response.tst_info  # a token that cannot be read shows here, not later
    except (ValueError, TypeError) as error:
        raise Problem(f"is not an RFC 3161 response: {error}", member=member) from error
    if not whole:
        raise Problem("is not one RFC 3161 response in DER", member=member)
    if not granted:
        said = "; ".join(response.status_string) or "without a reason"
        raise Problem(f"grants no time stamp: status {response.status}, {said}", member=member)
    return response


def _check(response: Any, signature: bytes, member: str) -> None:
    """Refuse a token over anything but `signature`."""
    import hashlib

    algorithms = {
        "2.16.840.1.101.3.4.2.1": hashlib.sha256,
        "2.16.840.1.101.3.4.2.2": hashlib.sha384,
        "2.16.840.1.101.3.4.2.3": hashlib.sha512,
    }
    imprint = response.tst_info.message_imprint
    digest = algorithms.get(imprint.hash_algorithm.dotted_string)
    if digest is None or digest(signature).digest() != imprint.message:
        raise Problem("is not about this bundle's signature", member=member)
