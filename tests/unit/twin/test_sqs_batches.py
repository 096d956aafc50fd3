"""What a function's answer says about the messages of its batch."""

from __future__ import annotations

import json
from typing import Any

import pytest

from twin.sqs.batches import failed

BATCH = {"a", "b", "c"}


@pytest.mark.parametrize(
    "payload",
    [
        b"not json",
        b'"ok"',
        b"[]",
        b"7",
        b'{"batchItemFailures": "a"}',
        b'{"batchItemFailures": {}}',
        b'{"batchItemFailures": ["a"]}',
        b'{"batchItemFailures": [{"itemIdentifier": null}]}',
        b'{"batchItemFailures": [{"itemIdentifier": ""}]}',
        b'{"batchItemFailures": [{"itemIdentifier": ["a"]}]}',
        b'{"batchItemFailures": [{"messageId": "a"}]}',
        b'{"batchItemFailures": [{"itemIdentifier": "a"}, {"itemIdentifier": "unknown"}]}',
    ],
)
def test_a_malformed_response_fails_the_whole_batch(payload: bytes) -> None:
    assert failed(BATCH, payload, error=False, reports=True) == BATCH


@pytest.mark.parametrize("payload", [b"", b"null", b"{}", b'{"batchItemFailures": null}', b'{"batchItemFailures": []}'])
def test_nothing_reported_is_success(payload: bytes) -> None:
    assert failed(BATCH, payload, error=False, reports=True) == set()


def test_an_error_fails_the_whole_batch_whatever_the_payload() -> None:
    for reports in (True, False):
        assert failed(BATCH, b'{"batchItemFailures": []}', error=True, reports=reports) == BATCH


def test_only_the_reported_messages_fail() -> None:
    answer: dict[str, Any] = {"batchItemFailures": [{"itemIdentifier": "b"}, {"itemIdentifier": "b"}]}
    assert failed(BATCH, json.dumps(answer).encode(), error=False, reports=True) == {"b"}


def test_without_report_batch_item_failures_the_response_is_ignored() -> None:
    answer = b'{"batchItemFailures": [{"itemIdentifier": "b"}]}'
    assert failed(BATCH, answer, error=False, reports=False) == set()
