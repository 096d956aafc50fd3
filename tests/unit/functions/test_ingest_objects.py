"""ingest_objects on a real S3, DynamoDB and SQS API: every message its own verdict, every row counted once."""

from __future__ import annotations

import gzip
import io
import json
import logging
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from usher.errors import CommitContended, NotAnEvent, OutOfTime
from usher.sqs_batches import wait_seconds
from usher_lake.ingest import ingest_object
from usher_lake.landing import LandingObject, parse_event

HEADER = b"userId,movieId,rating,timestamp\n"
GOOD = b"1,2,3.5,964982703\n"
BAD = b"1,2,7,964982703\n"


def metrics(text: str) -> dict[str, float]:
    """The counters that a handler's log holds, summed by name."""
    found: dict[str, float] = {}
    for line in text.splitlines():
        if '"_aws"' in line:
            record = json.loads(line)
            (directive,) = record["_aws"]["CloudWatchMetrics"]
            assert directive["Dimensions"] == [["service"], ["dataset"]]
            for metric in directive["Metrics"]:
                found[metric["Name"]] = found.get(metric["Name"], 0) + record[metric["Name"]]
    return found


# -- what fails -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "body",
    [
        "no json",
        "[]",
        "{}",
        '{"source":"aws.s3","detail-type":"Object Deleted","detail":{"bucket":{"name":"b"},"object":{"key":"k"}}}',
        '{"source":"aws.s3","detail-type":"Object Created","detail":{"bucket":{"name":"b"},"object":{"key":"k"}}}',
        '{"source":"aws.s3","detail-type":"Object Created","detail":{"bucket":{},"object":{"key":"k","etag":"e"}}}',
        "[" * 100_000,
    ],
)
def test_only_the_message_that_is_not_an_event_fails(lake: Any, capsys: pytest.CaptureFixture[str], body: str) -> None:
    assert lake.ingest(body, lake.put("ratings/upload/a.csv", HEADER + GOOD)) == ["m0"]
    assert len(lake.waiting()) == 1
    assert metrics(capsys.readouterr().out)["ObjectsRefused"] == 1


def test_only_the_object_under_an_unknown_key_fails(lake: Any) -> None:
    events = [lake.put(key, HEADER + GOOD) for key in ("films/upload/a.csv", "ratings/upload/a.csv", "x")]
    assert lake.ingest(*events) == ["m0", "m2"]
    assert list(lake.entries()) == ["ratings/upload/a.csv"]


def test_an_object_deleted_before_its_event_is_counted_and_not_retried(
    lake: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    event = lake.put("ratings/upload/a.csv", HEADER + GOOD)
    lake.s3.delete_object(Bucket="landing", Key="ratings/upload/a.csv")
    assert lake.ingest(event) == []
    assert lake.entries()["ratings/upload/a.csv"]["status"] == "gone"
    assert lake.waiting() == []
    assert metrics(capsys.readouterr().out) == {"ObjectsGone": 1}


def test_of_an_overwritten_object_only_the_new_content_is_read(lake: Any) -> None:
    first = lake.put("ratings/upload/a.csv", HEADER + GOOD)
    second = lake.put("ratings/upload/a.csv", HEADER + GOOD * 3)
    assert lake.ingest(first, second) == []
    statuses = [item["status"] for item in lake.dynamodb.Table("state").scan()["Items"]]
    assert sorted(statuses) == ["gone", "parsed"]
    assert sum(len(pq_rows(lake, key)) for key in data_keys(lake)) == 3


def test_in_a_versioned_bucket_each_event_reads_its_own_version(lake: Any) -> None:
    lake.s3.put_bucket_versioning(Bucket="landing", VersioningConfiguration={"Status": "Enabled"})
    first = lake.put("ratings/upload/a.csv", HEADER + GOOD)
    second = lake.put("ratings/upload/a.csv", HEADER + GOOD * 3)
    lake.s3.delete_object(Bucket="landing", Key="ratings/upload/a.csv")  # a marker: the versions stay
    assert lake.ingest(first, second) == []
    items = lake.dynamodb.Table("state").scan()["Items"]
    assert sorted((item["status"], int(item["rows_in"])) for item in items) == [("parsed", 1), ("parsed", 3)]


def test_when_s3_denies_access_the_message_fails_and_nothing_is_recorded(
    lake: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    event = lake.put("ratings/upload/a.csv", HEADER + GOOD)
    monkeypatch.setenv("USHER_LAKE_BUCKET", "no-such-bucket")
    assert lake.ingest(event) == ["m0"]
    assert lake.entries() == {}
    assert lake.waiting() == []


def test_without_its_settings_the_handler_names_the_missing_ones(lake: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("USHER_LAKE_BUCKET")
    monkeypatch.delenv("USHER_STATE_TABLE")
    with pytest.raises(Exception, match="USHER_LAKE_BUCKET is missing; USHER_STATE_TABLE is missing"):
        lake.ingest(lake.put("ratings/upload/a.csv", HEADER + GOOD))


def test_with_too_little_time_an_object_is_read_by_the_next_invocation(lake: Any) -> None:
    event = lake.put("ratings/upload/a.csv", HEADER + GOOD)
    assert lake.ingest(event, seconds=29) == ["m0"]
    assert lake.entries() == {}
    assert lake.ingest(event, seconds=31) == []


def test_an_object_that_takes_too_long_leaves_no_files(lake: Any) -> None:
    event = lake.put("ratings/upload/a.csv", HEADER + GOOD * 200_000 + BAD)
    left = iter([100.0, 90.0, 10.0])
    with pytest.raises(OutOfTime, match="takes longer than one invocation"):
        ingest_object(lake.s3, parse_event(json.dumps(event)), "lake", lambda: next(left))
    assert lake.s3.list_objects_v2(Bucket="lake").get("Contents", []) == []


def test_failed_messages_become_visible_again_soon(lake: Any) -> None:
    url = lake.ingest_queue_url
    lake.sqs.set_queue_attributes(QueueUrl=url, Attributes={"VisibilityTimeout": "5400"})
    lake.sqs.send_message(QueueUrl=url, MessageBody="no event")
    (message,) = lake.sqs.receive_message(QueueUrl=url)["Messages"]
    record = {
        "messageId": "m",
        "receiptHandle": message["ReceiptHandle"],
        "body": message["Body"],
        "attributes": {"ApproximateReceiveCount": "1"},
        "eventSourceARN": "arn:aws:sqs:eu-west-1:123456789012:ingest",
    }
    lake.handler("ingest_objects")({"Records": [record]}, None)
    assert len(lake.sqs.receive_message(QueueUrl=url)["Messages"]) == 1


def test_retries_back_off_unless_they_cannot_succeed() -> None:
    assert [wait_seconds(CommitContended(), receives) for receives in (1, 2, 3, 4, 9)] == [30, 150, 750, 3750, 43_200]
    assert wait_seconds(NotAnEvent(), 3) == 0
    assert wait_seconds(OutOfTime(), 3) == 0


# -- what is counted --------------------------------------------------------------------------------------------------


def test_rows_in_are_rows_accepted_and_rows_quarantined(lake: Any, capsys: pytest.CaptureFixture[str]) -> None:
    assert lake.ingest(lake.put("ratings/upload/a.csv", HEADER + GOOD * 3 + BAD + GOOD)) == []
    assert metrics(capsys.readouterr().out) == {"RowsIn": 5, "RowsAccepted": 4, "RowsQuarantined": 1}
    entry = lake.entries()["ratings/upload/a.csv"]
    assert (entry["status"], entry["rows_in"], entry["rows_ok"], entry["rows_bad"]) == ("parsed", 5, 4, 1)
    (record,) = lake.quarantine("ratings")
    digest = str(entry["pk"]).partition("#")[2]
    assert record["raw"] + b"\n" == BAD
    assert (record["reason"], record["field"], record["line"]) == ("is outside 0.5 to 5", "rating", 5)
    assert (record["source"], record["bytes"]) == (f"{digest}:5", len(BAD) - 1)


def test_an_object_without_good_rows_is_committed_at_once(lake: Any) -> None:
    assert lake.ingest(lake.put("ratings/upload/a.csv", HEADER + BAD), lake.put("items/upload/b.csv", b"")) == []
    assert [(entry["status"], entry["rows_bad"]) for entry in lake.entries().values()] == [("committed", 1)] * 2
    assert lake.waiting() == []
    assert [record["reason"] for record in lake.quarantine("items")] == ["is empty"]


def test_a_folder_of_the_s3_console_is_ignored(lake: Any) -> None:
    assert lake.ingest(lake.put("ratings/upload/", b""), lake.put("ratings/", b"")) == []
    assert lake.entries() == {}


def test_a_repeated_event_reads_the_object_once_and_requests_the_commit_each_time(
    lake: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    event = lake.put("ratings/upload/a.csv", HEADER + GOOD)
    assert lake.ingest(event, event) == []
    assert lake.ingest(event) == []
    assert metrics(capsys.readouterr().out)["RowsIn"] == 1
    assert len(set(lake.waiting())) == 1


def test_a_committed_object_is_not_sent_again(lake: Any) -> None:
    event = lake.put("ratings/upload/a.csv", HEADER + GOOD)
    lake.make_tables("ratings")
    lake.ingest(event)
    assert lake.catalog() == []
    lake.ingest(event)
    assert lake.waiting() == []


def test_reading_an_object_twice_writes_the_same_bytes_to_the_same_keys(lake: Any) -> None:
    event = lake.put("ratings/upload/a.csv", HEADER + GOOD * 1000 + BAD)
    contents = []
    for _ in range(2):
        lake.ingest(event)
        contents.append({key: lake.s3.get_object(Bucket="lake", Key=key)["Body"].read() for key in lake_keys(lake)})
        for item in lake.dynamodb.Table("state").scan()["Items"]:
            lake.dynamodb.Table("state").delete_item(Key={"pk": item["pk"], "sk": item["sk"]})
    assert len(contents[0]) == 2
    assert contents[0] == contents[1]


def test_every_row_has_its_provenance(lake: Any) -> None:
    lake.ingest(lake.put("ratings/upload/a.csv", HEADER + GOOD + BAD + GOOD))
    (key,) = data_keys(lake)
    rows = pq_rows(lake, key)
    digest = Path(key).name.partition("-")[0]
    landed = lake.s3.head_object(Bucket="landing", Key="ratings/upload/a.csv")["LastModified"]
    assert [row["source"] for row in rows] == [f"{digest}:2", f"{digest}:4"]
    assert {row["ingested_at"] for row in rows} == {landed}
    assert {row["ingested_date"] for row in rows} == {landed.date()}


def test_a_new_file_starts_at_the_row_limit_and_every_row_is_counted(
    lake: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("usher_lake.writers.FILE_ROWS", 2500)
    monkeypatch.setattr("usher_lake.writers.GROUP_ROWS", 1000)
    lake.ingest(lake.put("ratings/upload/a.csv", HEADER + GOOD * 6001))
    assert [len(pq_rows(lake, key)) for key in data_keys(lake)] == [2500, 2500, 1001]
    assert lake.entries()["ratings/upload/a.csv"]["files"] == 3


def test_a_large_quarantine_file_is_a_multipart_upload_with_every_byte(lake: Any) -> None:
    body = HEADER + b"".join(b"%d,%s,7,964982703\n" % (n, b"x" * 100) for n in range(90_000))
    lake.ingest(lake.put("ratings/upload/a.csv.gz", gzip.compress(body, 1)))
    records = lake.quarantine("ratings")
    assert HEADER + b"".join(record["raw"] + b"\n" for record in records) == body
    (key,) = [key for key in lake_keys(lake) if key.startswith("quarantine/")]
    assert lake.s3.head_object(Bucket="lake", Key=key)["ETag"].strip('"').endswith("-2")


def test_personalize_rows_go_to_the_data_set_of_their_header(lake: Any) -> None:
    lake.ingest(lake.put("events/upload/a.csv", b"USER_ID,ITEM_ID,TIMESTAMP,EVENT_VALUE\nu,i,964982703,4\nu,i,1,9\n"))
    assert lake.entries()["events/upload/a.csv"]["dataset"] == "ratings"
    assert [key.split("/")[1] for key in lake_keys(lake)] == ["ratings", "ratings"]
    (message,) = lake.waiting()
    assert json.loads(message)["dataset"] == "ratings"


def test_ignored_columns_are_reported(lake: Any) -> None:
    lake.ingest(lake.put("ratings/upload/a.csv", b"userId,movieId,rating,timestamp,note\n1,2,3,4,x\n"))
    assert lake.entries()["ratings/upload/a.csv"]["ignored"] == ["note"]


def test_parquet_is_read_in_ranges_from_s3(lake: Any) -> None:
    written = io.BytesIO()
    rows = 70_000
    table = pa.table(
        {
            "user_id": [str(n) for n in range(rows)],
            "item_id": ["1"] * rows,
            "rating": [9.0 if n % 1000 == 0 else 3.0 for n in range(rows)],
            "rated_at": [964982703] * rows,
        }
    )
    pq.write_table(table, written)
    lake.ingest(lake.put("ratings/upload/a.parquet", written.getvalue()))
    entry = lake.entries()["ratings/upload/a.parquet"]
    assert (entry["rows_in"], entry["rows_bad"]) == (rows, 70)


def test_the_log_contains_no_values_of_rows(lake: Any, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.DEBUG):
        logging.getLogger("ingest_objects").addHandler(caplog.handler)
        lake.ingest(lake.put("ratings/upload/a.csv", HEADER + b"secret-person,2,3,x\n"))
        logging.getLogger("ingest_objects").removeHandler(caplog.handler)
    shown = [str(vars(record)) for record in caplog.records]
    assert any("'rows_bad': 1" in text for text in shown)
    assert not any("secret-person" in text for text in shown)


def lake_keys(lake: Any) -> list[str]:
    return [found["Key"] for found in lake.s3.list_objects_v2(Bucket="lake").get("Contents", [])]


def data_keys(lake: Any) -> list[str]:
    return [key for key in lake_keys(lake) if "/data/" in key]


def pq_rows(lake: Any, key: str) -> list[dict[str, Any]]:
    body = lake.s3.get_object(Bucket="lake", Key=key)["Body"].read()
    found: list[dict[str, Any]] = pq.read_table(io.BytesIO(body)).to_pylist()
    return found


def test_the_digest_of_an_event_is_its_object_and_version() -> None:
    with_version = LandingObject("b", "k", "v1", "e", 1)
    assert with_version.digest == LandingObject("b", "k", "v1", "other", 2).digest
    assert with_version.digest != LandingObject("b", "k", "v2", "e", 1).digest
    assert with_version.selector() == {"Bucket": "b", "Key": "k", "VersionId": "v1"}
    assert LandingObject("b", "k", "", "e", 1).selector()["IfMatch"] == '"e"'
