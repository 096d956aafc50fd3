"""Amazon SQS. A batch needs the action of its single form:
https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/sqs-api-permissions-reference.html
"""

from __future__ import annotations

from urllib.parse import urlsplit

from twin.iam.calls.tables import Operation, arn_base, need, op, table
from twin.iam.calls.templates import MalformedCall, Members, Path
from twin.iam.request import Check

_URL = Path.of("QueueUrl")


def _on_queue(name: str, action: str = "", *, tags: bool = False) -> Operation:
    """An operation on the queue of a QueueUrl, `https://sqs.<region>.amazonaws.com/<account>/<name>`."""
    own = need(f"sqs:{action or name}", tags="Tags" if tags else "")

    def derive(members: Members, region: str) -> list[Check]:
        url = members.get("QueueUrl")
        parts = urlsplit(url).path.strip("/").split("/") if isinstance(url, str) else []
        if len(parts) < 2:
            raise MalformedCall(f"QueueUrl is not the URL of a queue: {str(url)[:80]!r}")
        account, queue = parts[-2:]
        base = arn_base("sqs", region).rsplit(":", 2)[0]
        (found,) = own.checks(members, "", lower=False)
        return [Check(found.action, f"{base}:{account}:{queue}", found.context)]

    return Operation(name, derive=derive, reads=(_URL, *own.paths()), actions=(own.action,))


TABLE = table(
    "sqs",
    _on_queue("SendMessage"),
    _on_queue("SendMessageBatch", "SendMessage"),
    _on_queue("ReceiveMessage"),
    _on_queue("DeleteMessage"),
    _on_queue("DeleteMessageBatch", "DeleteMessage"),
    _on_queue("ChangeMessageVisibility"),
    _on_queue("ChangeMessageVisibilityBatch", "ChangeMessageVisibility"),
    _on_queue("GetQueueAttributes"),
    _on_queue("SetQueueAttributes"),
    _on_queue("PurgeQueue"),
    _on_queue("DeleteQueue"),
    _on_queue("ListDeadLetterSourceQueues"),
    _on_queue("ListQueueTags"),
    _on_queue("TagQueue", tags=True),
    _on_queue("AddPermission"),
    _on_queue("RemovePermission"),
    op("CreateQueue", ":{QueueName}", tags="tags"),
    op("GetQueueUrl", ":{QueueName}"),
    op("ListQueues"),
    op("StartMessageMoveTask", "{SourceArn}"),
    op("ListMessageMoveTasks", "{SourceArn}"),
)
