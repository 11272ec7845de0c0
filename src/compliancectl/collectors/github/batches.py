"""Asks about many repositories in one request, and gives each its own part of the answer.

Every production repository has evidence items of its own, so that one that cannot be read hides no other. The first page
of each is nevertheless asked together with those of its neighbours. The part about one repository is kept in its item, in
the form of an answer about it alone; the document and the variables beside it are those that were sent, the context says
under which alias it came, and what the whole answer's digest was.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from compliancectl import canonical
from compliancectl.collectors.calls import Answer
from compliancectl.collectors.github.question import Question
from compliancectl.errors import CollectError, RateLimited, SourceFailed, Unreachable

if TYPE_CHECKING:
    from compliancectl.collectors.github.client import Client


@dataclass(frozen=True)
class Part:
    """What one answer says of one repository, as if it had been asked alone."""

    answer: Answer
    document: str
    variables: dict[str, Any]
    body: dict[str, Any]
    alias: str
    whole_sha256: str


@dataclass
class _Asked:
    """One question with the same shared variables."""

    lock: threading.Lock = field(default_factory=threading.Lock)
    parts: dict[str, Part] = field(default_factory=dict)
    begun: set[str] = field(default_factory=set)
    """Repositories that need not, or can not, be asked together with others any more."""
    most: int = 1000
    """How many at once GitHub was able to answer; less than the question's own size after it was not."""


class Batches:
    """Parts of answers that wait for the items which they belong to. Thread-safe."""

    def __init__(self, client: Client) -> None:
        self._client = client
        self._asked: dict[str, _Asked] = {}
        self._lock = threading.Lock()

    def part(
        self,
        question: Question,
        repository: str,
        shared: Mapping[str, Any],
        others: Callable[[], Iterable[str]],
        subject: Callable[[str], str] = str,
    ) -> Part | None:
        """The part about one repository; asks about its neighbours in the same request.

        Args:
            question: what is asked.
            repository: about which one.
            shared: variables that are the same for all.
            others: gives the repositories of which the same will be asked; called only if something must be asked.
            subject: the text that stands for a repository in the document's variables.

        Returns:
            None if it must be asked alone: it has no neighbours, was asked before, or asking together did not work.
        """
        with self._lock:
            asked = self._asked.setdefault(_key(question, shared), _Asked())
        with asked.lock:
            if repository not in asked.parts and repository not in asked.begun:
                size = min(question.size, asked.most)
                waiting = sorted(name for name in {*others(), repository} - asked.begun if name not in asked.parts)
                start = min(waiting.index(repository), max(0, len(waiting) - size))
                self._ask(asked, question, waiting[start : start + size], shared, subject)
            return asked.parts.pop(repository, None)

    def waiting(self, question: Question, shared: Mapping[str, Any]) -> dict[str, Part]:
        """The parts that came and were not asked for yet, by repository."""
        with self._lock:
            asked = self._asked.setdefault(_key(question, shared), _Asked())
        with asked.lock:
            return dict(asked.parts)

    def _ask(
        self,
        asked: _Asked,
        question: Question,
        names: list[str],
        shared: Mapping[str, Any],
        subject: Callable[[str], str],
    ) -> None:
        """Put one request. If it fails, each of these is asked alone, and then tells for itself what is wrong."""
        if len(names) < 2:
            asked.begun.update(names)
            return
        document, variables = question.many(len(names)), question.filled([subject(n) for n in names], shared)
        try:
            answer, body = self._client.graphql(document, variables, parts=True)
        except (RateLimited, Unreachable):
            raise  # asking more often would be the wrong answer
        except SourceFailed:  # most likely it takes too long: half as many at once, now and later
            asked.most = half = (len(names) + 1) // 2
            for some in (names[:half], names[half:]):
                self._ask(asked, question, some, shared, subject)
            return
        except CollectError:
            asked.begun.update(names)
            return
        asked.begun.update(names)
        digest = canonical.sha256(answer.response.content)
        if not isinstance(body["data"], dict):
            return
        for place, name in enumerate(names):
            alias = f"r{place}"
            part = _alone(body, alias, question.field)
            if part["data"][question.field] is not None:  # what was refused is asked alone, and then says why
                asked.parts[name] = Part(answer, document, variables, part, alias, digest)


def _key(question: Question, shared: Mapping[str, Any]) -> str:
    return json.dumps([question.name, shared], sort_keys=True)


def _alone(body: Mapping[str, Any], alias: str, name: str) -> dict[str, Any]:
    """An answer to many questions as the answer to one of them."""
    found: dict[str, Any] = {"data": {name: body["data"].get(alias)}}
    mine = [error for error in body.get("errors") or () if (error.get("path") or [None])[0] == alias]
    if mine:
        found["errors"] = [{**error, "path": [name, *error["path"][1:]]} for error in mine]
    return found
