"""catalog_objects on a real Glue, S3 and DynamoDB API: every object's rows once in the lake, whatever crashes."""

from __future__ import annotations

import io
import json
import threading
from collections import Counter
from collections.abc import Callable
from typing import Any

import boto3
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from pyiceberg.catalog.glue import GlueCatalog
from pyiceberg.exceptions import CommitFailedException

from usher import clients
from usher.errors import CommitContended, UnreadableFile
from usher.store.ingested_objects import IngestedObjects
from usher.store.run_progress import Commit, count_commits
from usher_lake import commit
from usher_lake.commit import ObjectFiles, commit_objects, committed_objects
from usher_lake.tables import load_table, open_catalog

HEADER = b"userId,movieId,rating,timestamp\n"


class Crash(BaseException):
    """The function's end, at a point where nothing catches it."""


def rating_file(*users: str) -> bytes:
    return HEADER + b"".join(f"{user},1,3.5,964982703\n".encode() for user in users)


@pytest.fixture
def ready(lake: Any) -> Any:
    """A lake with tables and two objects that wait for their commit, of five rows."""
    lake.make_tables("ratings")
    events = [
        lake.put("ratings/upload/a.csv", rating_file("a", "b", "c")),
        lake.put("ratings/upload/b.csv", rating_file("d", "e")),
    ]
    assert lake.ingest(*events) == []
    lake.events = events
    lake.messages = lake.waiting()
    return lake


def users(lake: Any) -> list[str]:
    return sorted(row["user_id"] for row in lake.rows("ratings"))


def assert_all_there_once(lake: Any) -> None:
    assert users(lake) == ["a", "b", "c", "d", "e"]
    assert {entry["status"] for entry in lake.entries().values()} == {"committed"}
    assert lake.head()["rows_since_run"] == 5


# -- crashes ----------------------------------------------------------------------------------------------------------

CRASH_POINTS = [
    (IngestedObjects, "committing", 0),
    (IngestedObjects, "committing", 1),
    (commit, "_append", 0),
    (GlueCatalog, "_update_glue_table", 0),
    (IngestedObjects, "committed", 0),
    (IngestedObjects, "committed", 1),
    (commit, "count_commits", 0),
]


@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize("point", CRASH_POINTS, ids=lambda point: f"{point[1]} {point[2]}")
def test_after_a_crash_at_any_write_the_redelivered_message_completes_the_commit(
    ready: Any, monkeypatch: pytest.MonkeyPatch, point: tuple[Any, str, int], when: str
) -> None:
    with monkeypatch.context() as patch:
        calls = _crash(patch, point, when)
        with pytest.raises(Crash):
            ready.catalog(*ready.messages)
        assert calls[0] == point[2] + 1
    assert ready.catalog(*ready.messages) == []
    assert_all_there_once(ready)
    assert ready.catalog(*ready.messages) == []
    assert_all_there_once(ready)


def _crash(patch: pytest.MonkeyPatch, point: tuple[Any, str, int], when: str) -> list[int]:
    """Make one call of a function end it, before or after its work. point: owner, name, which call."""
    owner, name, call = point
    real = getattr(owner, name)
    calls = [0]

    def crashing(*args: Any, **kwargs: Any) -> Any:
        calls[0] += 1
        if calls[0] <= call:
            return real(*args, **kwargs)
        if when == "after":
            real(*args, **kwargs)
        raise Crash

    patch.setattr(owner, name, crashing)
    return calls


@pytest.mark.parametrize("point", ["state", "queue"])
def test_after_a_crash_of_ingest_the_redelivered_event_completes_it(
    lake: Any, monkeypatch: pytest.MonkeyPatch, point: str
) -> None:
    lake.make_tables("ratings")
    event = lake.put("ratings/upload/a.csv", rating_file("a", "b", "c", "d", "e"))
    with monkeypatch.context() as patch:
        if point == "state":
            patch.setattr(IngestedObjects, "record", _raise)
        else:
            patch.setattr(clients.client("sqs"), "send_message", _raise)
        with pytest.raises(Crash):
            lake.ingest(event)
    assert lake.entries() == {} if point == "state" else lake.entries()
    assert lake.ingest(event) == []
    assert lake.catalog() == []
    assert_all_there_once(lake)


def _raise(*_: Any, **__: Any) -> Any:
    raise Crash


def test_repeated_messages_in_any_order_add_no_rows(ready: Any) -> None:
    assert ready.catalog(*ready.messages, *reversed(ready.messages)) == []
    assert ready.catalog(*ready.messages) == []
    assert ready.ingest(*ready.events, *ready.events) == []
    assert ready.waiting() == []
    assert_all_there_once(ready)
    assert len(ready.table("ratings").metadata.snapshots) == 1


def test_a_repeated_message_does_not_restore_deleted_rows(ready: Any) -> None:
    assert ready.catalog(*ready.messages) == []
    ready.table("ratings").delete("user_id = 'a'")
    state = ready.dynamodb.Table("state")
    for entry in ready.entries().values():  # as if the crash had come before the last write to the object's item
        state.update_item(
            Key={"pk": entry["pk"], "sk": "OBJECT"},
            UpdateExpression="SET #s = :s",
            ExpressionAttributeNames={"#s": "status"},
            ExpressionAttributeValues={":s": "committing"},
        )
    assert ready.ingest(*ready.events) == []
    assert ready.catalog() == []
    assert users(ready) == ["b", "c", "d", "e"]
    assert {entry["status"] for entry in ready.entries().values()} == {"committed"}


# -- other committers -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("committers", [2, 5])
def test_concurrent_commits_of_the_same_objects_add_each_once(ready: Any, committers: int) -> None:
    additions = _object_files(ready)
    barrier = threading.Barrier(committers)

    def work(_: int) -> dict[str, int]:
        table = load_table(open_catalog(), "usher", "ratings")
        barrier.wait()
        return commit_objects(table, additions)

    results = _at_once(work, committers)
    assert len({tuple(sorted(result.items())) for result in results}) == 1
    assert users(ready) == ["a", "b", "c", "d", "e"]


def test_concurrent_commits_of_different_objects_lose_none(lake: Any) -> None:
    lake.make_tables("ratings")
    events = [lake.put(f"ratings/upload/{n}.csv", rating_file(f"u{n:02}", f"v{n:02}")) for n in range(8)]
    assert lake.ingest(*events) == []
    additions = _object_files(lake)
    barrier = threading.Barrier(8)

    def work(number: int) -> dict[str, int]:
        table = load_table(open_catalog(), "usher", "ratings")
        barrier.wait()
        return commit_objects(table, [additions[number]])

    _at_once(work, 8)
    assert Counter(users(lake)) == Counter(f"{letter}{n:02}" for n in range(8) for letter in "uv")
    assert len(committed_objects(lake.table("ratings"))) == 8


def test_pyicebergs_own_retry_would_add_an_object_twice(ready: Any) -> None:
    """Why the commit has a loop of its own: PyIceberg's adds again what another committer has added meanwhile."""
    additions = _object_files(ready)
    transaction = load_table(open_catalog(), "usher", "ratings").transaction()
    transaction.add_files([path for addition in additions for path in addition.paths], check_duplicate_files=False)
    commit_objects(ready.table("ratings"), additions)
    transaction.commit_transaction()
    assert len(users(ready)) == 10


def test_the_second_of_two_racing_commits_finds_the_objects_of_the_first(
    ready: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    late = load_table(open_catalog(), "usher", "ratings")
    early = load_table(open_catalog(), "usher", "ratings")
    additions = _object_files(ready)
    real = commit._append
    waits: list[float] = []

    def append(table: Any, missing: Any, files: Any) -> None:
        if table is late:
            commit_objects(early, additions[:1])
        real(table, missing, files)

    monkeypatch.setattr(commit, "_append", append)
    held = commit_objects(late, additions, sleep=waits.append)
    assert len(waits) == 1
    assert len(set(held.values())) == 2
    assert users(ready) == ["a", "b", "c", "d", "e"]


def test_a_commit_that_loses_every_attempt_raises_commit_contended(ready: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    def lose(*_: Any) -> None:
        raise CommitFailedException("someone else was first")

    monkeypatch.setattr(commit, "_append", lose)
    with pytest.raises(CommitContended, match="ratings: 30 attempts lost against other commits"):
        commit_objects(ready.table("ratings"), _object_files(ready), sleep=lambda _: None)


def _object_files(lake: Any) -> list[ObjectFiles]:
    entries = sorted(lake.entries().values(), key=lambda entry: str(entry["key"]))
    digests = [str(entry["pk"]).partition("#")[2] for entry in entries]
    return [ObjectFiles(digest, (f"s3://lake/lake/ratings/data/{digest}-0000.parquet",)) for digest in digests]


def _at_once(work: Callable[[int], dict[str, int]], count: int) -> list[dict[str, int]]:
    results: list[dict[str, int]] = []
    errors: list[BaseException] = []

    def run(number: int) -> None:
        try:
            results.append(work(number))
        except BaseException as error:  # noqa: BLE001 - shown by the test's own thread
            errors.append(error)

    threads = [threading.Thread(target=run, args=(number,)) for number in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert errors == []
    assert len(results) == count
    return results


# -- messages and files that are not as they should be ----------------------------------------------------------------


@pytest.mark.parametrize("body", ["no json", "[]", "{}", json.dumps({"dataset": "ratings", "digest": "unknown"})])
def test_a_message_without_an_object_fails_alone(ready: Any, body: str) -> None:
    assert ready.catalog(body, *ready.messages) == ["m0"]
    assert_all_there_once(ready)


def test_a_missing_table_fails_only_its_data_set(lake: Any) -> None:
    lake.make_tables("ratings", "links")
    links = b"movieId,imdbId,tmdbId\n1,2,3\n"
    lake.ingest(lake.put("links/upload/a.csv", links), lake.put("ratings/upload/a.csv", rating_file("a")))
    lake.glue.delete_table(DatabaseName="usher", Name="links")
    assert lake.catalog() == ["m0"]
    assert users(lake) == ["a"]


def test_a_missing_data_file_fails_only_its_own_object(lake: Any) -> None:
    lake.make_tables("ratings")
    events = [lake.put(f"ratings/upload/{name}.csv", rating_file(name)) for name in "abcdefg"]
    assert lake.ingest(*events) == []
    messages = lake.waiting()
    lost = json.loads(messages[4])["digest"]
    lake.s3.delete_object(Bucket="lake", Key=f"lake/ratings/data/{lost}-0000.parquet")
    assert lake.catalog(*messages) == ["m4"]
    assert len(users(lake)) == 6
    by_status = Counter(entry["status"] for entry in lake.entries().values())
    assert by_status == {"committed": 6, "committing": 1}


@pytest.mark.parametrize("without", ["statistics", "a partition's column"])
def test_a_file_without_statistics_is_refused(ready: Any, without: str) -> None:
    key = _object_files(ready)[0].paths[0].removeprefix("s3://lake/")
    table = pq.read_table(io.BytesIO(ready.s3.get_object(Bucket="lake", Key=key)["Body"].read()))
    if without != "statistics":
        table = table.set_column(6, "ingested_date", pa.nulls(len(table), pa.date32()))
    written = io.BytesIO()
    pq.write_table(table, written, write_statistics=without != "statistics", store_schema=False)
    ready.s3.put_object(Bucket="lake", Key=key, Body=written.getvalue())
    with pytest.raises(UnreadableFile):
        commit_objects(ready.table("ratings"), _object_files(ready))
    assert users(ready) == []


# -- what a commit is -------------------------------------------------------------------------------------------------


def test_many_objects_of_many_data_sets_make_one_commit_each(lake: Any) -> None:
    lake.make_tables("ratings", "links")
    events = [lake.put(f"ratings/upload/{n}.csv", rating_file(f"u{n}")) for n in range(5)]
    events += [lake.put(f"links/upload/{n}.csv", b"movieId,imdbId\n%d,1\n" % n) for n in range(3)]
    assert lake.ingest(*events) == []
    assert lake.catalog() == []
    for dataset, objects in (("ratings", 5), ("links", 3)):
        (snapshot,) = lake.table(dataset).metadata.snapshots
        assert len(commit.digests_of(snapshot)) == objects
        assert len(lake.rows(dataset)) == objects
    head = lake.head()
    assert (head["rows_since_run"], set(head["snapshots"])) == (5, {"ratings", "links"})
    assert head["snapshots"]["ratings"] == lake.table("ratings").metadata.current_snapshot_id


def test_a_filter_on_the_partition_finds_the_rows(ready: Any) -> None:
    ready.catalog(*ready.messages)
    table = ready.table("ratings")
    day = ready.rows("ratings")[0]["ingested_date"].isoformat()
    assert table.scan(row_filter=f"ingested_date = '{day}'").count() == 5
    assert table.scan(row_filter="ingested_date = '1999-01-01'").count() == 0
    assert table.scan(row_filter="user_id = 'd'").to_arrow().num_rows == 1


def test_a_stale_table_is_refreshed_before_it_commits(ready: Any) -> None:
    stale = ready.table("ratings")
    additions = _object_files(ready)
    commit_objects(ready.table("ratings"), additions[:1])
    commit_objects(stale, additions[1:])
    assert users(ready) == ["a", "b", "c", "d", "e"]


def test_run_progress_counts_each_commit_once_in_any_order(lake: Any) -> None:
    state = lake.dynamodb.Table("state")
    one, two, three = (Commit(100 + n, n, 10**n, 1000 + n) for n in (1, 2, 3))
    for seen in ([one], [one], [one, two], [one, two], [one], [one, two, three], [two], []):
        count_commits(state, "ratings", seen)
    head = lake.head()
    assert (head["rows_since_run"], head["snapshots"]["ratings"], head["last_arrival"]) == (1110, 103, 1003)
    count_commits(state, "items", [one])
    assert lake.head()["rows_since_run"] == 1110


def test_concurrent_updates_of_run_progress_lose_nothing(lake: Any) -> None:
    def work(number: int) -> dict[str, int]:
        state = boto3.Session().resource("dynamodb").Table("state")
        count_commits(state, "events" if number % 2 else "ratings", [Commit(n, n, 1, n) for n in range(1, number + 2)])
        return {}

    _at_once(work, 6)
    assert lake.head()["rows_since_run"] == 5 + 6
