"""CSV: what bad input gets, and every spelling that is good."""

from __future__ import annotations

import gzip
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest

HEADER = b"userId,movieId,rating,timestamp\n"
GOOD = b"1,2,3.5,964982703\n"
LIMITS = [{}, {"chunk_bytes": 64}]


@pytest.fixture(params=LIMITS, ids=["whole", "in pieces"])
def limits(request: pytest.FixtureRequest) -> dict[str, int]:
    found: dict[str, int] = request.param
    return found


# -- bad lines: the good rows round them stay, and exactly theirs go ---------------------------------------------------


@pytest.mark.parametrize(
    ("line", "field", "reason"),
    [
        (b"1,2,3.5", "", "has 3 columns instead of 4"),
        (b"1,2,3.5,964982703,x", "", "has 5 columns instead of 4"),
        (b"no record at all", "", "has 1 columns instead of 4"),
        (b'"1,2,3.5,964982703', "", "has an unclosed or misplaced quote"),
        (b'1,2"x",3.5,964982703', "", "has an unclosed or misplaced quote"),
        (b"1,2\0,3.5,964982703", "", "has a NUL byte"),
        (b"1,\xff\xfe,3.5,964982703", "", "is not UTF-8"),
        (b"1,2,3.5\r,964982703", "", "has a bare carriage return"),
        (b"\xef\xbb\xbf1,2,3.5,964982703", "", "starts with a byte order mark"),
        (b"userId,movieId,rating,timestamp", "", "repeats the header"),
        (b"user_id,item_id,rating,rated_at", "", "repeats the header"),
        (b",2,3.5,964982703", "user_id", "is missing"),
        (b"1," + b"x" * 129 + b",3.5,964982703", "item_id", "is longer than 128 bytes"),
        (b"1,a\tb,3.5,964982703", "item_id", "has a control character"),
        ("1,a\x85b,3.5,964982703".encode(), "item_id", "has a control character"),
        (b"1,2,,964982703", "rating", "is missing"),
        (b"1,2,0.4,964982703", "rating", "is outside 0.5 to 5"),
        (b"1,2,5.5,964982703", "rating", "is outside 0.5 to 5"),
        (b"1,2,-1,964982703", "rating", "is outside 0.5 to 5"),
        (b"1,2,NaN,964982703", "rating", "is not a finite number"),
        (b"1,2,inf,964982703", "rating", "is not a finite number"),
        (b"1,2,good,964982703", "rating", "is not a number"),
        (b"1,2,3.5,", "rated_at", "is missing"),
        (b"1,2,3.5,yesterday", "rated_at", "is not a time"),
        (b"1,2,3.5,0x10", "rated_at", "is not a time"),
        (b"1,2,3.5,2021-02-30", "rated_at", "is not a time"),
        (b"1,2,3.5,-1", "rated_at", "is outside 1970 to 2100"),
        (b"1,2,3.5,1677-09-21T00:12:43", "rated_at", "is outside 1970 to 2100"),
        (b"1,2,3.5,2262-04-11T23:47:16Z", "rated_at", "is outside 1970 to 2100"),
        (b"1,2,3.5,99999999999999999", "rated_at", "is outside 1970 to 2100"),
    ],
)
def test_only_the_bad_line_is_refused_with_its_reason_number_and_bytes(
    read: Callable[..., Any], limits: dict[str, int], line: bytes, field: str, reason: str
) -> None:
    outcome = read(HEADER + GOOD + line + b"\n" + GOOD, **limits)
    assert outcome.lines == [2, 4]
    (bad,) = outcome.bad
    assert (bad.line, bad.field, bad.reason) == (3, field, reason)
    assert (bad.raw, bad.length, bad.offset) == (line, len(line), len(HEADER + GOOD))


def test_an_unclosed_quote_does_not_affect_the_following_rows(read: Callable[..., Any]) -> None:
    outcome = read(HEADER + GOOD * 5 + b'1,"2,3.5,964982703\n' + GOOD * 20)
    assert len(outcome.rows) == 25
    assert [bad.line for bad in outcome.bad] == [7]


def test_a_newline_inside_quotes_makes_two_bad_lines(read: Callable[..., Any]) -> None:
    outcome = read(b'item_id,title\n1,"two\nlines"\n2,one\n', "items")
    assert [bad.line for bad in outcome.bad] == [2, 3]
    assert outcome.lines == [4]


def test_of_a_line_of_ten_megabytes_the_head_and_the_length_are_stored(
    read: Callable[..., Any], limits: dict[str, int]
) -> None:
    long = b"1,2," + b"9" * (10 << 20) + b",964982703"
    size = 65_536 if limits else 1 << 20
    outcome = read(HEADER + GOOD + long + b"\n" + GOOD, chunk_bytes=size)
    (bad,) = outcome.bad
    assert (bad.line, bad.reason, bad.length) == (3, "is longer than 1048576 bytes", len(long))
    assert bad.raw == long[:4096]
    assert outcome.lines == [2, 4]


def test_text_longer_than_its_field_is_bad(read: Callable[..., Any]) -> None:
    outcome = read(b"item_id,title\n1," + b"x" * 1025 + b"\n2," + b"x" * 1024 + b"\n", "items")
    assert outcome.reasons == [(2, "title", "is longer than 1024 bytes")]
    assert outcome.lines == [3]


# -- whole objects ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("header", "field", "reason"),
    [
        (b"userId,movieId,rating", "rated_at", "header has no column rated_at (data set ratings)"),
        (b"a,b", "user_id", "header has no column user_id, item_id, rating, rated_at (data set ratings)"),
        (b"userId,user_id,movieId,rating,timestamp", "user_id", "two columns map to user_id"),
        (b"userId;movieId;rating;timestamp", "", "columns are not separated by commas"),
        (b'"userId,movieId', "", "header is not valid CSV"),
        (b"userId,movieId,\xff,timestamp", "", "header is not UTF-8"),
        (b"userId,movieId\0,rating,timestamp", "", "header has a NUL byte"),
        (
            b"userId,movieId,rating,timestamp\r1,2,3,4",
            "",
            "lines end with a bare carriage return: end them with a newline",
        ),
        (b",".join(b"c%d" % n for n in range(100_000)), "", "header has more than 1000 columns"),
    ],
)
def test_when_the_header_is_refused_every_line_is_bad_with_that_reason(
    read: Callable[..., Any], header: bytes, field: str, reason: str
) -> None:
    outcome = read(header + b"\n" + GOOD + GOOD)
    assert outcome.rows == []
    assert outcome.reasons == [(line, field, reason) for line in (1, 2, 3)]
    assert [bad.raw for bad in outcome.bad] == [header, GOOD[:-1], GOOD[:-1]]


def test_an_oversize_header_refuses_the_object(read: Callable[..., Any]) -> None:
    outcome = read(b"x" * 5000 + b"\n" + GOOD, max_line_bytes=1000, chunk_bytes=100)
    assert outcome.reasons == [(1, "", "is longer than 1000 bytes"), (2, "", "follows a header that could not be read")]
    assert outcome.bad[0].raw == b"x" * 1000


def test_a_hundred_thousand_columns_in_a_line_are_one_bad_line(read: Callable[..., Any]) -> None:
    wide = b",".join([b"1"] * 100_000)
    outcome = read(HEADER + wide + b"\n" + GOOD)
    assert outcome.reasons == [(2, "", "has 100000 columns instead of 4")]
    assert outcome.lines == [3]


def test_an_empty_object_is_one_bad_row(read: Callable[..., Any]) -> None:
    assert read(b"").reasons == [(1, "", "is empty")]


@pytest.mark.parametrize("data", [HEADER, HEADER[:-1], HEADER + b"\n\r\n\n", b"\n\n" + HEADER])
def test_a_file_with_only_a_header_has_no_rows(read: Callable[..., Any], data: bytes) -> None:
    outcome = read(data)
    assert (outcome.rows, outcome.bad) == ([], [])


@pytest.mark.parametrize("encoding", ["utf-16-le", "utf-16-be"])
def test_utf_16_is_refused_with_a_reason(read: Callable[..., Any], encoding: str) -> None:
    mark = {"utf-16-le": b"\xff\xfe", "utf-16-be": b"\xfe\xff"}[encoding]
    outcome = read(mark + HEADER.decode().encode(encoding))
    assert outcome.reasons == [(1, "", "is UTF-16: save it as UTF-8")]


# -- gzip -------------------------------------------------------------------------------------------------------------


def test_a_truncated_gzip_keeps_the_rows_before_its_end(read: Callable[..., Any], limits: dict[str, int]) -> None:
    rows = b"".join(b"%d,%d,3.5,%d\n" % (n, n * 7, 964982703 + n * 13) for n in range(20_000))
    packed = gzip.compress(HEADER + rows)
    outcome = read(packed[: len(packed) // 2], **limits)
    assert len(outcome.rows) > 5000
    assert outcome.lines == list(range(2, 2 + len(outcome.rows)))
    (bad,) = outcome.bad
    assert bad.reason == "gzip stream is truncated"
    assert bad.line == len(outcome.rows) + 2
    assert rows.split(b"\n")[bad.line - 2].startswith(bad.raw)


def test_a_damaged_gzip_keeps_the_rows_before_the_damage(read: Callable[..., Any]) -> None:
    rows = b"".join(b"%d,%d,3.5,%d\n" % (n, n * 7, 964982703 + n * 13) for n in range(20_000))
    packed = bytearray(gzip.compress(HEADER + rows))
    packed[len(packed) // 2 : len(packed) // 2 + 60] = b"\xff" * 60
    outcome = read(bytes(packed))
    good = [row for row in outcome.rows if row["line"] < 5000]
    assert len(good) == 4998
    assert outcome.bad[-1].reason.startswith("gzip stream is damaged")


def test_a_wrong_checksum_is_reported(read: Callable[..., Any]) -> None:
    packed = bytearray(gzip.compress(HEADER + GOOD))
    packed[-6] ^= 1
    outcome = read(bytes(packed))
    assert outcome.lines == [2]
    assert outcome.bad[-1].reason.startswith("gzip stream is damaged")


def test_gzip_of_several_members_and_padding_is_one_file(read: Callable[..., Any], limits: dict[str, int]) -> None:
    data = gzip.compress(HEADER + GOOD) + gzip.compress(b"") + gzip.compress(GOOD + GOOD[:4]) + gzip.compress(GOOD[4:])
    outcome = read(data + b"\0" * 512, **limits)
    assert (outcome.lines, outcome.bad) == ([2, 3, 4], [])


def test_bytes_after_a_gzip_stream_are_reported(read: Callable[..., Any]) -> None:
    outcome = read(gzip.compress(HEADER + GOOD) + b"more")
    assert outcome.lines == [2]
    assert outcome.bad[-1].reason.startswith("gzip stream is damaged")


def test_a_zip_bomb_ends_at_its_limit(read: Callable[..., Any], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("usher_lake.sources.FREE_GZIP_BYTES", 3 << 20)
    outcome = read(gzip.compress(HEADER + GOOD + b"0" * (50 << 20)))
    assert outcome.lines == [2]
    (bad,) = outcome.bad
    assert bad.reason.startswith("expands to more than ")
    assert (bad.line, len(bad.raw)) == (3, 4096)


# -- what is good -----------------------------------------------------------------------------------------------------


def test_a_row_is_read_with_the_types_of_the_table(read: Callable[..., Any]) -> None:
    assert read(HEADER + GOOD).rows == [
        {
            "line": 2,
            "user_id": "1",
            "item_id": "2",
            "rating": 3.5,
            "rated_at": datetime(2000, 7, 30, 18, 45, 3, tzinfo=UTC),
        }
    ]


@pytest.mark.parametrize(
    "data",
    [
        b"user_id,item_id,rating,rated_at\n" + GOOD,
        b"\xef\xbb\xbf" + HEADER + GOOD,
        (HEADER + GOOD).replace(b"\n", b"\r\n"),
        b"USERID, movieId ,Rating,TimeStamp\n" + GOOD,
        b"rating,timestamp,movieId,userId\n3.5,964982703,2,1\n",
        b"x,userId,movieId,rating,timestamp,y\na,1,2,3.5,964982703,b\n",
        b'"userId","movieId","rating","timestamp"\n"1","2","3.5","964982703"\n',
        HEADER + GOOD[:-1],
        gzip.compress(HEADER + GOOD),
    ],
    ids=["spelling", "mark", "crlf", "case", "order", "further columns", "quoted", "no last newline", "gzip"],
)
def test_every_spelling_of_a_file_gives_the_same_rows(read: Callable[..., Any], data: bytes) -> None:
    outcome = read(data)
    assert (outcome.rows, outcome.bad) == (read(HEADER + GOOD).rows, [])


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("0", datetime(1970, 1, 1, tzinfo=UTC)),
        ("964982703123", datetime(2000, 7, 30, 18, 45, 3, 123000, tzinfo=UTC)),
        ("964982703.5", datetime(2000, 7, 30, 18, 45, 3, 500000, tzinfo=UTC)),
        ("4102444799", datetime(2099, 12, 31, 23, 59, 59, tzinfo=UTC)),
        ("2000-07-30", datetime(2000, 7, 30, tzinfo=UTC)),
        ("2000-07-30T18:45", datetime(2000, 7, 30, 18, 45, tzinfo=UTC)),
        ("2000-07-30 18:45:03.25", datetime(2000, 7, 30, 18, 45, 3, 250000, tzinfo=UTC)),
        ("2000-07-30T18:45:03Z", datetime(2000, 7, 30, 18, 45, 3, tzinfo=UTC)),
        ("2000-07-30T20:45:03+02:00", datetime(2000, 7, 30, 18, 45, 3, tzinfo=UTC)),
        ("2000-07-30T13:15:03-0530", datetime(2000, 7, 30, 18, 45, 3, tzinfo=UTC)),
    ],
)
def test_seconds_milliseconds_and_iso_8601_are_times(read: Callable[..., Any], text: str, expected: datetime) -> None:
    outcome = read(HEADER + f"1,2,3.5,{text}\n".encode())
    assert [row["rated_at"] for row in outcome.rows] == [expected], outcome.reasons


@pytest.mark.parametrize("identity", ["ünï-çødé", "日本", "a b", " lead", "!'@€;|", "x" * 128])
def test_unusual_ids_are_accepted(read: Callable[..., Any], identity: str) -> None:
    outcome = read(HEADER + f"{identity},2,3.5,964982703\n".encode())
    assert [row["user_id"] for row in outcome.rows] == [identity], outcome.reasons


def test_items_keep_genres_years_quoted_titles_and_attribute_columns(read: Callable[..., Any]) -> None:
    data = (
        "movieId,title,genres,director,Jahr\n"
        '1,"American President, The (1995)",Comedy|Drama|Romance,Rob Reiner,1995\n'
        '2,"Say ""hello""",(no genres listed),,\n'
        "3,Casablanca (1942) ,,Curtiz,\n"
    )
    rows = read(data.encode(), "items").rows
    assert [row["title"] for row in rows] == ["American President, The (1995)", 'Say "hello"', "Casablanca (1942) "]
    assert [row["genres"] for row in rows] == [["Comedy", "Drama", "Romance"], None, None]
    assert [row["released_at"] and row["released_at"].year for row in rows] == [1995, None, 1942]
    assert [row["attributes"] for row in rows] == [
        [("director", "Rob Reiner"), ("Jahr", "1995")],
        None,
        [("director", "Curtiz")],
    ]


@pytest.mark.parametrize(("text", "year"), [("1942", 1942), ("1942-11-26", 1942), ("788918400", 1995)])
def test_a_release_may_be_a_year_or_before_1970(read: Callable[..., Any], text: str, year: int) -> None:
    (row,) = read(f"item_id,title,released_at\n1,x,{text}\n".encode(), "items").rows
    assert row["released_at"].year == year


def test_genres_drop_empty_parts(read: Callable[..., Any]) -> None:
    (row,) = read(b"item_id,title,genres\n1,x,|a||b|\n", "items").rows
    assert row["genres"] == ["a", "b"]


def test_links_keep_leading_zeros_and_refuse_a_repeated_header(read: Callable[..., Any]) -> None:
    outcome = read(b"movieId,imdbId,tmdbId\n1,0114709,862\nmovieId,imdbId,tmdbId\n2,0113497,\n", "links")
    assert outcome.reasons == [(3, "", "repeats the header")]
    assert [(row["imdb_id"], row["tmdb_id"]) for row in outcome.rows] == [("0114709", "862"), ("0113497", None)]


# -- Amazon Personalize -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("landed_as", ["events", "ratings"])
def test_personalize_interactions_are_events(read: Callable[..., Any], landed_as: str) -> None:
    data = b"USER_ID,ITEM_ID,TIMESTAMP,EVENT_TYPE,EVENT_VALUE\nu,i,964982703,Click,2.5\nu,i,964982703,watch,1\n"
    outcome = read(data, landed_as)
    assert outcome.dataset == "events"
    (row,) = outcome.rows
    assert (row["type"], row["value"], row["line"]) == ("click", 2.5, 2)
    assert len(row["event_id"]) == 34 and row["event_id"].endswith("-2")
    assert outcome.reasons == [(3, "type", "is not one of click, purchase, view")]


@pytest.mark.parametrize("landed_as", ["events", "ratings"])
def test_personalize_interactions_with_a_value_and_no_type_are_ratings(
    read: Callable[..., Any], landed_as: str
) -> None:
    outcome = read(b"USER_ID,ITEM_ID,EVENT_VALUE,TIMESTAMP\nu,i,4,964982703\nu,i,9,964982703\n", landed_as)
    assert outcome.dataset == "ratings"
    assert [row["rating"] for row in outcome.rows] == [4.0]
    assert outcome.reasons == [(3, "rating", "is outside 0.5 to 5")]


def test_personalize_interactions_without_value_and_type_are_views(read: Callable[..., Any]) -> None:
    outcome = read(b"USER_ID,ITEM_ID,TIMESTAMP\nu,i,964982703\n", "events")
    assert [(row["type"], row["value"]) for row in outcome.rows] == [("view", None)]


def test_events_with_ushers_column_names_need_an_event_id(read: Callable[..., Any]) -> None:
    outcome = read(b"user_id,item_id,type,occurred_at\nu,i,view,964982703\n", "events")
    assert outcome.reasons[0] == (1, "event_id", "header has no column event_id (data set events)")
