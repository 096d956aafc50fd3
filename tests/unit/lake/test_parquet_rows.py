"""Parquet: rows checked like any other, columns of a changed type told value by value."""

from __future__ import annotations

import io
import json
from collections.abc import Callable
from datetime import UTC, date, datetime
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

AT = datetime(2000, 7, 30, 18, 45, 3, tzinfo=UTC)


def file(**columns: Any) -> bytes:
    table: dict[str, Any] = {"user_id": ["1", "2"], "item_id": ["3", "4"], "rating": [3.5, 4.0], "rated_at": [AT, AT]}
    written = io.BytesIO()
    pq.write_table(pa.table({name: column for name, column in (table | columns).items() if column is not ...}), written)
    return written.getvalue()


def test_the_format_follows_from_the_content_not_the_name(read: Callable[..., Any]) -> None:
    outcome = read(file(), file="ratings.csv")
    assert [(row["line"], row["user_id"], row["rating"], row["rated_at"]) for row in outcome.rows] == [
        (1, "1", 3.5, AT),
        (2, "2", 4.0, AT),
    ]


@pytest.mark.parametrize(
    ("column", "values", "reason"),
    [
        ("rating", [3.5, 7.0], "is outside 0.5 to 5"),
        ("rating", [3.5, float("nan")], "is not a finite number"),
        ("rating", [3.5, None], "is missing"),
        ("rating", ["3.5", "good"], "is not a number"),
        ("rating", pa.array([3, 9], pa.int8()), "is outside 0.5 to 5"),
        ("user_id", ["1", "x" * 129], "is longer than 128 bytes"),
        ("user_id", pa.array(["1", "a\0"]).dictionary_encode(), "has a control character"),
        ("user_id", pa.array(["1", ""], pa.large_string()), "is missing"),
        ("rated_at", [AT, datetime(2200, 1, 1, tzinfo=UTC)], "is outside 1970 to 2100"),
        (
            "rated_at",
            pa.array([AT, datetime(1677, 9, 22, tzinfo=UTC)], pa.timestamp("ns", "UTC")),
            "is outside 1970 to 2100",
        ),
        ("rated_at", pa.array([964982703, -5], pa.int64()), "is outside 1970 to 2100"),
        ("rated_at", ["2000-07-30", "soon"], "is not a time"),
    ],
)
def test_a_bad_value_refuses_only_its_row(read: Callable[..., Any], column: str, values: Any, reason: str) -> None:
    outcome = read(file(**{column: values}))
    assert outcome.lines == [1]
    assert outcome.reasons == [(2, column, reason)]
    assert json.loads(outcome.bad[0].raw)["item_id"] == "4"


@pytest.mark.parametrize(
    ("column", "values", "kind"),
    [
        ("user_id", [1.5, 2.5], "double"),
        ("user_id", [True, False], "bool"),
        ("rating", [True, False], "bool"),
        ("rating", [[1.0], [2.0]], "list<element: double>"),
        ("rated_at", [True, False], "bool"),
        ("item_id", pa.array([b"\xff", b"b"], pa.binary()), "binary"),
    ],
)
def test_an_unsupported_column_type_refuses_every_row(
    read: Callable[..., Any], column: str, values: Any, kind: str
) -> None:
    outcome = read(file(**{column: values}))
    assert outcome.reasons == [(row, column, f"has the unsupported column type {kind}") for row in (1, 2)]


@pytest.mark.parametrize(
    "column",
    [
        pa.array([1, 2], pa.int64()),
        pa.array(["1", "2"]).dictionary_encode(),
        pa.array(["1", "2"], pa.large_string()),
        pa.array(["1", "2"], pa.string_view()),
    ],
)
def test_ids_may_be_strings_of_any_arrow_type_or_integers(read: Callable[..., Any], column: pa.Array) -> None:
    assert [row["user_id"] for row in read(file(user_id=column)).rows] == ["1", "2"]


@pytest.mark.parametrize(
    ("column", "expected"),
    [
        (pa.array([AT, AT], pa.timestamp("ns", "UTC")), AT),
        (pa.array([AT, AT], pa.timestamp("ms", "America/New_York")), AT),
        (pa.array([AT.replace(tzinfo=None)] * 2, pa.timestamp("us")), AT),
        (pa.array([964982703] * 2, pa.uint32()), AT),
        (pa.array([964982703.0] * 2), AT),
        (pa.array([date(2000, 7, 30)] * 2), datetime(2000, 7, 30, tzinfo=UTC)),
    ],
)
def test_times_may_have_any_unit_and_zone(read: Callable[..., Any], column: pa.Array, expected: datetime) -> None:
    assert [row["rated_at"] for row in read(file(rated_at=column)).rows] == [expected, expected]


def test_a_missing_column_refuses_the_file(read: Callable[..., Any]) -> None:
    outcome = read(file(rating=...))
    assert outcome.reasons == [(1, "rating", "header has no column rating (data set ratings)")]


@pytest.mark.parametrize("cut", [4, 20, -1])
def test_a_broken_file_is_one_bad_row(read: Callable[..., Any], cut: int) -> None:
    outcome = read(file()[:cut])
    assert outcome.rows == []
    (bad,) = outcome.bad
    assert bad.reason.startswith("Parquet cannot be read: ")


def test_damage_in_a_parquet_file_keeps_the_rows_before_it(
    read: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    written = io.BytesIO()
    rows = 4000
    table = pa.table(
        {
            "user_id": [f"u{n}" for n in range(rows)],
            "item_id": ["1"] * rows,
            "rating": [3.5] * rows,
            "rated_at": [AT] * rows,
        }
    )
    pq.write_table(table, written, row_group_size=1000, use_dictionary=False, compression="zstd")
    data = bytearray(written.getvalue())
    start = pq.ParquetFile(io.BytesIO(bytes(data))).metadata.row_group(2).column(0).data_page_offset
    data[start : start + 400] = b"\xff" * 400
    monkeypatch.setattr("usher_lake.parquet_rows._BATCH_ROWS", 1000)
    outcome = read(bytes(data))
    assert outcome.lines == list(range(1, 2001))
    assert [bad.line for bad in outcome.bad] == [2001]


def test_parquet_items_keep_lists_and_attribute_columns(read: Callable[..., Any]) -> None:
    written = io.BytesIO()
    table = {"item_id": ["1", "2"], "title": ["Heat (1995)", "x"], "genres": [["a", "b"], None], "length": [170, None]}
    pq.write_table(pa.table(table), written)
    rows = read(written.getvalue(), "items").rows
    assert [row["genres"] for row in rows] == [["a", "b"], None]
    assert [row["attributes"] for row in rows] == [[("length", "170")], None]
    assert rows[0]["released_at"].year == 1995


def test_a_row_group_too_large_for_memory_is_refused(read: Callable[..., Any], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("usher_lake.parquet_rows.MAX_ROW_GROUP_BYTES", 10)
    (bad,) = read(file()).bad
    assert bad.reason == "Parquet cannot be read: row group 0 has more than 10 bytes"
