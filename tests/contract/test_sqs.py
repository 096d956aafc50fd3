"""SQS queues and their event sources on the twin: batches, windows, failures, redrive. Failure paths first.

A minute of AWS's takes a second here (see the `server` fixture).
"""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError

from twin.context import Context
from twin.sqs import poller, queues

Client = Callable[[str], Any]
Make = Callable[..., str]
Wait = Callable[..., Any]

GROUP = "/aws/lambda/function-1"
COUNTING = """
    import json
    def handler(event, context):
        print("BATCH", json.dumps([record["body"] for record in event["Records"]]))
"""


@pytest.fixture
def sources(server: Context) -> Iterator[None]:
    """Mappings are polled."""
    from twin.sqs.event_sources import EventSources  # noqa: PLC0415 - a second of imports

    running = EventSources(server).start()
    yield
    running.stop()


@pytest.fixture
def queue(client: Client) -> Callable[..., tuple[str, str]]:
    """`queue("name", VisibilityTimeout="30")`: makes a queue, returns its URL and ARN."""

    def make(name: str, **attributes: str) -> tuple[str, str]:
        url = client("sqs").create_queue(QueueName=name, Attributes=attributes)["QueueUrl"]
        found = client("sqs").get_queue_attributes(QueueUrl=url, AttributeNames=["QueueArn"])
        return url, found["Attributes"]["QueueArn"]

    return make


Queue = Callable[..., tuple[str, str]]


def _map(client: Client, function: str, queue: str, **settings: Any) -> str:
    made = client("lambda").create_event_source_mapping(FunctionName=function, EventSourceArn=queue, **settings)
    return str(made["UUID"])


def _logged(client: Client, word: str) -> list[Any]:
    """What functions printed as `WORD json`, in order."""
    try:
        events = client("logs").filter_log_events(logGroupName=GROUP)["events"]
    except client("logs").exceptions.ResourceNotFoundException:
        return []
    lines = [event["message"] for event in sorted(events, key=lambda event: event["timestamp"])]
    return [json.loads(line.removeprefix(word)) for line in lines if line.startswith(word)]


def _send(client: Client, url: str, *bodies: str) -> None:
    for start in range(0, len(bodies), 10):
        entries = [{"Id": str(i), "MessageBody": body} for i, body in enumerate(bodies[start : start + 10])]
        client("sqs").send_message_batch(QueueUrl=url, Entries=entries)


def _left(client: Client, url: str) -> int:
    names = ["ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible"]
    found = client("sqs").get_queue_attributes(QueueUrl=url, AttributeNames=names)["Attributes"]
    return sum(int(value) for value in found.values())


def _sqs_backend() -> Any:
    from moto.sqs.models import sqs_backends  # noqa: PLC0415 - a second of imports

    return sqs_backends["123456789012"]["eu-west-1"]


def _moto_queue(name: str) -> Any:
    return _sqs_backend().queues[name]


# ── what goes wrong ──────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("settings", "reason"),
    [
        ({"BatchSize": 11}, "Maximum batch window in seconds must be greater than 0"),
        ({"ScalingConfig": {"MaximumConcurrency": 1}}, "MaximumConcurrency|valid min value"),
        ({"BisectBatchOnFunctionError": True}, "the twin does not support BisectBatchOnFunctionError"),
        ({"FilterCriteria": {"Filters": [{"Pattern": "{}"}]}}, "the twin does not support FilterCriteria"),
    ],
)
def test_a_mapping_that_cannot_work_is_refused(
    client: Client, function: Make, queue: Queue, settings: dict[str, Any], reason: str
) -> None:
    arn = function(COUNTING)
    with pytest.raises(Exception, match=reason):
        _map(client, arn, queue("inbox")[1], **settings)
    assert client("lambda").list_event_source_mappings()["EventSourceMappings"] == []


def test_a_queue_whose_visibility_is_shorter_than_the_functions_timeout_is_refused(
    client: Client, function: Make, queue: Queue
) -> None:
    with pytest.raises(ClientError, match="Queue visibility timeout: 30 seconds is less than Function timeout: 60"):
        _map(client, function(COUNTING, Timeout=60), queue("inbox")[1])


@pytest.mark.parametrize("service", ["kinesis", "dynamodb", "kafka"])
def test_other_sources_are_refused(client: Client, function: Make, service: str) -> None:
    arn = f"arn:aws:{service}:eu-west-1:123456789012:stream/x"
    with pytest.raises(ClientError, match=f"the twin polls standard SQS queues only, not {arn}"):
        _map(client, function(COUNTING), arn, StartingPosition="LATEST")


def test_a_second_mapping_of_the_same_two_is_a_conflict(client: Client, function: Make, queue: Queue) -> None:
    arn, (_, inbox) = function(COUNTING), queue("inbox")
    _map(client, arn, inbox)
    with pytest.raises(client("lambda").exceptions.ResourceConflictException):
        _map(client, arn, inbox)


def test_an_update_that_cannot_work_is_refused(client: Client, function: Make, queue: Queue) -> None:
    uuid = _map(client, function(COUNTING), queue("inbox")[1])
    with pytest.raises(ClientError, match="Maximum batch window in seconds"):
        client("lambda").update_event_source_mapping(UUID=uuid, BatchSize=100)


def test_a_failed_batch_comes_back_whole_and_ends_in_the_dead_letter_queue(
    client: Client, function: Make, queue: Queue, sources: None, eventually: Wait
) -> None:
    dead_url, dead = queue("dead")
    url, inbox = queue(
        "inbox",
        VisibilityTimeout="30",
        RedrivePolicy=json.dumps({"deadLetterTargetArn": dead, "maxReceiveCount": 3}),
    )
    arn = function(
        """
        import json
        def handler(event, context):
            counts = {record["body"]: record["attributes"]["ApproximateReceiveCount"] for record in event["Records"]}
            print("COUNTS", json.dumps(counts))
            raise ValueError("no")
        """
    )
    _send(client, url, "a", "b")
    _map(client, arn, inbox)
    eventually(lambda: _left(client, dead_url) == 2)
    assert _left(client, url) == 0
    counts = _logged(client, "COUNTS")
    assert [count for each in counts for body, count in each.items() if body == "a"] == ["1", "2", "3"]


def test_only_the_reported_messages_come_back(
    client: Client, function: Make, queue: Queue, sources: None, eventually: Wait
) -> None:
    dead_url, dead = queue("dead")
    redrive = json.dumps({"deadLetterTargetArn": dead, "maxReceiveCount": 2})
    url, inbox = queue("inbox", VisibilityTimeout="30", RedrivePolicy=redrive)
    arn = function(
        """
        import json
        def handler(event, context):
            print("BATCH", json.dumps(sorted(record["body"] for record in event["Records"])))
            bad = [r["messageId"] for r in event["Records"] if r["body"].startswith("bad")]
            return {"batchItemFailures": [{"itemIdentifier": each} for each in bad]}
        """
    )
    _send(client, url, "good 1", "bad 1", "good 2", "bad 2")
    _map(client, arn, inbox, FunctionResponseTypes=["ReportBatchItemFailures"])
    eventually(lambda: _left(client, dead_url) == 2)
    assert _left(client, url) == 0
    batches = _logged(client, "BATCH")
    bodies = [body for batch in batches for body in batch]
    assert {body: bodies.count(body) for body in bodies} == {"good 1": 1, "good 2": 1, "bad 1": 2, "bad 2": 2}


def test_an_answer_with_an_empty_identifier_fails_the_whole_batch(
    client: Client, function: Make, queue: Queue, sources: None, eventually: Wait
) -> None:
    dead_url, dead = queue("dead")
    redrive = json.dumps({"deadLetterTargetArn": dead, "maxReceiveCount": 1})
    url, inbox = queue("inbox", VisibilityTimeout="30", RedrivePolicy=redrive)
    arn = function("def handler(event, context):\n    return {'batchItemFailures': [{'itemIdentifier': ''}]}\n")
    _send(client, url, "a", "b", "c")
    _map(client, arn, inbox, FunctionResponseTypes=["ReportBatchItemFailures"])
    eventually(lambda: _left(client, dead_url) == 3)
    assert _left(client, url) == 0


def test_a_slow_function_keeps_its_messages_though_their_scaled_visibility_is_over(
    client: Client, function: Make, queue: Queue, sources: None, eventually: Wait
) -> None:
    url, inbox = queue("inbox", VisibilityTimeout="30")  # half a real second
    arn = function(
        """
        import json, time
        def handler(event, context):
            print("BATCH", json.dumps([record["body"] for record in event["Records"]]))
            time.sleep(1.5)
        """,
        Timeout=10,
    )
    _map(client, arn, inbox)
    _send(client, url, "once")
    eventually(lambda: _left(client, url) == 0)
    assert _logged(client, "BATCH") == [["once"]]


# ── batches ──────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_a_record_has_awss_shape(client: Client, function: Make, queue: Queue, sources: None, eventually: Wait) -> None:
    url, inbox = queue("inbox")
    arn = function("import json\ndef handler(event, context):\n    print('EVENT', json.dumps(event))\n")
    _map(client, arn, inbox)
    attributes = {"colour": {"DataType": "String", "StringValue": "blue"}}
    sent = client("sqs").send_message(QueueUrl=url, MessageBody="héllo", MessageAttributes=attributes)
    (event,) = eventually(lambda: _logged(client, "EVENT"))
    (record,) = event["Records"]
    assert record.pop("receiptHandle")
    times = record["attributes"]
    assert int(times.pop("SentTimestamp")) <= int(times.pop("ApproximateFirstReceiveTimestamp")) <= time.time() * 1000
    assert times.pop("SenderId")
    assert record == {
        "messageId": sent["MessageId"],
        "body": "héllo",
        "attributes": {"ApproximateReceiveCount": "1"},
        "messageAttributes": {
            "colour": {"dataType": "String", "stringValue": "blue", "stringListValues": [], "binaryListValues": []},
        },
        "md5OfBody": sent["MD5OfMessageBody"],
        "md5OfMessageAttributes": sent["MD5OfMessageAttributes"],
        "eventSource": "aws:sqs",
        "eventSourceARN": inbox,
        "awsRegion": "eu-west-1",
    }


def test_a_window_gathers_what_arrives_in_it(
    client: Client, function: Make, queue: Queue, sources: None, eventually: Wait
) -> None:
    url, inbox = queue("inbox")
    _map(client, function(COUNTING), inbox, BatchSize=100, MaximumBatchingWindowInSeconds=60)  # one real second
    for number in range(25):
        client("sqs").send_message(QueueUrl=url, MessageBody=str(number))
    batches = eventually(lambda: _logged(client, "BATCH"))
    assert [len(batch) for batch in batches] == [25]
    eventually(lambda: _left(client, url) == 0)


@pytest.mark.usefixtures("sources")
def test_a_full_batch_does_not_wait_for_its_window(
    client: Client, function: Make, queue: Queue, eventually: Wait, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Context, "real_seconds", lambda _, seconds: seconds)  # a window longer than the test waits
    url, inbox = queue("inbox")
    _send(client, url, *map(str, range(40)))
    _map(client, function(COUNTING), inbox, BatchSize=20, MaximumBatchingWindowInSeconds=300)
    batches = eventually(lambda: len(found := _logged(client, "BATCH")) == 2 and found)
    assert [len(batch) for batch in batches] == [20, 20]


def test_a_batch_is_no_larger_than_an_invocation_can_carry(
    client: Client, function: Make, queue: Queue, sources: None, eventually: Wait
) -> None:
    url, inbox = queue("inbox")
    arn = function("def handler(event, context):\n    print('SIZE', len(event['Records']))\n")
    for number in range(30):
        client("sqs").send_message(QueueUrl=url, MessageBody=str(number) * 128_000)
    _map(client, arn, inbox, BatchSize=100, MaximumBatchingWindowInSeconds=60)
    sizes = eventually(lambda: sum(found := _logged(client, "SIZE")) == 30 and found)
    assert len(sizes) >= 2
    eventually(lambda: _left(client, url) == 0)


@pytest.mark.usefixtures("sources")
def test_a_message_wakes_the_idle_poller(
    client: Client, function: Make, queue: Queue, eventually: Wait, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(poller, "_IDLE_SECONDS", 600.0)  # longer than the test waits: only a wake-up is soon enough
    monkeypatch.setattr(queues, "_LONGEST_WAIT_SECONDS", 600.0)
    url, inbox = queue("inbox")
    arn = function("def handler(event, context):\n    print('CALLED', len(event['Records']))\n")
    _map(client, arn, inbox)
    for number in (1, 2):
        _send(client, url, f"message {number}")
        eventually(lambda number=number: len(_logged(client, "CALLED")) == number)
        time.sleep(0.5)  # the poller is idle again
    monkeypatch.undo()
    _send(client, url, "ends the long wait")
    eventually(lambda: len(_logged(client, "CALLED")) == 3)


def test_no_more_than_maximum_concurrency_run_at_once(
    client: Client, function: Make, queue: Queue, sources: None, eventually: Wait
) -> None:
    url, inbox = queue("inbox")
    arn = function(
        """
        import json, time
        def handler(event, context):
            began = time.time()
            time.sleep(0.5)
            print("SPAN", json.dumps([began, time.time()]))
        """
    )
    _send(client, url, *map(str, range(6)))
    _map(client, arn, inbox, BatchSize=1, ScalingConfig={"MaximumConcurrency": 2})
    spans = eventually(lambda: len(found := _logged(client, "SPAN")) == 6 and found)
    overlaps = [sum(start <= moment < end for start, end in spans) for moment, _ in spans]
    assert max(overlaps) == 2


# ── mappings are followed live ───────────────────────────────────────────────────────────────────────────────────────


def test_a_disabled_mapping_waits_until_it_is_enabled(
    client: Client, function: Make, queue: Queue, sources: None, eventually: Wait
) -> None:
    url, inbox = queue("inbox")
    uuid = _map(client, function(COUNTING), inbox, Enabled=False)
    _send(client, url, "a")
    time.sleep(0.7)  # longer than the sources' own look around
    assert _logged(client, "BATCH") == []
    client("lambda").update_event_source_mapping(UUID=uuid, Enabled=True)
    eventually(lambda: _logged(client, "BATCH") == [["a"]])


def test_a_deleted_mapping_polls_no_more(
    client: Client, function: Make, queue: Queue, sources: None, eventually: Wait
) -> None:
    url, inbox = queue("inbox")
    uuid = _map(client, function(COUNTING), inbox)
    _send(client, url, "a")
    eventually(lambda: _logged(client, "BATCH") == [["a"]])
    client("lambda").delete_event_source_mapping(UUID=uuid)
    time.sleep(1)  # longer than the sources' own look around, and the poller's last
    _send(client, url, "b")
    time.sleep(0.3)
    assert _left(client, url) == 1
    assert _logged(client, "BATCH") == [["a"]]


# ── queues ───────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_sending_does_not_wait_for_the_function(  # noqa: PLR0917 - fixtures
    client: Client, function: Make, queue: Queue, sources: None, eventually: Wait, tmp_path: Path
) -> None:
    url, inbox = queue("inbox")
    arn = function(
        """
        import os, time
        def handler(event, context):
            until = time.monotonic() + 60
            while not os.path.exists(os.environ["GATE"]):
                assert time.monotonic() < until, "the gate stayed closed: the sender waits for this function"
                time.sleep(0.02)
            print("SEEN", 1)
        """,
        Timeout=30,
        Environment={"Variables": {"GATE": str(tmp_path / "gate")}},
    )
    _map(client, arn, inbox)
    _send(client, url, "a")
    (tmp_path / "gate").touch()
    eventually(lambda: _logged(client, "SEEN") == [1])


def test_a_delete_waits_for_the_lock_of_the_queue(client: Client, queue: Queue) -> None:
    url, _ = queue("inbox")
    client("sqs").send_message(QueueUrl=url, MessageBody="a")
    (message,) = client("sqs").receive_message(QueueUrl=url)["Messages"]
    asked = {"QueueUrl": url, "ReceiptHandle": message["ReceiptHandle"]}
    deleting = threading.Thread(target=client("sqs").delete_message, kwargs=asked)
    with _moto_queue("inbox")._messages_lock:
        deleting.start()
        deleting.join(0.5)
        assert len(_moto_queue("inbox")._messages) == 1
    deleting.join()
    assert _moto_queue("inbox")._messages == []


def test_two_consumers_do_not_get_the_same_message(client: Client, queue: Queue) -> None:
    url, _ = queue("inbox", VisibilityTimeout="600")
    client("sqs").send_message(QueueUrl=url, MessageBody="a")
    answers: list[Any] = []
    receiving = threading.Thread(target=lambda: answers.append(client("sqs").receive_message(QueueUrl=url)))
    with _moto_queue("inbox")._messages_lock:  # a consumer that has looked and not taken yet
        receiving.start()
        receiving.join(0.5)
        assert answers == []
        assert len(_sqs_backend().receive_message("inbox", 1, 0, 600)) == 1
    receiving.join()
    assert "Messages" not in answers[0]


def test_a_long_poll_waits_no_longer_than_until_a_message_is_visible_again(
    client: Client, queue: Queue, monkeypatch: pytest.MonkeyPatch
) -> None:
    url, _ = queue("inbox", VisibilityTimeout="6")  # a tenth of a second
    client("sqs").send_message(QueueUrl=url, MessageBody="a")
    assert client("sqs").receive_message(QueueUrl=url)["Messages"]
    monkeypatch.setattr(queues, "_LONGEST_WAIT_SECONDS", 600.0)
    waits: list[float] = []
    seconds_to_next = queues.seconds_to_next

    def spy(waiting: Any) -> float:
        waits.append(seconds_to_next(waiting))
        return waits[-1]

    monkeypatch.setattr(queues, "seconds_to_next", spy)
    for _ in range(5):
        assert client("sqs").receive_message(QueueUrl=url, WaitTimeSeconds=10)["Messages"]
    assert waits and max(waits) <= 0.102


@pytest.mark.parametrize(
    "name",
    [
        "messages",
        "approximate_number_of_messages",
        "approximate_number_of_messages_delayed",
        "approximate_number_of_messages_not_visible",
    ],
)
def test_counting_a_queue_reads_the_clock_once(
    client: Client, queue: Queue, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    from moto.sqs import models  # noqa: PLC0415

    url, _ = queue("inbox")
    _send(client, url, *"0123456789")
    client("sqs").send_message(QueueUrl=url, MessageBody="later", DelaySeconds=600)
    assert len(client("sqs").receive_message(QueueUrl=url, MaxNumberOfMessages=3)["Messages"]) == 3
    reads: list[int] = []
    clock = models.unix_time_millis  # type: ignore[attr-defined]  # imported there

    def read() -> float:
        reads.append(1)
        return float(clock())

    monkeypatch.setattr(models, "unix_time_millis", read)
    found = getattr(_moto_queue("inbox"), name)
    assert reads == []
    counted = {"messages": 7, "": 7, "_delayed": 1, "_not_visible": 3}
    assert (len(found) if name == "messages" else found) == counted[name.removeprefix("approximate_number_of_messages")]


def test_receiving_does_not_count_the_queue_for_each_message(
    client: Client, queue: Queue, monkeypatch: pytest.MonkeyPatch
) -> None:
    url, _ = queue("inbox", MessageRetentionPeriod="60")
    _send(client, url, *"0123456789")
    backend = _sqs_backend()
    monkeypatch.setattr(backend, "get_queue_attributes", None)
    assert len(backend.receive_message("inbox", 10, 0, 30)) == 10
    message = _moto_queue("inbox")._messages[0]
    assert backend.is_message_valid_based_on_retention_period("inbox", message)
    message.sent_timestamp -= 61_000
    assert not backend.is_message_valid_based_on_retention_period("inbox", message)


def test_a_message_that_becomes_visible_again_wakes_waiting_consumers(client: Client, queue: Queue) -> None:
    url, _ = queue("inbox", VisibilityTimeout="600")
    client("sqs").send_message(QueueUrl=url, MessageBody="a")
    (message,) = client("sqs").receive_message(QueueUrl=url)["Messages"]
    stored = _moto_queue("inbox")
    holds_the_lock, woken = threading.Event(), []

    def wait() -> None:
        with stored._messages_lock:
            holds_the_lock.set()  # and gives it back only when it waits
            woken.append(stored._messages_lock.wait(30))

    waiting = threading.Thread(target=wait)
    waiting.start()
    holds_the_lock.wait()
    handle = message["ReceiptHandle"]
    client("sqs").change_message_visibility(QueueUrl=url, ReceiptHandle=handle, VisibilityTimeout=0)
    waiting.join()
    assert woken == [True]


def test_a_visibility_timeout_runs_on_the_scaled_clock(client: Client, queue: Queue, eventually: Wait) -> None:
    url, _ = queue("inbox", VisibilityTimeout="30")  # half a real second
    client("sqs").send_message(QueueUrl=url, MessageBody="a")
    assert client("sqs").receive_message(QueueUrl=url)["Messages"]
    assert "Messages" not in client("sqs").receive_message(QueueUrl=url)
    eventually(lambda: client("sqs").receive_message(QueueUrl=url).get("Messages"), seconds=20)


def test_a_delay_runs_on_the_scaled_clock(client: Client, queue: Queue, eventually: Wait) -> None:
    url, _ = queue("inbox")
    client("sqs").send_message(QueueUrl=url, MessageBody="a", DelaySeconds=60)
    assert "Messages" not in client("sqs").receive_message(QueueUrl=url)
    eventually(lambda: client("sqs").receive_message(QueueUrl=url).get("Messages"), seconds=30)
