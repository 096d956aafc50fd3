"""External tables of JSON lines in S3, with partition projection, read as a stream of lines."""

from __future__ import annotations

import datetime
import gzip
import io
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import pyarrow as pa
from sqlglot import exp
from sqlglot.errors import SqlglotError

from twin import context
from twin.athena.results import QueryError, Unsupported

Check = Callable[[str], bool]

_PLACE = re.compile(r"\$\{(\w+)\}")
_NOW = re.compile(r"NOW(?:([+-]\d+)DAYS?)?")
_DATE_FORMAT = "yyyy-MM-dd"

#: A line of JSON longer than this fails the query: a table must not fill the memory.
LINE_MAX_BYTES = 32 * 1024 * 1024
BATCH_LINES = 2000

_SERDES = ("org.openx.data.jsonserde.JsonSerDe", "org.apache.hive.hcatalog.data.JsonSerDe")


@dataclass(frozen=True, slots=True)
class Projection:
    """How a table's partitions lie in S3.

    prefix:  what every object's URL begins with.
    pattern: takes a URL apart; its groups are the partition columns.
    checks:  partition column → whether a value is projected; what is not projected is not seen, as in Athena.
    """

    prefix: str
    pattern: re.Pattern[str]
    checks: Mapping[str, Check]

    @classmethod
    def of(cls, table: Mapping[str, Any], today: datetime.date) -> Projection:
        """A Glue table's projection; Unsupported when it has none, QueryError when it is incomplete."""
        parameters = table.get("Parameters", {})
        template = parameters.get("storage.location.template")
        if parameters.get("projection.enabled", "").lower() != "true" or not template:
            raise Unsupported(f"table {table['Name']}: JSON lines without partition projection and location template")
        columns = [key["Name"] for key in table.get("PartitionKeys", [])]
        checks = {name: _check(name, parameters, today) for name in columns}
        unplaced = sorted(set(columns) - set(_PLACE.findall(template)))
        if unplaced:
            raise QueryError(f"storage.location.template has no place for {', '.join(unplaced)}")
        return cls(template[: template.index("${")], _pattern(template), checks)

    def partition(self, url: str) -> dict[str, str] | None:
        """The partition values of an object's URL; None when the table does not hold it."""
        match = self.pattern.match(url)
        if match is None:
            return None
        values = match.groupdict()
        return values if all(check(values[name]) for name, check in self.checks.items()) else None


def _pattern(template: str) -> re.Pattern[str]:
    parts = _PLACE.split(template.rstrip("/") + "/")
    seen: set[str] = set()
    written = []
    for number, part in enumerate(parts):
        if number % 2 == 0:
            written.append(re.escape(part))
        else:
            written.append(f"(?P={part})" if part in seen else f"(?P<{part}>[^/]+)")
            seen.add(part)
    return re.compile("".join(written))


def _check(name: str, parameters: Mapping[str, str], today: datetime.date) -> Check:
    kind = parameters.get(f"projection.{name}.type", "")
    if kind == "enum":
        allowed = {value.strip() for value in parameters[f"projection.{name}.values"].split(",")}
        return allowed.__contains__
    if kind == "date":
        return _date_check(name, parameters, today)
    raise Unsupported(f"projection.{name}.type {kind or 'missing'} (use enum or date)")


def _date_check(name: str, parameters: Mapping[str, str], today: datetime.date) -> Check:
    written = parameters.get(f"projection.{name}.format", "")
    if written != _DATE_FORMAT:
        raise Unsupported(f"projection.{name}.format {written!r} (use {_DATE_FORMAT})")
    low, high = (_bound(bound.strip(), today) for bound in parameters[f"projection.{name}.range"].split(","))

    def check(value: str) -> bool:
        try:
            return low <= _day(value) <= high
        except ValueError:
            return False

    return check


def _day(text: str) -> datetime.date:
    return datetime.datetime.strptime(text, "%Y-%m-%d").replace(tzinfo=datetime.UTC).date()


def _bound(text: str, today: datetime.date) -> datetime.date:
    match = _NOW.fullmatch(text)
    return today + datetime.timedelta(days=int(match[1] or 0)) if match else _day(text)


def is_json(table: Mapping[str, Any]) -> bool:
    """Whether a Glue table is one of JSON lines."""
    return table["StorageDescriptor"].get("SerdeInfo", {}).get("SerializationLibrary", "") in _SERDES


def select(table: Mapping[str, Any], source: str, columns: frozenset[str] | None) -> str:
    """DuckDB's SQL that makes typed columns of the stream `source` (the line and each partition column, as strings)."""
    shown = []
    for column in table["StorageDescriptor"]["Columns"]:
        if columns is None or column["Name"].lower() in columns:
            shown.append(f"{_from_json(column['Name'], _type(column['Type']))} AS {_quoted(column['Name'])}")
    for key in table.get("PartitionKeys", []):
        if columns is None or key["Name"].lower() in columns:
            shown.append(f"CAST({_quoted(key['Name'])} AS {_type(key['Type'])}) AS {_quoted(key['Name'])}")
    return f"SELECT {', '.join(shown) or '1 AS one'} FROM {source}"  # noqa: S608 - quoted names of the catalogue


def stream(table: Mapping[str, Any], scanned: Callable[[int], None]) -> Any:
    """An Arrow stream of the table's lines.

    scanned: called with the bytes of each object before it is read.
    """
    keys = [key["Name"] for key in table.get("PartitionKeys", [])]
    schema = pa.schema([("usher_line", pa.string()), *((key, pa.string()) for key in keys)])
    return pa.RecordBatchReader.from_batches(schema, _batches(table, schema, scanned))


def _batches(table: Mapping[str, Any], schema: Any, scanned: Callable[[int], None]) -> Iterator[Any]:
    for bucket, item, values in _objects(table):
        scanned(item["Size"])
        lines = []
        for line in _lines(bucket, item["Key"]):
            lines.append(line)
            if len(lines) == BATCH_LINES:
                yield _batch(lines, values, schema)
                lines = []
        if lines:
            yield _batch(lines, values, schema)


def _batch(lines: list[str], values: Mapping[str, str], schema: Any) -> Any:
    arrays = [pa.array(lines, pa.string())]
    arrays += [pa.repeat(pa.scalar(values[name], pa.string()), len(lines)) for name in schema.names[1:]]
    return pa.record_batch(arrays, schema=schema)


def _objects(table: Mapping[str, Any]) -> Iterator[tuple[str, dict[str, Any], dict[str, str]]]:
    """(bucket, listing entry, partition values) of every object of the table."""
    projection = Projection.of(table, datetime.datetime.now(datetime.UTC).date())
    bucket, _, key_prefix = projection.prefix.removeprefix("s3://").partition("/")
    pages = context.client("s3").get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=key_prefix)
    for page in pages:
        for item in page.get("Contents", []):
            values = projection.partition(f"s3://{bucket}/{item['Key']}")
            hidden = item["Key"].rsplit("/", 1)[-1].startswith((".", "_"))  # Hive skips these
            if values is not None and item["Size"] and not hidden:
                yield bucket, item, values


def _lines(bucket: str, key: str) -> Iterator[str]:
    body = context.client("s3").get_object(Bucket=bucket, Key=key)["Body"]
    raw = io.BufferedReader(_Raw(body), 1 << 20)
    file = gzip.GzipFile(fileobj=raw) if key.endswith(".gz") else raw
    while line := file.readline(LINE_MAX_BYTES + 1):
        if len(line) > LINE_MAX_BYTES:
            raise QueryError(f"HIVE_CURSOR_ERROR: a line of s3://{bucket}/{key} is longer than {LINE_MAX_BYTES} bytes")
        if line.strip():
            yield line.decode("utf-8", errors="replace")


class _Raw(io.RawIOBase):
    """botocore's body as a raw file, so that readline is bounded and buffered."""

    def __init__(self, body: Any) -> None:
        self._body = body

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        data = self._body.read(len(buffer))
        buffer[: len(data)] = data
        return len(data)


def _type(hive: str) -> str:
    try:
        return exp.DataType.build(hive, dialect="hive").sql(dialect="duckdb")
    except SqlglotError as error:
        raise Unsupported(f"column type {hive}") from error


def _from_json(column: str, kind: str) -> str:
    path = "'$.\"" + column.replace("'", "''").replace('"', '\\"') + "\"'"
    nested = kind.endswith("]") or kind.startswith(("MAP", "STRUCT"))
    return f"CAST({'json_extract' if nested else 'json_extract_string'}(usher_line, {path}) AS {kind})"


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'
