"""Iceberg tables, read through PyIceberg as any engine reads them: one snapshot, its row deletes respected."""

from __future__ import annotations

import datetime
from collections.abc import Callable, Mapping
from typing import Any

import pyarrow as pa
from pyiceberg.table import StaticTable

from twin import context
from twin.athena.errors import QueryError, Unsupported

#: `"table$name"` → the method of PyIceberg's inspection.
METADATA_TABLES = {"snapshots": "snapshots", "files": "files", "history": "history", "partitions": "partitions"}


def is_iceberg(table: Mapping[str, Any]) -> bool:
    """Whether a Glue table is an Iceberg table."""
    return str(table.get("Parameters", {}).get("table_type", "")).upper() == "ICEBERG"


def open_table(table: Mapping[str, Any]) -> StaticTable:
    """The table at the metadata that the catalogue points to now: what happens later is not seen."""
    location = table["Parameters"]["metadata_location"]
    running = context.current()
    properties = {
        "s3.endpoint": running.endpoint,
        "s3.access-key-id": context.ACCESS_KEY,
        "s3.secret-access-key": context.SECRET_KEY,
        "s3.region": running.region,
    }
    return StaticTable.from_metadata(location, properties)


def snapshot_at(table: StaticTable, epoch_us: int) -> int:
    """The snapshot that was current at a time (microseconds since 1970); QueryError when there was none."""
    ids = [entry.snapshot_id for entry in table.metadata.snapshot_log if entry.timestamp_ms * 1000 <= epoch_us]
    if not ids:
        moment = datetime.datetime.fromtimestamp(epoch_us / 1e6, datetime.UTC)
        raise QueryError(f"ICEBERG_INVALID_SNAPSHOT: no version of the table at or before {moment.isoformat()}")
    return ids[-1]


def stream(
    table: StaticTable, columns: frozenset[str] | None, snapshot_id: int | None, scanned: Callable[[int], None]
) -> Any:
    """An Arrow stream of a snapshot's rows.

    columns: names in lower case that are needed, None for all; at least one is read, so that rows can be counted.
    scanned: is told how many bytes of the data files the chosen columns take, before they are read.
    """
    if snapshot_id is not None and table.metadata.snapshot_by_id(snapshot_id) is None:
        raise QueryError(f"ICEBERG_INVALID_SNAPSHOT: Iceberg snapshot ID does not exists: {snapshot_id}")
    names = [field.name for field in table.schema().fields]
    chosen = [name for name in names if columns is None or name.lower() in columns] or names[:1]
    scan = table.scan(selected_fields=tuple(chosen), snapshot_id=snapshot_id)
    if snapshot_id is None and table.current_snapshot() is None:
        return _empty(scan.projection().as_arrow())
    field_ids = {table.schema().find_field(name).field_id for name in chosen}
    for task in scan.plan_files():
        scanned(_bytes(task.file, field_ids) + sum(deletes.file_size_in_bytes for deletes in task.delete_files))
    return scan.to_arrow_batch_reader()


def _bytes(file: Any, field_ids: set[int]) -> int:
    """What the columns take in a data file: columnar files are read by column, and Athena bills what it reads."""
    sizes = file.column_sizes or {}
    known = [size for field_id, size in sizes.items() if field_id in field_ids]
    return sum(known) if known else int(file.file_size_in_bytes)


def _empty(schema: Any) -> Any:
    return pa.RecordBatchReader.from_batches(schema, iter(()))


def inspect(table: StaticTable, metadata: str) -> Any:
    """A metadata table (`"ratings$snapshots"`) as an Arrow table."""
    if metadata not in METADATA_TABLES:
        raise Unsupported(f"the metadata table ${metadata} (there are ${', $'.join(METADATA_TABLES)})")
    return getattr(table.inspect, METADATA_TABLES[metadata])()
