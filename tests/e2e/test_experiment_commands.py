"""Operator commands on a whole twin: the command, the shift workflow and its function, and what the router is then.

Experiments are opened as deploy_experiment opens them. No model is behind them (the function scores, and is not asked),
so that what is tested is who may move the traffic, and whether it moves.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from usher.experiments.opening import Terms, open_experiment
from usher.store.router import Router, read_router, write_router

ROOT = Path(__file__).parents[2]
WHY = ("--why", "users complain", "--yes")
DEADLINE_SECONDS = 90.0

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def own_twin(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    """A twin of this module: no other test uses its router. Epochs are long: nothing decides."""
    from importlib.util import module_from_spec, spec_from_file_location  # noqa: PLC0415 - a conftest is no module

    spec = spec_from_file_location("e2e_twin", Path(__file__).with_name("conftest.py"))
    assert spec is not None and spec.loader is not None
    twins = module_from_spec(spec)
    sys.modules["e2e_twin"] = twins
    spec.loader.exec_module(twins)
    state = tmp_path_factory.mktemp("commands")
    given = ("ServingBackend=function", "EpochSeconds=86400", "BakeSeconds=86400")
    parameters = [part for each in given for part in ("--parameter", each)]
    process = twins.start(state, "--speed", "60", *parameters)
    try:
        yield twins.wait_until_ready(process, state)
    finally:
        twins.end(process)


class Operator:
    """Opens experiments, runs commands, and looks at the router."""

    def __init__(self, twin: Any, folder: Path) -> None:
        self._twin, self._folder = twin, folder
        dynamodb = twin.session.resource("dynamodb", endpoint_url=twin.endpoint)
        self.table = dynamodb.Table(twin.outputs["StateTable"])

    @property
    def router(self) -> Router:
        found = read_router(self.table)
        assert found is not None
        return found

    def open(self, old: str, new: str) -> Router:
        """An idle router whose model is `old`, then an experiment with `new` in variant B."""
        self.table.delete_item(Key={"pk": "ROUTER", "sk": "ROUTER"})
        first = Router.first(old, int(time.time()))
        write_router(self.table, first)
        terms = Terms("demo", 86400, 3600, 3600.0, 86400, 1.0)
        return open_experiment(self.table, first, new, terms, int(time.time()))

    def usher(self, *arguments: str, code: int = 0) -> subprocess.CompletedProcess[str]:
        """A command in a process of its own, which finds the twin by its state folder."""
        clean = {name: value for name, value in os.environ.items() if not name.startswith("AWS_")}
        environment = {**clean, "USHER_STATE_DIR": str(self._twin.state), "PYTHONPATH": str(ROOT), "NO_COLOR": "1"}
        command = [sys.executable, "-m", "cli.main", *arguments]
        done = subprocess.run(
            command, cwd=self._folder, env=environment, capture_output=True, text=True, timeout=240, check=False
        )
        assert done.returncode == code, done.stdout + done.stderr
        assert "Traceback" not in done.stderr
        return done

    def shown(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(self.usher("experiment", "--json").stdout)
        return found


@pytest.fixture
def operator(own_twin: Any, tmp_path: Path) -> Operator:
    return Operator(own_twin, tmp_path)


def eventually(probe: Callable[[], Any]) -> Any:
    deadline = time.monotonic() + DEADLINE_SECONDS
    while not (found := probe()):
        assert time.monotonic() < deadline, "nothing within the deadline"
        time.sleep(0.2)
    return found


def test_a_roll_back_gives_the_champion_all_traffic_and_says_who_and_why(operator: Operator) -> None:
    opened = operator.open("raaaaaaaaaa-1", "rbbbbbbbbbb-1")
    assert opened.state == "testing" and opened.weights["B"] > 0
    done = operator.usher("rollback", *WHY)
    assert done.stdout.startswith("roll back: ")
    assert "users complain" in done.stdout and "arn:aws:" in done.stdout
    assert done.stdout.count("\n") == 1
    router = operator.router
    assert (router.state, router.champion, dict(router.weights)) == ("idle", "A", {"A": 1.0, "B": 0.0})
    assert router.version == opened.version + 1 and router.experiment_id == ""
    shown = operator.shown()["experiment"]
    assert (shown["status"], shown["outcome"]) == ("closed", "rolled_back")
    assert shown["commands"][0]["status"] == "executed" and shown["commands"][0]["why"] == "users complain"
    assert shown["decisions"][0]["by"] == shown["commands"][0]["operator"]


def test_once_closed_a_roll_back_swaps_the_models_and_another_one_swaps_them_back(operator: Operator) -> None:
    operator.open("rcccccccccc-1", "rdddddddddd-1")
    operator.usher("rollback", *WHY)
    operator.usher("rollback", *WHY)
    assert (operator.router.champion, dict(operator.router.weights)) == ("B", {"A": 0.0, "B": 1.0})
    operator.usher("rollback", *WHY)
    assert (operator.router.champion, dict(operator.router.weights)) == ("A", {"A": 1.0, "B": 0.0})
    refused = operator.usher("thaw", *WHY, code=1)
    assert "no experiment is open" in refused.stderr


def test_frozen_it_stays_as_it_is_thawed_it_goes_on_and_forced_it_is_promoted_and_taken_back(
    operator: Operator,
) -> None:
    opened = operator.open("reeeeeeeeee-1", "rffffffffff-1")
    assert operator.usher("freeze", *WHY).stdout.startswith("freeze: ")
    assert operator.router.state == "frozen" and operator.router.weights == opened.weights
    assert "is frozen: only a testing experiment freezes" in operator.usher("freeze", *WHY, code=1).stderr
    operator.usher("thaw", *WHY)
    assert operator.router.state == "testing"
    assert "Promote it anyway with --force" in operator.usher("promote", *WHY, code=1).stderr
    assert operator.router.state == "testing"
    assert operator.usher("promote", "--force", *WHY).stdout.startswith("promote: ")
    assert (operator.router.state, operator.router.champion) == ("baking", "B")
    assert dict(operator.router.weights) == {"A": 0.0, "B": 1.0}
    operator.usher("rollback", *WHY)
    assert (operator.router.state, operator.router.champion) == ("idle", "A")
    actions = [order["action"] for order in operator.shown()["experiment"]["commands"]]
    assert actions == ["roll_back", "promote", "thaw", "freeze"]


def test_the_alarm_of_the_challengers_variant_rolls_it_back_without_anybody(operator: Operator, own_twin: Any) -> None:
    operator.open("rgggggggggg-1", "rhhhhhhhhhh-1")
    stack = own_twin.running.stack_name

    def failing() -> bool:
        """Twenty failures of forty requests that were given to variant B, until the experiment reacts."""
        data = [
            {"MetricName": name, "Dimensions": [{"Name": "variant", "Value": "B"}], "Values": [1.0] * count}
            for name, count in (("VariantRequests", 40), ("VariantErrors", 20))
        ]
        own_twin.client("cloudwatch").put_metric_data(Namespace="Usher", MetricData=data)
        return operator.router.state == "idle"

    eventually(failing)
    assert (operator.router.champion, dict(operator.router.weights)) == ("A", {"A": 1.0, "B": 0.0})
    shown = operator.shown()["experiment"]
    assert shown["outcome"] == "rolled_back"
    assert f"{stack}-variant-B-errors" in shown["reason"]


def test_the_page_and_the_watch_of_a_closed_experiment_end_by_themselves(operator: Operator, tmp_path: Path) -> None:
    operator.open("riiiiiiiiii-1", "rjjjjjjjjjj-1")
    operator.usher("rollback", *WHY)
    done = operator.usher("experiment", "--watch", "--html", str(tmp_path / "page.html"))
    assert "closed: rolled back" in done.stdout
    assert "users complain" in (tmp_path / "page.html").read_text()


def test_the_dashboard_of_the_stack_is_there(own_twin: Any) -> None:
    found = own_twin.client("cloudwatch").get_dashboard(DashboardName=own_twin.running.stack_name)
    body = json.loads(found["DashboardBody"])
    assert len(body["widgets"]) > 10
    assert "${" not in found["DashboardBody"]
