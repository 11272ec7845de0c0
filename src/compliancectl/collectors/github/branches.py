"""One production branch while its changes are read: asked together with its neighbours, or used again while nothing moved."""

from __future__ import annotations

import dataclasses
from collections.abc import Generator
from dataclasses import dataclass, field
from typing import Any

from compliancectl import clock
from compliancectl.collectors.base import Reply
from compliancectl.collectors.github import reuse
from compliancectl.collectors.github.common import neighbours
from compliancectl.collectors.github.documents import BRANCH_SIGNATURE, COMMITS, PULL_REQUESTS
from compliancectl.collectors.github.question import Question
from compliancectl.collectors.github.session import GitHubSession, Got, Tally, at, data_of


class Numbers:
    """Numbers of pull requests, a bit for each: a busy branch has a hundred thousand, and they lie close together."""

    def __init__(self) -> None:
        self._bits = bytearray()
        self._count = 0

    def add(self, number: int) -> None:
        """Remember a number; again does nothing."""
        if number in self:
            return
        byte, bit = divmod(number, 8)
        if byte >= len(self._bits):
            self._bits.extend(bytes(byte + 1 - len(self._bits)))
        self._bits[byte] |= 1 << bit
        self._count += 1

    def __contains__(self, number: int) -> bool:
        byte, bit = divmod(number, 8)
        return byte < len(self._bits) and bool(self._bits[byte] >> bit & 1)

    def __len__(self) -> int:
        return self._count


@dataclass
class Branch:
    """One production branch while it is read."""

    session: GitHubSession
    tally: Tally
    """Of this branch alone."""
    repository: str
    name: str
    numbers: Numbers = field(default_factory=Numbers)
    kept: reuse.Branch | None = None
    _confirmed: str = ""
    _pulls: Any = None
    _head: Any = None

    @property
    def facts(self) -> dict[str, Any]:
        """What `shape` needs besides the answers."""
        context = self.session.context
        return {
            "repository": self.repository,
            "branch": self.name,
            "bots": sorted(self.session.config.bots),
            "from": clock.text(context.period.start),
            "to": clock.text(context.as_of),
        }

    @property
    def span(self) -> tuple[str, str | None]:
        """Since when, and until when commits are asked for; None: all that there are now."""
        period, as_of = self.session.context.period, self.session.context.as_of
        return clock.text(period.start), None if period.end >= as_of else clock.text(period.end)

    def begin(self) -> Generator[Reply, None, None]:
        """Ask whether what is kept of the branch still holds."""
        kept = self.session.kept
        if kept is None:
            return
        held = kept.find(self.repository, self.name, *self.span)
        claim = kept.claim(self.repository, self.name)
        unfinished = None if held else claim.unfinished(*self.span)
        if held or unfinished:
            got = self.session.ask(BRANCH_SIGNATURE, self.repository, self._shared, self.tally, others=self._held)
            yield got.reply
            signature = _signature(got.data)
            if held is not None:
                same = held.agrees(signature)
                kept.verdicts[self.repository, self.name] = same
                held = held if same else None
            elif unfinished is not None and not unfinished.agrees(signature):
                unfinished = None
            self._confirmed = clock.text(got.reply.completed_at)
        self.kept = claim.open(self.span, held, unfinished)

    def ask(self, question: Question, more: dict[str, Any]) -> Got:
        """Ask about this branch; its first page together with those of the same branch of other repositories."""
        key = reuse.key_of(question.name, more)
        got = self._again(key)
        if got is None:
            got = self._noted(key, self._anew(question, more))
        if more["after"] is None and question is PULL_REQUESTS:
            self._pulls = at(got.data, "repository", "pullRequests")
        elif more["after"] is None and question is COMMITS:
            self._head = at(got.data, "repository", "ref", "target", "oid")
        return got

    def _anew(self, question: Question, more: dict[str, Any]) -> Got:
        if more["after"] is not None:
            return self.session.graphql(question.one, {**self._variables, **more}, self.tally, facts=self.facts)
        shared = {"organization": self.session.organization, **more}
        return self.session.ask(question, self.repository, shared, self.tally, others=self._to_ask, facts=self.facts)

    def more(self, document: str, number: int, after: str | None) -> Got:
        """A further page of what belongs to one pull request."""
        key = reuse.key_of(document.split("(")[0].split()[1], {"number": number, "after": after})
        got = self._again(key)
        if got is None:
            variables = {**self._variables, "number": number, "after": after}
            got = self._noted(key, self.session.graphql(document, variables, self.tally, facts=self.facts))
        return got

    def end(self) -> None:
        """Keep what was asked anew for the next run, unless something was withheld."""
        if self.kept is not None and self.session.kept is not None and self.kept.held is None:
            signature = None if self.tally.warnings else reuse.signature_of(self._head, self._pulls)
            self.session.kept.finish(self.kept, self.repository, self.name, self.span, signature)

    def close(self) -> None:
        """Let others have the branch; what was not ended is where the next collection goes on."""
        if self.kept is not None:
            self.kept.lock.close()

    @property
    def _variables(self) -> dict[str, Any]:
        return {"organization": self.session.organization, "repository": self.repository}

    @property
    def _shared(self) -> dict[str, Any]:
        return {"organization": self.session.organization, "ref": f"refs/heads/{self.name}", "branch": self.name}

    def _neighbours(self) -> list[str]:
        return neighbours(self.session, self.name)

    def _held(self) -> list[str]:
        """Those neighbours of which something is kept."""
        kept, span = self.session.kept, self.span
        return [name for name in self._neighbours() if kept is not None and kept.find(name, self.name, *span)]

    def _to_ask(self) -> list[str]:
        """Those neighbours that must be asked anew, as far as that is known already."""
        kept = self.session.kept
        if kept is None:
            return self._neighbours()
        come = self.session.batches.waiting(BRANCH_SIGNATURE, self._shared)
        found, span = list[str](), self.span
        for name in self._neighbours():
            held, same = kept.find(name, self.name, *span), kept.verdicts.get((name, self.name))
            if held is not None and same is None and name in come:
                same = _signature(come[name].body["data"]) == held.signature
            if held is None or same is False:
                found.append(name)
        return found

    def _again(self, key: str) -> Got | None:
        """A kept answer in the words of this run: its facts, and why it is used."""
        reply = self.kept.take(key) if self.kept is not None else None
        if reply is None:
            return None
        self.tally.pages += 1
        whole = self.kept is not None and self.kept.held is not None
        unmoved = "the branch has the same head and no" if whole else "a collection broke off since, but no"
        said = (
            f"GitHub gave this at {clock.text(reply.completed_at)}; asked at {self._confirmed}, {unmoved} merged pull request "
            "was added or updated since"
        )
        context = {**reply.context, "facts": self.session.facts(self.facts), "reused": said}
        reply = dataclasses.replace(reply, context=context)
        return Got(reply, data_of(reply)["data"], 200)

    def _noted(self, key: str, got: Got) -> Got:
        if self.kept is not None and self.kept.held is None:
            if self.tally.warnings and not self.kept.spoilt:
                self.kept.spoil()
            self.kept.put(key, got.reply)
        return got


def _signature(data: Any) -> dict[str, Any] | None:
    repository = at(data, "repository")
    return reuse.signature_of(at(repository, "ref", "target", "oid"), at(repository, "pullRequests"))
