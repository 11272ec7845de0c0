"""S3's protocol on loopback: a server from the registry, and before it what tests want to go wrong.

The server keeps objects, versions, locks and legal holds, and refuses a name that is taken (`If-None-Match`). It checks no
credentials; so what stands before it refuses a key id that it does not know, as the service would.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Any

from loopback import serving
from werkzeug.serving import make_server

BUCKET = "larkspur-lake"
KEY_ID = "AKIALARKSPUR"
_ERROR = '<?xml version="1.0" encoding="UTF-8"?><Error><Code>{code}</Code><Message>{said}</Message></Error>'


class S3:
    """The service; its attributes are what goes wrong."""

    def __init__(self) -> None:
        os.environ.setdefault("AWS_DEFAULT_REGION", "us-east-1")
        from moto.moto_server.werkzeug_app import DomainDispatcherApplication, create_backend_app

        self.app = DomainDispatcherApplication(create_backend_app)
        self.url = ""
        self.asked: list[tuple[str, str]] = []
        """Method and key of each request since the list was cleared."""
        self.locked: list[str] = []
        """How objects are to be locked that begin with a request for parts; the server forgets it then."""
        self.refuse: dict[str, tuple[int, str, str]] = {}
        """End of an object's name → status, code and message with which each request about it is answered."""
        self.always: tuple[int, str, str] | None = None
        """The same, of every request."""
        self.cut: set[str] = set()
        """End of an object's name, of which the next download breaks off."""

    def variables(self) -> dict[str, str]:
        """What the client library finds it by."""
        return {
            "AWS_ENDPOINT_URL_S3": self.url,
            "AWS_ACCESS_KEY_ID": KEY_ID,
            "AWS_SECRET_ACCESS_KEY": "secret",
            "AWS_REGION": "us-east-1",
        }

    def __call__(self, about: dict[str, Any], start: Callable[..., Any]) -> Iterable[bytes]:
        """One request."""
        name = about["PATH_INFO"].removeprefix(f"/{BUCKET}").lstrip("/")
        self.asked.append((about["REQUEST_METHOD"], name))
        if about["QUERY_STRING"] == "uploads" and "HTTP_X_AMZ_OBJECT_LOCK_MODE" in about:
            self.locked.append(about["HTTP_X_AMZ_OBJECT_LOCK_MODE"])
        answer = self.always or next((said for end, said in self.refuse.items() if name.endswith(end)), None)
        if f"Credential={KEY_ID}/" not in about.get("HTTP_AUTHORIZATION", ""):
            answer = (403, "InvalidAccessKeyId", "The AWS Access Key Id you provided does not exist.")
        if answer is not None:
            status, code, said = answer
            body = _ERROR.format(code=code, said=said).encode()
            head = [("Content-Type", "application/xml"), ("Content-Length", str(len(body)))]
            if code == "PermanentRedirect":
                head.append(("x-amz-bucket-region", "eu-west-1"))
            about["wsgi.input"].read(int(about.get("CONTENT_LENGTH") or 0))
            start(f"{status} {code}", head)
            return [b"" if about["REQUEST_METHOD"] == "HEAD" else body]
        found = self.app(about, start)
        if about["REQUEST_METHOD"] == "GET" and any(name.endswith(end) for end in self.cut):
            self.cut.clear()
            whole = b"".join(found)
            return [whole[: len(whole) // 2]]
        return found

    @classmethod
    @contextmanager
    def serving(cls) -> Iterator[S3]:
        """Serve until the block ends, with one bucket that has Object Lock, and one that has not."""
        import boto3

        found = cls()
        server = make_server("127.0.0.1", 0, found, threaded=True)
        with serving(server):
            found.url = f"http://127.0.0.1:{server.server_port}"
            session = boto3.session.Session(KEY_ID, "secret", region_name="us-east-1")
            client = session.client("s3", endpoint_url=found.url)
            client.create_bucket(Bucket=BUCKET, ObjectLockEnabledForBucket=True)
            client.create_bucket(Bucket=f"{BUCKET}-plain")
            client.close()
            yield found
