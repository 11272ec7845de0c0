"""What several formats need: identifiers that come out the same every time, text that their syntax can hold."""

from __future__ import annotations

import re
import unicodedata
import uuid

from compliancectl.model.result import ItemResult, TestResult

NAMESPACE = uuid.uuid5(uuid.NAMESPACE_URL, "https://compliancectl.dev/export")
OUTCOMES = ("pass", "fail", "waived", "excluded", "unknown")
_INVISIBLE = frozenset({"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"})
_SPACES = re.compile(r"\s+")


def uid(*parts: str) -> str:
    """A UUID (version 5) that depends on nothing but the parts."""
    return str(uuid.uuid5(NAMESPACE, "\n".join(parts)))


def visible(text: str) -> str:
    """The text without characters that an XML file cannot hold, a terminal obeys, or nobody sees."""
    return "".join(
        c if c in "\n\t" or unicodedata.category(c) not in _INVISIBLE else "\N{REPLACEMENT CHARACTER}" for c in text
    )


def line(text: str) -> str:
    """The text on one line, without space at its ends; never empty."""
    return _SPACES.sub(" ", visible(text)).strip() or "-"


def sentences(item: ItemResult) -> str:
    """Why an item did not pass: the sentences of its findings, or the reason why it was not judged."""
    return " ".join(finding.sentence for finding in item.findings) or item.reason or ""


def unjudged(test: TestResult) -> str | None:
    """Why a test as a whole says less than it should, when no item says so; None when it does not.

    That is a table that could not be read, a population without items or with items that nobody can tell apart,
    and records that break their table's contract.
    """
    if test.outcome != "inconclusive":
        return None
    if test.items_path is None or not test.counts.total:
        return test.reason or "It was not judged."
    rejected = sum(use.rejected for use in test.tables)
    if rejected or not any(check.unknown for check in test.checks):
        return test.reason or "Items of the population could not be judged."
    return None
