"""`notify`: what turned between two bundles, as a message to send; and one GitHub issue that lists what is open."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from compliancectl.cli import checked
from compliancectl.cli.checked import SignerKey, TrustFile
from compliancectl.cli.options import DEFAULT_SCOPE, ScopeFile
from compliancectl.cli.output import give
from compliancectl.errors import UsageError

if TYPE_CHECKING:
    from compliancectl.notify import Difference

app = typer.Typer()


class Form(StrEnum):
    """Who reads the message."""

    slack = "slack"
    mail = "mail"
    issue = "issue"


Issues = Annotated[
    str | None,
    typer.Option("--github-issue", help="Also keep one issue there that lists what is open.", metavar="OWNER/REPO"),
]


@app.command(
    epilog="Example: compliancectl notify evidence/yesterday.zip evidence/today.zip --as slack -o message.json"
    "; or compliancectl notify evidence/today.zip --github-issue larkspur-learning/compliance --token-env ISSUES_TOKEN"
)
def notify(
    bundles: Annotated[
        list[Path],
        typer.Argument(
            help="The earlier bundle and the later one, folder or ZIP; the later one alone for --github-issue only.",
            metavar="[BEFORE] AFTER",
        ),
    ],
    form: Annotated[
        Form, typer.Option("--as", help="Slack-compatible JSON, an e-mail, or the body of a GitHub issue.")
    ] = Form.issue,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="File to write instead of stdout.", metavar="FILE")
    ] = None,
    only_turns: Annotated[bool, typer.Option("--only-turns", help="Write no message when nothing turned.")] = False,
    github_issue: Issues = None,
    scope: ScopeFile = DEFAULT_SCOPE,
    token_env: Annotated[
        str | None,
        typer.Option(
            "--token-env", help="Variable with a token to write with, instead of the scope's.", metavar="NAME"
        ),
    ] = None,
    public: Annotated[bool, typer.Option("--public", help="The repository may be one that everybody reads.")] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only say what would become of the issue.")] = False,
    key: SignerKey = None,
    trust: TrustFile = None,
) -> int:
    """Write what turned between two bundles as a message; sending it is left to you.

    The bundles are verified first. Controls that came out otherwise, items that fail or are unknown and were not
    before, items that no longer are; a control that is no longer judged is named too.

    With --github-issue, one issue lists what is open: it is made, edited when the list changed, closed when nothing is
    open, and opened again. It is found by a hidden line and by its author; no other issue is touched, and without a
    change nothing is written. This needs the permission `issues: write`, by the scope file's GitHub connection or by
    the token in --token-env, which need not be able to do anything else.

    Exit code 0 whether or not something turned or is open. 3: GitHub refused, or could not be reached.
    """
    from compliancectl.export.source import opened
    from compliancectl.notify import FORMS, compare

    _fit(bundles, github_issue, message=output is not None or only_turns, issue=dry_run or public or bool(token_env))
    for path in bundles:
        checked.check(path, key, trust)
    if len(bundles) == 2:
        with opened(bundles[0]) as old, opened(bundles[1]) as new:
            found = compare(old, new)
        if only_turns and not _turned(found):
            typer.echo("Nothing turned.", err=True)
        else:
            give(FORMS[form.value](found), output)
    if github_issue is not None:
        from compliancectl.cli.issue import keep

        said = keep(bundles[-1], github_issue, scope, token_env, public=public, dry_run=dry_run)
        typer.echo(said, err=len(bundles) == 2)  # stdout is the message's, if there is one
    return 0


def _turned(found: Difference) -> bool:
    return bool(found.turns or found.removed)


def _fit(bundles: list[Path], github_issue: str | None, *, message: bool, issue: bool) -> None:
    """Refuse arguments of which some would have no effect."""
    if len(bundles) > 2:
        raise UsageError(f"{len(bundles)} bundles are given", hint="Give the earlier one and the later one.")
    if len(bundles) == 1 and (github_issue is None or message):
        raise UsageError("a message is about two bundles, and one is given", hint="Give the earlier one first.")
    if github_issue is None and issue:
        raise UsageError(
            "--token-env, --public and --dry-run are about an issue", hint="Give --github-issue OWNER/REPO too."
        )
