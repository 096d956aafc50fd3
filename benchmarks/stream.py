"""Records that ingest_stream transforms in a CPU second, and records a second that the twin's Firehose accepts.

    python -m benchmarks.stream [--records 200000] [--repeat 3] [--twin]

The function is measured from the event's JSON to the response's, in batches of 1 MiB as in the template. With --twin, a
stream without a transformation accepts batches of 500 records.
"""

from __future__ import annotations

import argparse
import base64
import json
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import boto3

from twin import lifecycle
from usher_lake.firehose import FirehoseBatch, check_batch
from usher_lake.writers import Quarantine

ARN = "arn:aws:firehose:eu-west-1:123456789012:deliverystream/usher-ratings"
BATCH_BYTES = 1 << 20
BATCH_RECORDS = 500
TEMPLATE = """
Resources:
  Bucket: {Type: AWS::S3::Bucket}
  Role:
    Type: AWS::IAM::Role
    Properties:
      AssumeRolePolicyDocument:
        Statement: [{Effect: Allow, Principal: {Service: firehose.amazonaws.com}, Action: "sts:AssumeRole"}]
  Stream:
    Type: AWS::KinesisFirehose::DeliveryStream
    Properties:
      DeliveryStreamName: benchmark
      ExtendedS3DestinationConfiguration:
        BucketARN: !GetAtt Bucket.Arn
        RoleARN: !GetAtt Role.Arn
        CompressionFormat: GZIP
        BufferingHints: {SizeInMBs: 5, IntervalInSeconds: 60}
"""


class Store:
    """S3 for quarantine: accepts objects and discards them."""

    def put_object(self, **_: Any) -> None:
        return


def ratings(count: int, bad_every: int = 0) -> list[bytes]:
    """JSON lines; every `bad_every`th is bad."""
    lines = [
        b'{"user_id":"%d","item_id":"%d","rating":%.1f,"rated_at":%d}'
        % (number * 7919 % 100_003, number * 104_729 % 9973, number % 9 / 2 + 0.5, 964_982_703 + number)
        for number in range(count)
    ]
    for number in range(bad_every - 1, count, bad_every) if bad_every else ():
        lines[number] = (b"no JSON", lines[number].replace(b'"rating":', b'"rating":9'))[number % 2]
    return lines


def with_movielens_names(lines: Sequence[bytes]) -> list[bytes]:
    """The same with MovieLens's field names, which the fast parser does not handle."""
    names = ((b"user_id", b"userId"), (b"item_id", b"movieId"), (b"rated_at", b"timestamp"))
    return [_replaced(line, names) for line in lines]


def _replaced(line: bytes, names: Sequence[tuple[bytes, bytes]]) -> bytes:
    for old, new in names:
        line = line.replace(old, new)
    return line


def events(records: Sequence[bytes]) -> list[str]:
    """Firehose's events, as many records in each as its buffer holds."""
    made: list[str] = []
    batch: list[dict[str, Any]] = []
    size = 0
    for number, record in enumerate(records):
        data = base64.b64encode(record).decode()
        batch.append({"recordId": f"{number:056d}", "approximateArrivalTimestamp": 1_772_323_200_000, "data": data})
        size += len(record)
        if size >= BATCH_BYTES or number == len(records) - 1:
            made.append(json.dumps({"invocationId": "i", "deliveryStreamArn": ARN, "records": batch}))
            batch, size = [], 0
    return made


def transform(event: str) -> tuple[int, int]:
    """What the function does with an event; returns the number of good and bad lines."""
    checked = check_batch(FirehoseBatch.of(json.loads(event), "usher-"))
    store: Any = Store()
    quarantine = Quarantine(store, "lake", checked.batch.digest, checked.batch.arrived_at)
    quarantine.add(checked.batch.dataset, checked.bad)
    quarantine.close()
    json.dumps({"records": checked.results(bad_is_stored=True)})
    return checked.rows_ok, len(checked.bad)


def measured(batches: Sequence[str], repeat: int) -> tuple[float, int, int]:
    """The best CPU seconds of a few runs, and the number of good and bad lines."""
    best = float("inf")
    for _ in range(repeat):
        start = time.process_time()
        found = [transform(batch) for batch in batches]
        best = min(best, time.process_time() - start)
    return best, sum(good for good, _ in found), sum(bad for _, bad in found)


def function(count: int, repeat: int) -> None:
    """Print the function's table."""
    clean = ratings(count)
    contenders: list[tuple[str, Callable[[], list[bytes]], str]] = [
        ("one line a record", lambda: clean, ">= 40,000"),
        ("1 in 1,000 is bad", lambda: ratings(count, 1000), ""),
        ("1 in 10 is bad", lambda: ratings(count, 10), ""),
        ("MovieLens's names", lambda: with_movielens_names(clean), ""),
        (
            "ten lines a record",
            lambda: [b"\n".join(clean[start : start + 10]) for start in range(0, count, 10)],
            "",
        ),
    ]
    print(f"ingest_stream, {count:,} lines; best of {repeat}\n")
    print(f"{'':24} {'lines/CPU s':>12} {'records/CPU s':>14} {'good':>9} {'bad':>7}  target (records)")
    for name, make, target in contenders:
        records = make()
        seconds, good, bad = measured(events(records), repeat)
        line = f"{(good + bad) / seconds:12,.0f} {len(records) / seconds:14,.0f} {good:9,} {bad:7,}  {target}"
        print(f"{name:24} {line}")


def firehose(count: int) -> None:
    """Print how fast a twin accepts records from one client."""
    with tempfile.TemporaryDirectory(prefix="usher-benchmark-") as folder:
        state = Path(folder)
        template = state / "template.yaml"
        template.write_text(TEMPLATE)
        twin = lifecycle.up(lifecycle.Settings(state, state, template=template, speed=60.0), lambda _: None)
        try:
            _put(twin, count)
        finally:
            lifecycle.down(state, state)


def _put(twin: lifecycle.RunningTwin, count: int) -> None:
    given = twin.environment
    session = boto3.Session(given["AWS_ACCESS_KEY_ID"], given["AWS_SECRET_ACCESS_KEY"], None, twin.region)
    client = session.client("firehose", endpoint_url=twin.endpoint)
    records = [{"Data": line} for line in ratings(count)]
    client.put_record_batch(DeliveryStreamName="benchmark", Records=records[:1])
    began, cpu, server = time.monotonic(), time.process_time(), _cpu_seconds(twin.pid)
    for start in range(0, count, BATCH_RECORDS):
        batch = records[start : start + BATCH_RECORDS]
        answer = client.put_record_batch(DeliveryStreamName="benchmark", Records=batch)
        assert answer["FailedPutCount"] == 0
    seconds = time.monotonic() - began
    print(f"\nPutRecordBatch to a twin, {count:,} records in batches of {BATCH_RECORDS}, one client (boto3)\n")
    print(f"{count / seconds:12,.0f} records/s   target >= 20,000")
    client_seconds, server_seconds = time.process_time() - cpu, _cpu_seconds(twin.pid) - server
    print(f"{client_seconds / count * 1e6:12.1f} us of the client's CPU a record")
    print(f"{server_seconds / count * 1e6:12.1f} us of the twin's CPU a record, delivery to S3 included")


def _cpu_seconds(pid: int) -> float:
    """User and system time of a process, from /proc."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / 100


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--records", type=int, default=200_000)
    parser.add_argument("--repeat", type=int, default=3)
    parser.add_argument("--twin", action="store_true", help="start a twin and put records to it")
    options = parser.parse_args()
    function(options.records, options.repeat)
    if options.twin:
        firehose(options.records)


if __name__ == "__main__":
    main()
