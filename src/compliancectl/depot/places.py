"""From the address that people write to the place that it names."""

from __future__ import annotations

from pathlib import Path

from compliancectl.depot import Place
from compliancectl.errors import UsageError

BUCKETS = ("gs://", "s3://")
"""How the address of a bucket begins."""
FORMS = "gs://BUCKET/PREFIX or s3://BUCKET/PREFIX"
"""How people write it."""


def is_bucket(text: str) -> bool:
    """Whether an address is that of a bucket."""
    return text.startswith(BUCKETS)


def address(text: str) -> tuple[str, str]:
    """Bucket and prefix of a bucket's address; the prefix is empty or ends with a slash.

    Raises:
        UsageError: if it names no bucket.
    """
    bucket, _, prefix = text.partition("://")[2].partition("/")
    if not bucket:
        raise UsageError(f"{text!r} names no bucket", hint=f"Write {FORMS}.")
    return bucket, f"{prefix.strip('/')}/" if prefix.strip("/") else ""


def open_place(text: str, *, lock: bool = False, read_only: bool = False, filled: bool = False) -> Place:
    """Open a folder or the prefix of a bucket.

    Args:
        text: the address.
        lock: have the service itself refuse to delete what is kept until a time.
        read_only: ask for no right to write.
        filled: something was put there before: a folder that is not there is a mistake, and no empty place.

    Raises:
        UsageError: it names no place, or none that was filled.
        Denied: there are no credentials for it.
    """
    if text.startswith("gs://"):
        from compliancectl.depot.gcs import GcsPlace

        return GcsPlace(*address(text), lock=lock, read_only=read_only)
    if text.startswith("s3://"):
        from compliancectl.depot.s3 import S3Place

        return S3Place(*address(text), lock=lock, read_only=read_only)
    if "://" in text:
        raise UsageError(f"{text} cannot be opened", hint=f"Name a folder, {FORMS}.")
    if lock:
        raise UsageError("a folder cannot lock anything", hint=f"Use a bucket: {FORMS}.")
    from compliancectl.depot.local import LocalPlace

    if filled and not Path(text).is_dir():
        raise UsageError(f"{text} is no folder", hint=f"Name the folder that was written to, {FORMS}.")
    return LocalPlace(Path(text))
