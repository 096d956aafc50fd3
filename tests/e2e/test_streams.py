"""From a delivery stream to the lake on the whole twin: every record counted, whatever it holds."""

from __future__ import annotations

import base64
import json
import time
from collections import Counter
from collections.abc import Callable
from typing import Any

import pytest

pytestmark = pytest.mark.slow

SECONDS = 120.0


class Streams:
    """The twin's delivery streams, lake and quarantine, reached as any client of AWS reaches them."""

    def __init__(self, twin: Any, monkeypatch: pytest.MonkeyPatch) -> None:
        for name, value in twin.environment.items():
            monkeypatch.setenv(name, value)
        self.outputs = twin.outputs
        self.firehose, self.s3 = twin.client("firehose"), twin.client("s3")

    def put(self, dataset: str, *data: bytes) -> None:
        """Put records, in batches, until all are taken."""
        name = self.outputs["StreamPrefix"] + dataset
        for start in range(0, len(data), 500):
            records = [{"Data": item} for item in data[start : start + 500]]
            assert self.firehose.put_record_batch(DeliveryStreamName=name, Records=records)["FailedPutCount"] == 0

    def rows(self, dataset: str, user: str) -> list[dict[str, Any]]:
        """The rows of one person in the lake."""
        from usher_lake.tables import load_table, open_catalog  # noqa: PLC0415 - PyIceberg takes a second

        table = load_table(open_catalog(), self.outputs["Database"], dataset)
        found: list[dict[str, Any]] = table.scan(row_filter=f"user_id = '{user}'").to_arrow().to_pylist()
        return found

    def quarantine(self, dataset: str) -> list[dict[str, Any]]:
        """Every quarantine record of a data set."""
        bucket = self.outputs["LakeBucket"]
        listing = self.s3.list_objects_v2(Bucket=bucket, Prefix=f"quarantine/{dataset}/").get("Contents", [])
        bodies = [self.s3.get_object(Bucket=bucket, Key=item["Key"])["Body"].read() for item in listing]
        return [json.loads(line) for body in bodies for line in body.splitlines()]


@pytest.fixture
def streams(twin: Any, monkeypatch: pytest.MonkeyPatch) -> Streams:
    return Streams(twin, monkeypatch)


def eventually(probe: Callable[[], Any]) -> Any:
    until = time.monotonic() + SECONDS
    while not (found := probe()):
        assert time.monotonic() < until, f"nothing within {SECONDS:.0f} s"
        time.sleep(0.2)
    return found


def rating(user: str, item: object, value: float = 3.5) -> bytes:
    return json.dumps({"user_id": user, "item_id": str(item), "rating": value, "rated_at": 964982703}).encode()


def test_records_of_a_stream_become_rows_and_bad_ones_quarantine(streams: Streams) -> None:
    good = [rating("streamed", number) for number in range(1200)]
    bad = {
        b"no JSON at all": "is not JSON",
        bytes(range(0x80, 0x100)): "is not UTF-8",
        rating("streamed", 1, 9): "is outside 0.5 to 5",
        b'{"user_id": "streamed"}': "is missing",
    }
    several = rating("streamed", 1200) + b"\n" + rating("streamed", 1201) + b"\n\nno JSON either\n"
    streams.put("ratings", *good[:600], *bad, several, *good[600:])
    rows = eventually(lambda: (found := streams.rows("ratings", "streamed")) and len(found) == 1202 and found)
    assert Counter(row["item_id"] for row in rows) == Counter(str(number) for number in range(1202))
    found = {base64.b64decode(row["raw_base64"]): row for row in streams.quarantine("ratings")}
    for raw, reason in {**bad, b"no JSON either": "is not JSON"}.items():
        assert found[raw]["reason"] == reason
        assert found[raw]["source"].startswith("stream")
    landing = streams.s3.list_objects_v2(Bucket=streams.outputs["LandingBucket"], Prefix="ratings/stream/")
    assert all(item["Key"].endswith(".jsonl.gz") for item in landing["Contents"])
