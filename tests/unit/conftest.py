"""Fixtures of the lake's tests: reading bytes as ingest does, and a whole lake on a moto server in this process."""

from __future__ import annotations

import base64
import functools
import importlib.util
import io
import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

import boto3
import pytest

from tests.unit.state_table import STATE_TABLE

PROJECT = Path(__file__).parents[2]
REGION: Final = "eu-west-1"


@dataclass
class Outcome:
    """What reading an object gave. rows: each good one by field, with its `line`. bad: in order."""

    dataset: str
    rows: list[dict[str, Any]] = field(default_factory=list)
    bad: list[Any] = field(default_factory=list)

    @property
    def lines(self) -> list[int]:
        return [row["line"] for row in self.rows]

    @property
    def reasons(self) -> list[tuple[int, str, str]]:
        return [(bad.line, bad.field, bad.reason) for bad in self.bad]


@pytest.fixture(scope="session")
def read() -> Callable[..., Outcome]:
    """`read(data, "ratings", name="x.csv", chunk_bytes=…, max_line_bytes=…)`: all rows, good and bad, of an object."""
    from usher.schema.datasets import dataset  # noqa: PLC0415
    from usher_lake.framer import Limits  # noqa: PLC0415
    from usher_lake.ingest import read_object  # noqa: PLC0415
    from usher_lake.landing import LandingObject, OpenObject  # noqa: PLC0415 - Arrow is not for the other tests

    def reading(data: bytes, name: str = "ratings", file: str = "file", **limits: int) -> Outcome:
        landing = LandingObject("landing", f"{name}/upload/{file}", "", "etag", len(data))
        opened = OpenObject(io.BytesIO(data), len(data), datetime(2026, 3, 1, tzinfo=UTC))
        s3: Any = _Bytes(data)
        reading = read_object(s3, landing, opened, dataset(name), Limits(**limits))
        outcome = Outcome(name)
        for piece in reading.pieces:
            bad = list(piece.bad)
            assert len(bad) == piece.bad_rows
            outcome.bad += bad
            if piece.rows is not None and piece.lines is not None:
                lines = piece.lines.to_pylist()
                rows = piece.rows.to_pylist()
                outcome.rows += [{"line": line} | row for line, row in zip(lines, rows, strict=True)]
        header = reading.header()
        if header is not None:
            outcome.dataset = header.dataset.name
        return outcome

    return reading


class _Bytes:
    """Answers ranged GETs from memory, for Parquet; that the real S3 does the same is for the handler's tests."""

    def __init__(self, data: bytes) -> None:
        self._data = data

    def get_object(self, *, Range: str, **_: Any) -> dict[str, Any]:
        start, end = Range.removeprefix("bytes=").split("-")
        return {"Body": io.BytesIO(self._data[int(start) : int(end) + 1])}


class Context:
    """What Lambda gives a handler."""

    log_stream_name = "stream"

    def __init__(self, seconds: float = 900.0) -> None:
        self.seconds = seconds

    def get_remaining_time_in_millis(self) -> int:
        return int(self.seconds * 1000)


class Lake:
    """Buckets, queues, state table, Glue database and the three handlers, as the template connects them."""

    landing_bucket, lake_bucket, database, state_table = "landing", "lake", "usher", "state"

    def __init__(self) -> None:
        from usher import clients  # noqa: PLC0415

        # The handlers' own clients: building one takes longer than most tests.
        self.s3, self.sqs, self.glue = (clients.client(service) for service in ("s3", "sqs", "glue"))
        self.dynamodb = clients.dynamodb()
        for bucket in (self.landing_bucket, self.lake_bucket):
            self.s3.create_bucket(Bucket=bucket, CreateBucketConfiguration={"LocationConstraint": REGION})
        self.queue_url = self.sqs.create_queue(QueueName="catalog")["QueueUrl"]
        self.ingest_queue_url = self.sqs.create_queue(QueueName="ingest")["QueueUrl"]
        self.dynamodb.create_table(**{**STATE_TABLE, "TableName": self.state_table})
        self.glue.create_database(DatabaseInput={"Name": self.database})

    def make_tables(self, *names: str) -> None:
        """Make the tables of these data sets; catalog_tables, which makes all, has its own tests."""
        from usher.schema.datasets import DATASETS  # noqa: PLC0415
        from usher_lake import tables  # noqa: PLC0415 - a second of imports

        catalog = tables.open_catalog()
        for name in names:
            schema = tables.iceberg_schema(DATASETS[name])
            catalog.create_table(
                (self.database, name),
                schema,
                f"s3://{self.lake_bucket}/lake/{name}",
                tables.partition_spec(schema),
                properties=tables.PROPERTIES,
            )

    @staticmethod
    @functools.cache
    def handler(name: str) -> Callable[..., Any]:
        """A function's handler, loaded as Lambda loads it, and kept as a warm environment is."""
        spec = importlib.util.spec_from_file_location(f"{name}_app", PROJECT / "functions" / name / "app.py")
        assert spec is not None and spec.loader is not None
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        handler: Callable[..., Any] = module.handler
        return handler

    def put(self, key: str, body: bytes) -> dict[str, Any]:
        """Upload to the landing bucket; the event that S3 sends of it."""
        answer = self.s3.put_object(Bucket=self.landing_bucket, Key=key, Body=body)
        announced = {"key": key, "size": len(body), "etag": answer["ETag"].strip('"')}
        if "VersionId" in answer:
            announced["version-id"] = answer["VersionId"]
        return {
            "source": "aws.s3",
            "detail-type": "Object Created",
            "detail": {"bucket": {"name": self.landing_bucket}, "object": announced},
        }

    def ingest(self, *events: Any, seconds: float = 900.0) -> list[str]:
        """Give events to ingest_objects; the ids (m0, m1 …) of the messages that failed."""
        bodies = [event if isinstance(event, str) else json.dumps(event) for event in events]
        return self._invoke("ingest_objects", bodies, seconds)

    def catalog(self, *bodies: str) -> list[str]:
        """Give messages, by default all that wait in the queue, to catalog_objects; the ids of those that failed."""
        return self._invoke("catalog_objects", list(bodies) or self.waiting(), 900.0)

    def _invoke(self, name: str, bodies: list[str], seconds: float) -> list[str]:
        records = [
            {
                "messageId": f"m{number}",
                "receiptHandle": "none",
                "body": body,
                "attributes": {"ApproximateReceiveCount": "1"},
                "eventSourceARN": f"arn:aws:sqs:{REGION}:123456789012:ingest",
            }
            for number, body in enumerate(bodies)
        ]
        answer = self.handler(name)({"Records": records}, Context(seconds))
        return [failure["itemIdentifier"] for failure in answer["batchItemFailures"]]

    def waiting(self, queue_url: str = "") -> list[str]:
        """Take all messages from a queue, by default the catalog queue."""
        bodies: list[str] = []
        url = queue_url or self.queue_url
        while messages := self.sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=10).get("Messages"):
            for message in messages:
                bodies.append(message["Body"])
                self.sqs.delete_message(QueueUrl=url, ReceiptHandle=message["ReceiptHandle"])
        return bodies

    def entries(self) -> dict[str, dict[str, Any]]:
        """The OBJECT items by the object's key."""
        items = self.dynamodb.Table(self.state_table).scan()["Items"]
        return {str(item["key"]): item for item in items if item["sk"] == "OBJECT"}

    def head(self) -> dict[str, Any]:
        return dict(self.dynamodb.Table(self.state_table).get_item(Key={"pk": "RUN", "sk": "PROGRESS"}).get("Item", {}))

    def table(self, dataset: str) -> Any:
        from usher_lake.tables import load_table, open_catalog  # noqa: PLC0415

        return load_table(open_catalog(), self.database, dataset)

    def rows(self, dataset: str) -> list[dict[str, Any]]:
        """All rows of a table, read through Iceberg."""
        found: list[dict[str, Any]] = self.table(dataset).scan().to_arrow().to_pylist()
        return found

    def quarantine(self, dataset: str) -> list[dict[str, Any]]:
        """All quarantine records of a data set, their bytes decoded as `raw`."""
        records = []
        listing = self.s3.list_objects_v2(Bucket=self.lake_bucket, Prefix=f"quarantine/{dataset}/")
        for found in listing.get("Contents", []):
            body = self.s3.get_object(Bucket=self.lake_bucket, Key=found["Key"])["Body"].read()
            records += [json.loads(line) for line in body.splitlines()]
        return [record | {"raw": base64.b64decode(record["raw_base64"])} for record in records]


@pytest.fixture(scope="session")
def _moto() -> Iterator[str]:
    """A moto server whose Glue locks versions, as Glue does."""
    from moto.glue.responses import GlueResponse  # noqa: PLC0415 - a second of imports, only where a server is used
    from moto.server import ThreadedMotoServer  # noqa: PLC0415

    from twin.moto_patches import glue  # noqa: PLC0415

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(GlueResponse, "update_table", glue.update_table)
        threaded = ThreadedMotoServer("127.0.0.1", 0, verbose=False)
        threaded.start()
        yield f"http://127.0.0.1:{threaded.get_host_and_port()[1]}"
        threaded.stop()
        _forget_clients()


@pytest.fixture
def lake(_moto: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[Lake]:
    """An empty lake; its tables are made by `lake.make_tables()`."""
    from moto.moto_api._internal.models import moto_api_backend  # noqa: PLC0415

    from usher import clients  # noqa: PLC0415

    moto_api_backend.reset()
    for name, value in {
        "AWS_ENDPOINT_URL": _moto,
        "AWS_ACCESS_KEY_ID": "test",
        "AWS_SECRET_ACCESS_KEY": "test",
        "AWS_DEFAULT_REGION": REGION,
        "AWS_REGION": REGION,
        "USHER_LANDING_BUCKET": Lake.landing_bucket,
        "USHER_LAKE_BUCKET": Lake.lake_bucket,
        "USHER_DATABASE": Lake.database,
        "USHER_STATE_TABLE": Lake.state_table,
    }.items():
        monkeypatch.setenv(name, value)
    if clients.client("s3").meta.endpoint_url != _moto:  # left by a test of another server
        _forget_clients()
    made = Lake()
    monkeypatch.setenv("USHER_CATALOG_QUEUE_URL", made.queue_url)
    monkeypatch.setenv("USHER_INGEST_QUEUE_URL", made.ingest_queue_url)
    yield made
    moto_api_backend.reset()


def _forget_clients() -> None:
    from usher import clients  # noqa: PLC0415

    clients.client.cache_clear()
    clients.dynamodb.cache_clear()
    Lake.handler.cache_clear()
    boto3.setup_default_session()
