"""Fill a DuckDB session with the tables that a statement reads, each as the catalogue describes it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from botocore.exceptions import ClientError

from twin import context
from twin.athena import iceberg, json_lines
from twin.athena.dialect import Reference, Statement
from twin.athena.errors import QueryError, Unsupported

Scanned = Callable[[int], None]


def load(session: Any, statement: Statement, scanned: Scanned) -> None:
    """Copy every table of the statement into the session, column-wise, from a stream.

    A copy, because DuckDB may read a table twice and a stream can be read once; it spills to disk past the session's
    memory. scanned is told the bytes read, and may raise to stop.
    """
    for local, reference in statement.tables.items():
        table = _describe(reference)
        if iceberg.is_iceberg(table):
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
    opened = iceberg.open_table(table)
    if reference.metadata:
        return iceberg.inspect(opened, reference.metadata)
    snapshot_id = reference.snapshot_id
    if reference.as_of is not None:
        moment = session.execute(f"SELECT epoch_us(CAST({reference.as_of} AS TIMESTAMPTZ))").fetchall()[0][0]
        snapshot_id = iceberg.snapshot_at(opened, moment)
    return iceberg.stream(opened, columns, snapshot_id, scanned)


def _format(table: Mapping[str, Any]) -> str:
    storage = table.get("StorageDescriptor", {})
    return str(storage.get("SerdeInfo", {}).get("SerializationLibrary") or storage.get("InputFormat") or "a view")
