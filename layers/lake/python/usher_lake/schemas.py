"""A data set's definition as Arrow types: what the Parquet files of its table hold."""

from __future__ import annotations

import functools

import pyarrow as pa

from usher.schema.datasets import Field, dataset

TIME = pa.timestamp("us", tz="UTC")

_TYPES = {
    "id": pa.string(),
    "text": pa.string(),
    "number": pa.float64(),
    "timestamp": TIME,
    "date": pa.date32(),
    "text_list": pa.list_(pa.field("element", pa.string(), nullable=False)),
    "attributes": pa.map_(pa.string(), pa.field("value", pa.string(), nullable=False)),
}


def arrow_type(field: Field) -> pa.DataType:
    """The type of one column."""
    return _TYPES[field.kind]


def _schema(fields: tuple[Field, ...]) -> pa.Schema:
    return pa.schema([pa.field(field.name, arrow_type(field), nullable=not field.required) for field in fields])


@functools.cache
def row_schema(name: str) -> pa.Schema:
    """The fields that readers fill."""
    return _schema(dataset(name).fields)


@functools.cache
def file_schema(name: str) -> pa.Schema:
    """The columns of a data file: the fields, and where each row came from."""
    return _schema(dataset(name).columns)


def empty_column(field: Field, rows: int) -> pa.Array:
    """A column that the input does not have."""
    return pa.nulls(rows, arrow_type(field))
