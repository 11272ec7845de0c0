"""Classes of personal data that a value can be seen to hold. Values stay in memory: only how many had a class is told.

What has a check digit is held against it (python-stdnum), telephone numbers against the plans of every country
(phonenumbers); both are the optional extra `content`. Nothing here guesses: names of people have no form that a program
could check, so they are found by the names of columns alone.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from functools import cache
from typing import Any

from compliancectl.errors import UsageError

MAX_LENGTH = 2000
"""So much of a value is looked at, in characters."""
_EMAIL = re.compile(r"(?<![\w.+-])[\w.+-]+@[\w-]+(?:\.[\w-]+)*\.[a-z]{2,24}\b", re.IGNORECASE)
_CARD = re.compile(
    r"(?<![\w.-])[2-6]\d{3}(?:[ -]?\d{4}){2}[ -]?\d{3,4}(?![\w-])|(?<![\w.-])3[47]\d{2}[ -]?\d{6}[ -]?\d{5}(?![\w-])"
)
_IBAN = re.compile(r"\b[A-Z]{2}\d{2}(?: ?[A-Z0-9]{2,4}){3,8}\b")
_NUMBER = re.compile(
    r"(?<![\w.+-])(?:\d(?:[ ./-]?\d){6,14}-?[A-Z]?|\d{6}[-+A]\d{3}[0-9A-Z]|[A-Z]{6}\d{2}[A-Z]\d{2}[A-Z]\d{3}[A-Z])(?![\w-])"
)
PERSONAL_NUMBERS: Mapping[str, str] = {
    "at": "vnr",
    "be": "nn",
    "br": "cpf",
    "ch": "ssn",
    "cz": "rc",
    "de": "idnr",
    "dk": "cpr",
    "es": "dni",
    "fi": "hetu",
    "fr": "nir",
    "gb": "nhs",
    "it": "codicefiscale",
    "nl": "bsn",
    "no": "fodselsnummer",
    "pl": "pesel",
    "se": "personnummer",
    "us": "ssn",
    "za": "idnr",
}
"""Country → the module of python-stdnum that knows its personal number."""


@dataclass
class Tally:
    """What the values of one column hold."""

    sampled: int = 0
    hits: dict[str, int] = field(default_factory=dict)
    looks: dict[str, int] = field(default_factory=dict)
    """Class → values that look like it, whatever their check digit says."""

    def found(self) -> dict[str, int]:
        """Class → values with it. One digit in ten is right by chance, so at least half of what looks so must be right."""
        return {
            name: hits
            for name, hits in sorted(self.hits.items(), key=lambda item: (-item[1], item[0]))
            if hits * 2 >= self.looks.get(name, hits)
        }


Detector = Callable[[str], tuple[bool, bool]]
"""Whether a text looks like the class, and whether it holds it."""


def detectors(countries: Iterable[str] = ()) -> dict[str, Detector]:
    """Every class and how it is told.

    Raises:
        UsageError: if the extra is not installed, or a country is not known.
    """
    try:
        import phonenumbers  # noqa: F401
        import stdnum  # noqa: F401
    except ImportError:
        raise UsageError(
            "looking at values needs libraries that are not installed",
            hint="pip install 'compliancectl[content]', or take sampling out of the scope file.",
        ) from None
    found: dict[str, Detector] = {
        "e-mail address": _plain(_EMAIL),
        "telephone number": _telephone,
        "payment card": _checked(_CARD, "stdnum.luhn"),
        "bank account": _checked(_IBAN, "stdnum.iban"),
        "IP address": _address,
    }
    for country in sorted(countries):
        module = PERSONAL_NUMBERS.get(country.lower())
        if module is None:
            known = ", ".join(PERSONAL_NUMBERS)
            raise UsageError(f"no personal number of the country {country!r} is known", hint=f"Known are: {known}.")
        found[f"personal number ({country.lower()})"] = _checked(_NUMBER, f"stdnum.{country.lower()}.{module}")
    return found


def look(values: Iterable[str | None], known: Mapping[str, Detector], tally: Tally) -> None:
    """Count what each value holds."""
    for value in values:
        if value is None or not value.strip():
            continue
        tally.sampled += 1
        for name, detector in known.items():
            looks, holds = detector(value[:MAX_LENGTH])
            tally.looks[name] = tally.looks.get(name, 0) + looks
            if holds:
                tally.hits[name] = tally.hits.get(name, 0) + 1


def _plain(pattern: re.Pattern[str]) -> Detector:
    def detect(text: str) -> tuple[bool, bool]:
        found = pattern.search(text) is not None
        return found, found

    return detect


def _checked(pattern: re.Pattern[str], module: str) -> Detector:
    def detect(text: str) -> tuple[bool, bool]:
        seen = pattern.findall(text)
        return bool(seen), any(_valid(module, one) for one in seen)

    return detect


def _valid(module: str, text: str) -> bool:
    try:
        return bool(_module(module).is_valid(re.sub(r"[ -]", "", text) if module == "stdnum.luhn" else text))
    except Exception:  # a library that trips over somebody's text must not stop the others, nor tell the text
        return False


@cache
def _module(name: str) -> Any:
    from importlib import import_module

    return import_module(name)


def _telephone(text: str) -> tuple[bool, bool]:
    if not re.search(r"\+\d", text):  # without a country's code any number could be one
        return False, False
    import phonenumbers

    found = any(True for _ in phonenumbers.PhoneNumberMatcher(text, None))
    return found, found


def _address(text: str) -> tuple[bool, bool]:
    """The whole value alone: version numbers within a text have the same form."""
    try:
        found = ipaddress.ip_address(text.strip().partition("/")[0])
    except ValueError:
        return False, False
    return True, not (found.is_loopback or found.is_unspecified)
