"""S3's events as EventBridge gets them from AWS.

Source: Amazon S3 User Guide, "EventBridge event message structure". moto spells the ETag `eTag`, gives the time as a
number, calls every reason ObjectCreated, repeats one sequencer, tells of one request twice and hides what fails.
"""

from __future__ import annotations

import datetime as dt
import itertools
import logging
import secrets
import time
import uuid
from typing import Any, cast

from flask import has_request_context, request

from twin.moto_patches.registry import original

log = logging.getLogger(__name__)

REASONS = {
    "s3:ObjectCreated:Put": "PutObject",
    "s3:ObjectCreated:Post": "POST Object",
    "s3:ObjectCreated:Copy": "CopyObject",
    "s3:ObjectCreated:CompleteMultipartUpload": "CompleteMultipartUpload",
    "s3:ObjectRemoved:Delete": "DeleteObject",
    "s3:ObjectRemoved:DeleteMarkerCreated": "DeleteObject",
    "s3:LifecycleExpiration:Delete": "Lifecycle Expiration",
    "s3:LifecycleExpiration:DeleteMarkerCreated": "Lifecycle Expiration",
}
_DELETION_TYPES = {"Delete": "Permanently Deleted", "DeleteMarkerCreated": "Delete Marker Created"}

_sequence = itertools.count(time.time_ns())  # grows with every event, so it orders the events of a key as AWS's does


def send_event(account_id: str, event_name: Any, bucket: Any, key: Any) -> None:
    """moto's `send_event`, once for a request: moto tells of a completed multipart upload as a PutObject too, and of
    every new object as newly tagged.
    """
    if event_name.value == "s3:ObjectCreated:Put" and key.multipart is not None:
        return
    if event_name.value.startswith("s3:ObjectTagging:") and has_request_context() and "tagging" not in request.args:
        return
    original("moto.s3.notifications:send_event")(account_id, event_name, bucket, key)


def send_to_event_bridge(account_id: str, bucket: Any, event_name: Any, key: Any) -> None:
    """Put one event on the account's default bus, where the events of AWS's services go.

    What fails is logged, not raised: on AWS, too, the writer of an object hears nothing of it.
    """
    from moto.events.models import events_backends  # noqa: PLC0415 - the import is circular

    event = message(account_id, bucket, event_name.value, key)
    rules = events_backends[account_id][bucket.region_name].event_buses["default"].rules
    for rule in list(rules.values()):
        try:
            rule.send_to_targets(cast("Any", event), transform_input=False)
        except Exception:  # the other rules have to get the event all the same
            log.exception("event of s3://%s/%s was not delivered by rule %s", bucket.name, key.name, rule.name)


def message(account_id: str, bucket: Any, event_name: str, key: Any) -> dict[str, Any]:
    """The event as EventBridge shows it to rules and targets."""
    from moto.s3.notifications import _detail_type  # noqa: PLC0415 - the import is circular

    return {
        "version": "0",
        "id": str(uuid.uuid4()),
        "detail-type": _detail_type(event_name),
        "source": "aws.s3",
        "account": account_id,
        "time": dt.datetime.now(dt.UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
        "region": bucket.region_name,
        "resources": [bucket.arn],
        "detail": {
            "version": "0",
            "bucket": {"name": bucket.name},
            "object": _object(bucket, event_name, key),
            "request-id": secrets.token_hex(8).upper(),
            "requester": account_id,
            "source-ip-address": "127.0.0.1",
            **_why(event_name),
        },
    }


def _object(bucket: Any, event_name: str, key: Any) -> dict[str, Any]:
    described = {"key": key.name, "etag": key.etag.strip('"')}
    if "ObjectCreated" in event_name:
        described["size"] = key.size
    if bucket.is_versioned:  # an object without a version has no such field
        described["version-id"] = key.version_id
    described["sequencer"] = f"{next(_sequence):018X}"
    return described


def _why(event_name: str) -> dict[str, str]:
    why = {"reason": REASONS[event_name]} if event_name in REASONS else {}
    deletion = event_name.rpartition(":")[2]
    if event_name.startswith(("s3:ObjectRemoved", "s3:LifecycleExpiration")) and deletion in _DELETION_TYPES:
        why["deletion-type"] = _DELETION_TYPES[deletion]
    return why
