"""Counts what one request uses: calls to AWS by operation, bytes of logs, and custom metrics."""

from __future__ import annotations

import json
from collections import Counter
from typing import Any

import botocore.client
import pytest


class AwsUsage:
    """Every call of botocore from now on. calls: number by operation. bytes: of requests and answers, by operation."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.calls: Counter[str] = Counter()
        self.bytes: Counter[str] = Counter()
        call: Any = botocore.client.BaseClient._make_api_call  # type: ignore[attr-defined]  # not in the stubs

        def counted(client: Any, operation: str, request: dict[str, Any]) -> Any:
            self.calls[operation] += 1
            answer = call(client, operation, request)
            if operation == "InvokeEndpoint":
                said = int(answer["ResponseMetadata"]["HTTPHeaders"]["content-length"])
                self.bytes[operation] += len(request["Body"]) + said
            return answer

        monkeypatch.setattr(botocore.client.BaseClient, "_make_api_call", counted)

    def clear(self) -> None:
        """Forget what was counted."""
        self.calls.clear()
        self.bytes.clear()


def metrics_of(log: str) -> set[tuple[str, tuple[tuple[str, str], ...]]]:
    """The custom metrics that log lines in the embedded metric format publish: name, and values of its dimensions."""
    found = set()
    for line in log.splitlines():
        if not line.startswith('{"_aws"'):
            continue
        said = json.loads(line)
        for directive in said["_aws"]["CloudWatchMetrics"]:
            for names in directive["Dimensions"]:
                dimensions = tuple((name, str(said[name])) for name in names)
                found |= {(metric["Name"], dimensions) for metric in directive["Metrics"]}
    return found
