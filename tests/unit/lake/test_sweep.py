"""Objects that no event has announced are found in the landing bucket and ingested once; nothing else is sent."""

from __future__ import annotations

from typing import Any

import pytest

from usher_lake import sweep

HEADER = b"userId,movieId,rating,timestamp\n"
ROW = b"1,2,3.5,964982703\n"
REQUEST = '{"sweep": "landing"}'


def swept(lake: Any) -> list[str]:
    """Give the request to ingest_objects; the events that it sends."""
    assert lake.ingest(REQUEST) == []
    events: list[str] = lake.waiting(lake.ingest_queue_url)
    return events


@pytest.mark.parametrize("versioned", [True, False])
def test_a_missed_object_is_ingested_and_committed_once(lake: Any, versioned: bool) -> None:
    if versioned:
        lake.s3.put_bucket_versioning(Bucket="landing", VersioningConfiguration={"Status": "Enabled"})
    lake.make_tables("ratings")
    known = lake.put("ratings/upload/known.csv", HEADER + ROW)
    assert lake.ingest(known) == [] and lake.catalog() == []
    missed = lake.put("ratings/upload/missed.csv", HEADER + ROW * 2)
    (event,) = swept(lake)
    assert lake.ingest(event) == lake.ingest(missed) == []
    assert lake.catalog() == []
    assert len(lake.rows("ratings")) == 3
    assert swept(lake) == []


def test_both_versions_of_an_object_are_found(lake: Any) -> None:
    lake.s3.put_bucket_versioning(Bucket="landing", VersioningConfiguration={"Status": "Enabled"})
    for rows in (1, 2):
        lake.put("ratings/upload/a.csv", HEADER + ROW * rows)
    assert len(swept(lake)) == 2


def test_an_object_whose_commit_was_lost_is_sent_again(lake: Any) -> None:
    lake.make_tables("ratings")
    assert lake.ingest(lake.put("ratings/upload/a.csv", HEADER + ROW)) == []
    lake.waiting()  # the message that asks for the commit is lost with the queue of a deleted stack
    (event,) = swept(lake)
    assert lake.ingest(event) == [] and lake.catalog() == []
    assert len(lake.rows("ratings")) == 1


def test_folders_and_keys_of_no_data_set_are_left_out(lake: Any) -> None:
    for key in ("ratings/upload/", "nonsense/upload/a.csv", "readme.txt"):
        lake.put(key, b"" if key.endswith("/") else b"x")
    assert swept(lake) == []


def test_many_objects_are_sent_in_batches_that_sqs_takes(lake: Any) -> None:
    for number in range(23):
        lake.put(f"ratings/upload/{number}.csv", HEADER + ROW)
    assert len(swept(lake)) == 23


def test_every_delay_is_one_that_sqs_takes_and_outlasts_eventbridges_five_minutes() -> None:
    assert all(300 <= seconds <= 900 for seconds in sweep.DELAYS_SECONDS)
