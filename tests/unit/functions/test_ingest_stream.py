"""ingest_stream on a real S3 API: a verdict for each record, every line counted once, nothing delivered that is bad."""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from usher.errors import NotAnEvent, UnknownLandingKey
from usher_lake.firehose import FirehoseBatch, check_batch

ARN = "arn:aws:firehose:eu-west-1:123456789012:deliverystream/usher-"
EVENTS = Path(__file__).parents[3] / "events"
ARRIVED_MS = 1_772_323_200_000  # 2026-03-01


def rating(item: object = 2, value: object = 3.5) -> bytes:
    return json.dumps({"user_id": "1", "item_id": str(item), "rating": value, "rated_at": 964982703}).encode()


def event(*data: bytes, dataset: str = "ratings") -> dict[str, Any]:
    records = [
        {
            "recordId": f"{number:056d}",
            "approximateArrivalTimestamp": ARRIVED_MS,
            "data": base64.b64encode(item).decode(),
        }
        for number, item in enumerate(data)
    ]
    return {"invocationId": "i", "deliveryStreamArn": ARN + dataset, "region": "eu-west-1", "records": records}


def results(answer: dict[str, Any]) -> list[tuple[str, bytes | None]]:
    """Each record's result and what goes on of it."""
    return [(item["result"], base64.b64decode(item["data"]) if "data" in item else None) for item in answer["records"]]


def metrics(text: str) -> dict[str, float]:
    found: dict[str, float] = {}
    for line in text.splitlines():
        if '"_aws"' in line:
            record = json.loads(line)
            for metric in record["_aws"]["CloudWatchMetrics"][0]["Metrics"]:
                found[metric["Name"]] = found.get(metric["Name"], 0) + record[metric["Name"]]
    return found


@pytest.fixture
def handle(lake: Any, monkeypatch: pytest.MonkeyPatch) -> Any:
    """The handler, told where it runs."""
    monkeypatch.setenv("USHER_STREAM_PREFIX", "usher-")
    return lambda given: lake.handler("ingest_stream")(given, None)


# -- what fails -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["films", "", "ratings-2"])
def test_an_unknown_delivery_stream_fails_with_the_known_ones(handle: Any, name: str) -> None:
    with pytest.raises(
        UnknownLandingKey, match="not one of usher-ratings, usher-items, usher-tags, usher-links, usher-events"
    ):
        handle(event(rating(), dataset=name))


def test_the_delivery_stream_of_another_stack_fails(handle: Any) -> None:
    with pytest.raises(UnknownLandingKey, match="'other-ratings'"):
        handle({**event(rating()), "deliveryStreamArn": "arn:aws:firehose:eu-west-1:1:deliverystream/other-ratings"})


@pytest.mark.parametrize(
    "change",
    [
        {"records": None},
        {"records": [{}]},
        {"records": [{"recordId": "1", "approximateArrivalTimestamp": 1, "data": 7}]},
        {"records": [{"recordId": "1", "approximateArrivalTimestamp": 10**30, "data": ""}]},
        {"records": [{"recordId": "1", "approximateArrivalTimestamp": 1, "data": "a"}]},
        {"deliveryStreamArn": None},
    ],
)
def test_an_event_of_another_kind_fails(handle: Any, change: dict[str, Any]) -> None:
    with pytest.raises((NotAnEvent, UnknownLandingKey)):
        handle({**event(rating()), **change})


def test_when_the_quarantine_fails_records_with_bad_lines_fail_and_good_records_are_delivered(
    lake: Any, handle: Any, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("USHER_LAKE_BUCKET", "gone")
    answer = handle(event(rating(), b"bad", rating() + b"\nbad too", b"\n"))
    assert results(answer) == [
        ("Ok", rating() + b"\n"),
        ("ProcessingFailed", None),
        ("ProcessingFailed", None),
        ("Dropped", None),
    ]
    told = metrics(capsys.readouterr().out)
    assert told["RowsNotQuarantined"] == 2
    assert "RowsQuarantined" not in told


@pytest.mark.parametrize(
    ("raw", "reason", "field"),
    [
        (b"no JSON", "is not JSON", None),
        (b"\x00\x01\x02", "is not JSON", None),
        (bytes(range(0x80, 0x90)), "is not UTF-8", None),
        (b"[1]", "is not a JSON object", None),
        (b'{"user_id": "1"}{"user_id": "2"}', "is not JSON", None),
        (b"[" * 50_000, "is not JSON", None),
        (rating(value=9), "is outside 0.5 to 5", "rating"),
        (rating(item="x" * 200), "is longer than 128 bytes", "item_id"),
        (b'{"user_id": "1", "item_id": "2", "rating": 3}', "is missing", "rated_at"),
        (rating(item="x" * 1_000_000), "is longer than 128 bytes", "item_id"),
    ],
)
def test_a_bad_record_is_dropped_and_quarantined_with_its_reason(
    lake: Any, handle: Any, raw: bytes, reason: str, field: str | None
) -> None:
    answer = handle(event(rating(1), raw, rating(2)))
    assert [result for result, _ in results(answer)] == ["Ok", "Dropped", "Ok"]
    (found,) = lake.quarantine("ratings")
    assert (found["raw"], found["line"], found["bytes"]) == (raw, 2, len(raw))
    assert (found["reason"], found["field"]) == (reason, field)
    assert found["source"].startswith("stream")
    assert found["offset"] == len(rating(1)) + 1


def test_a_retry_writes_the_same_quarantine_file(lake: Any, handle: Any) -> None:
    first = handle(event(b"bad", rating()))
    assert handle({**event(b"bad", rating()), "invocationId": "another"}) == first
    assert len(lake.quarantine("ratings")) == 1
    (key,) = [item["Key"] for item in lake.s3.list_objects_v2(Bucket="lake")["Contents"]]
    assert key.startswith("quarantine/ratings/dt=2026-03-01/stream")
    handle(event(b"bad", rating(), rating()))
    assert len(lake.quarantine("ratings")) == 2


# -- what works -------------------------------------------------------------------------------------------------------


def test_good_records_are_delivered_as_sent_with_one_newline_each(handle: Any, lake: Any) -> None:
    odd = b'{ "userId": 1, "movieId": "2", "rating": "4", "timestamp": "2020-01-01T00:00:00Z" }'
    sent = [rating(), rating(3) + b"\n", rating(4) + b"\r\n", b"\xef\xbb\xbf" + rating(5), odd]
    answer = handle(event(*sent))
    wanted = [rating() + b"\n", rating(3) + b"\n", rating(4) + b"\r\n", rating(5) + b"\n", odd + b"\n"]
    assert results(answer) == [("Ok", line) for line in wanted]
    assert [item["recordId"] for item in answer["records"]] == [item["recordId"] for item in event(*sent)["records"]]
    assert lake.quarantine("ratings") == []


def test_a_record_of_several_lines_is_delivered_without_its_bad_ones(handle: Any, lake: Any) -> None:
    mixed = rating(1) + b"\nbad\n\n" + rating(2) + b"\n" + rating(value=9) + b"\n"
    answer = handle(event(rating(), mixed, b"bad\nworse"))
    assert results(answer)[1:] == [("Ok", rating(1) + b"\n" + rating(2) + b"\n"), ("Dropped", None)]
    assert [found["line"] for found in lake.quarantine("ratings")] == [3, 6, 7, 8]


def test_an_empty_record_is_dropped_and_not_counted(handle: Any, lake: Any, capsys: pytest.CaptureFixture[str]) -> None:
    assert results(handle(event(b"", b"\n\n", b"\r\n"))) == [("Dropped", None)] * 3
    assert lake.quarantine("ratings") == []
    assert metrics(capsys.readouterr().out)["RowsIn"] == 0


def test_a_batch_without_records_has_no_results(handle: Any) -> None:
    assert handle(event()) == {"records": []}


def test_rows_are_counted(handle: Any, capsys: pytest.CaptureFixture[str]) -> None:
    handle(event(rating(), rating() + b"\n" + rating(), b"bad"))
    told = metrics(capsys.readouterr().out)
    assert (told["RowsIn"], told["RowsAccepted"], told["RowsQuarantined"]) == (4, 3, 1)


def test_the_handler_accepts_the_sample_event(handle: Any, lake: Any) -> None:
    answer = handle(json.loads((EVENTS / "ingest_stream.json").read_text()))
    assert [item["result"] for item in answer["records"]] == ["Ok", "Dropped"]
    assert [found["reason"] for found in lake.quarantine("ratings")] == ["is outside 0.5 to 5"]


@pytest.mark.parametrize("dataset", ["items", "tags", "links", "events"])
def test_each_stream_has_its_own_data_set(handle: Any, lake: Any, dataset: str) -> None:
    row = {"item_id": "1", "title": "Heat (1995)", "user_id": "1", "tag": "t", "tagged_at": 1, "event_id": "e"}
    line = json.dumps({**row, "type": "click", "occurred_at": 1}).encode()
    assert results(handle(event(line, b"{}", dataset=dataset))) == [("Ok", line + b"\n"), ("Dropped", None)]
    assert len(lake.quarantine(dataset)) == 1


_PIECES = st.sampled_from(
    [
        *(rating(), rating(value=9), rating(value="4"), b"", b"\n", b"\r", b"\r\n", b"\xef\xbb\xbf", b"\x00", b"\xff"),
        *(b" ", b"{", b"}", b"{}", b'"', "\u2028\u0085".encode(), b'{"userId":"1"}', b"[]", b"null", b"x" * 70),
    ]
)


@settings(max_examples=400)
@given(st.lists(st.lists(_PIECES, max_size=6).map(b"".join), max_size=8))
def test_ingest_accepts_every_delivered_line_and_no_line_is_lost(read: Any, data: Sequence[bytes]) -> None:
    given_event = event(*data)
    checked = check_batch(FirehoseBatch.of(given_event, "usher-"))
    answer = {"records": checked.results(bad_is_stored=True)}
    body = b"".join(row or b"" for _, row in results(answer))
    lines = [line for item in data for line in re.sub(rb"^(\xef\xbb\xbf)+", b"", item).split(b"\n")]
    assert checked.rows_ok + len(checked.bad) == sum(line not in (b"", b"\r") for line in lines)
    again = read(body, "ratings", file="x.jsonl") if body else None
    assert (len(again.rows), again.bad) == (checked.rows_ok, []) if again is not None else checked.rows_ok == 0
    assert not body or body.endswith(b"\n")
    # Lambda takes 6 MB either way: an answer (with the runtime's spaces) is never longer than its request.
    assert len(json.dumps(answer)) <= len(json.dumps(given_event, separators=(",", ":")))
