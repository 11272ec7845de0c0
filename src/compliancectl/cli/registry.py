"""The commands, as plain data: names, one-line summaries, and the module that holds each.

The overview (`compliancectl --help`) is printed from here, so that it needs no library at all; a command's module,
and with it typer, is imported only when that command is called.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Command:
    """One command or group of commands."""

    name: str
    summary: str
    module: str
    """Module under `compliancectl.cli` with a `typer.Typer` called `app`."""


SECTIONS: tuple[tuple[str, tuple[Command, ...]], ...] = (
    (
        "Begin",
        (
            Command("demo", "Run everything on a small company in a box.", "demo"),
            Command("init", "Write a commented scope file.", "init"),
            Command("doctor", "Try each source's credentials, reachability and permissions.", "doctor"),
        ),
    ),
    (
        "Stages",
        (
            Command("collect", "Read the sources into evidence.", "stages"),
            Command("evaluate", "Judge the evidence by the controls.", "stages"),
            Command("bundle", "Seal evidence and results.", "stages"),
            Command("report", "Write a PDF from a bundle.", "reporting"),
            Command("verify", "Check a bundle; needs nothing but the bundle.", "verifying"),
            Command("run", "Collect, evaluate, bundle, report and verify in one go.", "stages"),
            Command("merge", "Join the shards of a run, then do the rest of it.", "stages"),
        ),
    ),
    (
        "From bundles",
        (
            Command("replay", "Derive a bundle's tables and results once more.", "replaying"),
            Command("reperform", "Fetch a sample of the evidence again and compare.", "reperforming"),
            Command("evidence", "List what a bundle rests on, and how to find it in each source's log.", "evidences"),
            Command("diff", "Show what changed between two runs.", "diffing"),
            Command("export", "Write a bundle as JUnit, CSV, XLSX, SARIF, OSCAL or OCSF.", "exports"),
            Command("sample", "Draw items for an assessor to test, redrawable by anyone.", "sampling"),
            Command("period", "Judge an observation period from the chain of its runs.", "periods"),
            Command("history", "Show how each control came out, run by run.", "histories"),
            Command("trend", "Show how many items do not pass, run by run.", "histories"),
            Command("summary", "Write a bundle as Markdown or annotations for a CI step.", "summaries"),
            Command(
                "notify",
                "Write what turned between two bundles as a message; keep an issue of what is open.",
                "notices",
            ),
        ),
    ),
    (
        "Catalogue",
        (
            Command("controls", "List, show, check, test, begin and document controls.", "controls"),
            Command("claims", "Show which public sentences the evidence supports or contradicts.", "claims"),
            Command("documents", "Begin, list and ask for the documents that people supply.", "documents"),
            Command("gaps", "List open findings: since when, until when, whose.", "gaps"),
            Command("reviews", "Review who has access, and see that removals happened.", "reviews"),
            Command("roadmap", "Show the milestones, and what is open before each.", "roadmap"),
            Command("waivers", "List, check and begin waivers.", "waivers"),
            Command("frameworks", "Show which controls cover which criteria.", "frameworks"),
            Command("collectors", "List collectors, tables and the permissions they need.", "collectors"),
            Command("engines", "Certify other engines that may answer a control's SQL.", "engines"),
        ),
    ),
    ("Sources", (Command("postgres", "Look into PostgreSQL databases: tenant isolation.", "postgres"),)),
    (
        "Seals",
        (
            Command("keys", "Make a signing key.", "keys"),
            Command("timestamp", "Add a time stamp to a sealed bundle.", "sealing"),
            Command("ledger", "Keep and check the append-only chain of runs.", "ledgers"),
            Command("store", "Keep bundles for years, hold them, purge them.", "depots"),
            Command("tables", "Lay the tables of sealed runs out on object storage.", "lakes"),
            Command("redactions", "Open one pseudonym to an auditor, or destroy whom it stood for.", "redactions"),
            Command("countersign", "Add a second signature to a sealed bundle.", "sealing"),
            Command("sigstore", "Write the seal for cosign and others.", "sealing"),
        ),
    ),
)

COMMANDS: dict[str, Command] = {command.name: command for _, section in SECTIONS for command in section}

HEAD = """\
Usage: compliancectl COMMAND [OPTIONS]

  Prove or disprove what a company promises about security and privacy, with
  evidence that anyone can verify.
"""

FOOT = """\
Options:
  --version   Print the version.
  --help      Print this page; `compliancectl COMMAND --help` has examples.

Exit codes:
  0 no deviations   1 deviations   2 usage or a bad file   3 inconclusive
  4 does not verify   70 a bug   130 interrupted

Example:
  compliancectl demo
"""


def overview() -> str:
    """The text of `compliancectl --help`."""
    lines = [HEAD]
    for title, commands in SECTIONS:
        lines.append(f"{title}:")
        lines += [f"  {command.name:<11} {command.summary}" for command in commands]
        lines.append("")
    return "\n".join([*lines, FOOT])
