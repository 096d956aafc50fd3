"""Items as tables."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from rich.box import SIMPLE_HEAD
from rich.table import Table
from rich.text import Text

from cli.formatting.console import out, printable

Item = Mapping[str, Any]

#: From this width on, in characters, two tables of titles are readable beside each other; long titles are folded.
SIDE_BY_SIDE = 110


def items_table(title: str, items: Sequence[Item]) -> Table:
    """Rank, title, genres, and score and reason where there are any; what others sent is escaped."""
    scored, explained = (any(name in item for item in items) for name in ("score", "reason"))
    table = _table(title, "", "title", "genres", *["score"] * scored, *["why"] * explained)
    for item in items:
        cells = [str(item["rank"]), printable(item["title"]), printable(", ".join(item["genres"]))]
        cells += [f"{item['score']:.3f}" if "score" in item else ""] * scored
        cells += [because(item.get("reason"))] * explained
        table.add_row(*map(Text, cells))
    return table


def liked_table(title: str, rows: Sequence[tuple[str, str]]) -> Table:
    """(rating, title)."""
    table = _table(title, "rating", "title")
    for rating, name in rows:
        table.add_row(Text(printable(rating)), Text(printable(name)))
    return table


def because(reason: Any) -> str:
    """The text of the API's reason."""
    return printable(str(reason.get("text", ""))) if isinstance(reason, Mapping) else ""


def show(*tables: Table) -> None:
    """Side by side where the terminal has the room, else one below the other."""
    console = out()
    if len(tables) > 1 and console.width >= SIDE_BY_SIDE:
        grid = Table.grid(padding=(0, 2))
        grid.add_row(*tables)
        console.print(grid)
        return
    for table in tables:
        console.print(table)


def _table(title: str, *columns: str) -> Table:
    table = Table(
        title=Text(printable(title)), title_justify="left", title_style="bold", box=SIMPLE_HEAD, pad_edge=False
    )
    for name in columns:
        table.add_column(name, justify="right" if name in ("", "score", "rating") else "left", overflow="fold")
    return table
