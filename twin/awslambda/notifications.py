"""A topic's messages as its subscribed functions get them; moto sends an example with made-up ids.

https://docs.aws.amazon.com/lambda/latest/dg/with-sns.html
"""

from __future__ import annotations

import base64
import datetime
import json
import logging
from typing import Any

from moto.awslambda.exceptions import LambdaClientError

from twin import context
from twin.awslambda import asynchronous
from twin.awslambda.invocation import Invocation
from twin.events import permissions
from twin.moto_patches.registry import original

_log = logging.getLogger("usher.twin.lambda")


def publish(self: Any, message: str, message_id: str, subject: str | None = None, **more: Any) -> None:
    """Subscription.publish: a function is invoked asynchronously with the message as SNS wraps it."""
    if self.protocol != "lambda":
        original("moto.sns.models:Subscription.publish")(self, message, message_id, subject, **more)
        return
    attributes = more.get("message_attributes") or {}
    matcher = self._filter_policy_matcher
    if matcher is not None and not matcher.matches(attributes, message):
        return
    if more.get("message_structure") == "json":
        message = self._parse_message_structure(message, self.protocol)
    _invoke(self, json.dumps(_event(self, message, message_id, subject, attributes)))


def _invoke(subscription: Any, payload: str) -> None:
    """What cannot be delivered does not fail the publisher, but is said."""
    from moto.awslambda.models import lambda_backends  # noqa: PLC0415 - moto is heavy

    try:
        permissions.check(subscription.endpoint, permissions.Caller("sns.amazonaws.com", subscription.topic.arn))
        function = lambda_backends[context.ACCOUNT][context.current().region].get_function(subscription.endpoint)
    except (permissions.NotPermitted, LambdaClientError) as error:
        _log.error("a message of %s for %s is lost: %s", subscription.topic.arn, subscription.endpoint, error)
        return
    asynchronous.accept(function, Invocation(payload.encode(), subscription.endpoint))


def _event(
    subscription: Any, message: str, message_id: str, subject: str | None, attributes: dict[str, Any]
) -> dict[str, Any]:
    endpoint = context.current().endpoint
    notification = {
        "Type": "Notification",
        "MessageId": message_id,
        "TopicArn": subscription.topic.arn,
        "Subject": subject,
        "Message": message,
        "Timestamp": datetime.datetime.now(datetime.UTC).strftime("%Y-%m-%dT%H:%M:%S.%f")[:-3] + "Z",
        "SignatureVersion": "1",
        "Signature": "EXAMPLE",  # nothing is signed here
        "SigningCertUrl": f"{endpoint}/SimpleNotificationService.pem",
        "UnsubscribeUrl": f"{endpoint}/?Action=Unsubscribe&SubscriptionArn={subscription.arn}",
        "MessageAttributes": {name: _attribute(value) for name, value in attributes.items()},
    }
    record = {
        "EventSource": "aws:sns",
        "EventVersion": "1.0",
        "EventSubscriptionArn": subscription.arn,
        "Sns": notification,
    }
    return {"Records": [record]}


def _attribute(attribute: dict[str, Any]) -> dict[str, str]:
    value = attribute["Value"]
    return {"Type": attribute["Type"], "Value": base64.b64encode(value).decode() if isinstance(value, bytes) else value}
