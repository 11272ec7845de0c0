"""A depot in a bucket of Google Cloud Storage, through its JSON API.

Every object is inserted with `ifGenerationMatch=0`: the service itself refuses a name that is taken. Where the bucket has
object retention enabled, an object is locked until its time by the service, and nobody can delete it before, the holder of
these credentials included. A legal hold is the service's temporary hold besides the depot's own record.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Iterator
from datetime import datetime
from typing import Any, BinaryIO, cast
from urllib.parse import quote

from compliancectl import clock, googleapi
from compliancectl.depot import Stated, Taken
from compliancectl.depot.streams import Body
from compliancectl.errors import Garbage

ENDPOINT_VARIABLE = "COMPLIANCECTL_ENDPOINT_STORAGE"
_SCOPE = "https://www.googleapis.com/auth/devstorage.full_control"
_ROLE = "roles/storage.objectAdmin on the bucket"
_READ_SCOPE = "https://www.googleapis.com/auth/devstorage.read_only"
_READ_ROLE = "roles/storage.objectViewer on the bucket"


class GcsPlace:
    """Objects below a prefix of a bucket."""

    def __init__(self, bucket: str, prefix: str, *, lock: bool, read_only: bool = False) -> None:
        scope, role = (_READ_SCOPE, _READ_ROLE) if read_only else (_SCOPE, _ROLE)
        self.api = googleapi.connect("Cloud Storage", "https://storage.googleapis.com", ENDPOINT_VARIABLE, scope, role)
        self.bucket, self.prefix, self.lock = bucket, prefix, lock

    def names(self) -> list[str]:
        """All names, page by page, sorted."""
        return sorted(str(item["name"]).removeprefix(self.prefix) for item in self._listed("", "name"))

    def objects(self, under: str = "") -> dict[str, Stated]:
        """Objects by name, page by page, with what the service says of each.

        Raises:
            Garbage: if it does not say it.
        """
        try:
            return {
                str(item["name"]).removeprefix(self.prefix): Stated(
                    int(item["size"]),
                    item.get("md5Hash"),
                    clock.parse(item["timeCreated"]),
                    generation=item.get("generation"),
                )
                for item in self._listed(under, "name,size,md5Hash,timeCreated,generation")
            }
        except (KeyError, ValueError) as error:
            raise Garbage(f"Cloud Storage lists an object without its {error}", hint="Check the endpoint.") from None

    def _listed(self, under: str, fields: str) -> Iterator[dict[str, Any]]:
        token: str | None = None
        while True:
            params = {"prefix": self.prefix + under, "fields": f"items({fields}),nextPageToken", "maxResults": "1000"}
            said = self.api.json(
                "GET", f"storage/v1/b/{self.bucket}/o", params=params | ({"pageToken": token} if token else {})
            )
            yield from said.get("items", [])
            token = said.get("nextPageToken")
            if not token:
                return

    def create(self, name: str, data: BinaryIO, size: int, retain_until: datetime | None) -> None:
        """Upload in one session, only if nothing has this name, and compare what the service says that it received."""
        about: dict[str, Any] = {"name": self.prefix + name, "contentType": "application/octet-stream"}
        if self.lock and retain_until is not None:
            about["retention"] = {"mode": "Locked", "retainUntilTime": clock.text(retain_until)}
        began = self.api.send(
            "POST",
            f"upload/storage/v1/b/{self.bucket}/o",
            params={"uploadType": "resumable", "name": self.prefix + name, "ifGenerationMatch": "0"},
            json=about,
            headers={"X-Upload-Content-Length": str(size)},
            allowed=(200, 412),
        )
        if began.status_code == 412:
            raise Taken(name)
        digest = hashlib.md5(usedforsecurity=False)
        session = began.headers.get("Location", "")
        if not session:
            raise Garbage("Cloud Storage opened no session to upload in", hint="Check the endpoint.")
        sent = self.api.send("PUT", session, data=_Hashed(data, size, digest), allowed=(200, 201, 412))
        if sent.status_code == 412:
            raise Taken(name)
        said = sent.json()
        if int(said.get("size", -1)) != size or said.get("md5Hash") != base64.b64encode(digest.digest()).decode():
            raise Garbage(f"Cloud Storage did not receive {name} whole", hint="Have the object removed, and repeat.")

    def open(self, name: str) -> BinaryIO:
        """Read an object as a stream."""
        from urllib3.exceptions import HTTPError

        answer = self.api.send("GET", self._object(name), params={"alt": "media"}, stream=True)
        answer.raw.decode_content = False
        size = answer.headers.get("Content-Length")
        return cast("BinaryIO", Body(answer.raw, name, int(size) if size else None, (HTTPError, OSError)))

    def address(self, name: str) -> str:
        """`gs://BUCKET/…`."""
        return f"gs://{self.bucket}/{self.prefix}{name}"

    def protect(self, name: str, held: bool) -> None:
        """Set or end the service's temporary hold."""
        self.api.json("PATCH", self._object(name), json={"temporaryHold": held})

    def delete(self, name: str) -> None:
        """Delete an object; the service refuses while it is held or retained."""
        self.api.send("DELETE", self._object(name), allowed=(200, 204))

    def _object(self, name: str) -> str:
        return f"storage/v1/b/{self.bucket}/o/{quote(self.prefix + name, safe='')}"


class _Hashed:
    """A stream of known length that is hashed while it is sent."""

    def __init__(self, data: BinaryIO, size: int, digest: Any) -> None:
        self._data, self._size, self._digest = data, size, digest

    def __len__(self) -> int:
        return self._size

    def read(self, size: int = -1) -> bytes:
        """The next bytes."""
        piece = self._data.read(size)
        self._digest.update(piece)
        return piece
