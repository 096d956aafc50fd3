"""Checks a Firehose batch with the readers of landing objects, so that nothing is delivered that ingest would refuse.

A record holds one JSON line, or several: producers may aggregate. Good lines go on as they were sent, each with exactly
one newline at its end; bad ones go to quarantine, as those of a landing object do. An answer is never longer than its
request: a record's answer lacks the arrival time, and gains at most a newline.
"""

from __future__ import annotations

import binascii
import io
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from usher.errors import NotAnEvent, UnknownPlace
from usher.schema.datasets import dataset
from usher.schema.ids import stream_digest
from usher.schema.s3_paths import stream_dataset
from usher_lake.csv_lines import BOM
from usher_lake.framer import frames
from usher_lake.json_rows import JsonReader
from usher_lake.rows import Bad
from usher_lake.sources import Plain

_BLANK, _GOOD, _BAD = range(3)


@dataclass(frozen=True, slots=True)
class Batch:
    """What Firehose asks about.

    dataset:    from the delivery stream's name.
    digest:     names the batch in quarantine, the same at every try.
    arrived_at: when the first record came, UTC: the day in quarantine.
    ids, data:  of the records, in order; `data` as sent, without byte order marks, each ending with a newline.
    """

    dataset: str
    digest: str
    arrived_at: datetime
    ids: Sequence[str]
    data: Sequence[bytes]

    @classmethod
    def of(cls, event: Mapping[str, Any], stream_prefix: str) -> Batch:
        """Read the event; NotAnEvent when it is no transformation's, UnknownPlace when the stream is none of ours."""
        try:
            stream = str(event["deliveryStreamArn"]).rpartition("/")[2]
            records = event["records"]
            ids = [record["recordId"] for record in records]
            data = [_lines(binascii.a2b_base64(record["data"], strict_mode=True)) for record in records]
            arrived = records[0]["approximateArrivalTimestamp"] if records else 0
            arrived_at = datetime.fromtimestamp(arrived / 1000, UTC)
            digest = stream_digest(stream, ids)
        except (KeyError, IndexError, TypeError, ValueError, AttributeError, OverflowError) as error:
            raise NotAnEvent(f"not a Firehose transformation event ({type(error).__name__}: {error})") from error
        try:
            return cls(stream_dataset(stream, stream_prefix), digest, arrived_at, ids, data)
        except ValueError as error:
            raise UnknownPlace(str(error)) from error


def _lines(data: bytes) -> bytes:
    while data.startswith(BOM):  # all of them: delivered, the record is in the middle of an object, where one is bad
        data = data.removeprefix(BOM)
    return data if data.endswith(b"\n") else data + b"\n"


@dataclass(slots=True)
class Checked:
    """What is good and bad of a batch. verdicts: one a line, over all records; bad: in order. rows_ok: good lines."""

    batch: Batch
    verdicts: bytearray
    bad: list[Bad] = field(default_factory=list)
    rows_ok: int = 0

    def results(self, *, bad_is_kept: bool) -> list[dict[str, str]]:
        """Firehose's verdicts, one a record.

        bad_is_kept: whether `bad` stands in quarantine. Where it does not, the records that have bad lines are
        ProcessingFailed: Firehose then keeps them whole under its error prefix, from where they reach quarantine.
        """
        found = []
        first = 0
        for identity, data in zip(self.batch.ids, self.batch.data, strict=True):
            last = first + data.count(b"\n")
            found.append(_result(identity, data, self.verdicts[first:last], bad_is_kept=bad_is_kept))
            first = last
        return found


def check(batch: Batch) -> Checked:
    """Put every line of the batch through the checks of ingest."""
    body = b"".join(batch.data)
    checked = Checked(batch, bytearray(body.count(b"\n")))
    for piece in JsonReader(dataset(batch.dataset)).read(frames(Plain(io.BytesIO(body)))):
        bad = list(piece.bad)
        _mark(checked.verdicts, (row.line for row in bad), _BAD)
        checked.bad += bad
        if piece.lines is not None:
            _mark(checked.verdicts, piece.lines.to_pylist(), _GOOD)
            checked.rows_ok += len(piece.lines)
    return checked


def _mark(verdicts: bytearray, lines: Iterable[int], verdict: int) -> None:
    for line in lines:
        verdicts[line - 1] = verdict


def _result(identity: str, data: bytes, verdicts: bytearray, *, bad_is_kept: bool) -> dict[str, str]:
    if _BAD in verdicts and not bad_is_kept:
        return {"recordId": identity, "result": "ProcessingFailed"}
    if _GOOD not in verdicts:
        return {"recordId": identity, "result": "Dropped"}
    if len(verdicts) > 1 and verdicts.count(_GOOD) < len(verdicts):
        lines = data.split(b"\n")  # not splitlines, which knows other ends of lines
        data = b"".join(line + b"\n" for line, verdict in zip(lines, verdicts, strict=False) if verdict == _GOOD)
    return {"recordId": identity, "result": "Ok", "data": binascii.b2a_base64(data, newline=False).decode("ascii")}
