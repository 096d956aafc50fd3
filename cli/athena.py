"""Run one query on Athena: start it, wait for it, read its rows page by page."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from cli.errors import CommandError, one_line
from cli.target import Target

#: Seconds between two polls of a running query: short at first, since most queries take less than a second.
_FIRST_WAIT, _LONGEST_WAIT = 0.05, 1.0

Row = list[str | None]


@dataclass(frozen=True, slots=True)
class QueryResult:
    """A query's result.

    rows:            read from Athena on demand, once.
    scanned_bytes:   what Athena bills for.
    elapsed_seconds: from the start to the end of the query, measured by the command.
    """

    columns: tuple[str, ...]
    types: tuple[str, ...]
    rows: Iterator[Row]
    scanned_bytes: int
    elapsed_seconds: float

    def records(self) -> Iterator[dict[str, Any]]:
        """The rows as JSON objects, numbers as numbers."""
        for row in self.rows:
            cells = zip(self.columns, self.types, row, strict=True)
            yield {name: None if cell is None else _CASTS.get(kind, str)(cell) for name, kind, cell in cells}


_CASTS: Mapping[str, Callable[[str], Any]] = {
    **dict.fromkeys(("tinyint", "smallint", "integer", "bigint"), int),
    **dict.fromkeys(("double", "real", "float", "decimal"), float),
    "boolean": "true".__eq__,
}


def is_numeric(kind: str) -> bool:
    """Whether a column of this type holds numbers."""
    return _CASTS.get(kind) in (int, float)


def literal(text: str) -> str:
    """A string as a literal of Athena's SQL."""
    return "'" + text.replace("'", "''") + "'"


def ask(target: Target, sql: str, parameters: Sequence[str] = ()) -> QueryResult:
    """Run `sql` in the stack's workgroup and database and wait for it.

    parameters: literals for the question marks. Raises CommandError with Athena's reason when the query fails. Ctrl-C
    stops the query.
    """
    athena, started = target.client("athena"), time.monotonic()
    arguments: dict[str, Any] = {"ExecutionParameters": list(parameters)} if parameters else {}
    query_id = athena.start_query_execution(
        QueryString=sql,
        WorkGroup=target.resources.workgroup,
        QueryExecutionContext={"Database": target.resources.database},
        **arguments,
    )["QueryExecutionId"]
    try:
        execution = _wait(athena, query_id)
    except KeyboardInterrupt:
        athena.stop_query_execution(QueryExecutionId=query_id)
        raise
    elapsed = time.monotonic() - started
    status = execution["Status"]
    if status["State"] != "SUCCEEDED":
        reason = one_line(status.get("StateChangeReason", "no reason given"))
        raise CommandError(f"the query ended {status['State']}: {reason}")
    return _read(athena, query_id, execution["Statistics"].get("DataScannedInBytes", 0), elapsed)


def _wait(athena: Any, query_id: str) -> dict[str, Any]:
    pause = _FIRST_WAIT
    while True:
        execution: dict[str, Any] = athena.get_query_execution(QueryExecutionId=query_id)["QueryExecution"]
        if execution["Status"]["State"] not in ("QUEUED", "RUNNING"):
            return execution
        time.sleep(pause)
        pause = min(pause * 1.5, _LONGEST_WAIT)


def _read(athena: Any, query_id: str, scanned_bytes: int, elapsed_seconds: float) -> QueryResult:
    pages = iter(athena.get_paginator("get_query_results").paginate(QueryExecutionId=query_id))
    first = next(pages)
    info = first["ResultSet"]["ResultSetMetadata"]["ColumnInfo"]
    columns, types = tuple(column["Name"] for column in info), tuple(column["Type"] for column in info)
    return QueryResult(columns, types, _rows(first, pages), scanned_bytes, elapsed_seconds)


def _rows(first: dict[str, Any], rest: Iterator[dict[str, Any]]) -> Iterator[Row]:
    """The rows of all pages without the header, which is the first row of the first page."""
    yield from _cells(first["ResultSet"]["Rows"][1:])
    for page in rest:
        yield from _cells(page["ResultSet"]["Rows"])


def _cells(rows: Sequence[dict[str, Any]]) -> Iterator[Row]:
    for row in rows:
        yield [cell.get("VarCharValue") for cell in row["Data"]]
