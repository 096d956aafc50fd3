"""Quarantine files: exactly the bytes, one JSON line each, nothing half written."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from usher_lake.reasons import BadRow
from usher_lake.writers import Quarantine, Upload, record

DAY = datetime(2026, 3, 1, 23, 59, 59, tzinfo=UTC)


@given(raw=st.binary(max_size=200), reason=st.text(min_size=1, max_size=50), field=st.text(max_size=20))
def test_a_quarantine_record_is_one_line_of_ascii_json_with_exactly_the_bytes(
    raw: bytes, reason: str, field: str
) -> None:
    line = record(BadRow(reason, field, 7, 70, len(raw), raw), "d" * 32)
    assert line.isascii() and line.endswith(b"\n") and line.count(b"\n") == 1
    found = json.loads(line)
    assert base64.b64decode(found.pop("raw_base64")) == raw
    assert found == {
        "reason": reason,
        "field": field or None,
        "line": 7,
        "source": "d" * 32 + ":7",
        "offset": 70,
        "bytes": len(raw),
    }


def test_without_bad_rows_no_file_is_written(lake: Any) -> None:
    quarantine = Quarantine(lake.s3, "lake", "d", DAY)
    quarantine.add("ratings", [])
    quarantine.close()
    assert "Contents" not in lake.s3.list_objects_v2(Bucket="lake")


def test_the_key_has_the_day_on_which_the_object_landed(lake: Any) -> None:
    quarantine = Quarantine(lake.s3, "lake", "d", DAY)
    quarantine.add("ratings", [BadRow("r", "", 1, 0, 1, b"x")])
    quarantine.close()
    (found,) = lake.s3.list_objects_v2(Bucket="lake")["Contents"]
    assert found["Key"] == "quarantine/ratings/dt=2026-03-01/d.jsonl"


def test_an_aborted_file_leaves_no_object_and_no_parts(lake: Any) -> None:
    upload = Upload(lake.s3, "lake", "k", "text/plain", part_bytes=5 << 20)
    upload.write(b"x" * (11 << 20))
    assert lake.s3.list_multipart_uploads(Bucket="lake")["Uploads"]
    upload.abort()
    assert "Uploads" not in lake.s3.list_multipart_uploads(Bucket="lake")
    assert "Contents" not in lake.s3.list_objects_v2(Bucket="lake")


@pytest.mark.parametrize("size", [0, 1, (5 << 20) - 1, 5 << 20, (12 << 20) + 7])
def test_an_upload_of_any_size_stores_its_bytes(lake: Any, size: int) -> None:
    data = bytes(range(256)) * (size // 256 + 1)
    upload = Upload(lake.s3, "lake", "k", "text/plain", part_bytes=5 << 20)
    for start in range(0, size, 1 << 20):
        upload.write(memoryview(data)[start : min(start + (1 << 20), size)])
    assert upload.tell() == size
    upload.close()
    upload.close()
    assert lake.s3.get_object(Bucket="lake", Key="k")["Body"].read() == data[:size]


def test_bad_rows_are_written_as_they_are_found(lake: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """A generator of a million rows is never a list: no more of it is alive than one part."""
    alive = 0

    def rows() -> Iterator[BadRow]:
        nonlocal alive
        for number in range(100_000):
            alive = number
            yield BadRow("r", "", number, 0, 100, b"x" * 100)

    quarantine = Quarantine(lake.s3, "lake", "d", DAY)
    sent: list[int] = []
    real = Upload._send

    def send(self: Upload, data: bytes) -> None:
        sent.append(alive)
        real(self, data)

    monkeypatch.setattr(Upload, "_send", send)
    quarantine.add("ratings", rows())
    quarantine.close()
    assert sent[0] < 100_000 - 1
    assert quarantine.rows == 100_000
