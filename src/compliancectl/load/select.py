"""Which controls apply: ids, patterns and frameworks."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from fnmatch import fnmatchcase

from compliancectl.errors import UsageError
from compliancectl.load.problems import suggestion
from compliancectl.model.control import Control


def select(controls: Iterable[Control], only: Sequence[str], frameworks: Sequence[str]) -> tuple[Control, ...]:
    """The controls named by `only` (ids or patterns such as `BCP-*`) that serve one of `frameworks`, sorted by id.

    Empty `only` or `frameworks` means all.

    Raises:
        UsageError: if an entry matches nothing, or nothing is left.
    """
    known = {control.id: control for control in controls}
    chosen = set(known)
    if only:
        chosen = {id for pattern in only for id in _matching(pattern, known)}
    if frameworks:
        served = {framework for control in known.values() for framework in control.satisfies}
        for framework in frameworks:
            if framework not in served:
                raise UsageError(f'No control serves a framework "{framework}".', hint=suggestion(framework, served))
        chosen = {id for id in chosen if set(frameworks) & set(known[id].satisfies)}
    if not chosen:
        raise UsageError("The selection leaves no control.", hint="Loosen --only or --framework.")
    return tuple(known[id] for id in sorted(chosen))


def _matching(pattern: str, known: Iterable[str]) -> list[str]:
    found = [id for id in known if fnmatchcase(id, pattern)]
    if not found:
        kind = "pattern" if any(sign in pattern for sign in "*?[") else "control id"
        verb = "matches no control" if kind == "pattern" else "does not exist"
        hint = suggestion(pattern, known, otherwise="`compliancectl controls list` shows all ids.")
        raise UsageError(f'The {kind} "{pattern}" {verb}.', hint=hint)
    return found
