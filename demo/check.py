"""The demo's own proof: for every object, the rows in the lake and in quarantine are those that were sent."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from cli import athena, named_queries
from cli.target import Target
from cli.uploads.send import Sent

if TYPE_CHECKING:
    from usher.store.ingested_objects import Entry

_QUARANTINE = (
    "SELECT substr(source, 1, 32) AS object_digest, count(*) AS refused FROM quarantine GROUP BY substr(source, 1, 32)"
)


def disagreements(
    target: Target, sent: Sequence[Sent], entries: Mapping[str, Entry], expected_bad: Mapping[str, int]
) -> list[str]:
    """What does not agree, one line each; empty when all does.

    expected_bad: object digest → how many bad rows were planted in it (none where it says nothing).
    """
    lake, quarantine = _counts(target)
    lines = []
    for item in sent:
        entry, name = entries[item.digest], item.measured.file.path.name
        counted = (lake.get(item.digest, 0), quarantine.get(item.digest, 0))
        if counted != (entry.rows_ok, entry.rows_bad):
            lines.append(f"{name}: the ledger says {entry.rows_ok} + {entry.rows_bad}, Athena counts {counted}")
        if item.measured.rows != sum(counted):
            lines.append(f"{name}: {item.measured.rows} rows were sent, {sum(counted)} are accounted for")
        if entry.rows_bad != expected_bad.get(item.digest, 0):
            lines.append(f"{name}: {expected_bad.get(item.digest, 0)} rows are bad, {entry.rows_bad} were refused")
    return lines


def _counts(target: Target) -> tuple[dict[str, int], dict[str, int]]:
    """Rows of each object in the lake and in quarantine, counted by Athena."""
    question = named_queries.find("rows_per_object")
    assert question is not None  # noqa: S101 - it is one of the repository's files
    lake = athena.ask(target, question.sql)
    refused = athena.ask(target, _QUARANTINE)
    return (
        {row["object_digest"]: row["rows_in_lake"] for row in lake.records()},
        {row["object_digest"]: row["refused"] for row in refused.records()},
    )
