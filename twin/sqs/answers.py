"""Which messages of a batch have failed, from what the function answered."""

from __future__ import annotations

import json
from collections.abc import Collection


def failed(ids: Collection[str], payload: bytes, *, error: bool, reports: bool) -> set[str]:
    """The ids of the messages that come back.

    error: the function ended in an error, so the whole batch failed. reports: the mapping has ReportBatchItemFailures.
    Nothing reported (null, an object without failures) means success; an answer that cannot be understood, an empty,
    missing or unknown id means that the whole batch failed: better twice than never.
    https://docs.aws.amazon.com/lambda/latest/dg/services-sqs-errorhandling.html
    """
    if error:
        return set(ids)
    if not reports:
        return set()
    reported = _reported(payload)
    if reported is None or not all(isinstance(each, str) and each in ids for each in reported):
        return set(ids)
    return {str(each) for each in reported}


def _reported(payload: bytes) -> list[object] | None:
    """The reported identifiers, whatever they are; None when the answer cannot be understood."""
    try:
        answer = json.loads(payload or b"null")
    except ValueError:
        return None
    if answer is None:
        return []
    failures = answer.get("batchItemFailures", []) if isinstance(answer, dict) else False
    if failures is None:
        return []
    if not isinstance(failures, list):
        return None
    return [item.get("itemIdentifier") if isinstance(item, dict) else None for item in failures]
