"""When the twin's Firehose has something due, how much goes at once, and what it calls its objects."""

from __future__ import annotations

import datetime
import json
import re

import pytest
from moto.firehose.exceptions import InvalidArgumentException

from twin.awslambda.invocation import SYNCHRONOUS_PAYLOAD_BYTES
from twin.firehose import configuration, transformation
from twin.firehose.records import Buffer, Delivered, Incoming, Record

MOMENT = datetime.datetime(2026, 3, 4, 5, 6, 7, tzinfo=datetime.UTC)


class Time:
    """Seconds that pass when a test says so."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


def test_an_empty_buffer_is_never_due() -> None:
    assert Incoming(10, 60).seconds_left() == float("inf")


def test_records_are_due_when_the_first_has_waited_or_the_size_is_reached() -> None:
    time = Time()
    buffer = Incoming(10, 60, time)
    buffer.add(["a"], [4], 1)
    time.now += 50
    buffer.add(["b"], [4], 2)
    assert buffer.seconds_left() == 10
    buffer.add(["c"], [2], 3)
    assert buffer.seconds_left() == 0
    assert buffer.bytes == 10


def test_a_batch_keeps_to_the_size_and_the_order_and_ids_go_on() -> None:
    time = Time()
    buffer = Incoming(10, 60, time)
    ids = buffer.add(["a", "b"], [6, 4], 1) + buffer.add(["c", "d"], [5, 30], 2)
    time.now += 70
    first, second, third = buffer.take_some(), buffer.take_some(), buffer.take_some()
    assert [record.data for record in first] == ["a", "b"]
    assert [record.data for record in second] == ["c"]
    assert [(record.data, record.size, record.arrived_ms) for record in third] == [("d", 30, 2)]
    assert [record.id for record in (*first, *second, *third)] == ids
    assert len(set(ids)) == 4
    assert (len(buffer), buffer.bytes, buffer.take_some()) == (0, 0, [])
    assert buffer.add(["e"], [1], 3)[0] not in ids


def test_the_rest_of_a_batch_waits_from_now() -> None:
    time = Time()
    buffer = Incoming(10, 60, time)
    buffer.add(["a", "b"], [8, 8], 1)
    time.now += 61
    buffer.take_some()
    assert buffer.seconds_left() == 60


def test_one_object_takes_everything_that_waits() -> None:
    buffer: Buffer[Delivered] = Buffer(10, 60, Time())
    buffer.add([Delivered(b"x" * 8, 1, 1)])
    buffer.add([Delivered(b"y" * 8, 1, 2)])
    assert buffer.seconds_left() == 0
    assert [item.data[:1] for item in buffer.take()] == [b"x", b"y"]
    assert (buffer.bytes, buffer.take()) == (0, [])


@pytest.mark.parametrize(
    ("prefix", "expected"),
    [
        ("", r"2026/03/04/05/"),
        ("a/", r"a/2026/03/04/05/"),
        ("a", r"a2026/03/04/05/"),
        ("a/!{timestamp:yyyy}-!{timestamp:MM/dd}/", r"a/2026-03/04/"),
        ("!{firehose:random-string}/!{timestamp:HHmmss%}/", r"[\w-]{11}/050607%/"),
    ],
)
def test_a_prefix_without_a_time_is_followed_by_the_hour(prefix: str, expected: str) -> None:
    key = configuration.object_key(prefix, "s", "3", MOMENT, ".jsonl.gz")
    assert re.fullmatch(expected + r"s-3-2026-03-04-05-06-07-[0-9a-f-]{36}\.jsonl\.gz", key)


@pytest.mark.parametrize(
    ("prefix", "expected"),
    [
        ("e/", r"e/processing-failed/2026/03/04/05/"),
        ("e/!{firehose:error-output-type}/!{timestamp:yyyy}/", r"e/processing-failed/2026/"),
    ],
)
def test_an_errors_key_names_its_kind(prefix: str, expected: str) -> None:
    key = configuration.error_key(prefix, "processing-failed", "s", "1", MOMENT)
    assert re.fullmatch(expected + r"s-1-2026-03-04-05-06-07-[0-9a-f-]{36}", key)


@pytest.mark.parametrize(
    ("prefix", "error_prefix"),
    [
        ("!{timestamp:yyyy}/", ""),
        ("a/", "!{timestamp:yyyy}/"),
        ("!{firehose:error-output-type}/", "!{firehose:error-output-type}/"),
        ("!{timestamp:EEE}/", "!{firehose:error-output-type}/"),
        ("!{partitionKeyFromLambda:a}/", "!{firehose:error-output-type}/"),
    ],
)
def test_an_invalid_prefix_is_refused(prefix: str, error_prefix: str) -> None:
    with pytest.raises(InvalidArgumentException):
        configuration.check_prefixes(prefix, error_prefix)


def test_an_invocation_gets_no_more_records_than_its_payload_may_hold() -> None:
    small = [Record(f"{number:056d}", "eHh4eA==", 4, 1_772_323_200_000) for number in range(60_000)]
    count = transformation.count_that_fit(small)
    assert 0 < count < len(small)
    event = transformation.event("arn:aws:firehose:eu-west-1:123456789012:deliverystream/s", "eu-west-1", small[:count])
    assert len(json.dumps(event, separators=(",", ":"))) <= SYNCHRONOUS_PAYLOAD_BYTES
    assert transformation.count_that_fit(small[:1]) == 1
