"""Prepare reads an Iceberg snapshot through the Glue catalog, deletes respected, and nothing newer."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import boto3
import pyarrow as pa
import pytest
from moto.server import ThreadedMotoServer
from pyiceberg.catalog import Catalog, load_catalog
from pyiceberg.schema import Schema
from pyiceberg.types import DoubleType, NestedField, StringType, TimestamptzType

from usher_models.container import Paths
from usher_models.errors import DataError
from usher_models.prepare.program import prepare

SCHEMA = Schema(
    NestedField(1, "user_id", StringType(), required=True),
    NestedField(2, "item_id", StringType(), required=True),
    NestedField(3, "rating", DoubleType(), required=True),
    NestedField(4, "rated_at", TimestamptzType(), required=True),
    NestedField(5, "source", StringType()),
)


@pytest.fixture
def catalog(monkeypatch: pytest.MonkeyPatch) -> Iterator[Catalog]:
    server = ThreadedMotoServer("127.0.0.1", 0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    endpoint = f"http://{host}:{port}"
    for name, value in {
        "AWS_ENDPOINT_URL": endpoint,
        "AWS_ACCESS_KEY_ID": "testing",
        "AWS_SECRET_ACCESS_KEY": "testing",
        "AWS_REGION": "eu-west-1",
        "AWS_DEFAULT_REGION": "eu-west-1",
    }.items():
        monkeypatch.setenv(name, value)
    boto3.client("s3").create_bucket(Bucket="lake", CreateBucketConfiguration={"LocationConstraint": "eu-west-1"})
    made = load_catalog("glue", **{"type": "glue", "s3.endpoint": endpoint, "glue.endpoint": endpoint})
    made.create_namespace("usher_models_test")
    yield made
    server.stop()


def rows(start: int, stop: int) -> pa.Table:
    first = datetime(2020, 1, 1, tzinfo=UTC)
    columns = {
        "user_id": [f"u{n % 7}" for n in range(start, stop)],
        "item_id": [f"i{n}" for n in range(start, stop)],
        "rating": [4.0] * (stop - start),
        "rated_at": pa.array([first + timedelta(days=n) for n in range(start, stop)], pa.timestamp("us", tz="UTC")),
        "source": ["d:1"] * (stop - start),
    }
    return pa.table(columns, schema=SCHEMA.as_arrow())


def plan(tmp_path: Path, snapshot: int, database: str = "usher_models_test") -> Paths:
    paths = Paths(tmp_path)
    folder = paths.processing_input("plan")
    folder.mkdir(parents=True, exist_ok=True)
    fields = {"run_id": "r1", "database": database, "snapshots": {"ratings": snapshot}, "champion": None}
    (folder / "plan.json").write_text(json.dumps(fields))
    return paths


def test_a_snapshot_is_read_as_it_was(catalog: Catalog, tmp_path: Path) -> None:
    table = catalog.create_table("usher_models_test.ratings", SCHEMA, location="s3://lake/lake/ratings")
    with pytest.raises(DataError, match="has expired: start a new run"):
        prepare(plan(tmp_path, 1))
    table.append(rows(0, 60))
    table.delete("item_id = 'i3'")
    snapshot = table.current_snapshot()
    assert snapshot is not None
    table.append(rows(60, 100))
    summary = prepare(plan(tmp_path, snapshot.snapshot_id))
    assert sum(summary["rows"].values()) == 59
    assert summary["snapshots"] == {"ratings": snapshot.snapshot_id}
    with pytest.raises(DataError, match=r"has no table nowhere\.ratings"):
        prepare(plan(tmp_path, snapshot.snapshot_id, "nowhere"))
