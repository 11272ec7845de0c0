"""A depot in a bucket of S3, or of what speaks its protocol with conditional writes, through boto3 (the extra `s3`).

Every object is put with `If-None-Match: *`: the service itself refuses a name that is taken. What is too large for one request
goes in parts, and the request that makes an object of them says the same. Where the bucket has Object
Lock, an object is locked until its time in compliance mode, and nobody can delete it before, the holder of these credentials
included; a legal hold is the service's own besides the depot's record. Credentials, region and endpoint are found as boto3
finds them (`AWS_…`, `~/.aws`).
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import datetime, timedelta
from typing import Any, BinaryIO, cast

from compliancectl.depot import Stated, Taken
from compliancectl.depot.streams import Body
from compliancectl.errors import (
    CollectError,
    Denied,
    Garbage,
    Missing,
    OutputError,
    RateLimited,
    SourceFailed,
    Unreachable,
    UsageError,
)

LARGEST = 5 * 1024**3
"""Bytes that S3 takes in one request."""
PART = 64 * 1024**2
"""Bytes of a part, of which an object has at most `_PARTS`; each is held in memory while it is sent."""
_PARTS = 10_000
_WRITE = "s3:ListBucket on the bucket, s3:GetObject, s3:PutObject and s3:DeleteObject on its objects"
_READ = "s3:ListBucket on the bucket, and s3:GetObject on its objects"
_REGION = ("PermanentRedirect", "AuthorizationHeaderMalformed", "IllegalLocationConstraintException", "301")
_BUSY = ("SlowDown", "Throttling", "ThrottlingException", "RequestLimitExceeded", "TooManyRequests", "503", "429")
_NO_LOCK = ("InvalidRequest", "ObjectLockConfigurationNotFoundError")


class S3Place:
    """Objects below a prefix of a bucket."""

    def __init__(self, bucket: str, prefix: str, *, lock: bool, read_only: bool = False) -> None:
        try:
            import boto3
            from botocore.config import Config
        except ImportError as error:
            hint = "Install the extra: pip install 'compliancectl[s3]'."
            raise UsageError("the client library for S3 is not installed", hint=hint) from error
        self.bucket, self.prefix, self.lock = bucket, prefix, lock
        self.needs = _READ if read_only else _WRITE
        config = Config(connect_timeout=10, read_timeout=60, retries={"mode": "standard", "max_attempts": 3})
        with self._asking(bucket):
            self.client: Any = boto3.session.Session().client("s3", config=config)

    def names(self) -> list[str]:
        """All names, page by page, sorted."""
        return list(self.objects())

    def objects(self, under: str = "") -> dict[str, Stated]:
        """Objects by name, page by page. S3 states no digest that holds for every object, but a tag that changes."""
        found = {}
        with self._asking(self.bucket):
            pages = self.client.get_paginator("list_objects_v2").paginate(
                Bucket=self.bucket, Prefix=self.prefix + under
            )
            for page in pages:
                for item in page.get("Contents", ()):
                    name = str(item["Key"]).removeprefix(self.prefix)
                    found[name] = Stated(int(item["Size"]), None, item["LastModified"], tag=str(item["ETag"]))
        return dict(sorted(found.items()))

    def create(self, name: str, data: BinaryIO, size: int, retain_until: datetime | None) -> None:
        """Put an object, only if nothing has this name; the service checks the SHA-256 of all that it gets."""
        lock: dict[str, Any] = {}
        if self.lock and retain_until is not None:
            whole = (retain_until + timedelta(seconds=1, microseconds=-1)).replace(microsecond=0)
            lock = {"ObjectLockMode": "COMPLIANCE", "ObjectLockRetainUntilDate": whole}
        about: dict[str, Any] = {"Bucket": self.bucket, "Key": self.prefix + name}
        if size > LARGEST:
            self._create_of_parts(name, data, size, about, lock)
            return
        with self._asking(name, taken=True):
            once = {"IfNoneMatch": "*", "ChecksumAlgorithm": "SHA256"}
            self.client.put_object(**about, Body=data, ContentLength=size, **once, **lock)

    def _create_of_parts(
        self, name: str, data: BinaryIO, size: int, about: dict[str, Any], lock: dict[str, Any]
    ) -> None:
        if name in self.objects(name):
            raise Taken(name)  # the last request would say so too, after all the others
        with self._asking(name):
            began = self.client.create_multipart_upload(**about, ChecksumAlgorithm="SHA256", **lock)
        upload = {**about, "UploadId": began["UploadId"]}
        try:
            parts = self._parts(name, data, size, upload)
            with self._asking(name, taken=True):
                self.client.complete_multipart_upload(**upload, MultipartUpload={"Parts": parts}, IfNoneMatch="*")
        except BaseException:
            with suppress(Taken, CollectError):  # what is left of it is no object, but is paid for
                self._abandon(name, upload)
            raise

    def _parts(self, name: str, data: BinaryIO, size: int, upload: dict[str, Any]) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = []
        left, step = size, max(PART, -(-size // _PARTS))
        while left:
            piece = data.read(min(step, left))
            if not piece:
                said = f"{name} had {size:,} bytes, and {left:,} of them are no longer there"
                raise OutputError(said, hint="Let nothing write to it meanwhile.")
            number = len(found) + 1
            with self._asking(name):
                sent = self.client.upload_part(**upload, PartNumber=number, Body=piece, ChecksumAlgorithm="SHA256")
            told = {key: sent[key] for key in ("ETag", "ChecksumSHA256") if key in sent}
            found.append({"PartNumber": number, **told})
            left -= len(piece)
        return found

    def _abandon(self, name: str, upload: dict[str, Any]) -> None:
        with self._asking(name):
            self.client.abort_multipart_upload(**upload)

    def open(self, name: str) -> BinaryIO:
        """Read an object as a stream."""
        from botocore.exceptions import BotoCoreError
        from urllib3.exceptions import HTTPError

        with self._asking(name):
            answer = self.client.get_object(Bucket=self.bucket, Key=self.prefix + name, ChecksumMode="ENABLED")
        body = Body(answer["Body"], name, int(answer["ContentLength"]), (BotoCoreError, HTTPError, OSError))
        return cast("BinaryIO", body)

    def address(self, name: str) -> str:
        """`s3://BUCKET/…`."""
        return f"s3://{self.bucket}/{self.prefix}{name}"

    def protect(self, name: str, held: bool) -> None:
        """Set or end the service's legal hold; a bucket without Object Lock has none, and the depot's record stands alone."""
        from botocore.exceptions import ClientError

        with self._asking(name):
            try:
                status = {"Status": "ON" if held else "OFF"}
                self.client.put_object_legal_hold(Bucket=self.bucket, Key=self.prefix + name, LegalHold=status)
            except ClientError as error:
                if _code(error) not in _NO_LOCK:
                    raise

    def delete(self, name: str) -> None:
        """Delete an object: where there are versions, the version itself. The service refuses while it is held or retained."""
        where = {"Bucket": self.bucket, "Key": self.prefix + name}
        with self._asking(name):
            version = self.client.head_object(**where).get("VersionId")
            self.client.delete_object(**where, **({"VersionId": version} if version else {}))

    @contextmanager
    def _asking(self, what: str, *, taken: bool = False) -> Iterator[None]:
        """Around a request about an object or the bucket: what goes wrong in words, and with what to do."""
        from botocore.exceptions import BotoCoreError, ClientError, HTTPClientError, NoCredentialsError
        from botocore.exceptions import ConnectionError as Unconnected

        try:
            yield
        except ClientError as error:
            if taken and _code(error) in ("PreconditionFailed", "ConditionalRequestConflict", "412", "409"):
                raise Taken(what) from None
            raise self._refused(what, error) from error
        except NoCredentialsError as error:
            hint = "Set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, AWS_PROFILE, or log in with `aws sso login`."
            raise Denied(f"there are no credentials for s3://{self.bucket}", hint=hint) from error
        except (HTTPClientError, Unconnected) as error:
            raise Unreachable(
                f"S3 cannot be reached: {error}", hint="Check the network and AWS_ENDPOINT_URL."
            ) from error
        except BotoCoreError as error:
            raise Denied(f"S3 cannot be asked: {error}", hint="Look at AWS_… and ~/.aws/config.") from error

    def _refused(self, what: str, error: Any) -> CollectError:
        code, said = _code(error), str(error.response.get("Error", {}).get("Message", "")).rstrip(".")
        status = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode")
        told = f"{code}: {said}" if said else code
        if code == "NoSuchBucket":
            return Missing(f"S3 knows no bucket {self.bucket}", hint="Check the name, and AWS_ENDPOINT_URL.")
        if code in _REGION:
            region = error.response.get("ResponseMetadata", {}).get("HTTPHeaders", {}).get("x-amz-bucket-region")
            hint = f"Set AWS_REGION={region}." if region else "Set AWS_REGION to where the bucket is."
            return Missing(f"the bucket {self.bucket} is in another region: {told}", hint=hint)
        if code in _BUSY or status in (429, 503):
            return RateLimited(f"S3 asks for fewer requests, after {what}: {told}", hint="Run it again later.")
        if code == "NotImplemented":
            hint = "Only a service that refuses a name that is taken (If-None-Match) can keep evidence."
            return Garbage(f"the service cannot do what {what} needs: {told}", hint=hint)
        if code in _NO_LOCK:
            return Denied(f"S3 refuses {what}: {told}", hint="For --lock the bucket must have Object Lock.")
        if status in (401, 403):
            return Denied(f"S3 refuses {what}: {told}", hint=f"The principal needs {self.needs}.")
        if status == 404:
            return Missing(f"S3 knows no {what}", hint="Check the name.")
        return SourceFailed(f"S3 answered {what} with {told}", hint="Try again later.")


def _code(error: Any) -> str:
    return str(error.response.get("Error", {}).get("Code", "an error"))
