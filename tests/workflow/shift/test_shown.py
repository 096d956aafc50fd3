"""What the workflow writes is what `usher experiment` shows, and what it draws."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import boto3
import pytest
from typer.testing import CliRunner, Result

from cli import main
from cli.experiments import charts, presentation, records
from cli.target import Resources, Target
from twin import context
from usher.store.experiments import ROLES


@pytest.fixture
def target(shift: Any) -> Target:
    """The deployment as a command sees it."""
    server = context.current()
    session = boto3.Session(context.ACCESS_KEY, context.SECRET_KEY, region_name=server.region)
    found = Target(session, "usher", "the twin", endpoint=server.endpoint)
    found._resources = Resources(
        landing_bucket="landing",
        lake_bucket="lake",
        database="usher",
        state_table=shift.run.table.name,
        workgroup="usher",
        shift_workflow_arn=shift.machine,
    )
    return found


def show(target: Target, *arguments: str) -> Result:
    result = CliRunner().invoke(main.app, ["experiment", *arguments], obj=target)
    assert result.exit_code == 0, result.exception
    return result


def test_an_experiment_that_has_just_opened_is_shown(shift: Any, target: Target) -> None:
    output = show(target).output
    assert "xrbbbbbbbbbb-1  testing" in output
    assert "10% of new users see the challenger" in output
    assert "no decision has been made yet" in output


@pytest.mark.slow
def test_every_decision_is_shown_with_its_reason_and_every_stratum_is_drawn(
    shift: Any, target: Target, tmp_path: Path
) -> None:
    shift.outcomes(enrolled=1000, joined=980)
    shift.until("promote", users=200, rates=(0.15, 0.40))
    page = tmp_path / "page.html"
    output = show(target, "--html", str(page)).output
    assert "xrbbbbbbbbbb-1  baking" in output and "98% of outcomes name their recommendation" in output
    assert str(shift.last["reason"])[:40] in " ".join(output.split())
    shown = json.loads(show(target, "--json").stdout)["experiment"]
    assert shown["weights"] == {"champion": 0.0, "challenger": 1.0}
    assert len(shown["decisions"]) == len(shift.items("DECISION")) > 3
    assert len(shown["strata"]) == len(shift.items("STRATUM")) > 2
    assert len(re.findall("<svg", page.read_text())) == 7

    found = records.find(target, "last", records.router_of(target))
    assert found is not None
    drawn = {chart.title: chart for chart in charts.charts(found, presentation.preset_of(found))}
    bars = {each.label: sum(each.y) for each in drawn["Users by stratum"].bars}
    for role in ROLES:
        counted = sum(item[role]["n"] for item in shift.items("STRATUM"))
        assert bars[f"{role}: enrolled"] == counted == found.numbers[f"users_{role}"]
    share = drawn["The challenger's share of new users"].lines[0]
    assert (share.y[0], share.y[-1]) == (0.1, 1.0)


@pytest.mark.slow
def test_a_closed_experiment_says_how_it_ended(shift: Any, target: Target) -> None:
    shift.until("retire", users=200, rates=(0.30, 0.08))
    output = show(target).output
    assert "xrbbbbbbbbbb-1  closed: retired" in output
    assert "worse: e-value" in output
    assert json.loads(show(target, "--json").stdout)["router"]["state"] == "idle"
