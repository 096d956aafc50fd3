"""How a query ends: its errors, or its rows (spooled to disk, paged, written as CSV) with Athena's types and text."""

from __future__ import annotations

import datetime
import json
import math
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from decimal import Decimal
from pathlib import Path
from typing import Any, NamedTuple

#: The label of a column that the query leaves without a name; Athena calls it `_col` and its position.
UNNAMED = "_usher_unnamed_"
#: GetQueryResults returns at most this many rows at once.
PAGE_MAX = 1000

_TYPES = {
    "TINYINT": "tinyint",
    "SMALLINT": "smallint",
    "INTEGER": "integer",
    "BIGINT": "bigint",
    "HUGEINT": "bigint",  # DuckDB widens sums of bigint, Trino does not
    "UTINYINT": "smallint",
    "USMALLINT": "integer",
    "UINTEGER": "bigint",
    "UBIGINT": "bigint",
    "FLOAT": "real",
    "DOUBLE": "double",
    "BOOLEAN": "boolean",
    "VARCHAR": "varchar",
    "BLOB": "varbinary",
    "DATE": "date",
    "TIME": "time",
    "JSON": "json",
    "UUID": "uuid",
    "INTERVAL": "interval day to second",
    '"NULL"': "unknown",
}
#: Type → (precision, scale) as GetQueryResults states them.
_PRECISION = {"bigint": 19, "integer": 10, "smallint": 5, "tinyint": 3, "double": 17, "real": 17, "boolean": 0}
_VARCHAR_PRECISION = 2_147_483_647


class QueryError(Exception):
    """The query ends FAILED with this reason."""


class Unsupported(QueryError):
    """Athena supports it, the twin does not."""

    def __init__(self, what: str) -> None:
        super().__init__(f"not supported by the twin: {what}")


class Cancelled(Exception):
    """The query ends CANCELLED: it was stopped, or it would read more than its workgroup allows."""


class Page(NamedTuple):
    """One page of GetQueryResults: rows of cells, and where the next page starts (None: at the end)."""

    rows: list[list[str | None]]
    next_offset: int | None


class Results:
    """The rows of one query, the header first, on disk."""

    def __init__(self, folder: Path, query_id: str) -> None:
        self._rows = folder / f"{query_id}.jsonl"
        self.csv = folder / f"{query_id}.csv"
        self.columns: list[dict[str, Any]] = []

    def write(self, labels: Sequence[str], types: Sequence[str], batches: Iterable[Any]) -> None:
        """Spool the Arrow batches of a result.

        labels, types: DuckDB's names and types of the columns.
        """
        names = [f"_col{n}" if label.startswith(UNNAMED) else label for n, label in enumerate(labels)]
        self.columns = [column_info(name, kind) for name, kind in zip(names, types, strict=True)]
        with self._rows.open("w", encoding="utf-8") as rows, self.csv.open("w", encoding="utf-8", newline="") as csv:
            self._append(rows, csv, names)
            for batch in batches:
                columns = [[text(value) for value in column.to_pylist()] for column in batch.columns]
                for cells in zip(*columns, strict=True):
                    self._append(rows, csv, cells)

    @staticmethod
    def _append(rows: Any, csv: Any, cells: Sequence[str | None]) -> None:
        rows.write(json.dumps(cells, ensure_ascii=False) + "\n")
        # NULL is an empty field, an empty string is "": Athena's files differ there, Python's csv module cannot.
        csv.write(",".join("" if cell is None else '"' + cell.replace('"', '""') + '"' for cell in cells) + "\n")

    def page(self, offset: int, limit: int) -> Page:
        """At most `limit` rows from the byte `offset` of the spool on; ValueError when no row starts there."""
        with self._rows.open("rb") as file:
            if offset:
                file.seek(offset - 1)
                if file.read(1) != b"\n":
                    raise ValueError(f"no row starts at {offset}")
            rows = [json.loads(line) for _, line in zip(range(limit), iter(file.readline, b""), strict=False)]
            end = file.tell()
            return Page(rows, end if file.read(1) else None)

    def discard(self) -> None:
        """Remove the files."""
        self._rows.unlink(missing_ok=True)
        self.csv.unlink(missing_ok=True)


def type_name(duckdb_type: str) -> str:
    """Athena's name of a DuckDB type."""
    if duckdb_type.endswith("[]"):
        return "array"
    head = duckdb_type.partition("(")[0]
    if head in ("MAP", "DECIMAL"):
        return head.lower()
    if head == "STRUCT":
        return "row"
    if head.startswith("TIMESTAMP"):
        return "timestamp with time zone" if "WITH TIME ZONE" in duckdb_type else "timestamp"
    return _TYPES.get(head, "varchar")


def column_info(label: str, duckdb_type: str) -> dict[str, Any]:
    """One member of ResultSetMetadata.ColumnInfo."""
    name, precision, scale = type_name(duckdb_type), 0, 0
    if name == "decimal":
        precision, scale = (int(number) for number in re.findall(r"\d+", duckdb_type)[:2])
    else:
        precision = _PRECISION.get(name, _VARCHAR_PRECISION if name == "varchar" else 3 if "timestamp" in name else 0)
    return {
        "CatalogName": "hive",
        "SchemaName": "",
        "TableName": "",
        "Name": label,
        "Label": label,
        "Type": name,
        "Precision": precision,
        "Scale": scale,
        "Nullable": "UNKNOWN",
        "CaseSensitive": name == "varchar",
    }


def text(value: Any) -> str | None:
    """A value as Athena's results and CSV files show it; None stays None."""
    if value is None or isinstance(value, str):
        return value
    for types, write in _WRITERS.items():
        if isinstance(value, types):
            return write(value)
    return str(value)


def _double(value: float) -> str:
    """Java's Double.toString: plain from 0.001 to 10,000,000, else with an exponent."""
    if math.isnan(value):
        return "NaN"
    if math.isinf(value):
        return "Infinity" if value > 0 else "-Infinity"
    if value == 0 or 1e-3 <= abs(value) < 1e7:
        plain = format(Decimal(repr(value)), "f")
        return plain if "." in plain else f"{plain}.0"
    sign, digits, exponent = Decimal(repr(value)).as_tuple()
    shown = "".join(map(str, digits)).rstrip("0") or "0"
    power = int(exponent) + len(digits) - 1
    return f"{'-' if sign else ''}{shown[0]}.{shown[1:] or '0'}E{power}"


def _timestamp(value: datetime.datetime) -> str:
    if value.tzinfo is None:
        return value.isoformat(sep=" ", timespec="milliseconds")
    return f"{value.astimezone(datetime.UTC).replace(tzinfo=None).isoformat(sep=' ', timespec='microseconds')} UTC"


def _inner(value: Any) -> str:
    written = text(value)
    return "null" if written is None else written


def _pairs(pairs: Any) -> str:
    return "{" + ", ".join(f"{_inner(key)}={_inner(item)}" for key, item in pairs) + "}"


def _list(value: Any) -> str:
    if value and all(isinstance(item, tuple) and len(item) == 2 for item in value):  # Arrow gives a map as its pairs
        return _pairs(value)
    return "[" + ", ".join(_inner(item) for item in value) + "]"


#: In this order: a bool is an int, a datetime is a date.
_WRITERS: Mapping[type, Callable[[Any], str]] = {
    bool: lambda value: "true" if value else "false",
    float: _double,
    datetime.datetime: _timestamp,
    bytes: lambda value: value.hex(" "),
    dict: lambda value: _pairs(value.items()),
    list: _list,
}
