"""From a delivery stream to the lake on the whole twin: every record counted, whatever it holds."""

from __future__ import annotations

import base64
import json
import os
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[2]
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
        """The rows of one user in the lake."""
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


def usher(twin: Any, *arguments: str) -> str:
    """What a command prints, once it has succeeded."""
    clean = {name: value for name, value in os.environ.items() if not name.startswith("AWS_")}
    command = [sys.executable, "-m", "cli.main", *arguments]
    answer = subprocess.run(
        command, env={**clean, **twin.environment}, cwd=ROOT, capture_output=True, text=True, timeout=180, check=False
    )
    assert answer.returncode == 0, answer.stderr
    return answer.stdout


def digests(streams: Streams, wanted: Callable[[dict[str, Any]], bool]) -> set[str]:
    """The quarantine files that hold a wanted record."""
    return {record["source"].partition(":")[0] for record in streams.quarantine("tags") if wanted(record)}


def tag(user: str, word: str) -> bytes:
    return json.dumps({"user_id": user, "item_id": "1", "tag": word, "tagged_at": 964982703}).encode()


def test_refused_records_of_a_stream_are_listed_corrected_and_sent_again(streams: Streams, twin: Any) -> None:
    streams.put("tags", tag("replayed", "x" * 2000), tag("replayed", "good"))
    (digest,) = eventually(lambda: digests(streams, lambda record: b"replayed" in raw(record)))
    listed = json.loads(usher(twin, "quarantine", "list", "--dataset", "tags", "--json"))
    assert (digest, "tag", "is longer than 1024 bytes") in {
        (row["digest"], row["field"], row["reason"]) for row in listed
    }
    assert "is longer than 1024 bytes" in usher(twin, "quarantine", "show", digest)
    usher(twin, "quarantine", "replay", digest, "--map", f"tag:{'x' * 2000}=short")
    rows = eventually(lambda: (found := streams.rows("tags", "replayed")) and len(found) == 2 and found)
    assert {row["tag"] for row in rows} == {"good", "short"}


def test_what_the_function_cannot_take_for_long_is_quarantine_and_can_be_sent_again(
    streams: Streams, twin: Any
) -> None:
    lambdas = twin.client("lambda")
    resources = twin.client("cloudformation").describe_stack_resource(
        StackName=twin.running.stack_name, LogicalResourceId="IngestStream"
    )
    name = resources["StackResourceDetail"]["PhysicalResourceId"]
    lambdas.put_function_concurrency(FunctionName=name, ReservedConcurrentExecutions=0)
    try:
        streams.put("tags", tag("throttled", "one") + b"\n" + tag("throttled", "two"), tag("throttled", "three"))
        (digest,) = eventually(lambda: digests(streams, lambda record: b"throttled" in raw(record)))
    finally:
        lambdas.delete_function_concurrency(FunctionName=name)
    found = [record for record in streams.quarantine("tags") if b"throttled" in raw(record)]
    assert [raw(record) for record in found] == [tag("throttled", word) for word in ("one", "two", "three")]
    assert {record["reason"] for record in found} == {"failed in Firehose: Lambda.InvokeLimitExceeded"}
    assert streams.rows("tags", "throttled") == []
    usher(twin, "quarantine", "replay", digest)
    rows = eventually(lambda: (found := streams.rows("tags", "throttled")) and len(found) == 3 and found)
    assert {row["tag"] for row in rows} == {"one", "two", "three"}


def raw(record: dict[str, Any]) -> bytes:
    return base64.b64decode(record["raw_base64"])
