"""What Firehose could not have transformed: quarantine with Firehose's reason, line by line, and never a row."""

from __future__ import annotations

import base64
import gzip
import json
from typing import Any

import pytest

GOOD = b'{"user_id":"1","item_id":"2","rating":3.5,"rated_at":964982703}'
KEY = "ratings/stream-errors/processing-failed/2026/03/01/00/usher-ratings-1"


def error(raw: bytes, code: str = "Lambda.FunctionError") -> bytes:
    record = {"attemptsMade": 4, "arrivalTimestamp": 1, "errorCode": code, "errorMessage": "m", "lambdaArn": "arn"}
    return json.dumps({**record, "rawData": base64.b64encode(raw).decode()}).encode() + b"\n"


def test_a_line_that_is_not_an_error_record_is_quarantined(lake: Any) -> None:
    bad = [b"no JSON", b"{}", b'{"errorCode":"a","rawData":"?"}', b'{"errorCode":1,"rawData":""}', b"\xff", GOOD]
    assert lake.ingest(lake.put(KEY, b"\n".join(bad))) == []
    found = lake.quarantine("ratings")
    assert [record["raw"] for record in found] == bad
    assert {record["reason"] for record in found} == {"is not a Firehose error record"}


def test_every_line_of_a_failed_record_is_quarantined(lake: Any) -> None:
    lake.make_tables("ratings")
    body = error(GOOD) + error(GOOD + b"\n\n" + GOOD + b"\nbad\n", "Lambda.ProcessingFailedStatus") + b"\n"
    assert lake.ingest(lake.put(KEY, body)) == []
    entry = lake.entries()[KEY]
    assert (entry["status"], entry["rows_in"], entry["rows_ok"], entry["rows_bad"]) == ("committed", 4, 0, 4)
    found = lake.quarantine("ratings")
    assert [(record["line"], record["raw"]) for record in found] == [(1, GOOD), (2, GOOD), (3, GOOD), (4, b"bad")]
    assert [record["reason"] for record in found] == ["failed in Firehose: Lambda.FunctionError"] + [
        "failed in Firehose: Lambda.ProcessingFailedStatus"
    ] * 3
    assert lake.waiting() == []
    assert lake.rows("ratings") == []


def test_error_records_may_be_gzip(lake: Any) -> None:
    assert lake.ingest(lake.put(f"{KEY}.gz", gzip.compress(error(GOOD)))) == []
    assert [record["raw"] for record in lake.quarantine("ratings")] == [GOOD]


def test_an_empty_object_of_error_records_has_no_rows(lake: Any) -> None:
    assert lake.ingest(lake.put(KEY, b"")) == []
    assert lake.entries()[KEY]["rows_in"] == 0


@pytest.mark.parametrize("size", [1_024_000, 4_000_000])
def test_error_records_of_any_size_keep_their_line_numbers(lake: Any, size: int) -> None:
    """Past the longest record there can be, the head is kept."""
    assert lake.ingest(lake.put(KEY, error(GOOD) + error(b"x" * size) + error(GOOD))) == []
    found = lake.quarantine("ratings")
    assert [record["line"] for record in found] == [1, 2, 3]
    if size == 1_024_000:
        assert found[1]["raw"] == b"x" * size
    else:
        assert found[1]["reason"] == "is longer than 4194304 bytes"
    assert found[2]["raw"] == GOOD
