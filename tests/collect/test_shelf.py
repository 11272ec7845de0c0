"""Pages that are kept between tries of one run."""

from __future__ import annotations

from pathlib import Path

from compliancectl import clock
from compliancectl.collectors.base import Reply
from compliancectl.collectors.shelf import Kept, Shelf


def test_a_list_that_is_begun_again_finds_no_page_of_the_one_before(tmp_path: Path) -> None:
    shelf = Shelf(tmp_path / "shelf")
    page = Kept(Reply(b"[]", "GET /", clock.parse("2026-01-01"), clock.parse("2026-01-01")), "next")
    for number in (1, 2, 3):
        shelf.put(number, page)
    (tmp_path / "shelf" / "page-00002.json").write_text("{")
    shelf.clear()
    for number in (1, 2):
        shelf.put(number, page)
    assert shelf.page(3) is None
    assert len(shelf.pages()) == 2
