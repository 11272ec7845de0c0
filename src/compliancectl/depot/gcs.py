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
from typing import TYPE_CHECKING, Any, BinaryIO, cast
from urllib.parse import quote

from compliancectl import clock, googleapi
from compliancectl.depot import Stated, Taken
from compliancectl.depot.streams import Body
from compliancectl.errors import Garbage, OutputError, SourceFailed, Unreachable

if TYPE_CHECKING:
    import requests

ENDPOINT_VARIABLE = "COMPLIANCECTL_ENDPOINT_STORAGE"
PIECE = 32 * 1024**2
"""Bytes that are sent in one request; a multiple of 256 KiB, as the service wants it."""
_TRIES = 3
"""How often a piece is sent again that did not arrive."""
_GOES_ON = 308
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
        session = began.headers.get("Location", "")
        if not session:
            raise Garbage("Cloud Storage opened no session to upload in", hint="Check the endpoint.")
        sent, md5 = self._sent(session, data, size)
        if sent.status_code == 412:
            raise Taken(name)
        said = sent.json()
        if int(said.get("size", -1)) != size or said.get("md5Hash") != md5:
            raise Garbage(f"Cloud Storage did not receive {name} whole", hint="Have the object removed, and repeat.")

    def _sent(self, session: str, data: BinaryIO, size: int) -> tuple[requests.Response, str]:
        """Send all of it, piece by piece; what broke off goes on where the service says that it has come to.

        Returns:
            The service's last word (200, 201 or 412), and the MD5 of what was sent, in base64.
        """
        digest, hashed, at, tries = hashlib.md5(usedforsecurity=False), 0, 0, 0
        start, furthest, fault = data.tell(), 0, None
        while True:
            data.seek(start + at)
            piece = data.read(min(PIECE, size - at))
            if not piece and at < size:
                raise OutputError(
                    f"{size - at:,} of {size:,} bytes are no longer there", hint="Let nothing write to it."
                )
            digest.update(piece[max(hashed - at, 0) :])
            hashed = max(hashed, at + len(piece))
            try:
                answer = self._put(session, piece, f"{at}-{at + len(piece) - 1}" if piece else "*", size)
            except (Unreachable, SourceFailed) as error:
                fault = error
                answer = self._put(session, b"", "*", size)  # how much did arrive?
            if answer.status_code != _GOES_ON:
                return answer, base64.b64encode(digest.digest()).decode()
            said = answer.headers.get("Range")
            at = int(said.rpartition("-")[2]) + 1 if said else 0
            if at > furthest:
                furthest, tries = at, 0
            elif (tries := tries + 1) > _TRIES:
                raise fault or SourceFailed("Cloud Storage takes no more of an upload", hint="Run it again later.")

    def _put(self, session: str, piece: bytes, what: str, size: int) -> requests.Response:
        head = {"Content-Range": f"bytes {what}/{size}"}
        return self.api.send("PUT", session, data=piece, headers=head, allowed=(200, 201, _GOES_ON, 412))

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
