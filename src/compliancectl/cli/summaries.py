"""`summary`: what a CI step shows of a bundle."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from compliancectl.cli import checked
from compliancectl.cli.checked import BundlePath, SignerKey, TrustFile
from compliancectl.cli.output import give

app = typer.Typer()


class Form(StrEnum):
    """Where it is shown."""

    markdown = "markdown"
    annotations = "annotations"


@app.command(epilog='Example: compliancectl summary evidence/bundle.zip >> "$GITHUB_STEP_SUMMARY"')
def summary(
    bundle: BundlePath,
    form: Annotated[
        Form, typer.Option("--as", help="A Markdown page, or GitHub's workflow commands that annotate a run.")
    ] = Form.markdown,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="File to write instead of stdout.", metavar="FILE")
    ] = None,
    key: SignerKey = None,
    trust: TrustFile = None,
) -> int:
    """Write what a bundle says as a page of Markdown, or as annotations.

    The page has the counts, every control that deviates or is inconclusive with its first items, and a table of all
    controls. Annotations: deviations of high and critical controls are errors, all else that is open is a warning.
    The bundle is verified first. The exit code is 0 whatever the outcome.
    """
    from compliancectl.export.source import opened
    from compliancectl.step_summary import FORMS

    checked.check(bundle, key, trust)
    with opened(bundle) as found:
        text = FORMS[form.value](found)
    return give(text, output)
