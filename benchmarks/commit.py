"""CPU time of one commit of many new objects (state table and Iceberg), against a moto server in another process.

    python -m benchmarks.commit [--objects 100]

Only this process's time counts, which Lambda would bill.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import time
from typing import Any

import boto3

from usher.store.ingested_objects import IngestedObjects
from usher_lake.commit import catalog_batch
from usher_lake.ingest import ingest_object
from usher_lake.landing import parse_event
from usher_lake.tables import ensure_tables, load_table, open_catalog

REGION = "eu-west-1"
TARGET_SECONDS = 2.0


def start_server() -> tuple[subprocess.Popen[str], str]:
    """A moto server on a free port; it ends when its standard input is closed."""
    code = (
        "import sys\nfrom moto.server import ThreadedMotoServer\n"
        "server = ThreadedMotoServer('127.0.0.1', 0, verbose=False)\nserver.start()\n"
        "print(server.get_host_and_port()[1], flush=True)\nsys.stdin.read()\nserver.stop()\n"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", code],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    assert process.stdout is not None
    return process, f"http://127.0.0.1:{process.stdout.readline().strip()}"


def prepare(objects: int) -> dict[str, str]:
    """An account with tables and `objects` parsed objects; the catalog messages by id."""
    s3: Any = boto3.client("s3")
    for bucket in ("landing", "lake"):
        s3.create_bucket(Bucket=bucket, CreateBucketConfiguration={"LocationConstraint": REGION})
    boto3.client("glue").create_database(DatabaseInput={"Name": "usher"})
    boto3.client("dynamodb").create_table(
        TableName="state",
        BillingMode="PAY_PER_REQUEST",
        AttributeDefinitions=[
            {"AttributeName": "pk", "AttributeType": "S"},
            {"AttributeName": "sk", "AttributeType": "S"},
        ],
        KeySchema=[{"AttributeName": "pk", "KeyType": "HASH"}, {"AttributeName": "sk", "KeyType": "RANGE"}],
    )
    ensure_tables(open_catalog(), "usher", "lake")
    ingested = IngestedObjects(boto3.resource("dynamodb"), "state")
    messages = {}
    for number in range(objects):
        key = f"ratings/upload/{number}.csv"
        rows = "".join(f"{user},{number},3.5,964982703\n" for user in range(200))
        etag = s3.put_object(Bucket="landing", Key=key, Body=f"userId,movieId,rating,timestamp\n{rows}".encode())[
            "ETag"
        ]
        detail = {"bucket": {"name": "landing"}, "object": {"key": key, "etag": etag, "size": 1}}
        event = {"source": "aws.s3", "detail-type": "Object Created", "detail": detail}
        entry = ingested.record(ingest_object(s3, parse_event(json.dumps(event)), "lake", lambda: 900.0))
        messages[f"m{number}"] = json.dumps({"dataset": entry.dataset, "digest": entry.digest})
    return messages


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--objects", type=int, default=100)
    options = parser.parse_args()
    server, endpoint = start_server()
    os.environ.update(AWS_ENDPOINT_URL=endpoint, AWS_DEFAULT_REGION=REGION, AWS_REGION=REGION)
    os.environ.update(AWS_ACCESS_KEY_ID="bench", AWS_SECRET_ACCESS_KEY="bench")  # noqa: S106
    try:
        measure(options.objects)
    finally:
        server.communicate("")


def measure(objects: int) -> None:
    messages = prepare(objects)
    ingested = IngestedObjects(boto3.resource("dynamodb"), "state")
    catalog = open_catalog()
    start, wall = time.process_time(), time.monotonic()
    result = catalog_batch(messages, ingested, lambda name: load_table(catalog, "usher", name), "lake")
    seconds, wall = time.process_time() - start, time.monotonic() - wall
    assert not result.errors and len(result.snapshots) == objects, result.errors
    assert len(set(result.snapshots.values())) == 1
    print(f"one commit of {objects} objects: {seconds:.2f} CPU s, {wall:.2f} s (target <= {TARGET_SECONDS:.0f} CPU s)")


if __name__ == "__main__":
    main()
