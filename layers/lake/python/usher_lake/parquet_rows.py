"""Reads Parquet in row batches of bounded size; columns of unexpected types are checked value by value."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from datetime import date, datetime
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from usher.schema.datasets import Dataset
from usher_lake.arrow_types import plain
from usher_lake.header import Header, HeaderRefused, complete, resolve
from usher_lake.reasons import BadRow, Fault
from usher_lake.rows import ParsedRows, check_rows, numbers_from

MAGIC = b"PAR1"
#: A batch of rows takes about this much memory, by the sizes in the file's footer.
_BATCH_BYTES = 32 << 20
_BATCH_ROWS = 65_536
#: A larger row group cannot be read in bounded memory.
MAX_ROW_GROUP_BYTES = 2 << 30
_METADATA_BYTES = 64 << 20


class ParquetReader:
    """Reads one Parquet file. header: known once the footer was read; None when it was refused."""

    def __init__(self, landed_as: Dataset, digest: str) -> None:
        self.header: Header | None = None
        self._landed_as = landed_as
        self._digest = digest

    def read(self, file: Any) -> Iterator[ParsedRows]:
        """The object piece by piece. A file that cannot be read to its end has one bad row more."""
        row = 1
        try:
            parquet = pq.ParquetFile(
                file,
                pre_buffer=False,
                thrift_string_size_limit=_METADATA_BYTES,
                thrift_container_size_limit=1 << 20,
            )
            self.header = resolve(parquet.schema_arrow.names, self._landed_as)
            for batch in parquet.iter_batches(_batch_rows(parquet.metadata), columns=_wanted(self.header)):
                yield self._batch(batch, row)
                row += batch.num_rows
        except HeaderRefused as refusal:
            yield _whole(Fault(refusal.field, refusal.reason), row)
        except (pa.ArrowException, OSError) as error:
            if not isinstance(error, pa.ArrowException) and error.errno is not None:
                raise  # S3 failed, not the file
            yield _whole(Fault("", f"Parquet cannot be read: {str(error).splitlines()[0][:120]}"), row)

    def _batch(self, batch: pa.RecordBatch, first: int) -> ParsedRows:
        header = self.header
        assert header is not None  # noqa: S101 - read() made it
        numbers = numbers_from(first, batch.num_rows)
        names = {name: header.names[place] for name, place in header.positions.items()}
        names |= {f"attribute {name}": header.names[place] for name, place in header.attributes}
        raw = {name: plain(batch.column(column)) for name, column in names.items()}
        checked = check_rows(header.dataset, complete(header, raw, numbers, self._digest), numbers, {})
        return ParsedRows(checked.rows, checked.lines, _bad_rows(batch, checked.faults, first), len(checked.faults))


def _wanted(header: Header) -> list[str]:
    places = [*header.positions.values(), *(place for _, place in header.attributes)]
    return [header.names[place] for place in sorted(places)]


def _batch_rows(metadata: pq.FileMetaData) -> int:
    """Rows in a batch of about _BATCH_BYTES; ArrowInvalid when a row group is too large to read."""
    rows = size = 0
    for index in range(metadata.num_row_groups):
        group = metadata.row_group(index)
        if group.total_byte_size > MAX_ROW_GROUP_BYTES:
            raise pa.ArrowInvalid(f"row group {index} has more than {MAX_ROW_GROUP_BYTES} bytes")
        rows, size = rows + group.num_rows, size + group.total_byte_size
    average = max(size // max(rows, 1), 1)
    return max(1, min(_BATCH_ROWS, _BATCH_BYTES // average))


def _whole(fault: Fault, row: int) -> ParsedRows:
    return ParsedRows(None, None, (BadRow(fault.reason, fault.field, row, 0, 0, b""),), 1)


def _bad_rows(batch: pa.RecordBatch, faults: dict[int, Fault], first: int) -> Iterator[BadRow]:
    """The bad rows by number. Rows of Parquet have no bytes of their own: they are stored as JSON lines."""
    for number, fault in sorted(faults.items()):
        raw = json.dumps(_row(batch.slice(number - first, 1)), default=_json_value, ensure_ascii=False)
        data = raw.encode("utf-8", "surrogateescape")
        yield BadRow(fault.reason, fault.field, number, 0, len(data), data)


def _row(row: pa.RecordBatch) -> dict[str, Any]:
    """One row as Python values; those that Python cannot hold (nanoseconds, far years) as Arrow prints them."""
    values: dict[str, Any] = {}
    for name in row.schema.names:
        scalar = row.column(name)[0]
        try:
            values[name] = scalar.as_py()
        except (ValueError, OverflowError, ArithmeticError):
            values[name] = str(scalar.cast(pa.string()))
    return values


def _json_value(value: Any) -> Any:
    if isinstance(value, (datetime, date)):
        return value.isoformat()
    if isinstance(value, (bytes, bytearray)):
        return base64.b64encode(value).decode()
    return str(value)
