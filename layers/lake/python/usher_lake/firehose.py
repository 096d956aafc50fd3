"""Firehose: checks the batches of a data transformation, and reads the error records of failed ones.

A batch goes through the readers of landing objects, so that nothing is delivered that ingest would refuse. A record
holds one JSON line, or several: producers may aggregate. Good lines are delivered as they were sent, each with one
newline at its end; bad ones go to quarantine, as those of a landing object do. A response is never longer than its
request: a record in it lacks the arrival time, and gains at most a newline.

Records whose transformation failed are delivered as JSON lines with errorCode, errorMessage and rawData (base64), one
for each record (Amazon Data Firehose Developer Guide, "Handle failure in data transformation").
"""

from __future__ import annotations

import binascii
import io
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import msgspec

from usher.errors import NotAnEvent, UnknownLandingKey
from usher.schema.datasets import dataset
from usher.schema.ids import stream_digest
from usher.schema.s3_paths import stream_dataset
from usher_lake.framer import BLANK_LINES, BOM, Chunk, Limits, frames, split_lines
from usher_lake.json_rows import JsonReader
from usher_lake.reasons import BadRow
from usher_lake.rows import ParsedRows
from usher_lake.sources import Plain

#: An error record may hold 1,000 KiB in base64, and its other fields.
ERROR_LIMITS = Limits(max_line_bytes=4 << 20)
_BLANK, _GOOD, _BAD = range(3)


@dataclass(frozen=True, slots=True)
class FirehoseBatch:
    """One batch of a data transformation.

    dataset:    from the delivery stream's name.
    digest:     names the batch in quarantine; the same at every retry.
    arrived_at: when the first record arrived, UTC: the day in quarantine.
    ids, data:  of the records, in order; `data` as sent, without byte order marks, each ending with a newline.
    """

    dataset: str
    digest: str
    arrived_at: datetime
    ids: Sequence[str]
    data: Sequence[bytes]

    @classmethod
    def of(cls, event: Mapping[str, Any], stream_prefix: str) -> FirehoseBatch:
        """Read the event; NotAnEvent when it is malformed, UnknownLandingKey when the stream is not Usher's."""
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
            raise UnknownLandingKey(str(error)) from error


def _lines(data: bytes) -> bytes:
    while data.startswith(BOM):  # the record will be in the middle of an object, where the mark is a fault
        data = data.removeprefix(BOM)
    return data if data.endswith(b"\n") else data + b"\n"


@dataclass(slots=True)
class CheckedBatch:
    """The result of a check. verdicts: one a line, over all records. bad: in order. rows_ok: number of good lines."""

    batch: FirehoseBatch
    verdicts: bytearray
    bad: list[BadRow] = field(default_factory=list)
    rows_ok: int = 0

    def results(self, *, bad_is_stored: bool) -> list[dict[str, str]]:
        """The response to Firehose: the result of each record.

        bad_is_stored: whether `bad` was written to quarantine. If not, the records with bad lines are
        ProcessingFailed: Firehose delivers them whole under its error prefix, from where they reach quarantine.
        """
        found = []
        first = 0
        for identity, data in zip(self.batch.ids, self.batch.data, strict=True):
            last = first + data.count(b"\n")
            found.append(_result(identity, data, self.verdicts[first:last], bad_is_stored=bad_is_stored))
            first = last
        return found


def check_batch(batch: FirehoseBatch) -> CheckedBatch:
    """Check every line of the batch as ingest does."""
    body = b"".join(batch.data)
    checked = CheckedBatch(batch, bytearray(body.count(b"\n")))
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


def _result(identity: str, data: bytes, verdicts: bytearray, *, bad_is_stored: bool) -> dict[str, str]:
    if _BAD in verdicts and not bad_is_stored:
        return {"recordId": identity, "result": "ProcessingFailed"}
    if _GOOD not in verdicts:
        return {"recordId": identity, "result": "Dropped"}
    if len(verdicts) > 1 and verdicts.count(_GOOD) < len(verdicts):
        lines = data.split(b"\n")  # splitlines would also split at other separators
        data = b"".join(line + b"\n" for line, verdict in zip(lines, verdicts, strict=False) if verdict == _GOOD)
    return {"recordId": identity, "result": "Ok", "data": binascii.b2a_base64(data, newline=False).decode("ascii")}


class _Error(msgspec.Struct):
    errorCode: str
    rawData: str


_decode: Any = msgspec.json.Decoder(_Error).decode


def read_errors(chunks: Iterable[Chunk]) -> Iterator[ParsedRows]:
    """The error records of an object: no good rows, and a bad row for each line of each record, numbered from 1."""
    number = 1
    for chunk in chunks:
        bad = list(_error_rows(chunk, number))
        number += len(bad)
        yield ParsedRows(None, None, bad, len(bad))


def _error_rows(chunk: Chunk, number: int) -> Iterator[BadRow]:
    if chunk.fault is not None:
        yield BadRow(chunk.fault, "", number, chunk.offset, chunk.length, chunk.data)
        return
    offset = chunk.offset
    for line in split_lines(chunk.data):
        for bad in _record_rows(line, number, offset):
            yield bad
            number += 1
        offset += len(line) + 1


def _record_rows(line: bytes, number: int, offset: int) -> Iterator[BadRow]:
    """The bad rows of one error record. offset: of the error record in its object."""
    if line in BLANK_LINES:
        return
    try:
        error = _decode(line)
        raw = binascii.a2b_base64(error.rawData, strict_mode=True)
    except (msgspec.MsgspecError, UnicodeError, binascii.Error, RecursionError):
        yield BadRow("is not a Firehose error record", "", number, offset, len(line), line)
        return
    for place, row in enumerate(row for row in raw.split(b"\n") if row not in BLANK_LINES):
        yield BadRow(f"failed in Firehose: {error.errorCode[:80]}", "", number + place, offset, len(row), row)
