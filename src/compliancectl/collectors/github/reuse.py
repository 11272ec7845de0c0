"""What GraphQL said about the changes of a branch, kept between runs and used again while nothing has moved.

GraphQL has no conditional requests, so this module makes its own. With what GitHub said of a branch its **signature** is
kept: the commit at its head, how many pull requests were merged into it, and which of them were last updated, and when. The
next run asks for the signature, at a hundredth of the price, and uses what was kept only if it is the same.

What the signature proves: a commit id is a digest of the whole history before it, so the commits are the same; whatever
GitHub counts as an update of a pull request (a review, a comment, a merge, a label) moves it to the front of the list with a
new time, so no merged pull request was updated, and none was added. What it does not prove: that no account was renamed or
deleted, and that no check was run again after the merge. None of that changes what was so when the change was merged; and
what was kept is asked for anew after `reuse_days` in any case. It is kept only if nothing in it was withheld, if the last
update lies a minute back, and it is used only by the credentials that it was given to, while its digests agree.

A collection that broke off in the middle of a branch leaves its answers and a journal of them. The next one goes on from
there if the signature is still the one of the first answer: then nothing moved while the others were asked for, either.
"""

from __future__ import annotations

import fcntl
import json
import os
import shutil
import threading
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import IO, Any

from compliancectl import canonical, clock, store
from compliancectl.collectors.base import Reply
from compliancectl.collectors.flat import flat, unflat

SETTLED = timedelta(minutes=1)
"""How long before it was asked for the last update must lie: GitHub's times are whole seconds, and its replicas lag."""
NEWEST = 20
"""Pull requests in a signature."""
INDEX = "index.json"
JOURNAL = "journal.jsonl"
FIRST = '["PullRequests", {"after": null}]'
"""The answer that a branch begins with."""


def signature_of(head: Any, pulls: Any) -> dict[str, Any] | None:
    """The signature, from the commit at the head and a page of pull requests, last updated first; None if parts lack."""
    nodes = pulls.get("nodes") if isinstance(pulls, dict) else None
    if not isinstance(head, str) or not isinstance(nodes, list) or any(node is None for node in nodes):
        return None
    newest = [[node.get("number"), node.get("updatedAt")] for node in nodes[:NEWEST]]
    return {"head": head, "merged": pulls.get("totalCount"), "newest": newest}


@dataclass(frozen=True)
class Held:
    """What is kept of one branch."""

    asker: str
    repository: str
    branch: str
    documents: str
    """Digest of the documents that were sent; another version of this tool may ask otherwise."""
    since: str
    """The commits and merges since then were asked for."""
    until: str | None
    given: str
    """When the first of the answers was given."""
    signature: dict[str, Any]
    answers: dict[str, str]
    """What was asked → SHA-256 of its file."""

    def agrees(self, signature: Mapping[str, Any] | None) -> bool:
        """Whether the branch has still this signature; of one that broke off before its commits came, the head is not known."""
        if signature is None:
            return False
        head = self.signature["head"] or signature["head"]
        return {**self.signature, "head": head} == signature


@dataclass
class Branch:
    """The answers about one branch in this run: taken from what is kept, or kept for the next run."""

    folder: Path
    held: Held | None
    """What was kept whole; nothing is kept anew then."""
    fresh: Path
    about: Mapping[str, Any]
    """What the journal says first: who asks, about what."""
    lock: IO[str]
    answers: dict[str, str] = field(default_factory=dict)
    first: str | None = None
    spoilt: bool = False

    def take(self, key: str) -> Reply | None:
        """A kept answer; None if there is none, or it is damaged."""
        place, known = (self.folder, self.held.answers) if self.held is not None else (self.fresh, self.answers)
        return _taken(place, key, known.get(key))

    def put(self, key: str, reply: Reply) -> None:
        """Keep a new answer; it counts once `Kept.finish` is called, or if the next collection must go on from here."""
        raw = json.dumps(flat(reply)).encode()
        digest = canonical.sha256(raw)
        with store.writing(self.fresh):
            if not self.answers:
                self.fresh.mkdir(parents=True, exist_ok=True)
            (self.fresh / _name(key)).write_bytes(raw)
            self._enter(key, digest)
        self.answers[key] = digest
        self.first = min(self.first or clock.text(reply.requested_at), clock.text(reply.requested_at))

    def _enter(self, key: str, digest: str) -> None:
        if self.spoilt:
            return
        with (self.fresh / JOURNAL).open("a", encoding="utf-8") as journal:
            if not self.answers:
                journal.write(json.dumps(dict(self.about)) + "\n")
            journal.write(json.dumps([key, digest]) + "\n")

    def spoil(self) -> None:
        """Something was withheld: nobody may go on from here, because the next run would not hear of it."""
        self.spoilt = True
        with store.writing(self.fresh):
            (self.fresh / JOURNAL).unlink(missing_ok=True)


@dataclass
class Claim:
    """The place where the answers about one branch are gathered; nobody else's until it is closed, or this process ends."""

    folder: Path
    fresh: Path
    about: dict[str, Any]
    oldest: str
    lock: IO[str]

    def unfinished(self, since: str, until: str | None) -> Held | None:
        """What an earlier collection had of the branch when it broke off, if it asked for the same."""
        try:
            about, *lines = (self.fresh / JOURNAL).read_text(encoding="utf-8").split("\n")[:-1]  # the last may be torn
            answers = dict(json.loads(line) for line in lines)
            if json.loads(about) != {**self.about, "since": since, "until": until}:
                return None
            first = _taken(self.fresh, FIRST, answers.get(FIRST))
        except (OSError, ValueError, TypeError):
            return None
        if first is None or clock.text(first.requested_at) < self.oldest:
            return None
        signature, given = _signature_so_far(self.fresh, first, answers), clock.text(first.requested_at)
        if signature is None or not _settled(signature, given):
            return None
        return Held(**self.about, since=since, until=until, given=given, signature=signature, answers=answers)

    def open(self, span: tuple[str, str | None], held: Held | None, unfinished: Held | None) -> Branch:
        """Begin with the branch: `held` is what may be used of it, `unfinished` where to go on."""
        about = {**self.about, "since": span[0], "until": span[1]}
        if held is None and unfinished is not None:
            answers = dict(unfinished.answers)
            return Branch(self.folder, None, self.fresh, about, self.lock, answers, unfinished.given)
        shutil.rmtree(self.fresh, ignore_errors=True)
        return Branch(self.folder, held, self.fresh, about, self.lock)


class Kept:
    """A folder of branches. Thread-safe; what is damaged counts as absent."""

    def __init__(self, folder: Path, asker: str, documents: Iterable[str], oldest: str) -> None:
        """Answers given before `oldest` are not used any more."""
        self._folder, self._asker, self._oldest = folder, asker, oldest
        self._documents = canonical.sha256("\n".join(documents).encode())
        self._held: dict[tuple[str, str], Held | None] = {}
        self._lock = threading.Lock()
        self.verdicts: dict[tuple[str, str], bool] = {}
        """Repository and branch → whether its signature is the same, once it was asked for."""

    def find(self, repository: str, branch: str, since: str, until: str | None) -> Held | None:
        """What is kept of a branch, if it reaches as far back as is asked for."""
        with self._lock:
            place = (repository, branch)
            if place not in self._held:
                self._held[place] = self._read(repository, branch)
            held = self._held[place]
        return held if held and held.since <= since and held.until == until else None

    def claim(self, repository: str, branch: str) -> Claim:
        """Take the place where answers about a branch are gathered; another one if a living process has it."""
        folder = self._place(repository, branch)
        with store.writing(self._folder):
            folder.parent.mkdir(parents=True, exist_ok=True)
            lock = folder.with_name(f".{folder.name}.lock").open("w")
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            fresh = folder.with_name(f".{folder.name}.part")
        except OSError:
            fresh = folder.with_name(f".{folder.name}.{os.getpid()}")
        about = {"asker": self._asker, "repository": repository, "branch": branch, "documents": self._documents}
        return Claim(folder, fresh, about, self._oldest, lock)

    def finish(
        self, branch: Branch, repository: str, name: str, span: tuple[str, str | None], signature: dict[str, Any] | None
    ) -> None:
        """Keep what was asked anew instead of what was kept before, if it can be told when it does not hold any more.

        Raises:
            OutputError: if the folder cannot be written to.
        """
        if signature is None or branch.first is None or not _settled(signature, branch.first):
            shutil.rmtree(branch.fresh, ignore_errors=True)
            return
        held = Held(
            asker=self._asker,
            repository=repository,
            branch=name,
            documents=self._documents,
            since=span[0],
            until=span[1],
            given=branch.first,
            signature=signature,
            answers=branch.answers,
        )
        with store.writing(self._folder):
            (branch.fresh / JOURNAL).unlink(missing_ok=True)
            (branch.fresh / INDEX).write_text(json.dumps(asdict(held)), encoding="utf-8")
            shutil.rmtree(branch.folder, ignore_errors=True)
            branch.fresh.rename(branch.folder)

    def _read(self, repository: str, branch: str) -> Held | None:
        try:
            held = Held(**json.loads((self._place(repository, branch) / INDEX).read_bytes()))
        except (OSError, ValueError, TypeError):
            return None
        mine = (held.asker, held.repository, held.branch, held.documents)
        return (
            held if mine == (self._asker, repository, branch, self._documents) and held.given >= self._oldest else None
        )

    def _place(self, repository: str, branch: str) -> Path:
        return self._folder / f"branch-{canonical.sha256(f'{self._asker} {repository} {branch}'.encode())[:32]}"


def key_of(name: str, asked: Mapping[str, Any]) -> str:
    """What tells one answer about a branch from another: the operation, and the page."""
    return json.dumps([name, {key: asked[key] for key in ("number", "after") if key in asked}], sort_keys=True)


def _taken(folder: Path, key: str, digest: str | None) -> Reply | None:
    """An answer from a folder, if it is whole."""
    try:
        raw = (folder / _name(key)).read_bytes() if digest is not None else b""
    except OSError:
        return None
    return unflat(json.loads(raw)) if raw and canonical.sha256(raw) == digest else None


def _signature_so_far(folder: Path, first: Reply, answers: Mapping[str, str]) -> dict[str, Any] | None:
    """The signature that the first answers of a branch show; the head is None as long as no commits had come."""
    pulls = _at(json.loads(first.body), "data", "repository", "pullRequests")
    key = key_of("Commits", {"after": None})
    commits = _taken(folder, key, answers.get(key))
    head = _at(json.loads(commits.body), "data", "repository", "ref", "target", "oid") if commits else None
    found = signature_of(head or "", pulls)
    return {**found, "head": head} if found else None


def _at(value: Any, *path: str) -> Any:
    for key in path:
        value = value.get(key) if isinstance(value, dict) else None
    return value


def _name(key: str) -> str:
    return f"{canonical.sha256(key.encode())[:32]}.json"


def _settled(signature: Mapping[str, Any], first: str) -> bool:
    """Whether the last update lies so far back that another one in the same second would have been seen."""
    try:
        times = [clock.parse(str(updated)) for _, updated in signature["newest"]]
    except ValueError:
        return False
    return all(moment <= clock.parse(first) - SETTLED for moment in times)
