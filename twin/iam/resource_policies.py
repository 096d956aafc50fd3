"""The policies that resources carry themselves: buckets, queues, functions; in moto's state."""

from __future__ import annotations

import functools
import json
from typing import Any

from twin import context
from twin.iam import documents
from twin.iam.documents import Policy


def policy_of(arn: str) -> Policy | None:
    """The policy of the bucket (also of an object in it), queue or function; None when it has none."""
    parts = arn.split(":", 5)
    find = _FINDERS.get(parts[2]) if len(parts) == 6 else None
    text = find(parts[5]) if find else None
    return _resource_policy(arn.partition("/")[0], text) if text else None


def exists(arn: str) -> bool:
    """Whether the queue or function exists; True for what has no policy of its own."""
    parts = arn.split(":", 5)
    find = _FINDERS.get(parts[2]) if len(parts) == 6 else None
    return find is None or find(parts[5]) is not None


def _bucket(path: str) -> str | None:
    from moto.s3.models import s3_backends  # noqa: PLC0415 - moto is heavy

    bucket = s3_backends[context.ACCOUNT]["aws"].buckets.get(path.partition("/")[0])
    return _text(bucket.policy) if bucket is not None else None


def _queue(name: str) -> str | None:
    from moto.sqs.models import sqs_backends  # noqa: PLC0415 - see above

    queue = sqs_backends[context.ACCOUNT][context.current().region].queues.get(name)
    return _text(queue.policy) if queue is not None else None


def _function(path: str) -> str | None:
    from moto.awslambda.exceptions import LambdaClientError  # noqa: PLC0415 - see above
    from moto.awslambda.models import lambda_backends  # noqa: PLC0415

    name = path.removeprefix("function:").partition(":")[0]
    try:
        statements = lambda_backends[context.ACCOUNT][context.current().region].get_function(name).policy.statements
    except LambdaClientError:
        return None
    return json.dumps({"Version": "2012-10-17", "Statement": statements}) if statements else ""


def _text(policy: Any) -> str:
    """moto keeps a policy as text, bytes or an object; empty without one."""
    if not policy:
        return ""
    if isinstance(policy, bytes):
        return policy.decode()
    return policy if isinstance(policy, str) else json.dumps(policy)


#: Compiled once for each text.
_resource_policy = functools.lru_cache(256)(documents.resource_policy)

_FINDERS = {"s3": _bucket, "sqs": _queue, "lambda": _function}
