"""What turned between two bundles, as messages: for Slack, for mail, for a GitHub issue. Sending is the caller's."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from email.message import EmailMessage
from email.policy import SMTP

from compliancectl import clock
from compliancectl.errors import UsageError
from compliancectl.export.source import Bundle
from compliancectl.export.words import line, unjudged
from compliancectl.markup import cell, escaped, quoted
from compliancectl.model.result import ControlOutcome, ControlResult
from compliancectl.numbers import counted

SHOWN = 5
"""Items named per control in a message; the bundle has all."""
MAX_CONTROLS = 40
"""Controls named in a message: Slack takes at most 50 blocks, GitHub 65,536 characters."""
_SIGNS: dict[ControlOutcome, str] = {
    "deviations": "✕",
    "inconclusive": "○",
    "no deviations": "●",
    "no occurrences": "–",
}
BAD = ("deviations", "inconclusive")
"""Outcomes of a control that is open."""


@dataclass(frozen=True)
class Turn:
    """A control that came out otherwise, or fails at other items."""

    control: ControlResult
    before: ControlOutcome | None
    """None when the earlier bundle does not have the control."""
    new: tuple[str, ...]
    """`resource: sentence` of items that fail or are unknown now and did not before."""
    gone: tuple[str, ...]
    """Resources that failed or were unknown before and no longer do."""


@dataclass(frozen=True)
class Difference:
    """Two bundles of one system, compared."""

    system: str
    before_run: str
    after_run: str
    as_of: str
    bundle: str
    turns: tuple[Turn, ...]
    removed: tuple[str, ...] = ()
    """Controls that only the earlier bundle has."""
    gaps: tuple[ControlResult, ...] = field(default=())
    """Every control that deviates or is inconclusive now."""


def compare(before: Bundle, after: Bundle) -> Difference:
    """Compare two bundles that have been verified.

    Raises:
        UsageError: they are not of the same system, or in the wrong order.
    """
    old, new = before.results, after.results
    mine, theirs = ((r.organization, r.system, r.environment) for r in (old, new))
    if mine != theirs:
        names = f"{', '.join(mine)} and {', '.join(theirs)}"
        raise UsageError(f"the bundles are of different systems: {names}", hint="Compare two of one system.")
    if old.as_of > new.as_of:
        raise UsageError("the first bundle is the later one", hint="Name the earlier one first.")
    earlier = {control.id: control for control in old.controls}
    turns = [_turn(before, after, earlier.get(control.id), control) for control in new.controls]
    return Difference(
        system=line(f"{new.system} ({new.environment})"),
        before_run=old.run_id,
        after_run=new.run_id,
        as_of=clock.to_the_second(new.as_of),
        bundle=after.sums_sha256,
        turns=tuple(turn for turn in turns if turn.before != turn.control.outcome or turn.new or turn.gone),
        removed=tuple(sorted(earlier.keys() - {control.id for control in new.controls})),
        gaps=tuple(control for control in new.controls if control.outcome in BAD),
    )


def _turn(before: Bundle, after: Bundle, old: ControlResult | None, new: ControlResult) -> Turn:
    was, now = (open_items(before, old) if old else {}), open_items(after, new)
    # An item that could not be judged this time has not gone.
    judged = all(test.items_path is not None for test in new.tests)
    return Turn(
        control=new,
        before=old.outcome if old else None,
        new=tuple(f"{line(key[1])}: {line(said)}" for key, said in sorted(now.items()) if key not in was),
        gone=tuple(sorted({line(key[1]) for key in was.keys() - now.keys()})) if judged else (),
    )


def open_items(bundle: Bundle, control: ControlResult) -> dict[tuple[str, str], str]:
    """(test, resource) → why, for all items that fail or are unknown, and for tests that were not judged."""
    found: dict[tuple[str, str], str] = {}
    for test in control.tests:
        why = unjudged(test)
        if why is not None:
            found[test.id, test.id] = why
        for item in bundle.items(test):
            if item.outcome in ("fail", "unknown"):
                said = " ".join(f.sentence for f in item.findings if f.outcome != "waived")
                found[test.id, item.resource] = said or item.reason or item.outcome
    return found


def headline(found: Difference) -> str:
    """One sentence."""
    if not found.turns and not found.removed:
        return f"{found.system}: nothing turned; {_open_gaps(found)}."
    worse = [turn for turn in found.turns if turn.new or _worse(turn)]
    better = len(found.turns) - len(worse)
    parts = [f"{counted(len(worse), 'control')} got worse"] if worse else []
    parts += [f"{counted(better, 'control')} got better"] if better else []
    parts += [f"{counted(len(found.removed), 'control')} no longer judged"] if found.removed else []
    return f"{found.system}: {', '.join(parts)}; {_open_gaps(found)}."


def _open_gaps(found: Difference) -> str:
    gaps = len(found.gaps)
    return f"{counted(gaps, 'control')} {'is' if gaps == 1 else 'are'} open" if gaps else "none is open"


def _worse(turn: Turn) -> bool:
    return turn.control.outcome in BAD and turn.before not in BAD


def _paragraphs(found: Difference) -> Iterator[tuple[str, list[str]]]:
    """A heading and lines for each control that turned, worse ones first."""
    ordered = sorted(found.turns, key=lambda turn: (not (turn.new or _worse(turn)), turn.control.id))
    for turn in ordered[:MAX_CONTROLS]:
        control = turn.control
        was = "new" if turn.before is None else turn.before
        change = control.outcome if was == control.outcome else f"{was} → {control.outcome}"
        lines = [f"new: {text}" for text in turn.new[:SHOWN]]
        lines += [f"… and {len(turn.new) - SHOWN:,} more"] if len(turn.new) > SHOWN else []
        lines += [f"no longer open: {name}" for name in turn.gone[:SHOWN]]
        lines += [f"… and {len(turn.gone) - SHOWN:,} more"] if len(turn.gone) > SHOWN else []
        yield f"{_SIGNS[control.outcome]} {control.id} {line(control.title)} ({control.severity}): {change}", lines
    if len(ordered) > MAX_CONTROLS:
        yield f"… and {len(ordered) - MAX_CONTROLS:,} more controls", []
    for id in found.removed:
        yield f"– {id} is no longer judged", []


def _foot(found: Difference) -> str:
    return f"Run {found.after_run}, as of {found.as_of}, compared with {found.before_run}. Bundle {found.bundle}."


def slack(found: Difference) -> str:
    """A JSON payload for a Slack-compatible incoming webhook."""
    blocks = [_block(f"*{_escaped(headline(found))}*")]
    for heading, lines in _paragraphs(found):
        blocks.append(_block("\n".join([f"*{_escaped(heading)}*", *(f"• {_escaped(text)}" for text in lines)])))
    blocks = [*blocks[:48], _block(_escaped(_foot(found)))]
    return json.dumps({"text": _escaped(headline(found)), "blocks": blocks}, indent=1, ensure_ascii=False) + "\n"


def _block(text: str) -> dict[str, object]:
    cut = text if len(text) <= 3000 else text[:2990] + " … (cut)"
    return {"type": "section", "text": {"type": "mrkdwn", "text": cut}}


def _escaped(text: str) -> str:
    """Slack's three control characters; a resource must neither mention anybody nor make a link."""
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def mail(found: Difference) -> str:
    """A message (RFC 5322) without sender and receiver."""
    message = EmailMessage(policy=SMTP)
    message["Subject"] = headline(found)
    text = [headline(found), ""]
    for heading, lines in _paragraphs(found):
        text += [heading, *(f"  {entry}" for entry in lines), ""]
    message.set_content("\n".join([*text, _foot(found), ""]), cte="quoted-printable")
    return message.as_string()


def issue(found: Difference) -> str:
    """A GitHub issue body: what turned, and the whole list of what is open, so that one issue can be kept up to date."""
    text = [f"**{escaped(headline(found))}**", ""]
    for heading, lines in _paragraphs(found):
        text += [f"### {escaped(heading)}", "", *(f"- {quoted(entry)}" for entry in lines), ""]
    if found.gaps:
        text += ["### Open", "", "| Control | Severity | Outcome | Owner |", "|---|---|---|---|"]
        text += [f"| {c.id} {cell(c.title)} | {c.severity} | {c.outcome} | {cell(c.owner)} |" for c in found.gaps]
        text.append("")
    body = "\n".join([*text, _foot(found), ""])
    most = 65_000
    return body if len(body) <= most else body[:most] + "\n… (cut: the bundle has the whole list)\n"


FORMS = {"slack": slack, "mail": mail, "issue": issue}
