"""Deliver data to the twin and count it: streams through the agent, files with bad rows, rows in the lake."""

from __future__ import annotations

import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from rich.box import SIMPLE_HEAD
from rich.table import Table

from cli import athena
from cli.commands import query
from cli.errors import CommandError
from cli.formatting.terminal import out
from cli.movielens import FILES
from cli.target import Target
from cli.uploads.send import Sent
from demo.data_split import Delivery

if TYPE_CHECKING:
    from usher.store.ingested_objects import IngestedObject

_POLL_SECONDS = 0.5
GOOD_ROWS = 200
#: The bad rows that the demo uploads: what is wrong → the line, without its end.
BAD_ROWS: dict[str, bytes] = {
    "a rating above the scale": b"1,1,9.5,1500000000",
    "a rating that is not a number": b"1,1,NaN,1500000000",
    "no user id": b",1,4.0,1500000000",
    "a user id of 200 bytes": b"u" * 200 + b",1,4.0,1500000000",
    "a word instead of a timestamp": b"1,1,4.0,yesterday",
    "a timestamp in 1677": b"1,1,4.0,1677-09-21T00:12:43Z",
    "a timestamp in 2262": b"1,1,4.0,2262-04-11T23:47:16Z",
    "a column too few": b"1,1,4.0",
    "a column too many": b"1,1,4.0,1500000000,7",
    "an unclosed quote": b'1,"1,4.0,1500000000',
    "a NUL byte": b"1,1\x00,4.0,1500000000",
    "bytes that are not UTF-8": b"\xff\xfe1,1,4.0,1500000000",
    "the header again": b"userId,movieId,rating,timestamp",
    "a line of 1 MB": b"x" * 1_000_000,
}
_QUARANTINED = (
    "SELECT substr(source, 1, 32) AS object_digest, count(*) AS refused FROM quarantine GROUP BY substr(source, 1, 32)"
)


@dataclass(frozen=True, slots=True)
class Streamed:
    """What the agent sent of one file. repeated: records that it sent again."""

    name: str
    rows: int
    seconds: float
    repeated: int


def stream(target: Target, part: Delivery, scratch: Path) -> list[Streamed]:
    """Send every file to its stream with the agent, ratings last. Raises CommandError when a row cannot be sent."""
    from cli.agent import bootstrap  # noqa: PLC0415 - boto3

    sent = []
    for name, path in part.files.items():
        dataset = FILES[name]
        checkpoint = scratch / f"agent-{dataset}.json"
        order = bootstrap.Settings(
            paths=[str(path)], dataset=dataset, stream=bootstrap.stream(target, dataset), checkpoint=checkpoint
        )
        done = bootstrap.work(target, order, threading.Event())
        if done.aside or done.rows < part.rows[name]:
            raise CommandError(f"{path}: {done.rows} of {part.rows[name]} rows were sent, {done.aside} were refused")
        sent.append(Streamed(name, done.rows, done.seconds, done.tally.resent))
    return sent


def wait_until_in_lake(target: Target, part: Delivery, wait_seconds: float) -> dict[str, int]:
    """Rows in the lake by file name, as soon as they equal the rows sent.

    Raises CommandError when the lake has fewer rows in the end, or more at any time: a delivery that came twice.
    """
    deadline = time.monotonic() + wait_seconds
    while True:
        rows = {name: _count(target, FILES[name]) for name in part.files}
        refused = _count(target, "quarantine")
        missing = {name: part.rows[name] - count for name, count in rows.items() if count != part.rows[name]}
        if not missing and not refused:
            return rows
        if any(count < 0 for count in missing.values()) or refused or time.monotonic() > deadline:
            differences = ", ".join(f"{name} {count:+,}" for name, count in missing.items())
            raise CommandError(
                f"rows sent and rows in the lake differ: missing {differences or 'none'}; in quarantine {refused}"
            )
        time.sleep(_POLL_SECONDS)


def _count(target: Target, table: str) -> int:
    answer = athena.ask(target, f"SELECT count(*) AS found FROM {table}")  # noqa: S608 - our own names
    return int(next(iter(answer.records()))["found"])


def print_streamed(part: Delivery, sent: list[Streamed], in_lake: Mapping[str, int]) -> None:
    """Print a table with one line for each file."""
    table = Table(box=SIMPLE_HEAD, pad_edge=False)
    for name in ("file", "stream", "rows sent", "rows/s", "sent again", "in the lake"):
        table.add_column(name, justify="left" if name in ("file", "stream") else "right")
    for item in sent:
        rate = item.rows / max(item.seconds, 1e-3)
        counts = f"{item.rows:,}", f"{rate:,.0f}", f"{item.repeated:,}", f"{in_lake[item.name]:,}"
        table.add_row(item.name, FILES[item.name], *counts)
    table.add_section()
    table.add_row("", "", f"{part.total:,}", "", "", f"{sum(in_lake.values()):,}")
    out().print(table)


def write_bad_rows(path: Path) -> int:
    """Write a ratings file with BAD_ROWS spread among good rows; returns how many rows are bad."""
    lines = [
        b"planted-%d,%d,%d.%d,%d" % (n % 7, n, 1 + n % 4, 5 * (n % 2), 1_500_000_000 + n) for n in range(GOOD_ROWS)
    ]
    gap = GOOD_ROWS // len(BAD_ROWS)
    for number, bad in enumerate(BAD_ROWS.values()):
        lines.insert(number * (gap + 1) + gap // 2, bad)
    path.write_bytes(b"\n".join([b"userId,movieId,rating,timestamp", *lines]) + b"\n")
    return len(BAD_ROWS)


def count_mismatches(
    target: Target, sent: Sequence[Sent], entries: Mapping[str, IngestedObject], expected_bad: Mapping[str, int]
) -> list[str]:
    """For each object, compare rows sent, rows recorded by ingest, and rows that Athena counts; [] when they agree.

    expected_bad: object digest → its bad rows (0 when it is missing).
    """
    question = query.find("rows_per_object")
    assert question is not None  # noqa: S101 - it is one of the repository's files
    lake = {row["object_digest"]: row["rows_in_lake"] for row in athena.ask(target, question.sql).records()}
    refused = {row["object_digest"]: row["refused"] for row in athena.ask(target, _QUARANTINED).records()}
    lines = []
    for item in sent:
        entry, name = entries[item.digest], item.measured.file.path.name
        counted = (lake.get(item.digest, 0), refused.get(item.digest, 0))
        if counted != (entry.rows_ok, entry.rows_bad):
            lines.append(f"{name}: ingest recorded {entry.rows_ok} + {entry.rows_bad} rows, Athena counts {counted}")
        if item.measured.rows != sum(counted):
            lines.append(f"{name}: {item.measured.rows} rows were sent, {sum(counted)} are in the lake or quarantine")
        if entry.rows_bad != expected_bad.get(item.digest, 0):
            lines.append(f"{name}: {expected_bad.get(item.digest, 0)} rows are bad, {entry.rows_bad} were refused")
    return lines
