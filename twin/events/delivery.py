"""Hand a payload to whatever an ARN names: a queue, a topic, a function, a state machine, a stream, a bus, a log group.

EventBridge's targets, dead-letter queues, Lambda's destinations and alarm actions all end here.
"""

from __future__ import annotations

import json
import time
import uuid
from collections.abc import Callable, Mapping
from typing import Any

from twin import context
from twin.events import bus


class UnsupportedTarget(ValueError):
    """An ARN that the twin cannot deliver to; one line that says so."""


Options = Mapping[str, Any]


def deliver(arn: str, payload: str, options: Options | None = None) -> None:
    """Send `payload` (JSON text). options: the fields of an EventBridge target that apply, such as SqsParameters.

    Raises UnsupportedTarget, or botocore's ClientError when the target refuses.
    """
    _sender(arn)(arn, payload, options or {})


def check(arn: str) -> None:
    """Raise UnsupportedTarget if `deliver` could not serve this ARN."""
    _sender(arn)


def _sender(arn: str) -> Callable[[str, str, Options], None]:
    parts = arn.split(":", 5)
    if len(parts) == 6 and parts[0] == "arn" and parts[3] == context.current().region:
        resource = parts[5].replace("/", ":").split(":")[0]
        for service, kind, sender in _SENDERS:
            if parts[2] == service and kind in ("", resource):
                return sender
    raise UnsupportedTarget(f"the twin cannot deliver to {arn!r} from {context.current().region}")


def _to_lambda(arn: str, payload: str, options: Options) -> None:  # noqa: ARG001 - one shape for all
    context.client("lambda").invoke(FunctionName=arn, InvocationType="Event", Payload=payload)


def _to_sqs(arn: str, payload: str, options: Options) -> None:
    _, _, _, _, account, name = arn.split(":", 5)
    group = options.get("SqsParameters", {}).get("MessageGroupId")
    attributes = options.get("MessageAttributes")
    context.client("sqs").send_message(
        QueueUrl=f"{context.current().endpoint}/{account}/{name}",
        MessageBody=payload,
        **({"MessageGroupId": group} if group else {}),
        **({"MessageAttributes": attributes} if attributes else {}),
    )


def _to_sns(arn: str, payload: str, options: Options) -> None:
    subject = options.get("Subject")
    context.client("sns").publish(TopicArn=arn, Message=payload, **({"Subject": subject} if subject else {}))


def _to_states(arn: str, payload: str, options: Options) -> None:
    name = options.get("Name") or str(uuid.uuid4())
    context.client("stepfunctions").start_execution(stateMachineArn=arn, name=name, input=payload)


def _to_firehose(arn: str, payload: str, options: Options) -> None:  # noqa: ARG001
    name = arn.rsplit("/", 1)[-1]
    context.client("firehose").put_record(DeliveryStreamName=name, Record={"Data": payload.encode()})


def _to_bus(arn: str, payload: str, options: Options) -> None:  # noqa: ARG001
    """An event goes on as it is; what is none yet (a destination's record) becomes one."""
    event = json.loads(payload)
    if "id" not in event:
        event = bus.event(event["source"], event["detail-type"], event["detail"], event["resources"])
    bus.enter(event, arn)


def _to_logs(arn: str, payload: str, options: Options) -> None:  # noqa: ARG001
    group = arn.split(":", 6)[6].removesuffix(":*")
    logs = context.client("logs")
    stream = str(uuid.uuid4())
    logs.create_log_stream(logGroupName=group, logStreamName=stream)
    logs.put_log_events(
        logGroupName=group,
        logStreamName=stream,
        logEvents=[{"timestamp": int(time.time() * 1000), "message": payload}],
    )


_SENDERS: tuple[tuple[str, str, Callable[[str, str, Options], None]], ...] = (
    ("lambda", "function", _to_lambda),
    ("sqs", "", _to_sqs),
    ("sns", "", _to_sns),
    ("states", "stateMachine", _to_states),
    ("firehose", "deliverystream", _to_firehose),
    ("events", "event-bus", _to_bus),
    ("logs", "log-group", _to_logs),
)
