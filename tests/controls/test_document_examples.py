"""The program's own examples of the documents under `evidence`: they come out as they say, for every shipped control."""

from __future__ import annotations

from compliancectl.cli.project import catalogue
from compliancectl.query.answers import answer
from compliancectl.query.examples import Workbench, prepared


def test_documents_come_out_as_their_examples_say() -> None:
    found = catalogue()
    bench = Workbench(found.tables)
    seen = set()
    try:
        for control in found.controls:
            for _, bound, rows in prepared(bench, control):
                if bound.test.implicit:
                    wanted = [example.then for example in bound.test.examples]
                    answered = {row[0]: "pass" if row[-2] and row[-1] else "fail" for row in answer(bench, bound, rows)}
                    assert answered in wanted, control.id
                    seen.add((control.id, tuple(sorted(answered.items()))))
    finally:
        bench.close()
    asked = [control for control in found.controls if control.evidence]
    assert len(asked) > 30 and len(seen) == 2 * len(asked)
