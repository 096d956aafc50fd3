"""The demo's summary: every stage with its duration, also a failed one, and an estimate of the cost."""

from __future__ import annotations

import pytest

from cli.errors import CommandError
from demo.api_client import ApiResponse
from demo.simulated_users.sessions import SessionCounts
from demo.summary import Log, Usage, cost_items, show


def test_the_estimate_grows_with_the_usage_and_names_the_endpoint() -> None:
    counts = SessionCounts()
    for status in (200, 200, 503):
        counts.add_response("recommend", ApiResponse(status, {}, 0.01))
    little, much = Usage(), Usage(runs_usd=0.2, runs=2, streamed_rows=80_000, ticks=70)
    much.add_sessions(counts)
    much.enrolled = 500
    costs = {item.name: item.usd for item in cost_items(much)}
    assert much.requests == 3
    assert sum(costs.values()) > sum(item.usd for item in cost_items(little)) > 0  # the endpoint alone
    assert costs["training and evaluation (the plans' estimate)"] == 0.2
    assert any("endpoint" in name for name in costs)


def test_without_an_endpoint_none_is_in_the_estimate() -> None:
    assert [item for item in cost_items(Usage(backend="function")) if "endpoint" in item.name] == []
    assert sum(item.usd for item in cost_items(Usage(backend="function"))) == 0.0


def test_a_failed_stage_is_in_the_summary(capsys: pytest.CaptureFixture[str]) -> None:
    log = Log()
    with pytest.raises(CommandError), log.stage("first run"):
        raise CommandError("no run started")
    show(log)
    output = capsys.readouterr().out
    assert "first run" in output and "Estimated cost on AWS" in output and "total" in output
