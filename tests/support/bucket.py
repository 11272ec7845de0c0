"""Cloud Storage on loopback: an emulator from the registry, and in front of it what it lacks.

The emulator keeps objects and speaks the JSON API; preconditions, retention and holds it ignores. The front refuses what
the service documents that it refuses: `ifGenerationMatch=0` on a name that is taken (412), and deleting what is held or
retained (403). It also wants a token, and notes what was asked. What tests want to go wrong are its attributes.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, quote, unquote, urlsplit

import requests
from gcp_storage_emulator.server import create_server
from kms import TOKEN
from loopback import serving

BUCKET = "larkspur-evidence"


class Bucket(ThreadingHTTPServer):
    """The front; `break_upload` has the data of uploads arrive with another bit."""

    def __init__(self, emulator: str) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.emulator = emulator
        self.url = f"http://127.0.0.1:{self.server_port}"
        self.asked: list[tuple[str, str, Any]] = []
        self.locks: dict[str, str] = {}
        """Object → until when the service retains it."""
        self.holds: set[str] = set()
        self.refuse_listing = False
        self.break_upload = False
        self.lose: list[str] = []
        """What becomes of the next pieces of uploads: `piece` does not arrive (503), of `answer` nobody hears."""
        self.ended: dict[str, requests.Response] = {}
        """Upload → what was answered to its last piece."""
        self.denied: set[str] = set()
        """Objects that may not be read."""
        self.vanished: set[str] = set()
        """Objects that are listed and gone."""
        self.made: dict[str, str] = {}
        """Object → when it was made, instead of now."""
        self.strange: set[str] = set()
        """Objects that are listed besides: the emulator refuses such names, and the service does not."""
        self.cut: set[str] = set()
        """Objects of which the next download breaks off in the middle."""
        self.composed: set[str] = set()
        """Objects that were composed of others: the service states no MD5 of them."""

        self.uncounted = False
        """Whether objects are listed without their generation, as the service never does."""

    def about(self, name: str) -> dict[str, Any] | None:
        """What the emulator knows of an object."""
        answer = requests.get(f"{self.emulator}/storage/v1/b/{BUCKET}/o/{quote(name, safe='')}", timeout=10)
        return answer.json() if answer.status_code == 200 else None

    def content(self, address: str) -> bytes:
        """An object by its address, as another service of the same cloud reads it."""
        name = address.removeprefix(f"gs://{BUCKET}/")
        where = f"{self.emulator}/storage/v1/b/{BUCKET}/o/{quote(name, safe='')}?alt=media"
        return requests.get(where, timeout=10).content

    @classmethod
    @contextmanager
    def serving(cls) -> Iterator[Bucket]:
        """Serve until the block ends."""
        emulator = create_server("127.0.0.1", 0, in_memory=True, default_bucket=BUCKET)
        emulator.start()
        try:
            with serving(cls("http://{}:{}".format(*emulator._api._httpd.server_address))) as server:
                yield server
        finally:
            emulator.stop()


class _Handler(BaseHTTPRequestHandler):
    server: Bucket
    came_to: str | None = None
    """How far an upload is, as the emulator says."""

    def _serve(self) -> None:
        bucket, parts = self.server, urlsplit(self.path)
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        query = {name: values[0] for name, values in parse_qs(parts.query).items()}
        said = json.loads(body) if self.headers.get("Content-Type") == "application/json" and body else None
        bucket.asked.append((self.command, parts.path, said))
        if self.headers.get("Authorization") != f"Bearer {TOKEN}":
            return self._answer(401)
        if bucket.refuse_listing and parts.path.endswith("/o") and self.command == "GET":
            return self._answer(503)
        if self.command == "POST" and query.get("ifGenerationMatch") == "0" and bucket.about(query["name"]):
            return self._answer(412)
        if self.command == "POST" and said and "retention" in said:
            bucket.locks[query["name"]] = said["retention"]["retainUntilTime"]
        if self.command == "PATCH" and said is not None:
            name = unquote(parts.path.rpartition("/")[2])
            (bucket.holds.add if said["temporaryHold"] else bucket.holds.discard)(name)
            return self._answer(200, b"{}")
        if self.command == "DELETE" and self._kept(unquote(parts.path.rpartition("/")[2])):
            return self._answer(403)
        if query.get("alt") == "media":
            name = unquote(parts.path.rpartition("/")[2])
            if name in bucket.denied or name in bucket.vanished:
                return self._answer(403 if name in bucket.denied else 404)
        if self.command == "PUT" and bucket.break_upload:
            body = body[:-1] + bytes([body[-1] ^ 1])
        if self.command == "PUT" and body and bucket.lose and (what := bucket.lose.pop(0)) != "nothing":
            if what == "piece":
                return self._answer(503)
            self._ask(body)
            self.close_connection = True
            return None
        return self._forward(body)

    def _kept(self, name: str) -> bool:
        until = self.server.locks.get(name)
        return name in self.server.holds or (until is not None and datetime.fromisoformat(until) > datetime.now(UTC))

    def _ask(self, body: bytes) -> requests.Response:
        kept = ("Content-Type", "Content-Range", "X-Upload-Content-Length", "X-Upload-Content-Type")
        headers = {name: self.headers[name] for name in kept if name in self.headers}
        where, ended = self.server.emulator + self.path, self.server.ended
        answer = requests.request(self.command, where, data=body, headers=headers, timeout=10, allow_redirects=False)
        # The emulator forgets an upload that is whole, and says that one byte is there when there is none.
        if self.command == "PUT" and answer.status_code == 200:
            ended[self.path] = answer
        self.came_to = None if not body and answer.headers.get("Range") == "bytes=0-0" else answer.headers.get("Range")
        return ended[self.path] if answer.status_code == 404 and self.path in ended else answer

    def _forward(self, body: bytes) -> None:
        answer = self._ask(body)
        location = answer.headers.get("Location")
        body = self._listed(answer.json()) if self._lists() and answer.status_code == 200 else answer.content
        self._answer(answer.status_code, body, location and self.server.url + "/" + location.split("/", 3)[3])

    def _lists(self) -> bool:
        return self.command == "GET" and urlsplit(self.path).path.endswith("/o")

    def _listed(self, data: Any) -> bytes:
        data.setdefault("items", []).extend(
            {"name": name, "size": "1", "md5Hash": "", "timeCreated": "2026-11-01T00:00:00Z"}
            for name in sorted(self.server.strange)
        )
        for item in data["items"]:
            if item["name"] in self.server.made:
                item["timeCreated"] = self.server.made[item["name"]]
            if item["name"] in self.server.composed:
                del item["md5Hash"]
            if self.server.uncounted:
                del item["generation"]
        return json.dumps(data).encode()

    def _answer(self, status: int, body: bytes = b"", location: str | None = None) -> None:
        self.send_response(status)
        if location:
            self.send_header("Location", location)
        if self.command == "PUT" and status == 308 and self.came_to:
            self.send_header("Range", self.came_to)
        if status != 204:
            self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        name = unquote(urlsplit(self.path).path.rpartition("/")[2])
        if "alt=media" in self.path and name in self.server.cut:
            self.server.cut.discard(name)
            self.wfile.write(body[: len(body) // 2])
            self.close_connection = True
            return
        self.wfile.write(body)

    do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = _serve

    def log_message(self, format: str, *arguments: object) -> None:
        """Say nothing."""
