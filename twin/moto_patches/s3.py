"""What the twin replaces in moto's S3: events as EventBridge gets them, bodies of PUT requests, bucket policies.

moto spells the ETag `eTag`, gives the time as a number, calls every reason ObjectCreated, repeats one sequencer, sends
two events for one request and hides failures.
"""

from __future__ import annotations

import datetime as dt
import functools
import itertools
import json
import logging
import secrets
import time
import uuid
from typing import Any, cast

from werkzeug.datastructures import ImmutableMultiDict

from twin.moto_patches.registry import Patch, original

log = logging.getLogger(__name__)

PATCHES = (
    Patch(
        "moto.s3.notifications:_send_event_bridge_message",
        "twin.moto_patches.s3:send_to_event_bridge",
        "other fields than AWS's, and lost events are not logged",
        "test_s3.py::test_the_event_of_a_new_object_has_awss_shape",
    ),
    Patch(
        "moto.s3.notifications:send_event",
        "twin.moto_patches.s3:send_event",
        "sends two events for a completed multipart upload, and a tagging event for each new object",
        "test_s3.py::test_a_multipart_upload_is_one_event",
    ),
    Patch(
        "moto.s3.responses:S3Response.setup_class",
        "twin.moto_patches.s3:setup_class",
        "stores nothing of a body with a form's content type",
        "test_s3.py::test_a_body_is_stored_whatever_its_content_type",
    ),
    Patch(
        "moto.s3.models:FakeBucket.get_permission",
        "twin.moto_patches.s3:get_permission",
        "applies a statement that denies requests without TLS to every request",
        "test_s3.py::test_a_policy_that_wants_tls_does_not_lock_the_twin_out",
    ),
)

REASONS = {
    "s3:ObjectCreated:Put": "PutObject",
    "s3:ObjectCreated:Post": "POST Object",
    "s3:ObjectCreated:Copy": "CopyObject",
    "s3:ObjectCreated:CompleteMultipartUpload": "CompleteMultipartUpload",
}


def setup_class(self: Any, request: Any, full_url: str | None = None, headers: Any = None) -> None:
    """S3Response.setup_class: the body of a PUT is the object, whatever its content type.

    moto parses a body of the types that HTML forms send, the default of urllib and curl -d, and stores nothing.
    """
    if request.method == "PUT":
        request.get_data(cache=True)
        # werkzeug parses a form when one of these is missing.
        request.__dict__.update(form=ImmutableMultiDict(), files=ImmutableMultiDict())
    original("moto.s3.responses:S3Response.setup_class")(self, request, full_url, headers)


_sequence = itertools.count(time.time_ns())  # grows with every event, so it orders the events of a key as AWS's does


def send_event(account_id: str, event_name: Any, bucket: Any, key: Any) -> None:
    """moto's `send_event`, for new objects only; a completed multipart upload is one, not also a PutObject."""
    if event_name.value not in REASONS or (event_name.value == "s3:ObjectCreated:Put" and key.multipart is not None):
        return
    original("moto.s3.notifications:send_event")(account_id, event_name, bucket, key)


def send_to_event_bridge(account_id: str, bucket: Any, event_name: Any, key: Any) -> None:
    """Put one event on the account's default bus, where the events of AWS's services go.

    Failures are logged, not raised: on AWS, too, the writer of an object does not see them.
    """
    from moto.events.models import events_backends  # noqa: PLC0415 - the import is circular

    event = _message(account_id, bucket, event_name.value, key)
    rules = events_backends[account_id][bucket.region_name].event_buses["default"].rules
    for rule in list(rules.values()):
        try:
            rule.send_to_targets(cast("Any", event), transform_input=False)
        except Exception:  # the other rules have to get the event in any case
            log.exception("event of s3://%s/%s was not delivered by rule %s", bucket.name, key.name, rule.name)


def _message(account_id: str, bucket: Any, event_name: str, key: Any) -> dict[str, Any]:
    """The event as EventBridge passes it to rules and targets.

    Source: Amazon S3 User Guide, "EventBridge event message structure".
    """
    return {
        "version": "0",
        "id": str(uuid.uuid4()),
        "detail-type": "Object Created",
        "source": "aws.s3",
        "account": account_id,
        "time": dt.datetime.now(dt.UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
        "region": bucket.region_name,
        "resources": [bucket.arn],
        "detail": {
            "version": "0",
            "bucket": {"name": bucket.name},
            "object": _object(bucket, key),
            "request-id": secrets.token_hex(8).upper(),
            "requester": account_id,
            "source-ip-address": "127.0.0.1",
            "reason": REASONS[event_name],
        },
    }


def _object(bucket: Any, key: Any) -> dict[str, Any]:
    described = {"key": key.name, "etag": key.etag.strip('"'), "size": key.size}
    if bucket.is_versioned:  # an object without a version has no such field
        described["version-id"] = key.version_id
    described["sequencer"] = f"{next(_sequence):018X}"
    return described


def get_permission(self: Any, action: str, resource: str) -> Any:
    """FakeBucket.get_permission: moto's PermissionResult for `action` on `resource`, with conditions on the transport.

    The twin serves on this machine's loopback, without TLS; for a policy that is a secure transport. A statement with
    any other condition is left out, as the twin does not enforce IAM, and the log says so.
    """
    from moto.iam.access_control import IAMPolicy, PermissionResult  # noqa: PLC0415 - the import is circular

    if self.policy is None:
        return PermissionResult.NEUTRAL
    statements = _applicable(bytes(self.policy))
    if not statements:
        return PermissionResult.NEUTRAL
    document = json.dumps({"Version": "2012-10-17", "Statement": statements})
    return IAMPolicy(document).is_action_permitted(action, resource)


@functools.lru_cache(maxsize=64)
def _applicable(policy: bytes) -> list[dict[str, Any]]:
    statements = json.loads(policy).get("Statement", [])
    statements = [statements] if isinstance(statements, dict) else statements
    held = [statement for statement in statements if _holds(statement)]
    return [{key: value for key, value in statement.items() if key != "Condition"} for statement in held]


def _holds(statement: dict[str, Any]) -> bool:
    for operator, tests in statement.get("Condition", {}).items():
        for key, wanted in tests.items():
            if operator != "Bool" or key.lower() != "aws:securetransport":
                log.warning("a bucket policy's condition %s %s is not evaluated by the twin", operator, key)
                return False
            values = wanted if isinstance(wanted, list) else [wanted]
            if "true" not in [str(value).lower() for value in values]:
                return False
    return True
