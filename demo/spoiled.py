"""Two ways in which a model goes wrong after it was judged, as they happen: people are harmed, or requests fail."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

#: One item in so many has a title that was cut: of lists of ten, about half show one.
CUT_EVERY = 15


@dataclass(frozen=True, slots=True)
class Scenario:
    """spoil: works on the folder of an unpacked bundle. story: what happened, and how it got past the gate."""

    name: str
    story: str
    spoil: Callable[[Path], None]


def misplace_items(folder: Path) -> None:
    """The list of items in another order than the arrays: each score goes to somebody else's film."""
    for name in ("items.txt", "items.jsonl"):
        path = folder / name
        lines = path.read_bytes().split(b"\n")[:-1]
        path.write_bytes(b"\n".join(reversed(lines)) + b"\n")


def cut_titles(folder: Path) -> None:
    """Titles that end inside a character, as programs leave them that count in UTF-16: no answer can be written."""
    path = folder / "items.jsonl"
    lines = path.read_text(encoding="utf-8").split("\n")[:-1]
    for number in range(0, len(lines), CUT_EVERY):
        record = json.loads(lines[number])
        lines[number] = json.dumps({**record, "title": f"{record['title'][:20]}\ud83c"}, separators=(",", ":"))
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")


SCENARIOS: Mapping[str, Scenario] = {
    "bad-model": Scenario(
        "bad-model",
        "After the gate had judged a model, its list of items was written in another order than its arrays. Every "
        "digest is right, every request is answered, and each person is shown somebody else's films. It got past the "
        "gate because it was judged before that happened: offline numbers of another file.",
        misplace_items,
    ),
    "broken": Scenario(
        "broken",
        f"Titles were cut by a program that counts in UTF-16: one in {CUT_EVERY} ends inside a character and cannot be "
        "written into an answer. It got past the gate because the gate judges rankings by ids and never writes a "
        "title; so the container fails on every request whose list shows such a film.",
        cut_titles,
    ),
}
