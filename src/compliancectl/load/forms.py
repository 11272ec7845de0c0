"""The forms of the files that people write, as strict models; errors in plain words with lines.

The JSON Schema of control files is generated from `ControlForm`, so editors complete what the loader accepts.
"""

from __future__ import annotations

import json
from typing import Annotated, Any, Literal, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from compliancectl.load.document import Document
from compliancectl.load.problems import Problems, nearest, suggestion
from compliancectl.model.control import Frequency, Severity

CONTROL_ID = r"^[A-Z][A-Z0-9]*(-[A-Z0-9]+)*-[0-9]+$"
TEST_ID = r"^[a-z][a-z0-9]*(-[a-z0-9]+)*$"
NAME = r"^[a-z][a-z0-9_]*$"

Text = Annotated[str, Field(min_length=1, pattern=r"\S")]
Outcome = Literal["pass", "fail", "excluded", "unknown"]
CheckOutcome = Literal["pass", "fail", "unknown"]
F = TypeVar("F", bound=BaseModel)


class Form(BaseModel):
    """Frozen, refuses keys that it does not know, converts nothing."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, title=None)


class CheckForm(Form):
    """One yes/no statement about an item."""

    expect: Text = Field(description="A boolean SQL expression over the population's columns; only TRUE passes.")
    finding: Text = Field(description="The sentence when it is not true; {column} is replaced by the item's value.")


class ExampleForm(Form):
    """Given rows and the outcome that each item must then have."""

    name: Text | None = Field(default=None, description="What this example shows.")
    given: dict[str, tuple[dict[str, Any], ...]] = Field(
        description="Table → rows. A table that is left out is empty; a column that is left out is NULL."
    )
    then: dict[str, Outcome | dict[str, CheckOutcome]] = Field(
        description="Resource → outcome, or → {check: outcome}. Every item must be named."
    )
    params: dict[str, Any] = Field(default={}, description="Parameters that differ from the control's defaults.")
    as_of: Text | None = Field(default=None, description="The instant of judgement, RFC 3339.")
    period: Annotated[tuple[Text, ...], Field(min_length=2, max_length=2)] | None = Field(
        default=None, description="Observation period, half-open: [start, end)."
    )


class TestForm(Form):
    """One population and the checks that each of its items must meet."""

    __test__ = False
    id: Annotated[str, Field(pattern=TEST_ID)] = Field(description="Name of the test, e.g. `reach-back`.")
    population: Text = Field(
        description="One SELECT over evidence tables: one row per item; column `resource` unique and not null; "
        "optional column `excluded`: the reason why the item does not count."
    )
    checks: dict[Annotated[str, Field(pattern=NAME)], CheckForm] = Field(min_length=1, description="Name → check.")
    may_be_empty: Text | None = Field(default=None, description="Why no item at all is a legitimate answer.")
    optional_fields: tuple[Text, ...] = Field(
        default=(), description="`source.table.column` leaves that may be NULL in an item that passes."
    )
    examples: tuple[ExampleForm, ...] = Field(
        min_length=1, description="Given rows → expected outcomes; every check seen passing and failing."
    )


class NeedForm(Form):
    """A document that people must supply."""

    kind: Text = Field(description="Kind of document, e.g. `restore-test`.")
    subject: Text = Field(description="What it is about, exactly as the document's description names it.")
    max_age_days: Annotated[int, Field(ge=1, le=3660)] = Field(description="Oldest age allowed, in days.")
    owner: Text = Field(description="Who must supply it.")


class ControlForm(Form):
    """What the organisation does to meet criteria."""

    id: Annotated[str, Field(pattern=CONTROL_ID)] = Field(description="Equal to the start of the file name.")
    title: Text = Field(description="One sentence: what is so when the control works.")
    objective: Text = Field(description="Why it exists, for the reader of a report.")
    satisfies: dict[str, Annotated[tuple[Text, ...], Field(min_length=1)]] = Field(
        min_length=1, description="Framework → criteria."
    )
    owner: Text = Field(description="Who answers for it.")
    severity: Severity = Field(description="Sorts reports; changes no verdict.")
    frequency: Frequency = Field(description="How often evidence is due; also how old it may be.")
    params: dict[Annotated[str, Field(pattern=NAME)], Any] = Field(
        default={}, description="Name → default: text, whole number, true/false, a list or a mapping of those."
    )
    remediation: Text = Field(description="What to do about a finding.")
    tests: tuple[TestForm, ...] = Field(default=(), description="Populations and checks.")
    evidence: tuple[NeedForm, ...] = Field(default=(), description="Documents that people must supply.")


def fill(form: type[F], document: Document, problems: Problems) -> F | None:
    """Validate a document's data against a form; note every mistake with its line. None if there was one."""
    if not isinstance(document.data, dict):
        problems.add(
            1, f"The file must hold keys and values, but it holds {kind(document.data)}.", "Begin it with `key: value`."
        )
        return None
    try:
        return form.model_validate_json(json.dumps(document.data, allow_nan=True))
    except ValidationError as error:
        details = _distinct(error.errors(include_url=False))
        meant = {
            (*detail["loc"][:-1], nearest(str(detail["loc"][-1]), keys_at(form, detail["loc"][:-1])))
            for detail in details
            if detail["type"] == "extra_forbidden"
        }
        for detail in details:
            # A misspelt key is one mistake, not also a missing one.
            if detail["type"] != "missing" or detail["loc"] not in meant:
                _note(form, detail, document, problems)
    return None


def _distinct(errors: list[Any]) -> list[Any]:
    """One error per place: a union reports one for each of its arms, of which the last is as good as any."""
    places: dict[tuple[Any, ...], Any] = {}
    for detail in errors:
        place = tuple(part for part in detail["loc"] if not _is_arm(part))
        places.setdefault(place, {**detail, "loc": place})
    # A list is "too short" only because an entry of it is wrong: that entry has its own message.
    return [d for d in places.values() if d["type"] != "too_short" or not any(_below(p, d["loc"]) for p in places)]


def _below(place: tuple[Any, ...], above: tuple[Any, ...]) -> bool:
    return len(place) > len(above) and place[: len(above)] == above


def _is_arm(part: str | int) -> bool:
    """Whether a part of pydantic's path names an arm of a union and not a place in the file."""
    return isinstance(part, str) and (
        part.startswith(("literal[", "dict[", "function-", "constrained-")) or part == "[key]"
    )


def _note(form: type[BaseModel], detail: Any, document: Document, problems: Problems) -> None:
    place = detail["loc"]
    line, name = document.line(*place), dotted(place)
    match detail["type"]:
        case "missing":
            where = f" in {dotted(place[:-1])}" if len(place) > 1 else ""
            problems.add(
                document.line(*place[:-1]), f'The key "{place[-1]}" is missing{where}.', f'Add "{place[-1]}:".'
            )
        case "extra_forbidden":
            where = f" in {dotted(place[:-1])}" if len(place) > 1 else ""
            problems.add(
                line, f'Unknown key "{place[-1]}"{where}.', suggestion(str(place[-1]), keys_at(form, place[:-1]))
            )
        case _:
            message, hint = in_words(name, detail)
            problems.add(line, message, hint)


def dotted(place: tuple[str | int, ...]) -> str:
    """`tests[0].checks.name` from a path."""
    text = ""
    for part in place:
        text += f"[{part + 1}]" if isinstance(part, int) else (f".{part}" if text else part)
    return text


def keys_at(form: type[BaseModel], place: tuple[str | int, ...]) -> list[str]:
    """The keys that a form knows at a place, for suggestions."""
    schema = form.model_json_schema()
    node: dict[str, Any] = schema
    for part in place:
        node = _child(_resolve(node, schema), part)
    return sorted(_resolve(node, schema).get("properties", {}))


def _resolve(node: dict[str, Any], schema: dict[str, Any]) -> dict[str, Any]:
    for option in node.get("anyOf", ()):
        if "$ref" in option or "items" in option:
            node = option
    if "$ref" in node:
        found: dict[str, Any] = schema["$defs"][node["$ref"].rpartition("/")[2]]
        return found
    return node


def _child(node: dict[str, Any], part: str | int) -> dict[str, Any]:
    if isinstance(part, int):
        prefixed = node.get("prefixItems")
        child = node.get("items") or (prefixed[part] if prefixed and part < len(prefixed) else {})
    else:
        pattern = next(iter(node.get("patternProperties", {}).values()), None)
        child = node.get("properties", {}).get(part) or pattern or node.get("additionalProperties")
    return child if isinstance(child, dict) else {}


_WANTED = {
    "string_type": "text",
    "int_type": "a whole number",
    "int_from_float": "a whole number",
    "bool_type": "true or false",
    "dict_type": "keys and values",
    "tuple_type": "a list",
    "list_type": "a list",
    "model_type": "keys and values",
    "model_attributes_type": "keys and values",
    "date_type": "a date such as 2026-08-01",
    "date_from_datetime_parsing": "a date such as 2026-08-01",
    "date_from_datetime_inexact": "a date such as 2026-08-01",
    "date_parsing": "a date such as 2026-08-01",
}


def in_words(name: str, detail: Any) -> tuple[str, str | None]:
    """One validation error as a sentence, and a hint."""
    value, context = detail.get("input"), detail.get("ctx", {})
    kind_of = detail["type"]
    if kind_of in _WANTED:
        hint = _kind_hint(_WANTED[kind_of], value)
        return f"{name} must be {_WANTED[kind_of]}, but it is {kind(value)}.", hint
    if kind_of in ("literal_error", "enum"):
        wanted = str(context.get("expected", "")).replace("'", "")
        options = wanted.replace(" or ", ", ").split(", ")
        return f"{name} must be one of {wanted}, but it is {kind(value)}.", suggestion(str(value), options)
    if kind_of == "too_short" and value:
        return (
            f"{name} must hold {context.get('min_length')} values, but it holds {context.get('actual_length')}.",
            None,
        )
    if kind_of in ("too_short", "string_too_short") or (
        kind_of == "string_pattern_mismatch" and (value == "" or context.get("pattern") == r"\S")
    ):
        return f"{name} is empty.", "Fill it in."
    if kind_of in _BOUNDS:
        words, bound = _BOUNDS[kind_of]
        return f"{name} must be {words} {context.get(bound)}, but it is {kind(value)}.", None
    if kind_of == "string_pattern_mismatch":
        return f"{name} must match {context.get('pattern')}, but it is {kind(value)}.", _pattern_hint(
            str(context.get("pattern"))
        )
    if kind_of == "too_long":
        return (
            f"{name} must hold {context.get('max_length')} values, but it holds {context.get('actual_length')}.",
            None,
        )
    return f"{name}: {detail['msg']}.", None


_BOUNDS = {"greater_than_equal": ("at least", "ge"), "less_than_equal": ("at most", "le")}


def _kind_hint(wanted: str, value: Any) -> str | None:
    if wanted == "text" and isinstance(value, int | float):
        return "Put quotes around it."
    if wanted == "a list" and isinstance(value, str | int | float | dict):
        return "Put it into [ ], or begin each entry with a dash."
    if wanted == "keys and values" and isinstance(value, list):
        return "Write `name: value`, without a dash."
    return None


def _pattern_hint(pattern: str) -> str | None:
    return {
        CONTROL_ID: "A control id is like BCP-02.",
        TEST_ID: "A test id is lower case with dashes, like reach-back.",
        NAME: "A name is lower case with underscores, like other_region.",
    }.get(pattern)


def kind(value: Any) -> str:
    """What a value is, for a reader of YAML: `the text "x"`, `the number 3`, `a list`, `nothing`."""
    match value:
        case None:
            return "nothing"
        case bool():
            return f"the truth value {str(value).lower()}"
        case int() | float():
            return f"the number {value}"
        case str():
            return f'the text "{value}"' if len(value) <= 60 else f'the text "{value[:57]}..."'
        case list() | tuple():
            return "a list"
        case _:
            return "keys and values"
