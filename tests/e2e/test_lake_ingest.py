"""From the landing bucket to the lake on the whole twin: real events, real queues, every row counted."""

from __future__ import annotations

import base64
import gzip
import json
import time
from collections import Counter
from collections.abc import Callable
from typing import Any

import pytest

from cli.movielens import real_data
from usher_lake.commit import digests_of

pytestmark = pytest.mark.slow

SECONDS = 120.0
HEADER = b"userId,movieId,rating,timestamp\n"
FILES = {"ratings.csv": "ratings", "movies.csv": "items", "tags.csv": "tags", "links.csv": "links"}


class Lake:
    """The twin's landing bucket, state table and tables, reached as any client of AWS reaches them."""

    def __init__(self, twin: Any, monkeypatch: pytest.MonkeyPatch) -> None:
        for name, value in twin.environment.items():
            monkeypatch.setenv(name, value)
        self._twin = twin
        self.outputs = twin.outputs
        self.s3 = twin.client("s3")
        self.sqs = twin.client("sqs")
        self.state = twin.session.resource("dynamodb", endpoint_url=twin.endpoint).Table(self.outputs["StateTable"])

    def put(self, key: str, body: bytes) -> str:
        self.s3.put_object(Bucket=self.outputs["LandingBucket"], Key=key, Body=body)
        return key

    def entries(self, *keys: str) -> dict[str, dict[str, Any]]:
        """The OBJECT items of these objects."""
        pages = self.state.meta.client.get_paginator("scan").paginate(TableName=self.state.name, ConsistentRead=True)
        items = [item for page in pages for item in page["Items"]]
        return {str(item["key"]): item for item in items if item["sk"] == "OBJECT" and item["key"] in keys}

    def wait(self, *keys: str, status: tuple[str, ...] = ("committed",)) -> dict[str, dict[str, Any]]:
        """The items once all have a status of these."""
        found = eventually(lambda: _done(self.entries(*keys), keys, status))
        assert isinstance(found, dict)
        return found

    def table(self, dataset: str) -> Any:
        from usher_lake.tables import load_table, open_catalog  # noqa: PLC0415 - PyIceberg takes a second

        return load_table(open_catalog(), self.outputs["Database"], dataset)

    def rows_by_object(self, dataset: str) -> Counter[str]:
        """How many rows of the table each landing object (its digest) has."""
        sources = self.table(dataset).scan(selected_fields=("source",)).to_arrow()["source"].to_pylist()
        return Counter(source.partition(":")[0] for source in sources)

    def quarantine(self, dataset: str, digest: str) -> list[dict[str, Any]]:
        """The quarantine records of one object."""
        bucket = self.outputs["LakeBucket"]
        listing = self.s3.list_objects_v2(Bucket=bucket, Prefix=f"quarantine/{dataset}/").get("Contents", [])
        bodies = [
            self.s3.get_object(Bucket=bucket, Key=found["Key"])["Body"].read()
            for found in listing
            if found["Key"].endswith(f"/{digest}.jsonl")
        ]
        return [json.loads(line) for body in bodies for line in body.splitlines()]


def _done(
    found: dict[str, dict[str, Any]], keys: tuple[str, ...], status: tuple[str, ...]
) -> dict[str, dict[str, Any]] | None:
    return found if len(found) == len(keys) and all(item["status"] in status for item in found.values()) else None


def eventually(probe: Callable[[], Any]) -> Any:
    """What `probe` gives once that is something; fails after SECONDS."""
    until = time.monotonic() + SECONDS
    while not (found := probe()):
        assert time.monotonic() < until, f"nothing within {SECONDS:.0f} s"
        time.sleep(0.1)
    return found


def digest_of(entry: dict[str, Any]) -> str:
    return str(entry["pk"]).partition("#")[2]


@pytest.fixture
def lake(twin: Any, monkeypatch: pytest.MonkeyPatch) -> Lake:
    return Lake(twin, monkeypatch)


def assert_counts_agree(lake: Lake, entries: dict[str, dict[str, Any]]) -> None:
    """Rows in = rows in the lake + rows in quarantine, for each object."""
    assert entries
    for dataset in {str(entry["dataset"]) for entry in entries.values()}:
        counted = lake.rows_by_object(dataset)
        for entry in (entry for entry in entries.values() if entry["dataset"] == dataset):
            digest = digest_of(entry)
            assert counted[digest] == entry["rows_ok"], entry["key"]
            assert len(lake.quarantine(dataset, digest)) == entry["rows_bad"], entry["key"]
            assert entry["rows_in"] == entry["rows_ok"] + entry["rows_bad"], entry["key"]


def test_an_object_deleted_before_its_event_is_counted_and_hinders_nobody(lake: Lake) -> None:
    keys = [lake.put(f"ratings/upload/gone-{number}.csv", HEADER + b"g,2,3.5,964982703\n") for number in range(6)]
    versions = lake.s3.list_object_versions(Bucket=lake.outputs["LandingBucket"], Prefix="ratings/upload/gone-")
    for version in versions["Versions"][::2]:
        lake.s3.delete_object(Bucket=lake.outputs["LandingBucket"], Key=version["Key"], VersionId=version["VersionId"])
    entries = lake.wait(*keys, status=("committed", "gone"))
    kept = {key: entry for key, entry in entries.items() if entry["status"] == "committed"}
    assert len(kept) >= 3  # those that were read before they went are in, and stay
    assert_counts_agree(lake, kept)


def test_what_is_no_event_ends_in_the_dead_letter_queue_and_hinders_nobody(lake: Lake) -> None:
    url = lake.outputs["IngestQueueUrl"]
    lake.sqs.send_message(QueueUrl=url, MessageBody="this is no event")
    key = lake.put("ratings/upload/beside.csv", HEADER + b"b,2,3.5,964982703\n")
    assert_counts_agree(lake, lake.wait(key))
    dead = lake.outputs["IngestDeadLetterQueueUrl"]
    (message,) = eventually(lambda: lake.sqs.receive_message(QueueUrl=dead).get("Messages"))
    assert message["Body"] == "this is no event"
    lake.sqs.delete_message(QueueUrl=dead, ReceiptHandle=message["ReceiptHandle"])


def test_planted_bad_rows_go_to_quarantine_and_all_good_ones_to_the_lake(lake: Lake) -> None:
    bad = [
        b'p,"2,3.5,964982703',
        b"p,2,9,964982703",
        b"p\xff,2,3,964982703",
        b"p,2,3",
        b"p,2,3,1677-01-01",
        b"x" * (2 << 20),
    ]
    lines = [b"p%d,%d,3.5,964982703" % (number, number) for number in range(3000)]
    for place, line in enumerate(bad):
        lines.insert(400 * place + 7, line)
    key = lake.put("ratings/upload/planted.csv.gz", gzip.compress(HEADER + b"\n".join(lines)))
    entries = lake.wait(key)
    assert_counts_agree(lake, entries)
    records = lake.quarantine("ratings", digest_of(entries[key]))
    assert [record["line"] for record in records] == [400 * place + 9 for place in range(len(bad))]
    assert [base64.b64decode(record["raw_base64"]) for record in records] == [
        line[:4096] if len(line) > 1 << 20 else line for line in bad
    ]


def test_the_same_event_three_times_adds_its_rows_once(lake: Lake) -> None:
    key = lake.put("ratings/upload/thrice.csv", HEADER + b"t,2,3.5,964982703\nt,3,4,964982703\n")
    entries = lake.wait(key)
    head = lake.s3.head_object(Bucket=lake.outputs["LandingBucket"], Key=key)
    announced = {"key": key, "size": 1, "etag": head["ETag"].strip('"'), "version-id": head["VersionId"]}
    detail = {"bucket": {"name": lake.outputs["LandingBucket"]}, "object": announced}
    event = json.dumps({"source": "aws.s3", "detail-type": "Object Created", "detail": detail})
    message = json.dumps({"dataset": "ratings", "digest": digest_of(entries[key])})
    for _ in range(3):
        lake.sqs.send_message(QueueUrl=lake.outputs["IngestQueueUrl"], MessageBody=event)
        lake.sqs.send_message(QueueUrl=lake.outputs["CatalogQueueUrl"], MessageBody=message)
    after = lake.put("ratings/upload/after-thrice.csv", HEADER + b"t,4,3.5,964982703\n")
    assert_counts_agree(lake, lake.wait(key, after))
    eventually(lambda: _empty(lake, "IngestQueueUrl") and _empty(lake, "CatalogQueueUrl"))
    assert_counts_agree(lake, lake.entries(key, after))
    holding = [
        snapshot
        for snapshot in lake.table("ratings").metadata.snapshots
        if digest_of(entries[key]) in digests_of(snapshot)
    ]
    assert len(holding) == 1


def _empty(lake: Lake, queue: str) -> bool:
    names = ["ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible"]
    found = lake.sqs.get_queue_attributes(QueueUrl=lake.outputs[queue], AttributeNames=names)["Attributes"]
    return all(found[name] == "0" for name in names)


def test_after_a_row_delete_a_redelivered_message_brings_nobody_back(lake: Lake) -> None:
    key = lake.put("ratings/upload/erased.csv", HEADER + b"erased,2,3.5,964982703\nkept,2,3.5,964982703\n")
    entry = lake.wait(key)[key]
    lake.table("ratings").delete("user_id = 'erased'")
    lake.state.update_item(  # as after a crash between the commit and the last write to the object's item
        Key={"pk": entry["pk"], "sk": entry["sk"]},
        UpdateExpression="SET #s = :s",
        ExpressionAttributeNames={"#s": "status"},
        ExpressionAttributeValues={":s": "committing"},
    )
    message = json.dumps({"dataset": "ratings", "digest": digest_of(entry)})
    lake.sqs.send_message(QueueUrl=lake.outputs["CatalogQueueUrl"], MessageBody=message)
    lake.wait(key)
    assert lake.rows_by_object("ratings")[digest_of(entry)] == 1


def test_real_ratings_items_tags_and_links_are_all_in_the_lake(lake: Lake) -> None:
    folder = real_data()
    if folder is None:
        pytest.skip("the MovieLens files are not here: set USHER_DATA to their folder")
    keys = [lake.put(f"{dataset}/upload/{name}", (folder / name).read_bytes()) for name, dataset in FILES.items()]
    entries = lake.wait(*keys)
    assert_counts_agree(lake, entries)
    for key in keys:
        lines = (folder / key.rpartition("/")[2]).read_bytes().count(b"\n")
        assert (entries[key]["rows_in"], entries[key]["rows_bad"]) == (lines - 1, 0)
