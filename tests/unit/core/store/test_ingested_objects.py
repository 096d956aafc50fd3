"""Ingested objects: items only move forward, and a write twice is a write once."""

from __future__ import annotations

import threading
from dataclasses import replace
from typing import Any

import pytest
from botocore.exceptions import ClientError

from usher.store.ingested_objects import IngestedObject, IngestedObjects

ENTRY = IngestedObject(
    "d1", "ratings", "landing", "ratings/upload/a.csv", "parsed", 5, 4, 1, 1, ("note",), "2026-03-01T00:00:00"
)


@pytest.fixture
def ingested(lake: Any) -> IngestedObjects:
    return IngestedObjects(lake.dynamodb, "state")


def test_an_entry_comes_back_as_it_was_written(ingested: IngestedObjects) -> None:
    assert ingested.find("d1") is None
    assert ingested.record(ENTRY) == ENTRY
    assert ingested.find("d1") == ENTRY


def test_the_first_of_two_readers_is_believed(ingested: IngestedObjects) -> None:
    ingested.record(ENTRY)
    assert ingested.record(replace(ENTRY, rows_in=9)) == ENTRY
    ingested.committed("d1", 7)
    assert ingested.record(ENTRY) == replace(ENTRY, status="committed", snapshot_id=7)


def test_what_is_committed_never_goes_back(ingested: IngestedObjects) -> None:
    ingested.record(ENTRY)
    ingested.committed("d1", 9_223_372_036_854_775_807)
    ingested.committing("d1")
    ingested.committed("d1", 1)
    found = ingested.find("d1")
    assert found is not None
    assert (found.status, found.snapshot_id) == ("committed", 9_223_372_036_854_775_807)


def test_what_is_gone_is_not_committed(ingested: IngestedObjects) -> None:
    ingested.record(replace(ENTRY, status="gone"))
    ingested.committing("d1")
    assert ingested.find("d1") == replace(ENTRY, status="gone")


def test_an_object_nobody_read_cannot_be_committed(ingested: IngestedObjects) -> None:
    ingested.committed("unknown", 7)
    assert ingested.find("unknown") is None


def test_entries_are_found_by_the_hundreds(ingested: IngestedObjects) -> None:
    for number in range(130):
        ingested.record(replace(ENTRY, digest=f"d{number}"))
    found = ingested.find_all([f"d{number}" for number in range(130)] * 2 + ["unknown"])
    assert sorted(found) == sorted(f"d{number}" for number in range(130))
    assert ingested.find_all([]) == {}


def test_keys_that_dynamodb_left_out_are_asked_for_again(
    ingested: IngestedObjects, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("d1", "d2", "d3"):
        ingested.record(replace(ENTRY, digest=name))
    real = ingested._dynamodb.batch_get_item

    def one_at_a_time(RequestItems: Any) -> Any:
        ((table, request),) = RequestItems.items()
        answer = real(RequestItems={table: request | {"Keys": request["Keys"][:1]}})
        left = request["Keys"][1:]
        return {**answer, "UnprocessedKeys": {table: request | {"Keys": left}} if left else {}}

    monkeypatch.setattr(ingested._dynamodb, "batch_get_item", one_at_a_time)
    assert sorted(ingested.find_all(["d1", "d2", "d3"])) == ["d1", "d2", "d3"]


def test_of_many_readers_at_once_one_writes(lake: Any) -> None:
    stood: list[int] = []

    def record(number: int) -> None:
        import boto3  # noqa: PLC0415 - a session of its own: boto3's resources are not for several threads

        own = IngestedObjects(boto3.Session().resource("dynamodb"), "state")
        stood.append(own.record(replace(ENTRY, rows_in=number)).rows_in)

    threads = [threading.Thread(target=record, args=(number,)) for number in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert len(stood) == 6
    assert len(set(stood)) == 1


def test_a_missing_table_is_an_error_not_an_empty_ledger(lake: Any) -> None:
    absent = IngestedObjects(lake.dynamodb, "absent")
    with pytest.raises(ClientError):
        absent.find("d")
    with pytest.raises(ClientError):
        absent.record(ENTRY)
    with pytest.raises(ClientError):
        absent.committing("d")
