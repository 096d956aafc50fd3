"""A CSV row that the agent makes JSON of means the same to ingest as the row of the file."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cli.agent.rows import CsvRows, JsonRows, rows_again, rows_for
from cli.errors import CommandError

HEADERS = {
    "ratings": "userId,movieId,rating,timestamp",
    "items": "movieId,title,genres,released_at,Director",
    "tags": "user_id,item_id,tag,tagged_at",
    "links": "movieId,imdbId,tmdbId",
    "events": "event_id,user_id,item_id,type,value,occurred_at",
}
#: A row that is good in each: a file's first line tells ingest what the file is.
GOOD = {
    "ratings": "1,2,3.5,964982703",
    "items": "1,Heat (1995),Action|Crime,,Mann",
    "tags": "1,2,dark,964982703",
    "links": "1,0113277,949",
    "events": "e,1,2,click,,964982703",
}
CELLS = st.sampled_from([
    "", "1", "42", "007", "-3", "0.5", "4.50", " 4", "1e3", "1e999", "nan", "0x10", "99999999999999999999", "964982703",
    "964982703000", "2012-05-01", "2012-05-01T10:00:00Z", "1995", "Heat (1995)", "Action|Comedy", "|",
    "(no genres listed)", "click", "CLICK", '"a,b"', '"say ""hi"""', 'a"b', '"open', "naïve – ☂", "\x01", "a\\b",
    "null", "{", "userId",
])  # fmt: skip


def sent(header: str, name: str, lines: list[bytes], start: int = 50) -> bytes:
    return b"".join(row for row in CsvRows(header, name).convert(start, lines) if row is not None)


@pytest.mark.parametrize("name", HEADERS)
@given(data=st.data())
def test_a_row_gets_the_verdict_that_it_gets_in_a_file(read: Any, name: str, data: st.DataObject) -> None:
    width = HEADERS[name].count(",") + 1
    cells = st.lists(CELLS, min_size=width - 1, max_size=width + 1)
    drawn = data.draw(st.lists(cells.map(lambda row: ",".join(row).encode()), max_size=6))
    lines = [GOOD[name].encode(), *drawn]
    file = read(b"\n".join([HEADERS[name].encode(), *lines]) + b"\n", name, "file.csv")
    stream = read(sent(HEADERS[name], name, lines), name, "file.jsonl")
    assert [without_line(row) for row in stream.rows] == [without_line(row) for row in file.rows]
    assert len(stream.bad) == len(file.bad)


def without_line(row: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in row.items() if name != "line"}


def test_a_plain_row_takes_the_form_that_is_read_fastest() -> None:
    assert sent("userId,movieId,rating,timestamp", "ratings", [b"1,2,3.5,964982703\r"]) == (
        b'{"user_id":"1","item_id":"2","rating":3.5,"rated_at":964982703}\n'
    )


def test_further_columns_of_items_are_attributes_and_elsewhere_they_are_left_out() -> None:
    assert json.loads(sent("item_id,title,Studio", "items", [b"1,Heat (1995),Warner"])) == {
        "item_id": "1",
        "title": "Heat (1995)",
        "attributes": {"Studio": "Warner"},
    }
    assert b"Studio" not in sent("item_id,imdb_id,Studio", "links", [b"1,0113277,Warner"])


def test_a_line_that_is_no_row_goes_as_it_is_for_quarantine() -> None:
    for line in (b"1,2,3", b"1,2,3,4,5", b'1,"2,3,4', b"\xff,2,3,4", b"userId,movieId,rating,timestamp"):
        assert sent("userId,movieId,rating,timestamp", "ratings", [line]) == line + b"\n"


def test_personalize_rows_get_an_id_that_a_second_sending_repeats() -> None:
    line = b"7,9,964982703"
    once, again = (json.loads(sent("USER_ID,ITEM_ID,TIMESTAMP", "events", [line], at)) for at in (50, 50))
    other = json.loads(sent("USER_ID,ITEM_ID,TIMESTAMP", "events", [line], 51))
    assert once == again
    assert once["type"] == "view"
    assert once["event_id"] != other["event_id"]


def test_json_lines_go_as_they_are_but_blank_lines_and_the_byte_order_mark() -> None:
    lines = [b'\xef\xbb\xbf{"a":1}', b"", b"  \r", b'{"b":2}\r', b"broken"]
    assert list(JsonRows().convert(0, lines)) == [b'{"a":1}\n', None, None, b'{"b":2}\n', b"broken\n"]


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        (b"\x1f\x8b\x08\x00", "the file is gzip"),
        (b"PAR1\x00", "the file is Parquet"),
        (b"movieId,title,genres", "it looks like items"),
        (b'{"movieId":1,"title":"Heat"}', "it looks like items"),
        (b"1,2,3.5,964982703", "fits no data set"),
        (b"\xff\xfe,b", "not UTF-8"),
        (b"userId,user_id,movieId,rating,timestamp", "two columns of the header are user_id"),
        (b'"userId,movieId', "the header cannot be read"),
    ],
)
def test_a_file_that_cannot_be_for_this_stream_is_refused_with_the_reason(line: bytes, reason: str) -> None:
    with pytest.raises(CommandError, match=reason):
        rows_for(line, "ratings", "")


def test_a_rotated_file_without_a_header_is_read_with_the_one_before_it() -> None:
    rows, is_header = rows_for(b"1,2,3.5,964982703", "ratings", "userId,movieId,rating,timestamp")
    assert (rows.header, is_header) == ("userId,movieId,rating,timestamp", False)


def test_a_broken_first_json_line_is_no_reason_to_refuse_the_file() -> None:
    rows, is_header = rows_for(b'{"user_id": tru', "ratings", "")
    assert isinstance(rows, JsonRows)
    assert not is_header
    assert isinstance(rows_again(rows.header, "ratings"), JsonRows)
