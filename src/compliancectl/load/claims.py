"""`claims.yaml`: the register of public statements, each with the page it stands on and its controls."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Annotated

from pydantic import Field

from compliancectl.load.document import Document, read
from compliancectl.load.forms import CONTROL_ID, Form, Text, fill
from compliancectl.load.problems import Problems, suggestion
from compliancectl.model.claim import Basis, Claim, ClaimPage, ClaimRegister, Reference, Testable
from compliancectl.model.control import Control

_PAGE_ID = r"^[a-z][a-z0-9-]*$"
_CLAIM_ID = r"^[A-Z][A-Z0-9]*-[0-9]+$"


class PageForm(Form):
    """A public page."""

    title: Text = Field(description="What the page is called.")
    url: Annotated[str, Field(pattern=r"^https?://\S+$")] | None = Field(default=None, description="Where it is.")


class ClaimForm(Form):
    """One public statement."""

    id: Annotated[str, Field(pattern=_CLAIM_ID)] = Field(description="Like C-042.")
    text: Text = Field(description="The words as they stand on the page, or as much as makes the promise.")
    page: Text = Field(description="Id of the page it stands on.")
    section: Text | None = Field(default=None, description="Heading that it stands under.")
    testable: Testable = Field(
        description="What can tell whether it is true: machines (automatic), machines and documents (hybrid), "
        "documents only (attested), or nothing (statement)."
    )
    basis: Basis = Field(
        default="own", description="own: kept by the organisation; vendor: kept by a vendor; plan: announced for later."
    )
    controls: tuple[Text, ...] = Field(
        default=(), description="CONTROL, CONTROL.test or CONTROL.test.check: what must hold, all of it."
    )
    note: Text | None = Field(default=None, description="What to mind.")


class ClaimsForm(Form):
    """The whole register."""

    pages: dict[Annotated[str, Field(pattern=_PAGE_ID)], PageForm] = Field(
        min_length=1, description="Id → page that statements stand on."
    )
    claims: tuple[ClaimForm, ...] = Field(min_length=1, description="The statements.")


def load_claims(path: Path, controls: Iterable[Control] = ()) -> ClaimRegister:
    """Read a register of claims.

    A claim may name a control that does not exist: the sentence is public whether or not anything evidences it, and it
    is then `unproven`. But a test or check of a control that does exist must exist.

    Args:
        path: the file.
        controls: all that exist; none when only the form is to be read.

    Raises:
        FileError: with file and line (`FileErrors` if in several places).
    """
    document, problems = read(path), Problems(path)
    form = fill(ClaimsForm, document, problems)
    if form is not None:
        known = {control.id: control for control in controls}
        _check_unique(form, document, problems)
        for index, claim in enumerate(form.claims):
            if claim.page not in form.pages:
                line = document.line("claims", index, "page")
                problems.add(line, f'There is no page "{claim.page}".', suggestion(claim.page, form.pages))
            for number, text in enumerate(claim.controls):
                _check_reference(text, document.line("claims", index, "controls", number), known, problems)
    problems.raise_if_any()
    assert form is not None
    return ClaimRegister(
        pages=tuple(ClaimPage(id=id, **page.model_dump()) for id, page in form.pages.items()),
        claims=tuple(_claim(claim, document.line("claims", index)) for index, claim in enumerate(form.claims)),
        file=str(path),
        sha256=document.sha256,
    )


def _claim(form: ClaimForm, line: int) -> Claim:
    references = tuple(Reference.parse(text) for text in form.controls)
    return Claim(**form.model_dump(exclude={"controls"}), controls=references, line=line)


def _check_unique(form: ClaimsForm, document: Document, problems: Problems) -> None:
    ids: dict[str, int] = {}
    texts: dict[tuple[str, str | None, str], int] = {}
    for index, claim in enumerate(form.claims):
        line = document.line("claims", index, "id")
        if claim.id in ids:
            problems.add(line, f"Two claims are called {claim.id}; the first is on line {ids[claim.id]}.")
        ids.setdefault(claim.id, line)
        place = (claim.page, claim.section, claim.text)
        if place in texts:
            problems.add(
                document.line("claims", index, "text"),
                f"The same sentence of the same page stands twice; the first is on line {texts[place]}.",
                "Keep one, with the controls of both.",
            )
        texts.setdefault(place, document.line("claims", index, "text"))


def _check_reference(text: str, line: int, known: Mapping[str, Control], problems: Problems) -> None:
    reference = Reference.parse(text)
    if not re.fullmatch(CONTROL_ID, reference.control) or str(reference) != text:
        problems.add(line, f'"{text}" names no control.', "Write CONTROL, CONTROL.test or CONTROL.test.check: BCP-02.")
        return
    control = known.get(reference.control)
    if control is None or reference.test is None:
        return
    tests = {test.id: test for test in control.tests}
    if reference.test not in tests:
        message = f'{control.id} has no test "{reference.test}".'
        problems.add(line, message, suggestion(reference.test, tests))
        return
    checks = {check.name for check in tests[reference.test].checks}
    if reference.check is not None and reference.check not in checks:
        message = f'{control.id}.{reference.test} has no check "{reference.check}".'
        problems.add(line, message, suggestion(reference.check, checks))
