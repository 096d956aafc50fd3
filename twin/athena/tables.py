"""The tables that a statement reads, in a locked DuckDB session: Iceberg snapshots by PyIceberg, and JSON lines."""

from __future__ import annotations

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
    "CREATE TEMP MACRO format_datetime(t, pattern) AS strftime(t, CASE pattern "
    "WHEN 'yyyy' THEN '%Y' WHEN 'yyyy-MM' THEN '%Y-%m' WHEN 'yyyy-MM-dd' THEN '%Y-%m-%d' "
    "WHEN 'yyyy-MM-dd HH:mm' THEN '%Y-%m-%d %H:%M' WHEN 'yyyy-MM-dd HH:mm:ss' THEN '%Y-%m-%d %H:%M:%S' "
    "WHEN 'HH' THEN '%H' WHEN 'EEEE' THEN '%A' WHEN 'EEE' THEN '%a' "
    "ELSE error('not supported by the twin: format_datetime with ' || pattern || ' (use date_format)') END)",
)

Scanned = Callable[[int], None]


def open_session(spill: Path) -> Any:
    """A DuckDB connection in memory without files, network and settings; it spills to `spill`."""
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
    """The table at its present metadata; later commits are not seen."""
    location = table["Parameters"]["metadata_location"]
    running = context.current()
    properties = {
        "s3.endpoint": running.endpoint,
        "s3.access-key-id": context.ACCESS_KEY,
        "s3.secret-access-key": context.SECRET_KEY,
        "s3.region": running.region,
    }
    return StaticTable.from_metadata(location, properties)


def iceberg_stream(table: StaticTable, columns: frozenset[str] | None, scanned: Scanned) -> Any:
    """An Arrow stream of the rows of the table's current snapshot.

    columns: names in lower case that are needed, None for all; at least one is read, so that rows can be counted.
    scanned: called with the bytes that the chosen columns take in the data files, before they are read.
    """
    names = [field.name for field in table.schema().fields]
    chosen = [name for name in names if columns is None or name.lower() in columns] or names[:1]
    scan = table.scan(selected_fields=tuple(chosen))
    if table.current_snapshot() is None:
        return pa.RecordBatchReader.from_batches(scan.projection().as_arrow(), iter(()))
    field_ids = {table.schema().find_field(name).field_id for name in chosen}
    for task in scan.plan_files():
        scanned(_bytes(task.file, field_ids) + sum(deletes.file_size_in_bytes for deletes in task.delete_files))
    return scan.to_arrow_batch_reader()


def _bytes(file: Any, field_ids: set[int]) -> int:
    """What the columns take in a data file: columnar files are read by column, and Athena bills what it reads."""
    sizes = file.column_sizes or {}
    known = [size for field_id, size in sizes.items() if field_id in field_ids]
    return sum(known) if known else int(file.file_size_in_bytes)


def load(session: Any, statement: Statement, scanned: Scanned) -> None:
    """Copy every table of the statement into the session, column-wise, from a stream.

    A copy, because DuckDB may read a table twice and a stream can be read once; it spills to disk past the session's
    memory. scanned: called with the bytes to read; it may raise to stop.
    """
    for local, reference in statement.tables.items():
        table = _describe(reference)
        if is_iceberg(table):
            source = iceberg_stream(open_table(table), statement.columns, scanned)
            _copy(session, local, source, f"SELECT * FROM {local}_stream")  # noqa: S608 - our own name
        elif json_lines.is_json(table):
            source = json_lines.stream(table, scanned)
            _copy(session, local, source, json_lines.select(table, f"{local}_stream", statement.columns))
        else:
            raise Unsupported(f"table {reference.name}: {_format(table)} (only Iceberg and JSON lines)")


def _copy(session: Any, local: str, source: Any, select: str) -> None:
    """Run `select`, which reads `<local>_stream`, into the table `local`."""
    session.register(f"{local}_stream", source)
    try:
        session.execute(f"CREATE TEMP TABLE {local} AS {select}")
    finally:
        session.unregister(f"{local}_stream")


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


def _format(table: Mapping[str, Any]) -> str:
    storage = table.get("StorageDescriptor", {})
    return str(storage.get("SerdeInfo", {}).get("SerializationLibrary") or storage.get("InputFormat") or "a view")
