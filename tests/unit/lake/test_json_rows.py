"""JSON lines: the quick way and the slow one give the same verdicts, and a bad line goes alone."""

from __future__ import annotations

import gzip
import json
import random
from collections.abc import Callable
from typing import Any

import pytest

GOOD = b'{"user_id":"1","item_id":"2","rating":3.5,"rated_at":964982703}\n'


def line(**changes: Any) -> bytes:
    row: dict[str, Any] = {"user_id": "1", "item_id": "2", "rating": 3.5, "rated_at": 964982703}
    row |= changes
    return json.dumps({name: value for name, value in row.items() if value is not ...}).encode()


@pytest.mark.parametrize("around", [b"", line(user_id=7) + b"\n"], ids=["quick otherwise", "slow"])
@pytest.mark.parametrize(
    ("bad", "field", "reason"),
    [
        (b"{", "", "is not JSON"),
        (b'{"user_id":"1"', "", "is not JSON"),
        (line() + line(), "", "is not JSON"),
        (b"[1,2]", "", "is not a JSON object"),
        (b'"text"', "", "is not a JSON object"),
        (b"1,2,3.5,964982703", "", "is not JSON"),
        (b"{" * 500_000, "", "is not JSON"),
        (b"[" * 900_000, "", "is not JSON"),
        (line().replace(b"3.5", b"NaN"), "", "is not JSON"),
        (line().replace(b'"1"', b'"\xff"'), "", "is not UTF-8"),
        (line().replace(b'"1"', b'"\0"'), "", "is not JSON"),
        (line().replace(b'"1"', b'"\\ud800"'), "", "is not JSON"),
        (line(user_id="a\0b"), "user_id", "has a control character"),
        (line(user_id=...), "user_id", "is missing"),
        (line(user_id=None), "user_id", "is missing"),
        (line(user_id=""), "user_id", "is missing"),
        (line(user_id=True), "user_id", "has the unsupported JSON type boolean"),
        (line(user_id={"a": 1}), "user_id", "has the unsupported JSON type object"),
        (line(user_id=..., userId="3", USER_ID="4"), "user_id", "appears twice"),
        (line(item_id="ü" * 65), "item_id", "is longer than 128 bytes"),
        (line(rating=7), "rating", "is outside 0.5 to 5"),
        (line(rating="good"), "rating", "is not a number"),
        (line(rating=[3.5]), "rating", "has the unsupported JSON type array"),
        (line(rated_at=-1), "rated_at", "is outside 1970 to 2100"),
        (line(rated_at="1677-09-21T00:12:43Z"), "rated_at", "is outside 1970 to 2100"),
        (line(rated_at=10**30), "rated_at", "is not a time"),
        (line(rated_at="soon"), "rated_at", "is not a time"),
    ],
)
def test_only_the_bad_line_is_refused_with_its_reason_and_bytes(
    read: Callable[..., Any], around: bytes, bad: bytes, field: str, reason: str
) -> None:
    outcome = read(GOOD + around + bad + b"\n" + GOOD, file="x.jsonl")
    before = (GOOD + around).count(b"\n")
    assert outcome.reasons == [(before + 1, field, reason)]
    assert outcome.bad[0].raw == bad
    assert outcome.lines == [*range(1, before + 1), before + 2]


def test_a_json_object_over_two_lines_does_not_hide_two_on_one_line(read: Callable[..., Any]) -> None:
    two = b'{"user_id":"1",\n"item_id":"2","rating":3.5,"rated_at":964982703}' + line() + b"\n"
    outcome = read(two + GOOD)
    assert [bad.line for bad in outcome.bad] == [1, 2]
    assert outcome.lines == [3]


def test_the_fast_path_and_the_slow_path_have_the_same_result(
    read: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    source = random.Random(8)
    values: dict[str, list[Any]] = {
        "user_id": ["1", "ü", "x" * 129, "\x85", "", "a\nb"],
        "rating": [0.5, 5, 4, 5.01, -3.0, 1e300, 0.1],
        "rated_at": [0, -1, 964982703, 964982703123, 10**17, 4102444799],
    }
    rows = [line(**{name: source.choice(found) for name, found in values.items()}) for _ in range(2000)]
    data = b"\n".join(rows)
    quick = read(data)
    monkeypatch.setattr("usher_lake.json_rows.JsonReader._quick", lambda *_: None)
    slow = read(data)
    assert (quick.rows, quick.bad) == (slow.rows, slow.bad)
    assert quick.rows and quick.bad


@pytest.mark.parametrize(
    "data",
    [
        line(userId="1", user_id=...),
        line(user_id=1, item_id=2),
        line(rating="3.5"),
        line(rating=3.5, rated_at="2000-07-30T18:45:03Z"),
        line(rated_at=964982703.0),
        line(rated_at=964982703000),
        line(note="ignored"),
        line(userId="the other spelling does not count", attributes="either"),
        line() + b"\r",
        b"\xef\xbb\xbf  " + line(),
    ],
)
def test_every_spelling_of_a_row_is_the_same_row(read: Callable[..., Any], data: bytes) -> None:
    outcome = read(data + b"\n")
    assert (outcome.rows, outcome.bad) == (read(GOOD).rows, [])


@pytest.mark.parametrize("pack", [bytes, gzip.compress])
def test_a_stream_object_that_begins_with_a_broken_line_is_read_as_json(
    read: Callable[..., Any], pack: Callable[[bytes], bytes]
) -> None:
    outcome = read(pack(b"broken\n" + GOOD), file="delivery.jsonl.gz")
    assert outcome.reasons == [(1, "", "is not JSON")]
    assert outcome.lines == [2]


def test_blank_lines_are_not_rows(read: Callable[..., Any]) -> None:
    outcome = read(b"\n" + GOOD + b"\r\n\n" + GOOD + b"\n", file="x.jsonl")
    assert (outcome.lines, outcome.bad) == ([2, 5], [])


def test_items_accept_lists_and_unknown_fields(read: Callable[..., Any]) -> None:
    rows = [
        {"item_id": "1", "title": "Heat (1995)", "genres": ["Crime", "Drama"], "attributes": {"a": "b"}},
        {"item_id": "2", "title": "x", "genres": "Crime|Drama", "director": "Mann", "length": 170, "tags": ["x"]},
        {"item_id": "3", "title": "x", "genres": [1]},
        {"item_id": "4", "title": "x", "genres": ["ok", ""]},
        {"item_id": "5", "title": "x", "note": "n" * 65_537},
    ]
    outcome = read("\n".join(json.dumps(row) for row in rows).encode(), "items")
    assert [row["genres"] for row in outcome.rows] == [["Crime", "Drama"]] * 2
    assert outcome.rows[0]["released_at"].year == 1995
    assert dict(outcome.rows[0]["attributes"]) == {"a": "b"}
    assert dict(outcome.rows[1]["attributes"]) == {"director": "Mann", "length": "170", "tags": '["x"]'}
    assert outcome.reasons == [
        (3, "genres", "is not a list of strings"),
        (4, "genres", "has an element that is empty or longer than 1024 bytes"),
        (5, "attributes", "has a value longer than 65536 bytes"),
    ]


def test_events_keep_their_recommendation_id(read: Callable[..., Any]) -> None:
    row = {"event_id": "e", "user_id": "u", "item_id": "i", "type": "Purchase", "value": 2, "occurred_at": 964982703}
    (found,) = read(json.dumps(row | {"recommendation_id": "v1.x.y"}).encode(), "events").rows
    assert (found["type"], found["value"], found["recommendation_id"]) == ("purchase", 2.0, "v1.x.y")
