"""Answers of REST that are kept between runs, so that GitHub need only confirm that they still hold.

GitHub answers a conditional request with 304 and no body, and takes nothing off the rate limit for it. The evidence then
holds the body from here, with the status 304, and says when it was first given. What is kept was redacted before, as all
evidence is. GraphQL has no conditional requests.
"""

from __future__ import annotations

import json
import threading
from dataclasses import asdict, dataclass
from pathlib import Path

from compliancectl import canonical, clock, store
from compliancectl.collectors.base import Reply


@dataclass(frozen=True)
class Kept:
    """One answer, after redactions."""

    url: str
    asker: str
    """Digest of who asked: what others may see is not for this one."""
    etag: str
    body: str
    sha256: str
    """Of the body; what was damaged is asked for again."""
    redactions: dict[str, int]
    link: str
    media_type: str
    given: str
    """When GitHub gave the body."""


class Cache:
    """A folder of answers by address. Thread-safe; one that is damaged counts as absent."""

    def __init__(self, folder: Path) -> None:
        self._folder, self._made = folder, False

    def find(self, url: str, asker: str) -> Kept | None:
        """The answer that was kept for this address and whoever asks."""
        try:
            kept = Kept(**json.loads(self._file(url, asker).read_bytes()))
        except (OSError, ValueError, TypeError):
            return None
        sound = canonical.sha256(kept.body.encode()) == kept.sha256
        return kept if sound and (kept.url, kept.asker) == (url, asker) else None

    def keep(self, url: str, asker: str, reply: Reply, link: str) -> None:
        """Keep an answer for the next run, if GitHub can then be asked to confirm it.

        Raises:
            OutputError: if the folder cannot be written to.
        """
        if reply.status != "200" or reply.etag is None:
            return
        kept = Kept(
            url=url,
            asker=asker,
            etag=reply.etag,
            body=reply.body.decode("utf-8"),
            sha256=canonical.sha256(reply.body),
            redactions=dict(reply.redactions),
            link=link,
            media_type=reply.media_type,
            given=clock.text(reply.completed_at),
        )
        file = self._file(url, asker)
        with store.writing(self._folder):
            if not self._made:
                self._folder.mkdir(parents=True, exist_ok=True)
                self._made = True
            temporary = file.with_name(f".{file.name}.{threading.get_ident()}")
            temporary.write_text(json.dumps(asdict(kept)), encoding="utf-8")
            temporary.replace(file)

    def _file(self, url: str, asker: str) -> Path:
        return self._folder / f"{canonical.sha256(f'{asker} {url}'.encode())}.json"
