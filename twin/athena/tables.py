"""The tables that a statement reads, in a locked DuckDB session: Iceberg snapshots by PyIceberg, and JSON lines."""

from __future__ import annotations

import datetime
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
from botocore.exceptions import ClientError
from pyiceberg.table import StaticTable

from twin import context
from twin.athena import json_lines
from twin.athena.dialect import Reference, Statement
from twin.athena.results import QueryError, Unsupported

MEMORY_LIMIT = "512MB"
SPILL_LIMIT = "16GB"
THREADS = 2

#: Trino functions that DuckDB lacks and sqlglot does not rewrite.
MACROS = (
    "CREATE TEMP MACRO at_timezone(t, zone) AS timezone(zone, t)",
    "CREATE TEMP MACRO format_datetime(t, pattern) AS strftime(t, CASE pattern "
    "WHEN 'yyyy' THEN '%Y' WHEN 'yyyy-MM' THEN '%Y-%m' WHEN 'yyyy-MM-dd' THEN '%Y-%m-%d' "
    "WHEN 'yyyy-MM-dd HH:mm' THEN '%Y-%m-%d %H:%M' WHEN 'yyyy-MM-dd HH:mm:ss' THEN '%Y-%m-%d %H:%M:%S' "
    "WHEN 'HH' THEN '%H' WHEN 'EEEE' THEN '%A' WHEN 'EEE' THEN '%a' "
    "ELSE error('not supported by the twin: format_datetime with ' || pattern || ' (use date_format)') END)",
    "CREATE TEMP MACRO width_bucket(x, low, high, n) AS "
    "CASE WHEN x < low THEN 0 WHEN x >= high THEN n + 1 "
    "ELSE CAST(floor((x - low) / ((high - low) / n)) AS BIGINT) + 1 END",
)

#: `"table$name"` → the method of PyIceberg's inspection.
METADATA_TABLES = {"snapshots": "snapshots", "files": "files", "history": "history", "partitions": "partitions"}

Scanned = Callable[[int], None]


def open_session(spill: Path) -> Any:
    """A locked connection of its own, in memory, spilling to `spill`."""
    connection = duckdb.connect(
        ":memory:",
        config={
            "memory_limit": MEMORY_LIMIT,
            "threads": THREADS,
            "temp_directory": str(spill),
            "max_temp_directory_size": SPILL_LIMIT,
            "autoinstall_known_extensions": False,
            "autoload_known_extensions": False,
            "python_enable_replacements": False,  # a table must not name a Python variable of the twin
            "integer_division": True,  # in Trino 7 / 2 is 3
        },
    )
    connection.execute("SET TimeZone = 'UTC'")
    for macro in MACROS:
        connection.execute(macro)
    connection.execute("SET enable_external_access = false")
    connection.execute("SET lock_configuration = true")
    return connection


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


def load(session: Any, statement: Statement, scanned: Scanned) -> None:
    """Copy every table of the statement into the session, column-wise, from a stream.

    A copy, because DuckDB may read a table twice and a stream can be read once; it spills to disk past the session's
    memory. scanned is told the bytes read, and may raise to stop.
    """
    for local, reference in statement.tables.items():
        table = _describe(reference)
        if is_iceberg(table):
            source = _iceberg_source(session, table, reference, statement.columns, scanned)
            _copy(session, local, source, lambda stream: f"SELECT * FROM {stream}")  # noqa: S608 - our own name
        elif json_lines.is_json(table):
            if reference.metadata or reference.snapshot_id or reference.as_of:
                raise QueryError(f"{reference.name} is no Iceberg table: it has no snapshots")
            source = json_lines.stream(table, scanned)
            _copy(session, local, source, _json_select(table, statement.columns))
        else:
            raise Unsupported(f"table {reference.name}: {_format(table)} (only Iceberg and JSON lines)")


def _json_select(table: Mapping[str, Any], columns: frozenset[str] | None) -> Callable[[str], str]:
    return lambda stream: json_lines.select(table, stream, columns)


def _copy(session: Any, local: str, source: Any, select: Callable[[str], str]) -> None:
    stream = f"{local}_stream"
    session.register(stream, source)
    try:
        session.execute(f"CREATE TEMP TABLE {local} AS {select(stream)}")
    finally:
        session.unregister(stream)


def _describe(reference: Reference) -> dict[str, Any]:
    try:
        table: dict[str, Any] = context.client("glue").get_table(DatabaseName=reference.database, Name=reference.name)[
            "Table"
        ]
    except ClientError as error:
        if error.response["Error"]["Code"] == "EntityNotFoundException":
            where = f"awsdatacatalog.{reference.database}.{reference.name}"
            raise QueryError(f"TABLE_NOT_FOUND: Table '{where}' does not exist") from error
        raise
    return table


def _iceberg_source(
    session: Any, table: Mapping[str, Any], reference: Reference, columns: frozenset[str] | None, scanned: Scanned
) -> Any:
    opened = open_table(table)
    if reference.metadata:
        return inspect(opened, reference.metadata)
    snapshot_id = reference.snapshot_id
    if reference.as_of is not None:
        moment = session.execute(f"SELECT epoch_us(CAST({reference.as_of} AS TIMESTAMPTZ))").fetchall()[0][0]
        snapshot_id = snapshot_at(opened, moment)
    return stream(opened, columns, snapshot_id, scanned)


def _format(table: Mapping[str, Any]) -> str:
    storage = table.get("StorageDescriptor", {})
    return str(storage.get("SerdeInfo", {}).get("SerializationLibrary") or storage.get("InputFormat") or "a view")
