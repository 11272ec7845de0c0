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


@dataclass
class Branch:
    """One production branch while it is read."""

    session: GitHubSession
    tally: Tally
    repository: str
    name: str
    numbers: set[int] = field(default_factory=set)
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
        if held is not None:
            others = [n for n in self._neighbours() if kept.find(n, self.name, *self.span)]
            got = self.session.ask(BRANCH_SIGNATURE, self.repository, self._shared, self.tally, others=others)
            yield got.reply
            same = _signature(got.data) == held.signature
            kept.verdicts[self.repository, self.name] = same
            held = held if same else None
            self._confirmed = clock.text(got.reply.completed_at)
        self.kept = kept.open(self.repository, self.name, held)

    def ask(self, question: Question, more: dict[str, Any]) -> Got:
        """Ask about this branch; its first page together with those of the same branch of other repositories."""
        key = reuse.key_of(question.name, more)
        got = self._again(key)
        if got is not None:
            return got
        if more["after"] is not None:
            got = self.session.graphql(question.one, {**self._variables, **more}, self.tally, facts=self.facts)
        else:
            shared = {"organization": self.session.organization, **more}
            got = self.session.ask(
                question, self.repository, shared, self.tally, others=self._to_ask(), facts=self.facts
            )
            if question is PULL_REQUESTS:
                self._pulls = at(got.data, "repository", "pullRequests")
            elif question is COMMITS:
                self._head = at(got.data, "repository", "ref", "target", "oid")
        return self._noted(key, got)

    def more(self, document: str, number: int, after: str | None) -> Got:
        """A further page of what belongs to one pull request."""
        key = reuse.key_of(document.split("(")[0].split()[1], {"number": number, "after": after})
        got = self._again(key)
        if got is None:
            variables = {**self._variables, "number": number, "after": after}
            got = self._noted(key, self.session.graphql(document, variables, self.tally, facts=self.facts))
        return got

    def end(self, whole: bool) -> None:
        """Keep what was asked anew for the next run, if it is the whole of the branch and nothing was withheld."""
        if self.kept is not None and self.session.kept is not None and self.kept.held is None:
            signature = reuse.signature_of(self._head, self._pulls) if whole else None
            self.session.kept.finish(self.kept, self.repository, self.name, self.span, signature)

    @property
    def _variables(self) -> dict[str, Any]:
        return {"organization": self.session.organization, "repository": self.repository}

    @property
    def _shared(self) -> dict[str, Any]:
        return {"organization": self.session.organization, "ref": f"refs/heads/{self.name}", "branch": self.name}

    def _neighbours(self) -> list[str]:
        return neighbours(self.session, self.name)

    def _to_ask(self) -> list[str]:
        """Those neighbours that must be asked anew, as far as that is known already."""
        kept = self.session.kept
        if kept is None:
            return self._neighbours()
        come = self.session.batches.waiting(BRANCH_SIGNATURE, self._shared)
        found = []
        for name in self._neighbours():
            held, same = kept.find(name, self.name, *self.span), kept.verdicts.get((name, self.name))
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
        said = (
            f"GitHub gave this at {clock.text(reply.completed_at)}; asked at {self._confirmed}, the branch has the same "
            "head and no merged pull request was added or updated since"
        )
        context = {**reply.context, "facts": self.session.facts(self.facts), "reused": said}
        reply = dataclasses.replace(reply, context=context)
        return Got(reply, data_of(reply)["data"], 200)

    def _noted(self, key: str, got: Got) -> Got:
        if self.kept is not None and self.kept.held is None:
            self.kept.put(key, got.reply)
        return got


def _signature(data: Any) -> dict[str, Any] | None:
    repository = at(data, "repository")
    return reuse.signature_of(at(repository, "ref", "target", "oid"), at(repository, "pullRequests"))
