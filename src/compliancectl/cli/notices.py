"""`notify`: what turned between two bundles, as a message to send."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from compliancectl.cli import checked
from compliancectl.cli.checked import SignerKey, TrustFile
from compliancectl.cli.output import give

app = typer.Typer()


class Form(StrEnum):
    """Who reads the message."""

    slack = "slack"
    mail = "mail"
    issue = "issue"


@app.command(
    epilog="Example: compliancectl notify evidence/yesterday.zip evidence/today.zip --as slack -o message.json"
)
def notify(
    before: Annotated[Path, typer.Argument(help="The earlier bundle: folder or ZIP.", metavar="BEFORE")],
    after: Annotated[Path, typer.Argument(help="The later one.", metavar="AFTER")],
    form: Annotated[
        Form, typer.Option("--as", help="Slack-compatible JSON, an e-mail, or the body of a GitHub issue.")
    ] = Form.issue,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="File to write instead of stdout.", metavar="FILE")
    ] = None,
    only_turns: Annotated[bool, typer.Option("--only-turns", help="Write nothing at all when nothing turned.")] = False,
    key: SignerKey = None,
    trust: TrustFile = None,
) -> int:
    """Write what turned between two bundles as a message; sending it is left to you.

    Both bundles are verified first. Controls that came out otherwise, items that fail or are unknown and were not
    before, items that no longer are; a control that is no longer judged is named too. The exit code is 0 whether or not
    something turned.
    """
    from compliancectl.export.source import opened
    from compliancectl.notify import FORMS, compare

    for path in (before, after):
        checked.check(path, key, trust)
    with opened(before) as old, opened(after) as new:
        found = compare(old, new)
    if only_turns and not found.turns and not found.removed:
        typer.echo("Nothing turned.", err=True)
        return 0
    return give(FORMS[form.value](found), output)
