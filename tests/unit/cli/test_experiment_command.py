"""`usher experiment`: what it says of every state an experiment may be in, and its page; written by the real rules."""

from __future__ import annotations

import io
import json
import math
import re
from datetime import UTC, datetime
from html.parser import HTMLParser
from itertools import pairwise
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest
from rich.console import Console
from typer.testing import CliRunner, Result

from cli import main
from cli.experiments import charts, presentation, records
from cli.simulation.one_experiment import DecisionPoint, simulate_one
from cli.simulation.world import World
from cli.target import Resources, Target
from tests.unit.cli.conftest import create_workflow, failure
from usher.experiments.stats.presets import PRESETS
from usher.schema import ids
from usher.store import keys
from usher.store.codec import stored
from usher.store.experiments import ROLES
from usher.store.router import Router

EVIL = "<script>alert(1)</script>\x1b[31m[bold]"
STARTED = 1_780_000_000
HOUR = 3600.0
OLD, NEW = "raaaaaaaaaa-1", "rbbbbbbbbbb-1"
NAME = ids.experiment_id(NEW)


def by_role(challenger: float) -> dict[str, float]:
    """Weights by role of the challenger's share."""
    return {"champion": round(1 - challenger, 4), "challenger": challenger}


class Story:
    """Writes an experiment's items as shift_traffic does, from a simulated course."""

    def __init__(self, table: Any) -> None:
        self.table = table

    def put(self, key: keys.Key, **fields: Any) -> None:
        self.table.put_item(Item=key.item() | stored({name: each for name, each in fields.items() if each is not None}))

    def router(self, **changed: Any) -> None:
        first = Router.first(OLD, STARTED)
        fields = {name: getattr(first, name) for name in Router.__dataclass_fields__}
        self.put(keys.ROUTER, **{**fields, "models": {"A": OLD, "B": NEW}, **changed})

    def meta(self, **changed: Any) -> None:
        fields = {
            **{"salt": "5a17" * 8, "started_at": STARTED, "attribution_seconds": 3600, "epoch_seconds": 3600},
            **{"settle_seconds": 60, "hour_seconds": HOUR, "bake_seconds": 86400, "preset": "default"},
            **{"champion": "A", "challenger": "B", "status": "open"},
            "models": {"champion": OLD, "challenger": NEW},
        }
        self.put(keys.experiment(NAME), **{**fields, **changed})

    def run(
        self, lift: float = 0.1, *, error_rate: float = 0.0, seed: int = 1, closed: bool = True
    ) -> list[DecisionPoint]:
        """A whole experiment, decision by decision and stratum by stratum; the steps that were taken."""
        course = list(simulate_one(World(lift=lift), PRESETS["default"], seed, error_rate))
        course = course if closed else course[: len(course) // 2]
        for number, step in enumerate(course):
            self._decide(step)
            self._count(number, course[number - 1] if number else None, step)
        last = course[-1]
        ended = {
            "status": "closed" if closed else "open",
            "outcome": "promoted" if closed and lift > 0 else "retired" if closed else None,
            "reason": last.decision.reason if closed else None,
            "decided_at": self.at(last) if closed else None,
            "closed_at": self.at(last) if closed else None,
        }
        self.meta(**ended)
        summary = {
            "at": self.at(last),
            "decision": last.decision.decision,
            "reason": last.decision.reason,
            "weights": by_role(last.decision.weight),
            "join_rate": 0.93,
            "numbers": dict(last.decision.numbers),
        }
        self.put(keys.experiment_state(NAME), schema=1, revision=len(course), summary=summary)
        weights = {"A": round(1 - last.decision.weight, 4), "B": last.decision.weight}
        if closed:
            self.router(version=len(course) + 2, champion="B" if lift > 0 else "A")
        else:
            self.router(version=len(course) + 2, state="testing", experiment_id=NAME, weights=weights)
        return course

    def at(self, step: DecisionPoint) -> float:
        return STARTED + step.hours * HOUR

    def _decide(self, step: DecisionPoint) -> None:
        made = step.decision
        time = datetime.fromtimestamp(self.at(step), UTC).isoformat()
        self.put(
            keys.decision(NAME, time),
            decision=made.decision,
            reason=made.reason,
            numbers=dict(made.numbers),
            weights_before={"champion": 1 - made.weight_before, "challenger": made.weight_before},
            weights_after=by_role(made.weight),
            router_version=int(step.hours) + 2,
            by="usher",
            why="",
            at=self.at(step),
        )

    def _count(self, number: int, before: DecisionPoint | None, now: DecisionPoint) -> None:
        def grown(name: str, role: str) -> int:
            return int(now.number(f"{name}_{role}") - (before.number(f"{name}_{role}") if before else 0))

        roles = {
            role: {"n": grown("users", role), "c": grown("conversions", role), "sum_y": 0, "sum_y2": 0}
            for role in ROLES
        }
        weights = {"A": 1 - now.decision.weight_before, "B": now.decision.weight_before}
        span = {"opened_at": self.at(before) if before else STARTED, "closed_at": self.at(now)}
        self.put(keys.stratum(NAME, number + 1), weights=weights, **span, **roles)


@pytest.fixture
def target(stack: Target) -> Target:
    """The stack with a training workflow and an endpoint's name."""
    stack._resources = Resources(
        landing_bucket="l",
        lake_bucket="k",
        database="d",
        state_table="state",
        workgroup="w",
        train_workflow_arn=create_workflow(stack, "train"),
        endpoint_name="usher",
    )
    return stack


@pytest.fixture
def story(target: Target) -> Story:
    return Story(target.state_table())


def call(target: Target, *arguments: str) -> Result:
    return CliRunner().invoke(main.app, ["experiment", *arguments], obj=target)


# What goes wrong


def test_without_a_model_it_says_that_none_serves(target: Target) -> None:
    result = call(target)
    assert result.exit_code == 0
    assert "No model serves yet" in result.output


def test_without_an_experiment_it_says_what_serves_and_since_when(target: Target, story: Story) -> None:
    story.router(models={"A": OLD, "B": OLD})
    output = call(target).output
    assert f"Model {OLD} serves from variant A" in output
    assert "2026-05-28 20:26:40 UTC" in output
    assert "There has been no experiment" in output
    assert json.loads(call(target, "--json").stdout)["experiment"] is None


def test_an_unknown_id_is_refused(target: Target, story: Story) -> None:
    story.router()
    assert "experiment xr9 not found" in failure(call(target, "xr9"))


def test_a_router_that_was_edited_by_hand_is_one_line(target: Target, story: Story) -> None:
    story.put(keys.ROUTER, version=3)
    assert "the item ROUTER of table state lacks 'opened_at'" in failure(call(target))


def test_a_record_that_was_emptied_by_hand_is_shown_as_far_as_it_goes(target: Target, story: Story) -> None:
    story.router(state="testing", experiment_id=NAME)
    story.put(keys.experiment(NAME), status="open")
    story.put(keys.decision(NAME, "no time"), decision=7, numbers="none", weights_after=[1])
    story.put(keys.stratum(NAME, 1), weights="half", opened_at="x", champion=3)
    story.put(keys.command(NAME, ""), action=None)
    result = call(target)
    assert result.exit_code == 0, result.exception
    assert "start time unknown" in result.output
    assert call(target, "--json").exit_code == 0
    assert records.find(target, "last", records.router_of(target)) is not None


def test_a_preset_of_another_version_leaves_the_limits_out(target: Target, story: Story, tmp_path: Path) -> None:
    story.run()
    story.meta(preset="brave")
    result = call(target, "--html", str(tmp_path / "page.html"))
    assert result.exit_code == 0, result.exception
    assert "e-value" in result.output and "promotes at 500" not in result.output


def test_a_page_that_cannot_be_written_is_one_line(target: Target, story: Story, tmp_path: Path) -> None:
    assert "leave out --html" in failure(call(target, "--html", str(tmp_path / "page.html")))
    story.run()
    assert "cannot write" in failure(call(target, "--html", str(tmp_path / "no" / "page.html")))


def test_watching_and_json_exclude_each_other(target: Target) -> None:
    assert "--watch and --json exclude each other" in failure(call(target, "--watch", "--json"))


# What it says


def test_an_open_experiment_is_shown_with_evidence_thresholds_and_reasons(target: Target, story: Story) -> None:
    course = story.run(closed=False)
    output = call(target, "--decisions", "3").output
    last = course[-1].decision
    assert f"{NAME}  testing" in output
    assert f"{last.weight:.0%} of new users see the challenger" in output
    assert "promotes at 500" in output and "retires at 20" in output
    assert "rolls back at" in output and "freezes at" in output
    assert "95 % confidence sequence" in output
    assert "93% of outcomes name their recommendation" in output
    assert output.count("undecided after") == 4, "the newest reason above, and three decisions"
    assert "For earlier decisions use --decisions N" in output
    assert OLD in output and NEW in output


def test_a_closed_experiment_is_the_newest_until_the_next_one_opens(target: Target, story: Story) -> None:
    story.run()
    output = call(target).output
    assert f"{NAME}  closed: promoted" in output
    assert "better" in output
    for asked in (NAME, NEW, NAME[:5]):
        assert NAME in call(target, asked).output


def test_its_json_has_everything_but_the_secret_of_the_assignment(target: Target, story: Story) -> None:
    course = story.run(closed=False)
    result = call(target, "--json")
    record = json.loads(result.stdout)
    assert record["router"]["experiment_id"] == NAME
    assert record["experiment"]["weights"] == pytest.approx(by_role(course[-1].decision.weight))
    assert len(record["experiment"]["decisions"]) == len(course)
    assert record["experiment"]["decisions"][0]["reason"] == course[-1].decision.reason
    assert [variant["variant"] for variant in record["variants"]] == ["A", "B"]
    assert "5a17" not in result.stdout


def test_what_each_variant_did_is_read_from_cloudwatch(target: Target, story: Story) -> None:
    story.run(closed=False)
    now = datetime.now(UTC)

    def put(namespace: str, name: str, value: float, **dimensions: str) -> None:
        named = [{"Name": key, "Value": each} for key, each in dimensions.items()]
        datum = {"MetricName": name, "Dimensions": named, "Value": value, "Timestamp": now}
        target.client("cloudwatch").put_metric_data(Namespace=namespace, MetricData=[datum])

    put("Usher", "VariantRequests", 40, variant="B")
    put("Usher", "VariantErrors", 7, variant="B")
    put("AWS/SageMaker", "Invocations", 33, EndpointName="usher", VariantName="B")
    variants = {variant["variant"]: variant for variant in json.loads(call(target, "--json").stdout)["variants"]}
    assert (variants["B"]["VariantRequests"], variants["B"]["VariantErrors"], variants["B"]["Invocations"]) == (
        40,
        7,
        33,
    )
    assert "VariantRequests" not in variants["A"]
    assert variants["B"]["endpoint_weight"] is None and variants["B"]["endpoint_status"] == "endpoint not found"


def test_what_the_last_look_could_not_see_is_said(target: Target, story: Story, tmp_path: Path) -> None:
    story.router(state="testing", experiment_id=NAME)
    story.meta()
    blind = "CloudWatch could not be read: Throttling"
    story.put(keys.experiment_state(NAME), summary={"reason": "as it was", "endpoint": "Updating", "blind": blind})
    output = call(target, "--html", str(tmp_path / "page.html")).output
    assert f"! {blind}" in output and "! the endpoint: Updating" in output
    assert blind in (tmp_path / "page.html").read_text()
    story.put(keys.experiment_state(NAME), summary={"reason": "as it was", "endpoint": "InService"})
    assert "!" not in call(target).output


def test_alarms_that_fire_are_said_and_those_of_other_stacks_are_not(target: Target, story: Story) -> None:
    cloudwatch = target.client("cloudwatch")
    for name, state in (
        ("usher-variant-B-errors", "ALARM"),
        ("usher-api-5xx", "OK"),
        ("other-variant-A-empty", "ALARM"),
    ):
        cloudwatch.put_metric_alarm(
            AlarmName=name,
            **{"Namespace": "n", "MetricName": "m", "Statistic": "Sum", "Period": 60, "EvaluationPeriods": 1},
            **{"Threshold": 0, "ComparisonOperator": "GreaterThanThreshold"},
        )
        cloudwatch.set_alarm_state(AlarmName=name, StateValue=state, StateReason="as the test says")
    story.router(models={"A": OLD, "B": OLD})
    assert "! alarm usher-variant-B-errors" in call(target).output
    story.router(state="testing", experiment_id=NAME)
    story.meta()
    assert "! alarm usher-variant-B-errors" in call(target).output
    assert json.loads(call(target, "--json").stdout)["alarms"] == ["usher-variant-B-errors"]


def test_orders_are_shown_with_who_and_why(target: Target, story: Story) -> None:
    story.run(closed=False)
    story.put(
        keys.command(NAME, "2026-05-29T00:00:00+00:00"),
        action="freeze",
        operator="arn:ada",
        why=EVIL,
        status="executed",
    )
    output = call(target).output
    assert "freeze" in output and "arn:ada" in output
    assert "\x1b[31m" not in output and "[bold]" in output


def test_watching_ends_when_the_experiment_closes(
    target: Target, story: Story, monkeypatch: pytest.MonkeyPatch
) -> None:
    story.run(closed=False)
    looks = []

    def close(seconds: float) -> None:
        looks.append(seconds)
        if len(looks) == 2:
            story.run()

    monkeypatch.setattr("time.sleep", close)
    result = call(target, "--watch", "--every", "0.5")
    assert result.exit_code == 0, result.exception
    lines = [line for line in result.stdout.splitlines() if line.startswith(NAME)]
    assert len(lines) == 2, "a line for each change, none for a look that saw none"
    assert "testing" in lines[0] and "closed: promoted" in lines[1]
    assert looks == [0.5, 0.5]


def test_watching_what_vanishes_ends_in_one_line(target: Target, story: Story, monkeypatch: pytest.MonkeyPatch) -> None:
    story.run(closed=False)
    monkeypatch.setattr("time.sleep", lambda _: story.table.delete_item(Key=keys.experiment(NAME).item()))
    assert "was deleted" in failure(call(target, "--watch"))


# The page


class _Outside(HTMLParser):
    """Collects whatever a page would fetch or run."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found += [f"{tag} {name}" for name, _ in attrs if name in ("src", "href", "srcset", "data")]
        self.found += [f"{tag} {name}" for name, _ in attrs if name.startswith("on")]
        self.found += [tag] if tag in ("script", "link", "iframe", "img") else []


@pytest.mark.parametrize("closed", [True, False])
def test_the_page_needs_nothing_from_outside_and_escapes_what_people_wrote(
    target: Target, story: Story, tmp_path: Path, closed: bool
) -> None:
    story.run(closed=closed)
    story.put(keys.command(NAME, "2026-05-29T00:00:00+00:00"), action=EVIL, operator=EVIL, why=EVIL, status="executed")
    story.put(keys.decision(NAME, "2026-05-29T00:00:01+00:00"), decision="freeze", reason=EVIL, by=EVIL, why=EVIL)
    path = tmp_path / "page.html"
    assert call(target, "--html", str(path)).exit_code == 0
    page = path.read_text(encoding="utf-8")
    outside = _Outside()
    outside.feed(page)
    assert outside.found == []
    assert "url(" not in page and "http:" not in page and "https:" not in page
    assert "default-src 'none'" in page
    pictures = re.findall(r"<svg.*?</svg>", page, flags=re.DOTALL)
    assert len(pictures) == 7
    for picture in pictures:
        ElementTree.fromstring(picture)  # noqa: S314 - our own text, parsed to see that it is well-formed
        found = re.findall(r"-?\d+\.\d+|nan|inf", picture)
        assert all(math.isfinite(float(number)) for number in found)


def test_the_page_of_an_experiment_that_has_just_opened_has_no_empty_chart(
    target: Target, story: Story, tmp_path: Path
) -> None:
    story.meta()
    story.router(state="testing", experiment_id=NAME, weights={"A": 0.95, "B": 0.05})
    path = tmp_path / "page.html"
    assert call(target, "--html", str(path)).exit_code == 0
    page = path.read_text(encoding="utf-8")
    assert "<svg" not in page
    assert "no decision has been made yet" in page and "5%" in page


def test_the_drawn_share_is_the_share_of_each_decision(target: Target, story: Story) -> None:
    course = story.run(closed=False)
    found = records.find(target, "last", records.router_of(target))
    assert found is not None
    chart = next(each for each in charts.charts(found, presentation.preset_of(found)) if "share" in each.title)
    (line,) = chart.lines
    assert all(first <= second for first, second in pairwise(line.x))
    drawn = {round(x, 6): y for x, y in zip(line.x, line.y, strict=True)}
    for step in course:
        assert drawn[round(step.hours, 6)] == pytest.approx(step.decision.weight)


def test_bars_of_one_stratum_end_where_the_next_one_begins(target: Target, story: Story) -> None:
    story.meta()
    story.router(state="testing", experiment_id=NAME)
    one = {"n": 5, "c": 1}
    for version, (opened, closed) in enumerate([(0, 60.9), (60, 120.4), (300, 360)]):
        span = {"opened_at": STARTED + opened, "closed_at": STARTED + closed}
        story.put(keys.stratum(NAME, version), **span, weights={}, champion=one, challenger=one)
    found = records.read(target, NAME)
    assert found is not None
    (chart,) = [each for each in charts.charts(found, None) if each.bars]
    seconds = [
        round(3600 * right, 1) for right in next(b for b in chart.bars if b.label == "challenger: enrolled").right
    ]
    assert seconds == [60, 120.4, 360]


def test_bars_add_up_to_what_was_counted(target: Target, story: Story) -> None:
    course = story.run(closed=False)
    found = records.find(target, "last", records.router_of(target))
    assert found is not None
    chart = next(each for each in charts.charts(found, None) if each.bars)
    heights = {bars.label: sum(bars.y) for bars in chart.bars}
    for role in ROLES:
        assert heights[f"{role}: enrolled"] == course[-1].number(f"users_{role}") > 0
        assert heights[f"{role}: converted"] == course[-1].number(f"conversions_{role}") > 0


def test_on_a_terminal_the_picture_moves_until_the_experiment_closes(
    target: Target, story: Story, monkeypatch: pytest.MonkeyPatch
) -> None:
    story.run(closed=False)
    written = io.StringIO()
    console = Console(file=written, force_terminal=True, width=120, height=60)
    monkeypatch.setattr("cli.commands.experiment.out", lambda: console)
    monkeypatch.setattr("time.sleep", lambda _: story.run())
    assert call(target, "--watch").exit_code == 0
    assert "testing" in written.getvalue() and "closed: promoted" in written.getvalue()


def test_who_only_looks_does_not_read_what_is_drawn(target: Target, story: Story) -> None:
    story.run(closed=False)
    found = records.read(target, NAME, 2)
    assert found is not None
    assert len(found.decisions) == 2 and found.strata == ()
    assert records.moment_of(found.decisions[0]) < records.moment_of(found.decisions[1])
