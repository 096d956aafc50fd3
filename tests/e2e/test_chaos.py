"""Everything goes wrong at once, by a seed, and nothing is lost or counted twice.

10,000 events come by a delivery stream that throttles, by uploads whose announcements come three times, and by feedback
that is sent twice and more, out of order, while the functions at work are killed, an object goes before it is read and
a commit crashes. Then each object's counts agree, and each feedback event stands once.
"""

from __future__ import annotations

import http.client
import importlib.util
import json
import os
import random
import signal
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from botocore.exceptions import ClientError

from twin.firehose import backend

pytestmark = pytest.mark.slow

_spec = importlib.util.spec_from_file_location("e2e_conftest", Path(__file__).with_name("conftest.py"))
assert _spec is not None
assert _spec.loader is not None
live = importlib.util.module_from_spec(_spec)
sys.modules["e2e_conftest"] = live
_spec.loader.exec_module(live)

SEED = 20261124
#: An hour and a half, for which a queue hides a message whose function died, takes nine seconds.
SPEED = 600
SECONDS = 150.0
STREAMED, FEEDBACK, UPLOADED = 6000, 1400, 2600
FUNCTIONS = ("IngestStream", "IngestObjects", "CatalogObjects", "IngestFeedback")
#: Firehose tries four times and a queue gives a message five times: fewer deaths than that lose nothing.
DEATHS = 2
HEADER = b"userId,movieId,rating,timestamp\n"


@pytest.fixture(scope="module")
def twin(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    """A fast twin of its own, which starts no run and takes requests that are not signed."""
    state = tmp_path_factory.mktemp("chaos")
    parameters = ("MinNewRows=100000000", "ApiAuthorization=NONE", "StreamBufferSeconds=600")
    options = [text for parameter in parameters for text in ("--parameter", parameter)]
    process = live.start(state, "--speed", str(SPEED), *options)
    try:
        yield live.wait_until_ready(process, state)
    finally:
        live.end(process)


class Application:
    """The application as its producers and its operator reach it."""

    def __init__(self, twin: Any) -> None:
        self.outputs: dict[str, str] = twin.outputs
        self.endpoint: str = twin.endpoint
        self.s3, self.sqs, self.firehose = (twin.client(name) for name in ("s3", "sqs", "firehose"))
        self._cloudwatch = twin.client("cloudwatch")
        resources = twin.client("cloudformation").describe_stack_resources(StackName=twin.running.stack_name)
        self.names = {item["LogicalResourceId"]: item["PhysicalResourceId"] for item in resources["StackResources"]}
        self._state = twin.session.resource("dynamodb", endpoint_url=twin.endpoint).Table(self.outputs["StateTable"])

    def items(self, sort_key: str) -> list[dict[str, Any]]:
        """The state table's items of one kind."""
        pages = self._state.meta.client.get_paginator("scan").paginate(TableName=self._state.name, ConsistentRead=True)
        return [item for page in pages for item in page["Items"] if item["sk"] == sort_key]

    def set_status(self, entry: dict[str, Any], status: str) -> None:
        """Put an object's item back, as a crash leaves it."""
        self._state.update_item(
            Key={"pk": entry["pk"], "sk": entry["sk"]},
            UpdateExpression="SET #s = :s",
            ExpressionAttributeNames={"#s": "status"},
            ExpressionAttributeValues={":s": status},
        )

    def errors(self, function: str) -> float:
        """How many invocations of a function have failed."""
        answer = self._cloudwatch.get_metric_statistics(
            Namespace="AWS/Lambda",
            MetricName="Errors",
            Dimensions=[{"Name": "FunctionName", "Value": self.names[function]}],
            StartTime=time.time() - 3600,
            EndTime=time.time() + 3600,
            Period=86400,
            Statistics=["Sum"],
        )
        return float(sum(point["Sum"] for point in answer["Datapoints"]))

    def table(self, dataset: str, *fields: str) -> list[dict[str, Any]]:
        """All rows of a table, or these fields of them."""
        from usher_lake.tables import load_table, open_catalog  # noqa: PLC0415 - PyIceberg takes a second

        table = load_table(open_catalog(), self.outputs["Database"], dataset)
        rows: list[dict[str, Any]] = table.scan(selected_fields=fields or ("*",)).to_arrow().to_pylist()
        return rows

    def quarantine(self, dataset: str) -> list[dict[str, Any]]:
        """All quarantine records of a data set."""
        bucket, prefix = self.outputs["LakeBucket"], f"quarantine/{dataset}/"
        pages = self.s3.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=prefix)
        keys = [item["Key"] for page in pages for item in page.get("Contents", [])]
        bodies = [self.s3.get_object(Bucket=bucket, Key=key)["Body"].read() for key in keys]
        return [json.loads(line) for body in bodies for line in body.splitlines()]

    def landed(self) -> int:
        """How many versions of objects there are in the landing bucket."""
        pages = self.s3.get_paginator("list_object_versions").paginate(Bucket=self.outputs["LandingBucket"])
        return sum(len(page.get("Versions", [])) for page in pages)

    def waiting(self, queue: str) -> int:
        """How many messages a queue holds, hidden ones included."""
        names = ["ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible"]
        found = self.sqs.get_queue_attributes(QueueUrl=self.outputs[queue], AttributeNames=names)["Attributes"]
        return sum(int(found[name]) for name in names)


class Killer:
    """Kills functions' processes in the middle of their work, until each has lost DEATHS invocations by it."""

    def __init__(self, application: Application) -> None:
        self._application = application
        self._ending = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self.deaths = Counter[str]()

    def __enter__(self) -> Killer:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ending.set()
        self._thread.join(30)

    @property
    def done(self) -> bool:
        """Whether every function has died once at least."""
        return all(self.deaths[name] for name in FUNCTIONS)

    def _run(self) -> None:
        rest: dict[int, int] = {}
        while not self._ending.is_set() and any(self.deaths[name] < DEATHS for name in FUNCTIONS):
            for pid, function in self._processes().items():
                used = _cpu_nanoseconds(pid)
                began, rest[pid] = rest.get(pid), used
                if began is not None and used - began > 2_000_000 and self.deaths[function] < DEATHS:
                    self._kill(pid, function)
            self._ending.wait(0.01)

    def _kill(self, pid: int, function: str) -> None:
        """Kill, and see whether an invocation failed by it: one that has just been answered does not count."""
        before = self._application.errors(function)
        try:
            os.kill(pid, signal.SIGKILL)
        except ProcessLookupError:
            return
        until = time.monotonic() + 2
        while self._application.errors(function) <= before and time.monotonic() < until:
            time.sleep(0.05)
        self.deaths[function] += self._application.errors(function) > before

    def _processes(self) -> dict[int, str]:
        """The processes of this twin's functions: their environment says whose they are."""
        names = {self._application.names[name]: name for name in FUNCTIONS}
        found = {}
        for path in Path("/proc").glob("[0-9]*/environ"):
            try:
                pairs = [pair.partition("=") for pair in path.read_bytes().decode("utf-8", "replace").split("\0")]
            except OSError:
                continue
            given = {name: value for name, _, value in pairs}
            function = names.get(given.get("AWS_LAMBDA_FUNCTION_NAME", ""))
            if function is not None and given.get("AWS_ENDPOINT_URL") == self._application.endpoint:
                found[int(path.parent.name)] = function
        return found


def _cpu_nanoseconds(pid: int) -> int:
    try:
        return int(Path(f"/proc/{pid}/schedstat").read_text().split()[0])
    except (OSError, ValueError):
        return 0


def eventually(probe: Callable[[], Any], seconds: float = SECONDS) -> Any:
    until = time.monotonic() + seconds
    while not (found := probe()):
        assert time.monotonic() < until, f"nothing within {seconds:.0f} s"
        time.sleep(0.5)
    return found


def streamed(chance: random.Random) -> list[bytes]:
    """JSON lines, some bad, some twice, in no order."""
    lines = [
        json.dumps({"user_id": f"s{n % 97}", "item_id": str(n), "rating": 3.5, "rated_at": 964982703 + n}).encode()
        for n in range(STREAMED)
    ]
    for place in chance.sample(range(STREAMED), 60):
        lines[place] = chance.choice([b"no JSON %d", b'{"user_id": "s1", "n": %d}', b"\xff\xfe %d"]) % place
    lines += chance.sample(lines, 300)
    chance.shuffle(lines)
    return lines


def send_stream(application: Application, lines: Sequence[bytes], chance: random.Random) -> None:
    """Put all lines, each until it was taken, while the stream throttles."""
    name = application.outputs["StreamPrefix"] + "ratings"
    waiting = list(lines)
    while waiting:
        if chance.random() < 0.1:
            tags = [{"Key": backend.FAIL_RECORDS, "Value": "0.2"}, {"Key": backend.FAIL_CALLS, "Value": "6"}]
            application.firehose.tag_delivery_stream(DeliveryStreamName=name, Tags=tags)
        size = chance.randint(1, 200)
        batch, waiting = waiting[:size], waiting[size:]
        try:
            records = [{"Data": line} for line in batch]
            answer = application.firehose.put_record_batch(DeliveryStreamName=name, Records=records)
        except ClientError as error:
            assert error.response["Error"]["Code"] == "ServiceUnavailableException"
            waiting += batch
        else:
            told = zip(batch, answer["RequestResponses"], strict=True)
            waiting += [line for line, one in told if "ErrorCode" in one]
        time.sleep(0.1)
    application.firehose.untag_delivery_stream(DeliveryStreamName=name, TagKeys=[backend.FAIL_RECORDS])


def upload(application: Application, chance: random.Random) -> None:
    """Uploads, one of which is gone before it is read; every announcement comes three times."""
    bucket, queue = application.outputs["LandingBucket"], application.outputs["IngestQueueUrl"]
    per_object = UPLOADED // 13
    for number in range(13):
        lines = [
            b"u%d,%d,%s,964982703\n" % (n % 89, n, b"9" if chance.random() < 0.01 else b"4") for n in range(per_object)
        ]
        key = f"ratings/upload/chaos-{number}.csv"
        version = application.s3.put_object(Bucket=bucket, Key=key, Body=HEADER + b"".join(lines))
        announced = {"key": key, "size": 1, "etag": version["ETag"].strip('"'), "version-id": version["VersionId"]}
        if number == 7:
            application.s3.delete_object(Bucket=bucket, Key=key, VersionId=version["VersionId"])
        event = {"source": "aws.s3", "detail-type": "Object Created", "detail": {"bucket": {"name": bucket}}}
        event["detail"]["object"] = announced  # type: ignore[index]
        for _ in range(2):
            application.sqs.send_message(QueueUrl=queue, MessageBody=json.dumps(event))
        time.sleep(chance.random())


def feedback(chance: random.Random, first: int, count: int) -> list[dict[str, Any]]:
    """Events of users, each with an id of its own, numbered from `first`."""
    kinds = ["rating", "click", "purchase", "view"]
    events = []
    for number in range(first, first + count):
        kind = chance.choice(kinds)
        event = {"event_id": f"chaos-{number}", "user_id": f"f{number % 61}", "item_id": f"i{number}", "type": kind}
        events.append(event | ({"value": 4.5} if kind == "rating" else {}))
    return events


def send_feedback(application: Application, events: Sequence[dict[str, Any]], chance: random.Random) -> None:
    """Send every event two or three times, in lists, out of order, four at once, each until it is accepted."""
    copies = [*events, *events, *chance.sample(events, len(events) // 3)]
    chance.shuffle(copies)
    lists = []
    while copies:
        size = chance.randint(1, 40)
        lists.append(copies[:size])
        copies = copies[size:]
    url = urlsplit(application.outputs["ApiUrl"])

    def send(some: list[dict[str, Any]]) -> None:
        until = time.monotonic() + SECONDS
        while True:
            connection = http.client.HTTPConnection(url.netloc, timeout=30)
            try:
                connection.request(
                    "POST", f"{url.path}/feedback", json.dumps(some), {"content-type": "application/json"}
                )
                answer = connection.getresponse()
                body = answer.read()
            finally:
                connection.close()
            if answer.status == 202:
                assert all(result["accepted"] for result in json.loads(body)["results"])
                return
            assert answer.status >= 500, body
            assert time.monotonic() < until, body
            time.sleep(0.2)

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(send, lists))


@pytest.fixture
def application(twin: Any, monkeypatch: pytest.MonkeyPatch) -> Application:
    for name, value in twin.environment.items():
        monkeypatch.setenv(name, value)
    return Application(twin)


def settled(application: Application) -> list[dict[str, Any]]:
    """The OBJECT items once every object has come to its end and no message waits."""

    def look() -> list[dict[str, Any]] | None:
        entries = application.items("OBJECT")
        ended = all(entry["status"] in ("committed", "gone") for entry in entries)
        there = sum(entry["status"] != "gone" for entry in entries)
        idle = not any(application.waiting(queue) for queue in ("IngestQueueUrl", "CatalogQueueUrl"))
        return entries if ended and idle and there == application.landed() else None

    found: list[dict[str, Any]] = eventually(look)
    return found


def test_after_ten_thousand_events_of_chaos_every_count_agrees(application: Application) -> None:
    chance = random.Random(SEED)
    lines, events = streamed(chance), feedback(chance, 0, FEEDBACK)
    seeds = [random.Random(chance.random()) for _ in range(3)]
    with Killer(application) as killer, ThreadPoolExecutor(3) as pool:
        work = [
            pool.submit(send_stream, application, lines, seeds[0]),
            pool.submit(send_feedback, application, events, seeds[1]),
            pool.submit(upload, application, seeds[2]),
        ]
        for one in work:
            one.result()
        until = time.monotonic() + SECONDS
        while not killer.done:  # a quick machine may be through before the killer is
            assert time.monotonic() < until, f"they died in the middle of their work: {dict(killer.deaths)}"
            more = feedback(chance, len(events), 40)
            events += more
            send_feedback(application, more, chance)
        settled(application)
    wanted = Counter(lines)
    eventually(lambda: arrived(application) >= wanted.total())
    entries = settled(application)
    crash_a_commit(application, entries)
    assert_objects_agree(application, settled(application))
    assert_stream_agrees(application, wanted)
    assert_feedback_stands_once(application, events)
    assert not [
        queue for queue in ("IngestDeadLetterQueueUrl", "CatalogDeadLetterQueueUrl") if application.waiting(queue)
    ]


def arrived(application: Application) -> int:
    """How many of the streamed lines are in the lake or in quarantine."""
    rows = [row for row in application.table("ratings", "user_id") if row["user_id"].startswith("s")]
    bad = [record for record in application.quarantine("ratings") if record["source"].startswith("stream")]
    return len(rows) + len(bad)


def crash_a_commit(application: Application, entries: Sequence[dict[str, Any]]) -> None:
    """As after a crash between a commit and the last write to the object's item: the message comes again."""
    for entry in [entry for entry in entries if entry["status"] == "committed" and entry["rows_ok"]][:3]:
        application.set_status(entry, "committing")
        message = {"dataset": entry["dataset"], "digest": entry["pk"].partition("#")[2]}
        application.sqs.send_message(QueueUrl=application.outputs["CatalogQueueUrl"], MessageBody=json.dumps(message))


def assert_objects_agree(application: Application, entries: Sequence[dict[str, Any]]) -> None:
    """Rows in = rows in the lake + rows in quarantine, for each object."""
    assert Counter(entry["status"] for entry in entries)["gone"] <= 1  # it may have been read before it went
    for dataset in {entry["dataset"] for entry in entries}:
        rows = Counter(row["source"].partition(":")[0] for row in application.table(dataset))
        bad = Counter(record["source"].partition(":")[0] for record in application.quarantine(dataset))
        for entry in (entry for entry in entries if entry["dataset"] == dataset and entry["status"] != "gone"):
            digest = entry["pk"].partition("#")[2]
            assert (rows[digest], bad[digest]) == (entry["rows_ok"], entry["rows_bad"]), entry["key"]
            assert entry["rows_in"] == entry["rows_ok"] + entry["rows_bad"]
            assert not entry["key"].startswith(f"{dataset}/stream") or entry["rows_bad"] == 0, entry["key"]


def assert_stream_agrees(application: Application, wanted: Counter[bytes]) -> None:
    """Every line that the stream took is once in the lake or once in quarantine."""
    good = Counter(row["item_id"] for row in application.table("ratings") if row["user_id"].startswith("s"))
    bad = [record for record in application.quarantine("ratings") if record["source"].startswith("stream")]
    assert len(bad) + good.total() == wanted.total()
    assert good == Counter({json.loads(line)["item_id"]: n for line, n in wanted.items() if b"item_id" in line})


def assert_feedback_stands_once(application: Application, events: Sequence[dict[str, Any]]) -> None:
    """Each event is one item of the state table, forwarded, and its row is in the lake."""
    kept = application.items("EVENT")
    assert Counter(item["pk"] for item in kept) == Counter(f"EVENT#{event['event_id']}" for event in events)
    assert all(item["forwarded"] for item in kept)
    in_lake = {row["event_id"] for row in application.table("events")}
    assert in_lake == {event["event_id"] for event in events if event["type"] != "rating"}
    rated = {(row["user_id"], row["item_id"]) for row in application.table("ratings") if row["user_id"][0] == "f"}
    assert rated == {(event["user_id"], event["item_id"]) for event in events if event["type"] == "rating"}
