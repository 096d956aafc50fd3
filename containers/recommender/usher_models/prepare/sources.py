"""The plan of a run, and the rows it names: Iceberg snapshots through the Glue catalog, or files of a local channel."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
from pyarrow import compute, csv

from usher.schema.datasets import dataset
from usher_models.errors import DataError

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


@dataclass(frozen=True, slots=True)
class Plan:
    """plan.json, as prepare_run writes it.

    snapshots: data set → Iceberg snapshot id; trained_until_us: the champion's, microseconds since 1970, 0 without a
    champion; left_out: algorithm → why this run does not train it.
    """

    run_id: str
    database: str
    snapshots: Mapping[str, int]
    trained_until_us: int
    left_out: Mapping[str, str] = field(default_factory=dict)


def read_plan(path: Path) -> Plan:
    """The plan in plan.json; without the file a local one without snapshots; DataError for a malformed one."""
    if not path.is_file():
        return Plan("local", "", {}, 0)
    try:
        fields = json.loads(path.read_text(encoding="utf-8"))
        snapshots = {str(name): int(snapshot) for name, snapshot in fields.get("snapshots", {}).items()}
        champion = fields.get("champion") or {}
        until = champion.get("trained_until")
        left_out = {str(name): str(reason) for name, reason in (fields.get("left_out") or {}).items()}
        until_us = microseconds(until) if until else 0
        return Plan(str(fields["run_id"]), str(fields.get("database", "")), snapshots, until_us, left_out)
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise DataError(f"{path} is not the plan of a run ({type(error).__name__}: {error}): start a new run") from None


def microseconds(text: Any) -> int:
    """Microseconds since 1970 of ISO 8601, which is UTC when it has no zone."""
    moment = datetime.fromisoformat(str(text))
    moment = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
    return round((moment - datetime(1970, 1, 1, tzinfo=UTC)).total_seconds() * 1_000_000)


def iso(time_us: int) -> str:
    """ISO 8601, UTC, of microseconds since 1970."""
    return datetime.fromtimestamp(time_us / 1_000_000, UTC).isoformat()


class RowStream:
    """The rows of a data set, read lazily; `failure` is the error that ended the stream, which Arrow would wrap."""

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
    """Batches of the plan's snapshot, with Iceberg's row deletes applied."""
    from pyiceberg.catalog import load_catalog  # noqa: PLC0415 - imported only where it is used: start-up time
    from pyiceberg.exceptions import NoSuchTableError  # noqa: PLC0415 - imported only where it is used: start-up time

    endpoint = os.environ.get("AWS_ENDPOINT_URL")
    properties = {"type": "glue", **({"s3.endpoint": endpoint, "glue.endpoint": endpoint} if endpoint else {})}
    try:
        table = load_catalog("glue", **properties).load_table((plan.database, name))
    except NoSuchTableError:
        raise DataError(
            f"the catalog has no table {plan.database}.{name}: deploy the stack, which makes its tables"
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
                strings = csv.ConvertOptions(column_types=dict.fromkeys(_id_columns(name), pa.string()))
                yield from csv.open_csv(path, convert_options=strings)
        except (pa.ArrowInvalid, OSError) as error:
            raise DataError(f"{path} cannot be read: {str(error)[:300]}") from None


def _id_columns(name: str) -> list[str]:
    """Columns to read as strings, also where a file has numbers: ids, titles, genres and tags."""
    fields = [one for one in dataset(name).fields if one.kind not in ("number", "timestamp")]
    return [spelling for one in fields for spelling in (one.name, *one.aliases)]


def _renamed(name: str, column: str) -> str:
    """The SQL's name of a column: the field's own, with `_us` for a time."""
    for one in dataset(name).columns:
        if column == one.name or column in one.aliases:
            return f"{one.name}_us" if one.kind == "timestamp" else one.name
    return column


def _shaped(batch: pa.RecordBatch, name: str, schema: pa.Schema) -> pa.RecordBatch:
    found = {_renamed(name, column): batch.column(column) for column in batch.schema.names}
    missing = [column for column in _REQUIRED[name] if column not in found]
    if missing:
        raise DataError(
            f"{name}: the columns {', '.join(missing)} are missing; there are {', '.join(batch.schema.names)}"
        )
    arrays = [_cast(found.get(column.name), column, batch.num_rows) for column in schema]
    return pa.RecordBatch.from_arrays(arrays, schema=schema)


def _cast(array: Any, column: pa.Field, rows: int) -> pa.Array:
    if array is None:
        return pa.nulls(rows, column.type)
    try:
        if column.name.endswith("_us"):
            return _microseconds(array)
        if pa.types.is_list(column.type) and pa.types.is_string(array.type):
            return compute.split_pattern(array, _LIST_SEPARATOR)
        return array.cast(column.type)
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError) as error:
        raise DataError(f"column {column.name}: {str(error)[:200]}") from None


def _microseconds(array: pa.Array) -> pa.Array:
    """Microseconds of timestamps; whole numbers are seconds, as in MovieLens."""
    if pa.types.is_timestamp(array.type):
        return array.cast(pa.timestamp("us", array.type.tz)).cast(pa.int64())
    return compute.multiply(array.cast(pa.int64()), 1_000_000)
