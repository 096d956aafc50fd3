"""What one event of feedback uses on AWS, counted: the figures that `usher cost` multiplies."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from cli.costs import usage
from tests.unit.aws_usage import AwsUsage, metrics_of

if TYPE_CHECKING:
    from tests.unit.core.feedback.conftest import Desk

CLICK = {"type": "click", "user_id": "u1", "item_id": "1"}


def test_the_costliest_event_uses_no_more_than_is_counted(
    desk: Desk, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A rating that counts in the profile and, as the user's first outcome, in the experiment."""
    desk.open_experiment()
    desk.send({**CLICK, "user_id": "another", "event_id": "e0", "at": desk.now - 1})
    desk.enrol("u1")
    counted = AwsUsage(monkeypatch)
    capsys.readouterr()
    event = {"type": "rating", "value": 4.5, "user_id": "u1", "item_id": "1", "event_id": "e1", "at": desk.now - 1}
    status, _ = desk.send({**event, "recommendation_id": desk.recommendation("u1", "1")})
    assert status == 202
    writes = {name: count for name, count in counted.calls.items() if name in ("PutItem", "UpdateItem")}
    converts = 1  # the exposure is in the index, too
    assert sum(writes.values()) + converts == usage.FEEDBACK.write_units
    assert counted.calls["PutRecordBatch"] == usage.FEEDBACK.stream_records
    reads = sum(count for name, count in counted.calls.items() if name in ("GetItem", "Query"))
    assert reads == usage.FEEDBACK.read_units
    out = capsys.readouterr().out
    assert len(out) + usage.PLATFORM_LOG_BYTES <= usage.FEEDBACK.log_bytes
    assert len(metrics_of(out)) == usage.METRICS["feedback"]
