"""The seal: what makes a folder of evidence into something that anyone can verify, offline, years later.

    names      which member names a bundle may have
    sums       SHA256SUMS: the list of every file with its digest (coreutils format)
    statement  the in-toto Statement whose one subject is SHA256SUMS
    dsse       the signed envelope around the statement; sigstore: the same for other programs
    signers    what can sign: keys (in files), kms (Google Cloud KMS), keyless (a CI job's identity); signed: the result
    identity   whose a key was that was made for one signature; trust: whose signatures the verifier accepts
    additions  what a seal may hold besides: countersign(atures), timestamp(s), identities
    policy     what a verifier's trust makes of them
    container  a bundle as a folder; archive: the same bundle as a ZIP
    ahead      reading a folder in a second process, while the first still loads libraries
    records    whether the evidence and result records agree with the files
    index      evidence/INDEX.csv; readme: README.txt

Nothing here prints, reads the clock or decides an exit code. What is wrong with bytes is a `Problem`; the stage
that read them says what that means.
"""

from __future__ import annotations


class Problem(ValueError):  # the word for what is found, not for a fault of ours
    """Something read is not what it has to be. `member` names the file inside the bundle, if there is one."""

    def __init__(self, message: str, *, member: str | None = None, hint: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.member = member if member is None or (member.isascii() and member.isprintable()) else ascii(member)
        self.hint = hint


class Skipped(Exception):
    """A step of verification that could not be taken, and why."""

    def __init__(self, message: str, hint: str) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint
