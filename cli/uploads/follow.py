"""Watch the ledger until every object that was sent is in the lake, and say what became of its rows."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

from cli.target import Target
from cli.uploads.send import Sent

if TYPE_CHECKING:
    from usher.store.ingested_objects import Entry

#: Seconds between two looks at the ledger.
LOOK_SECONDS = 0.3
_ENDED = ("committed", "gone")


def follow(
    target: Target,
    sent: Sequence[Sent],
    timeout_seconds: float,
    *,
    clock: Callable[[], float] = time.monotonic,
    sleep: Callable[[float], object] = time.sleep,
) -> Iterator[Mapping[str, Entry]]:
    """Yield the ledger's entries by digest at each look, until all objects have ended or the time is over."""
    ledger, deadline = target.ledger(), clock() + timeout_seconds
    digests = [item.digest for item in sent]
    while True:
        entries = ledger.find_all(digests)
        yield entries
        if not unfinished(entries, digests) or clock() >= deadline:
            return
        sleep(LOOK_SECONDS)


def unfinished(entries: Mapping[str, Entry], digests: Sequence[str]) -> list[str]:
    """The digests of objects whose rows are not in the lake yet."""
    return [digest for digest in digests if digest not in entries or entries[digest].status not in _ENDED]


def faults(entries: Mapping[str, Entry], sent: Sequence[Sent]) -> list[str]:
    """What does not add up, one line an object: it never came, it went, or its rows do not sum."""
    lines = []
    for item in sent:
        entry = entries.get(item.digest)
        if entry is None:
            lines.append(f"{item.key}: not read yet")
        elif entry.status == "gone":
            lines.append(f"{item.key}: deleted before it was read")
        elif entry.status != "committed":
            lines.append(f"{item.key}: {entry.status}, not committed yet")
        elif entry.rows_in != entry.rows_ok + entry.rows_bad:
            lines.append(f"{item.key}: {entry.rows_in} rows in, but {entry.rows_ok} + {entry.rows_bad} accounted for")
    return lines
