"""What a file holds, told from its first line, and what is refused before anything is sent."""

from __future__ import annotations

import gzip
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from cli.errors import CommandError
from cli.uploads.recognise import recognise
from cli.uploads.send import measure

RATINGS = b"userId,movieId,rating,timestamp\n1,2,3.5,964982703\n"


def write(folder: Path, body: bytes, name: str = "file") -> Path:
    path = folder / name
    path.write_bytes(body)
    return path


@pytest.mark.parametrize(
    ("body", "words"),
    [
        (b"", "the file is empty"),
        (b"\n\n", "the first line is empty"),
        (b"a\x00b,c\n", "NUL byte"),
        (b"\xff\xfe,x\n1,2\n", "not UTF-8"),
        (b"x" * (2 << 20), "longer than"),
        (b'"userId,movieId\n', "header cannot be read"),
        (b"{not json\n", "not a JSON object"),
        (b"[" * 100_000, "lacks item_id for links|fits no data set"),
        (b'{"a":' * 5000 + b"\n", "not a JSON object"),
        (b"PAR1 and then nothing", "starts like Parquet but cannot be read"),
        (b"\x1f\x8b and then nothing", "cannot be read"),
        (b"movie,stars\n1,2\n", "fits no data set"),
        (b"userId,movieId,stars,timestamp\n", "lacks rating for ratings, the nearest data set"),
        (b"movieId\n1\n", "nearest data set"),
    ],
)
def test_a_file_that_ingest_would_refuse_is_refused_at_home(tmp_path: Path, body: bytes, words: str) -> None:
    with pytest.raises(CommandError, match=words) as caught:
        recognise(write(tmp_path, body))
    assert "\n" not in str(caught.value)


def test_a_header_of_another_data_set_names_the_one_it_looks_like(tmp_path: Path) -> None:
    with pytest.raises(CommandError, match=r"lacks title for items.*it looks like ratings"):
        recognise(write(tmp_path, RATINGS), "items")


def test_an_unknown_data_set_names_the_known_ones(tmp_path: Path) -> None:
    with pytest.raises(CommandError, match="unknown data set films: use one of ratings, items"):
        recognise(write(tmp_path, RATINGS), "films")


def test_control_characters_of_a_header_do_not_reach_the_terminal(tmp_path: Path) -> None:
    with pytest.raises(CommandError) as caught:
        recognise(write(tmp_path, b"\x1b[2Juser,b\n"))
    assert "\x1b" not in str(caught.value)
    assert "\\x1b[2J" in str(caught.value)


@pytest.mark.parametrize(
    ("header", "dataset"),
    [
        ("userId,movieId,rating,timestamp", "ratings"),
        ("RATED_AT,item_id,User_Id, rating ", "ratings"),
        ("movieId,title,genres", "items"),
        ("userId,movieId,tag,timestamp", "tags"),
        ("movieId,imdbId,tmdbId", "links"),
        ("event_id,user_id,item_id,type,occurred_at", "events"),
        ("USER_ID,ITEM_ID,TIMESTAMP", "events"),
        ("USER_ID,ITEM_ID,TIMESTAMP,EVENT_TYPE,EVENT_VALUE", "events"),
        ("USER_ID,ITEM_ID,TIMESTAMP,EVENT_VALUE", "ratings"),
        ('{"user_id": "1", "item_id": "2", "rating": 3, "rated_at": 1}', "ratings"),
    ],
)
def test_the_data_set_is_told_from_the_header(tmp_path: Path, header: str, dataset: str) -> None:
    assert recognise(write(tmp_path, header.encode() + b"\r\n")).dataset == dataset
    assert recognise(write(tmp_path, b"\xef\xbb\xbf" + header.encode() + b"\n1,2,3,4\n")).dataset == dataset
    zipped = recognise(write(tmp_path, gzip.compress(header.encode() + b"\n")))
    assert (zipped.dataset, zipped.compressed) == (dataset, True)
    assert recognise(write(tmp_path, header.encode()), dataset).dataset == dataset


def test_a_file_of_personalize_ratings_may_go_to_events_whose_rules_route_it(tmp_path: Path) -> None:
    path = write(tmp_path, b"USER_ID,ITEM_ID,TIMESTAMP,EVENT_VALUE\n1,2,3,4\n")
    assert recognise(path, "events").dataset == "events"


def test_parquet_is_told_from_its_columns(tmp_path: Path) -> None:
    path = tmp_path / "file"
    pq.write_table(pa.table({"movieId": ["1"], "title": ["x"]}), path)
    found = recognise(path)
    assert (found.dataset, found.kind) == ("items", "parquet")
    assert measure(found).rows is None


@pytest.mark.parametrize("end", [b"", b"\n"])
def test_rows_are_counted_without_the_header_also_when_zipped(tmp_path: Path, end: bytes) -> None:
    body = RATINGS + b"1,3,4.0,964982703" + end
    plain = measure(recognise(write(tmp_path, body)))
    zipped = measure(recognise(write(tmp_path, gzip.compress(body), "zipped")))
    assert (plain.rows, zipped.rows) == (2, 2)
    assert plain.size_bytes == len(body)


def test_the_same_content_has_the_same_key_and_another_content_another(tmp_path: Path) -> None:
    first = measure(recognise(write(tmp_path, RATINGS)))
    again = measure(recognise(write(tmp_path, RATINGS)))
    other = measure(recognise(write(tmp_path, RATINGS + b"\n")))
    assert first.key == again.key != other.key
    assert first.key.startswith("ratings/upload/")


def test_a_damaged_gzip_file_is_sent_with_its_rows_unknown(tmp_path: Path) -> None:
    body = gzip.compress(RATINGS + b"".join(b"%d,%d,3.5,1\n" % (n, n * n) for n in range(9999)))[:-200]
    path = write(tmp_path, body)
    assert measure(recognise(path)).rows is None
