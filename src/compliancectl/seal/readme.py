"""README.txt: what a bundle is, and how to verify it without this program."""

from __future__ import annotations

from pathlib import Path

from compliancectl.model.evidence import RunRecord

NAME = "README.txt"

_TEXT = """\
EVIDENCE BUNDLE {id}

Organisation   {organization}
System         {system} ({environment})
Run            {started} to {finished}, {status}
Period         {start} to {end} (the end is not included)

WHAT IS HERE

  run.json       the run: what was asked for, by which version of the tool, on which machine
  evidence/      what the sources answered: for each item its record (item.json: who asked what, when, and how it is
                 known that nothing is missing), the replies byte for byte after declared redactions (raw-*), and the
                 same shaped into typed rows (*.parquet). INDEX.csv lists all items.
  catalog/       the controls, frameworks, waivers and settings exactly as they were applied
  results/       what the checks said, for each control and each item of each population
  SHA256SUMS     the digest of every file except itself and seal/
  seal/          the signed statement about SHA256SUMS (in-toto Statement in a DSSE envelope), and the signer's key

WHAT THE SEAL PROVES, AND WHAT NOT

It proves who vouched for exactly these bytes. It does not prove that a source told the truth, and the times in it are
the signer's own. The key in seal/signer.pub.pem proves nothing by itself: anyone can put a key there. Obtain the
signer's public key from them by another way, and compare.

HOW TO VERIFY

With compliancectl:    compliancectl verify BUNDLE --key TRUSTED-KEY.pub.pem

With coreutils and openssl alone, save the lines below as verify-by-hand.sh. If you do not trust whoever handed you
this bundle, take them from the documentation of compliancectl: what stands here was handed over with the rest.

----------------------------------------------------------------------------------------------------------------------
{recipe}"""


def recipe() -> str:
    """The shell commands that verify a bundle with coreutils and openssl alone."""
    return Path(__file__).with_name("verify-by-hand.sh").read_text(encoding="ascii")


def text(run: RunRecord) -> bytes:
    """Write README.txt for a bundle of this run."""
    values = run.to_json()
    filled = _TEXT.format(
        id=run.id,
        organization=run.organization,
        system=run.system,
        environment=run.environment,
        started=values["started_at"],
        finished=values.get("finished_at", "open"),
        status=run.status,
        start=values["period"]["start"],
        end=values["period"]["end"],
        recipe=recipe(),
    )
    return filled.encode()
