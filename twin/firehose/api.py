"""PutRecord and PutRecordBatch: Firehose's limits, throttling and partial failure, for a few milliseconds a call.

moto reads a request's body three times, once as a form; half a megabyte of records makes that felt.
"""

from __future__ import annotations

import binascii
import json
from collections.abc import Sequence
from typing import Any, TypeVar

from moto.firehose.exceptions import InvalidArgumentException, ValidationException

from twin.firehose.stream import Stream
from twin.moto_patches.registry import original

RECORDS_MAX = 500
RECORD_MAX_BYTES = 1_024_000
BATCH_MAX_BYTES = 4 << 20

_PUTS = ("Firehose_20150804.PutRecord", "Firehose_20150804.PutRecordBatch")
_UNAVAILABLE, _SLOW_DOWN = "ServiceUnavailableException", "Slow down."

T = TypeVar("T")
Response = tuple[int, dict[str, str], str]


def setup_class(self: Any, request: Any, full_url: Any = None, headers: Any = None, use_raw_body: Any = None) -> None:
    """moto's set-up of a request; a put's body stays as it is, for `_body` to read it once."""
    if request.headers.get("X-Amz-Target") in _PUTS:
        self.automated_parameter_parsing = False
        use_raw_body = True
    replaced = original("moto.firehose.responses:FirehoseResponse.setup_class")
    replaced(self, request, full_url, headers, use_raw_body)


def put_record(self: Any) -> Response:
    """FirehoseResponse.put_record."""
    given = _body(self)
    stream, faults = _stream(self, given)
    data, sizes = _checked([given.get("Record") or {}])
    stream.metrics.add(PutRecord__Requests=1, PutRecord__Bytes=sizes[0])
    if stream.full or faults.call_fails():
        stream.metrics.add(ThrottledRecords=1)
        return _unavailable()
    (identity,) = _accept(stream, data, sizes)
    return 200, {}, json.dumps({"RecordId": identity, "Encrypted": _encrypted(self, stream)})


def put_record_batch(self: Any) -> Response:
    """FirehoseResponse.put_record_batch."""
    given = _body(self)
    stream, faults = _stream(self, given)
    data, sizes = _checked(given.get("Records") or [])
    stream.metrics.add(PutRecordBatch__Requests=1, PutRecordBatch__Records=len(data))
    if faults.call_fails():
        stream.metrics.add(ThrottledRecords=len(data))
        return _unavailable()
    failing = frozenset(range(len(data))) if stream.full else faults.failing(len(data))
    taken = iter(_accept(stream, _without(data, failing), _without(sizes, failing)))
    error = {"ErrorCode": _UNAVAILABLE, "ErrorMessage": _SLOW_DOWN}
    answers = [error if index in failing else {"RecordId": next(taken)} for index in range(len(data))]
    stream.metrics.add(**({"ThrottledRecords": len(failing)} if failing else {}))
    response = {"FailedPutCount": len(failing), "Encrypted": _encrypted(self, stream), "RequestResponses": answers}
    return 200, {}, json.dumps(response)


def _unavailable() -> Response:
    """AWS answers with 503; moto's serializer would with 400, as the model has no status."""
    return 503, {"status": "503"}, json.dumps({"__type": _UNAVAILABLE, "message": _SLOW_DOWN})


def _without(items: Sequence[T], failing: frozenset[int]) -> Sequence[T]:
    return [item for index, item in enumerate(items) if index not in failing] if failing else items


def _accept(stream: Stream, data: Sequence[str], sizes: Sequence[int]) -> list[str]:
    if not data:
        return []
    stream.metrics.add(IncomingPutRequests=1, IncomingRecords=len(data), IncomingBytes=sum(sizes))
    return stream.accept(data, sizes)


def _body(self: Any) -> dict[str, Any]:
    try:
        given: dict[str, Any] = json.loads(self.raw_body)
        given.get("")
    except (ValueError, AttributeError):
        raise ValidationException("the request's body is not a JSON object") from None
    return given


def _stream(self: Any, given: dict[str, Any]) -> tuple[Stream, Any]:
    backend = self.firehose_backend
    name = str(given.get("DeliveryStreamName"))
    stream: Stream = backend.stream(name)
    return stream, backend.faults[name]


def _checked(records: Sequence[Any]) -> tuple[list[str], list[int]]:
    """The records' base64 and their sizes in bytes; what AWS refuses is refused as a whole, as AWS does."""
    if not 1 <= len(records) <= RECORDS_MAX:
        raise ValidationException(
            "1 validation error detected: Value at 'records' failed to satisfy constraint: Member must have length "
            f"less than or equal to {RECORDS_MAX} and greater than or equal to 1"
        )
    data, sizes = [], []
    for number, record in enumerate(records, start=1):
        try:
            text = record["Data"]
            size = len(binascii.a2b_base64(text, strict_mode=True))
        except (KeyError, TypeError, ValueError):
            raise ValidationException(f"Value at 'records.{number}.member.data' is not base64") from None
        if size > RECORD_MAX_BYTES:
            raise ValidationException(
                f"1 validation error detected: Value at 'records.{number}.member.data' failed to satisfy constraint: "
                f"Member must have length less than or equal to {RECORD_MAX_BYTES}"
            )
        data.append(text)
        sizes.append(size)
    if sum(sizes) > BATCH_MAX_BYTES:
        raise InvalidArgumentException("Records size exceeds 4 MB limit")
    return data, sizes


def _encrypted(self: Any, stream: Stream) -> bool:
    known = self.firehose_backend.delivery_streams[stream.name].delivery_stream_encryption_configuration
    return bool(known) and known.get("Status") != "DISABLED"
