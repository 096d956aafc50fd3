"""A role that lost a permission on the whole twin: the log says so, AWS's retries go on, and nothing is lost."""

from __future__ import annotations

import contextlib
import json
import time
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from cli import api_client
from cli.target import Target
from tests.e2e.conftest import LiveTwin, end, start, wait_until_ready
from twin.iam import record
from usher.store import keys

pytestmark = pytest.mark.slow

SECONDS = 180.0
#: The fifth try of a message is followed by more than five hours before it goes to the dead-letter queue.
SPEED = "600"
RATINGS = b"userId,movieId,rating,timestamp\n1,2,4.5,1700000000\n2,2,3.0,1700000001\n"


class Stack:
    """The stack of one twin, whose roles lose statements."""

    def __init__(self, twin: LiveTwin) -> None:
        self.twin = twin
        self.iam, self.s3, self.sqs = (twin.client(service) for service in ("iam", "s3", "sqs"))
        self.state = twin.session.resource("dynamodb", endpoint_url=twin.endpoint).Table(twin.outputs["StateTable"])

    def physical(self, logical: str) -> str:
        resources = self.twin.client("cloudformation").describe_stack_resources(
            StackName=self.twin.running.stack_name, LogicalResourceId=logical
        )["StackResources"]
        return str(resources[0]["PhysicalResourceId"])

    @contextlib.contextmanager
    def without(self, role: str, sid: str) -> Iterator[None]:
        """The role without one of its statements."""
        name = self.physical(role)
        (policy,) = self.iam.list_role_policies(RoleName=name)["PolicyNames"]
        document = self.iam.get_role_policy(RoleName=name, PolicyName=policy)["PolicyDocument"]
        rest = [statement for statement in document["Statement"] if statement["Sid"] != sid]
        assert len(rest) == len(document["Statement"]) - 1

        def put(statements: list[dict[str, Any]]) -> None:
            text = json.dumps({**document, "Statement": statements})
            self.iam.put_role_policy(RoleName=name, PolicyName=policy, PolicyDocument=text)

        put(rest)
        try:
            yield
        finally:
            put(document["Statement"])

    def log(self, group: str) -> str:
        """Everything in a log group of the stack."""
        logs = self.twin.client("logs")
        events = logs.filter_log_events(logGroupName=self.physical(group))["events"]
        return "\n".join(event["message"] for event in events)

    def upload(self) -> str:
        key = f"ratings/upload/{uuid.uuid4().hex}.csv"
        self.s3.put_object(Bucket=self.twin.outputs["LandingBucket"], Key=key, Body=RATINGS)
        return key

    def status(self, key: str) -> str:
        """The status of a landing object; empty before it has one."""
        items = self.state.scan(ConsistentRead=True)["Items"]
        return next((str(item["status"]) for item in items if item.get("key") == key), "")

    def visible(self, queue: str) -> int:
        attributes = self.sqs.get_queue_attributes(
            QueueUrl=self.twin.outputs[queue], AttributeNames=["ApproximateNumberOfMessages"]
        )["Attributes"]
        return int(attributes["ApproximateNumberOfMessages"])


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """A twin of this module, whose record of denied calls is its own: here they are expected."""
    state, folder = tmp_path_factory.mktemp("denied"), tmp_path_factory.mktemp("record")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(record.FOLDER, str(folder))
        process = start(state, "--speed", SPEED)
    try:
        yield Stack(wait_until_ready(process, state))
    finally:
        end(process)
    assert {call.partition(":")[0] for call in _denied(folder)} >= {"s3", "glue", "dynamodb"}


def _denied(folder: Path) -> set[str]:
    return {one["call"] for file in folder.glob("*.json") for one in json.loads(file.read_text())["denials"]}


def eventually(probe: Callable[[], Any]) -> Any:
    until = time.monotonic() + SECONDS
    while not (found := probe()):
        assert time.monotonic() < until, f"nothing within {SECONDS} s from {probe!r}"
        time.sleep(0.2)
    return found


def test_an_object_that_ingest_may_not_write_is_retried_and_its_rows_arrive(stack: Stack) -> None:
    with stack.without("IngestObjectsRole", "WriteRowsAndQuarantine"):
        key = stack.upload()
        eventually(lambda: "s3:PutObject" in stack.log("IngestObjectsLogs"))
        assert stack.status(key) != "committed"
    eventually(lambda: stack.status(key) == "committed")


def test_an_event_that_is_denied_five_times_waits_in_the_dead_letter_queue(stack: Stack) -> None:
    with stack.without("IngestObjectsRole", "WriteRowsAndQuarantine"):
        key = stack.upload()
        eventually(lambda: stack.visible("IngestDeadLetterQueueUrl") == 1)
    (message,) = stack.sqs.receive_message(QueueUrl=stack.twin.outputs["IngestDeadLetterQueueUrl"])["Messages"]
    stack.sqs.send_message(QueueUrl=stack.twin.outputs["IngestQueueUrl"], MessageBody=message["Body"])
    eventually(lambda: stack.status(key) == "committed")


def test_a_commit_that_is_denied_is_retried_and_made_once(stack: Stack) -> None:
    with stack.without("CatalogObjectsRole", "CommitToTables"):
        key = stack.upload()
        eventually(lambda: "is not authorized to perform: glue:" in stack.log("CatalogObjectsLogs"))
        assert stack.status(key) in {"parsed", "committing"}
    eventually(lambda: stack.status(key) == "committed")


def test_feedback_that_may_not_be_stored_is_an_error_and_counts_when_it_is_sent_again(stack: Stack) -> None:
    twin = stack.twin
    target = Target(twin.session, twin.running.stack_name, "the twin", endpoint=twin.endpoint)
    event: dict[str, Any] = {
        "event_id": uuid.uuid4().hex,
        "user_id": "u1",
        "item_id": "2",
        "type": "rating",
        "value": 4.5,
    }
    body = json.dumps(event).encode()
    with stack.without("IngestFeedbackRole", "StoreEvents"):
        refused = api_client.exchange(target, "POST", "/feedback", body)
        assert refused.status in {500, 503}
        assert "is not authorized to perform: dynamodb:PutItem" in stack.log("IngestFeedbackLogs")
    assert api_client.exchange(target, "POST", "/feedback", body).status == 202
    assert "Item" in stack.state.get_item(Key=keys.event(event["event_id"]).item(), ConsistentRead=True)


def test_records_that_a_stream_may_not_write_wait_and_are_delivered(stack: Stack) -> None:
    line = json.dumps({"user_id": "9", "item_id": "2", "rating": 4, "timestamp": 1_700_000_000}) + "\n"
    with stack.without("StreamsRole", "Deliver"):
        stack.twin.client("firehose").put_record(
            DeliveryStreamName=stack.twin.outputs["StreamPrefix"] + "ratings", Record={"Data": line.encode()}
        )
        eventually(lambda: "S3.AccessDenied" in stack.log("StreamsLogs"))
    bucket = stack.twin.outputs["LandingBucket"]
    eventually(lambda: stack.s3.list_objects_v2(Bucket=bucket, Prefix="ratings/stream/").get("Contents"))
