"""Where prepare's rows come from: Iceberg snapshots through the Glue catalog, or the files of a local channel."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
from pyarrow import compute, csv

from usher.schema.datasets import dataset
from usher_models.errors import DataError
from usher_models.prepare.plan import Plan

#: What the SQL reads of each data set: column → Arrow type. Times arrive as microseconds since 1970.
COLUMNS: Mapping[str, Mapping[str, pa.DataType]] = {
    "ratings": {
        "user_id": pa.string(),
        "item_id": pa.string(),
        "rating": pa.float64(),
        "rated_at_us": pa.int64(),
        "ingested_at_us": pa.int64(),
        "source": pa.string(),
    },
    "items": {
        "item_id": pa.string(),
        "title": pa.string(),
        "genres": pa.list_(pa.string()),
        "released_at_us": pa.int64(),
        "ingested_at_us": pa.int64(),
        "source": pa.string(),
    },
    "tags": {"item_id": pa.string(), "tag": pa.string(), "tagged_at_us": pa.int64()},
    "events": {
        "event_id": pa.string(),
        "user_id": pa.string(),
        "item_id": pa.string(),
        "type": pa.string(),
        "occurred_at_us": pa.int64(),
        "ingested_at_us": pa.int64(),
        "source": pa.string(),
    },
}
_REQUIRED = {
    "ratings": ("user_id", "item_id", "rating", "rated_at_us"),
    "items": ("item_id",),
    "tags": ("item_id", "tag"),
    "events": ("event_id", "user_id", "item_id", "type", "occurred_at_us"),
}
_LIST_SEPARATOR = "|"


class Stream:
    """The rows of a data set, read as they are asked for; `failure` keeps what a reader would only show as its own."""

    def __init__(self, name: str, plan: Plan, folder: Path) -> None:
        self._name = name
        self._batches = _snapshot(name, plan) if name in plan.snapshots else _files(name, folder)
        self.failure: Exception | None = None

    def reader(self) -> pa.RecordBatchReader:
        """From the plan's snapshot, else from the folder's files, else empty."""
        schema = pa.schema(list(COLUMNS[self._name].items()))
        return pa.RecordBatchReader.from_batches(schema, self._shaped(schema))

    def _shaped(self, schema: pa.Schema) -> Iterator[pa.RecordBatch]:
        try:
            for batch in self._batches:
                yield _shaped(batch, self._name, schema)
        except Exception as error:
            self.failure = error
            raise


def _snapshot(name: str, plan: Plan) -> Iterator[pa.RecordBatch]:
    """Row deletes are respected, which reading the table's Parquet would not do."""
    from pyiceberg.catalog import load_catalog  # noqa: PLC0415 - imported only where it is used: start-up time
    from pyiceberg.exceptions import NoSuchTableError  # noqa: PLC0415 - imported only where it is used: start-up time

    endpoint = os.environ.get("AWS_ENDPOINT_URL")
    properties = {"type": "glue", **({"s3.endpoint": endpoint, "glue.endpoint": endpoint} if endpoint else {})}
    try:
        table = load_catalog("glue", **properties).load_table((plan.database, name))
    except NoSuchTableError:
        raise DataError(
            f"the catalog has no table {plan.database}.{name}: has the stack's catalog been made?"
        ) from None
    snapshot = plan.snapshots[name]
    if table.snapshot_by_id(snapshot) is None:
        raise DataError(f"snapshot {snapshot} of {plan.database}.{name} has expired: start a new run")
    wanted = [field.name for field in table.schema().fields if _renamed(name, field.name) in COLUMNS[name]]
    yield from table.scan(snapshot_id=snapshot, selected_fields=tuple(wanted)).to_arrow_batch_reader()


def _files(name: str, folder: Path) -> Iterator[pa.RecordBatch]:
    paths = sorted(path for path in folder.rglob("*") if path.suffix in (".csv", ".parquet")) if folder.is_dir() else []
    for path in paths:
        try:
            if path.suffix == ".parquet":
                yield from pq.ParquetFile(path).iter_batches()
            else:
                text = csv.ConvertOptions(column_types=dict.fromkeys(_id_columns(name), pa.string()))
                yield from csv.open_csv(path, convert_options=text)
        except (pa.ArrowInvalid, OSError) as error:
            raise DataError(f"{path} cannot be read: {str(error)[:300]}") from None


def _id_columns(name: str) -> list[str]:
    """Ids are text, also where a file writes them as numbers; so are titles, genres and tags."""
    fields = [field for field in dataset(name).fields if field.kind not in ("number", "timestamp")]
    return [spelling for field in fields for spelling in (field.name, *field.aliases)]


def _renamed(name: str, column: str) -> str:
    """The SQL's name of a column: the field's own, with `_us` where it is a time."""
    for field in dataset(name).columns:
        if column == field.name or column in field.aliases:
            return f"{field.name}_us" if field.kind == "timestamp" else field.name
    return column


def _shaped(batch: pa.RecordBatch, name: str, schema: pa.Schema) -> pa.RecordBatch:
    found = {_renamed(name, column): batch.column(column) for column in batch.schema.names}
    missing = [column for column in _REQUIRED[name] if column not in found]
    if missing:
        raise DataError(
            f"{name}: the columns {', '.join(missing)} are missing; there are {', '.join(batch.schema.names)}"
        )
    arrays = [_cast(found.get(field.name), field, batch.num_rows) for field in schema]
    return pa.RecordBatch.from_arrays(arrays, schema=schema)


def _cast(array: Any, field: pa.Field, rows: int) -> pa.Array:
    if array is None:
        return pa.nulls(rows, field.type)
    try:
        if field.name.endswith("_us"):
            return _microseconds(array)
        if pa.types.is_list(field.type) and pa.types.is_string(array.type):
            return compute.split_pattern(array, _LIST_SEPARATOR)
        return array.cast(field.type)
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError) as error:
        raise DataError(f"column {field.name}: {str(error)[:200]}") from None


def _microseconds(array: pa.Array) -> pa.Array:
    """Timestamps as they are; whole numbers are seconds, as MovieLens has them."""
    if pa.types.is_timestamp(array.type):
        return array.cast(pa.timestamp("us", array.type.tz)).cast(pa.int64())
    return compute.multiply(array.cast(pa.int64()), 1_000_000)
