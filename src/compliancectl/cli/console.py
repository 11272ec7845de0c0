"""What people see: the only owner of rich. Data goes to stdout, talk to stderr; readable without colour."""

from __future__ import annotations

import os
import sys
import unicodedata
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.console import Console, RenderableType
    from rich.text import Text

    from compliancectl.collect import Event

SYMBOLS = {
    "no deviations": ("●", "green"),
    "deviations": ("✕", "red"),
    "inconclusive": ("○", "yellow"),
    "no occurrences": ("–", "dim"),
    "pass": ("●", "green"),
    "fail": ("✕", "red"),
    "unknown": ("○", "yellow"),
    "waived": ("◐", "magenta"),
    "excluded": ("–", "dim"),
    "contradicted": ("✕", "red"),
    "unproven": ("○", "yellow"),
    "evidenced": ("●", "green"),
    "inherited": ("◆", "green"),
    "planned": ("◇", "cyan"),
    "not testable": ("–", "dim"),
}
"""Outcome → (shape, colour): never colour alone."""


def printable(text: str) -> str:
    """Make evidence text safe for a terminal: control, bidi and other invisible characters are escaped."""
    return "".join(
        c
        if c in "\n\t" or unicodedata.category(c) not in ("Cc", "Cf", "Cs", "Co", "Zl", "Zp")
        else f"\\u{{{ord(c):x}}}"
        for c in text
    )


def safe(text: str) -> str:
    """Evidence text as it can stand inside rich's markup: printable, and with its brackets taken literally."""
    from rich.markup import escape

    return escape(printable(text))


_CODES = {"green": "32", "red": "31", "yellow": "33", "dim": "2"}


def say(*parts: str | tuple[str, str]) -> None:
    """Print one line to stdout, parts of it in a style, without rich: to load it takes as long as to verify a small bundle.

    Args:
        parts: Text, made printable here, or text with one of the styles `green`, `red`, `yellow` and `dim`.
    """
    colour = sys.stdout.isatty() and not os.environ.get("NO_COLOR") and os.environ.get("TERM") not in ("dumb", None)
    line = ""
    for part in parts:
        text, style = (part, "") if isinstance(part, str) else part
        line += f"\x1b[{_CODES[style]}m{printable(text)}\x1b[0m" if style and colour else printable(text)
    sys.stdout.write(line + "\n")


def out() -> Console:
    """The console for data."""
    from rich.console import Console

    return Console(file=sys.stdout, highlight=False, soft_wrap=not sys.stdout.isatty(), emoji=False)


def talk() -> Console:
    """The console for everything else."""
    from rich.console import Console

    return Console(file=sys.stderr, highlight=False, emoji=False, soft_wrap=not sys.stderr.isatty())


def mark(outcome: str) -> str:
    """An outcome as shape and word, with rich markup for colour."""
    shape, colour = SYMBOLS[outcome]
    return f"[{colour}]{shape} {outcome}[/{colour}]"


class CollectView:
    """Follows a collection: a bar and the current feeds on a terminal, one line per item elsewhere."""

    def __init__(self, console: Console) -> None:
        from rich.progress import BarColumn, MofNCompleteColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

        view = self

        class Bar(Progress):
            def get_renderables(self) -> Iterator[RenderableType]:
                yield from super().get_renderables()
                yield view.line()

        self.console = console
        self.live = console.is_terminal
        self.note = ("", "")
        """What goes on: feed and target, and what the collector says of it."""
        self.progress = Bar(
            SpinnerColumn(),
            TextColumn("{task.description}"),
            BarColumn(bar_width=24),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            console=console,
            transient=True,
            disable=not self.live,
        )
        self.task = self.progress.add_task("collecting", total=0)
        self.total = self.done = self.short = 0
        self.hints: set[str] = set()
        """Hints that were printed: one is enough for all feeds that fail for the same reason."""

    def tell(self, event: Event) -> None:
        """Take note of an event; called from several threads."""
        if event.kind == "planned":
            self.total += 1
            self.progress.update(self.task, total=self.total)
        elif event.kind in ("started", "note"):
            self.note = (f"{event.feed} {event.target}", event.note)
        elif event.item is not None:
            self.done += 1
            self.progress.update(self.task, completed=self.done)
            self._line(event)

    def line(self) -> Text:
        """What goes on, below the bar. Where there is no room for all of it, what a collector says comes first."""
        from rich.text import Text

        label, note = self.note
        whole = printable(f"{label} {note}".strip())
        text = whole if len(whole) <= self.console.width or not note else printable(note)
        return Text(text, style="dim", no_wrap=True, overflow="ellipsis")

    def shortfall(self) -> None:
        """Say what a collection that is not whole means."""
        items = "evidence item is" if self.total == 1 else "evidence items are"
        self.console.print(
            f"{self.short} of {self.total} {items} not collected in full; what rests on them is inconclusive."
        )

    def _line(self, event: Event) -> None:
        item = event.item
        assert item is not None
        label = safe(f"{event.feed} {event.target}")
        if item.status != "collected":
            reason = safe(f"{item.cause}: {item.reason}")
            self.short += 1
            self.progress.console.print(f"[yellow]○ {item.status:<9}[/yellow] {label}  [dim]{reason}[/dim]")
            if item.hint and item.hint not in self.hints:
                self.hints.add(item.hint)
                self.progress.console.print(f"            {safe(item.hint)}")
        elif not self.live:
            rows = sum(table.rows for table in item.tables)
            self.progress.console.print(
                f"● {'kept' if event.kind == 'kept' else 'collected':<9} {label}  {rows} {'row' if rows == 1 else 'rows'}"
            )


@contextmanager
def collecting() -> Iterator[CollectView]:
    """Show a collection on stderr while it goes on."""
    view = CollectView(talk())
    with view.progress:
        yield view


@contextmanager
def steps(text: str, count: int) -> Iterator[Callable[[str], None]]:
    """Follow a number of steps, each told by name before it begins: a bar on a terminal, elsewhere a line each."""
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    console = talk()
    if not console.is_terminal:
        yield lambda name: console.print(f"{text}: {name}")
        return
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=console, transient=True) as bar:
        task = bar.add_task(text, total=count)
        begun = 0

        def tell(name: str) -> None:
            nonlocal begun
            bar.update(task, completed=begun, description=f"{text}: {name}")
            begun += 1

        yield tell


@contextmanager
def step(text: str) -> Iterator[None]:
    """Show that a longer step goes on; on a terminal with a spinner, elsewhere as one line."""
    console = talk()
    if console.is_terminal:
        with console.status(text):
            yield
    else:
        console.print(text)
        yield
