"""Recognise the data set and format of a file by its first line, before ingest would refuse it as a whole."""

from __future__ import annotations

import csv
import json
import zlib
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from cli.errors import CommandError, one_line
from cli.formatting.terminal import printable
from usher.schema.datasets import DATASETS, Dataset, Field

#: Bytes that are read to find the first line.
HEAD_BYTES = 1 << 20
#: The header of Amazon Personalize's interactions.
PERSONALIZE = ("USER_ID", "ITEM_ID", "TIMESTAMP")


@dataclass(frozen=True, slots=True)
class Recognised:
    """A file that can be sent.

    kind: csv, jsonl or parquet.
    """

    path: Path
    dataset: str
    kind: str
    compressed: bool
    columns: tuple[str, ...]


def recognise(path: Path, dataset: str = "") -> Recognised:
    """Read a file's first line and find its data set, or check that it fits `dataset`.

    Raises CommandError for an empty file, one without a readable first line, and one whose columns fit no data set (or
    not the one named): the message names the nearest data set and what is missing for it.
    """
    if dataset and dataset not in DATASETS:
        raise CommandError(f"unknown data set {dataset}: use one of {', '.join(DATASETS)}")
    kind, compressed, columns = _columns(path)
    found = _found(columns)
    if not dataset:
        if found is None:
            raise CommandError(f"{path}: {_misfit(columns, _nearest(columns))}")
        return Recognised(path, found, kind, compressed, columns)
    wrong = "" if (dataset, found) == ("events", "ratings") else misfit(columns, dataset)
    if wrong:
        raise CommandError(f"{path}: {wrong}")
    return Recognised(path, dataset, kind, compressed, columns)


def misfit(columns: Iterable[str], dataset: str) -> str:
    """Why rows with these columns do not fit a data set; "" when they fit."""
    names = tuple(columns)
    found = _found(names)
    if found == dataset or not _missing(DATASETS[dataset], names):
        return ""
    hint = f"; it looks like {found}" if found else ""
    return f"{_misfit(names, DATASETS[dataset])}{hint}"


def _columns(path: Path) -> tuple[str, bool, tuple[str, ...]]:
    """(kind, compressed, names of the columns) of a file."""
    with path.open("rb") as file:
        start = file.read(4)
    if not start:
        raise CommandError(f"{path}: the file is empty: write a header and rows")
    if start == b"PAR1":
        return "parquet", False, _parquet_columns(path)
    compressed = start[:2] == b"\x1f\x8b"
    line = _first_line(path, compressed=compressed)
    if line.lstrip().startswith("{"):
        return "jsonl", compressed, _json_columns(path, line)
    return "csv", compressed, _csv_columns(path, line)


def _first_line(path: Path, *, compressed: bool) -> str:
    with path.open("rb") as file:
        head = file.read(HEAD_BYTES)
    if compressed:  # ingest keeps the rows before later damage
        try:
            head = zlib.decompressobj(wbits=31).decompress(head, HEAD_BYTES)
        except zlib.error as error:
            raise CommandError(f"{path}: cannot be read as gzip ({error})") from error
    head = head.removeprefix(b"\xef\xbb\xbf").lstrip(b"\r\n")
    line, end, _ = head.partition(b"\n")
    if not end and len(head) >= HEAD_BYTES:
        raise CommandError(f"{path}: the first line is longer than {HEAD_BYTES:,} bytes: send CSV or JSON lines")
    try:
        text = line.decode("utf-8").rstrip("\r")
    except UnicodeDecodeError as error:
        raise CommandError(f"{path}: the first line is not UTF-8: send CSV or JSON lines") from error
    if not text.strip() or "\x00" in text:
        raise CommandError(
            f"{path}: the first line {'has a NUL byte' if text.strip() else 'is empty'}: write a header or JSON"
        )
    return text


def _csv_columns(path: Path, line: str) -> tuple[str, ...]:
    try:
        return tuple(name.strip() for name in next(csv.reader([line], strict=True)))
    except (csv.Error, StopIteration) as error:
        raise CommandError(f"{path}: the header cannot be read ({error})") from error


def _json_columns(path: Path, line: str) -> tuple[str, ...]:
    try:
        record = json.loads(line)
    except (ValueError, RecursionError) as error:
        raise CommandError(
            f"{path}: the first line is not a JSON object ({one_line(str(error), 120)}): write one object a line"
        ) from error
    return tuple(record)


def _parquet_columns(path: Path) -> tuple[str, ...]:
    import pyarrow as pa  # noqa: PLC0415 - 0.3 s that CSV files need not pay
    import pyarrow.parquet as pq  # noqa: PLC0415

    try:
        return tuple(pq.read_schema(path).names)
    except (pa.ArrowException, OSError) as error:
        raise CommandError(
            f"{path}: starts like Parquet but cannot be read as such ({one_line(str(error), 120)})"
        ) from error


def _found(columns: Iterable[str]) -> str | None:
    names = tuple(columns)
    return _personalize(names) or _best(names)


def _personalize(columns: Iterable[str]) -> str | None:
    """The data set of Amazon Personalize's interactions (docs/contracts/storage.md); None for another header."""
    names = set(columns)
    if not names.issuperset(PERSONALIZE):
        return None
    return "ratings" if "EVENT_VALUE" in names and "EVENT_TYPE" not in names else "events"


def _best(columns: Iterable[str]) -> str | None:
    """The data set with all its required fields and the most known columns; a lone key column does not count."""
    names = set(columns)
    fits = [(len(_known(data, names)), data.name) for data in DATASETS.values() if not _missing(data, names)]
    fits = [(count, name) for count, name in fits if count > 1]
    return max(fits, key=lambda fit: fit[0])[1] if fits else None


def _nearest(columns: Iterable[str]) -> Dataset:
    """The data set with the most known columns less the missing required fields."""
    names = set(columns)
    return max(DATASETS.values(), key=lambda data: len(_known(data, names)) - len(_missing(data, names)))


def _known(data: Dataset, names: Iterable[str]) -> list[str]:
    have = {name.casefold() for name in names}
    return [field.name for field in data.fields if field.kind != "attributes" and have & spellings(field)]


def _missing(data: Dataset, names: Iterable[str]) -> list[str]:
    have = {name.casefold() for name in names}
    return [field.name for field in data.required if not have & spellings(field)]


def spellings(field: Field) -> set[str]:
    """A column's accepted names in lower case, as ingest reads a header."""
    return {name.casefold() for name in (field.name, *field.aliases)}


def _misfit(columns: Iterable[str], data: Dataset) -> str:
    shown = one_line(printable(",".join(columns)), 120)
    if not _known(data, columns):
        return f"the header {shown} fits no data set ({', '.join(DATASETS)}): rename the columns"
    lacking = ", ".join(_missing(data, columns))
    wanted = ",".join(field.name for field in data.fields if field.kind != "attributes")
    return f"the header {shown} lacks {lacking} for {data.name}, the nearest data set ({wanted})"
