"""A team without a single rating: views, clicks and purchases alone bring up a model, and newer ones its challenger."""

from __future__ import annotations

import csv
import importlib.util
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, cast

import pytest

from cli.formatting.run_report import page
from demo.generator.files import Kinds, generate
from demo.generator.world import Size

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[2]
# conftest.py is no module of a package: it is loaded by its path.
_spec = importlib.util.spec_from_file_location("e2e_conftest", Path(__file__).with_name("conftest.py"))
assert _spec
assert _spec.loader
live = importlib.util.module_from_spec(_spec)
sys.modules["e2e_conftest"] = live
_spec.loader.exec_module(live)

SIZE, SEED = Size(1500, 400, 45_000), 5
#: As the demo has them: quiet for a minute of the twin's time.
PARAMETERS = {"MinNewRows": "1000", "QuietSeconds": "60", "TuningTrials": "4"}
RUN_SECONDS = 420.0


@pytest.fixture(scope="module")
def twin(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    """A twin of this file's own: its lake holds no rating."""
    state = tmp_path_factory.mktemp("state")
    options = [part for name, value in PARAMETERS.items() for part in ("--parameter", f"{name}={value}")]
    process = live.start(state, "--speed", str(live.SPEED), *options)
    try:
        yield live.wait_until_ready(process, state)
    finally:
        live.end(process)


@pytest.fixture(scope="module")
def usher(twin: Any, tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Any]:
    """`usher("recommend", …)`: the command's JSON, or its text when --json is not asked for."""
    clean = {name: value for name, value in os.environ.items() if not name.startswith("AWS_")}
    environment = {**clean, "USHER_STATE_DIR": str(twin.state), "PYTHONPATH": str(ROOT), "NO_COLOR": "1"}
    folder = tmp_path_factory.mktemp("work")

    def call(*arguments: object) -> Any:
        command = [sys.executable, "-m", "cli.main", *map(str, arguments)]
        done = subprocess.run(
            command, cwd=folder, env=environment, capture_output=True, text=True, timeout=300, check=False
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return json.loads(done.stdout) if "--json" in arguments else done.stdout

    return call


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """movies.csv, and the events in two files by time: earlier.csv (three quarters) and later.csv."""
    folder = tmp_path_factory.mktemp("generated")
    generate(folder, SIZE, SEED, kinds=Kinds(ratings=False, events=True))
    with (folder / "events.csv").open(newline="") as file:
        header, *rows = csv.reader(file)
    rows.sort(key=lambda row: int(row[-1]))
    cut = len(rows) * 3 // 4
    for name, part in (("earlier.csv", rows[:cut]), ("later.csv", rows[cut:])):
        with (folder / name).open("w", newline="") as file:
            csv.writer(file, lineterminator="\n").writerows([header, *part])
    return folder


class Runs:
    """The state table's records and what the runs left in the lake bucket."""

    def __init__(self, twin: Any) -> None:
        self._twin = twin
        self.s3 = twin.client("s3")
        self.states = twin.client("stepfunctions")
        self.bucket = twin.outputs["LakeBucket"]
        self.table = twin.session.resource("dynamodb", endpoint_url=twin.endpoint).Table(twin.outputs["StateTable"])

    def item(self, pk: str, sk: str) -> Any:
        return self.table.get_item(Key={"pk": pk, "sk": sk}, ConsistentRead=True).get("Item", {})

    def ended(self, number: int) -> tuple[str, Any]:
        """The id and the record of the `number`th run, once its execution has ended."""
        machines = self.states.list_state_machines()["stateMachines"]
        (machine,) = [one["stateMachineArn"] for one in machines if "train" in one["name"]]
        deadline = time.monotonic() + RUN_SECONDS
        while time.monotonic() < deadline:
            found = self.states.list_executions(stateMachineArn=machine)["executions"]
            found.sort(key=lambda execution: execution["startDate"])
            if len(found) >= number and found[number - 1]["status"] != "RUNNING":
                run_id = str(found[number - 1]["name"])
                return run_id, self.item(f"RUN#{run_id}", "META")
            time.sleep(0.5)
        pytest.fail(f"run {number} has not ended within {RUN_SECONDS:.0f} s: {found}")

    def read(self, run_id: str, name: str) -> str:
        return str(self.s3.get_object(Bucket=self.bucket, Key=f"runs/{run_id}/{name}")["Body"].read(), "utf-8")


@pytest.fixture(scope="module")
def runs(twin: Any) -> Runs:
    return Runs(twin)


@pytest.fixture(scope="module")
def first_run(usher: Any, files: Path, runs: Runs) -> tuple[str, Any]:
    """Upload the catalogue and the earlier events; the run that starts by itself, once it has ended."""
    for name in ("movies.csv", "earlier.csv"):
        usher("upload", files / name, "--wait")
    return runs.ended(1)


def test_events_alone_bring_a_model_into_service(first_run: tuple[str, Any], runs: Runs, twin: Any) -> None:
    run_id, record = first_run
    assert record["status"] == "succeeded", record
    assert "without fm: there are no ratings to predict ratings from" in record["plan"]
    assert set(record["hyperparameters"]) == {"knn", "ranker"}
    facts = json.loads(runs.read(run_id, "evaluation.json"))
    assert facts["left_out"] == {"fm": "there are no ratings to predict ratings from"}
    assert facts["leaks"] == []
    assert facts["window"]["rated_rows"] == 0
    metrics = facts["metrics"]
    assert metrics["candidate"]["ndcg@10"] > metrics["popularity"]["ndcg@10"]
    assert facts["prepared"]["kinds"]["purchase"] > 0
    assert "Left out: fm: there are no ratings" in page(facts)
    endpoint = twin.client("sagemaker").describe_endpoint(EndpointName=twin.outputs["EndpointName"])
    assert endpoint["EndpointStatus"] == "InService"
    assert runs.item("ROUTER", "ROUTER")["models"] == {"A": run_id, "B": run_id}


def test_who_only_bought_and_clicked_gets_the_models_answer_with_reasons(
    first_run: tuple[str, Any], usher: Any, files: Path
) -> None:
    assert first_run[1]["status"] == "succeeded"
    with (files / "earlier.csv").open(newline="") as file:
        events = list(csv.DictReader(file))
    buyer = next(row["user_id"] for row in events if row["type"] == "purchase")
    answer = usher("recommend", buyer, "--explain", "--json")
    assert answer["level"] == "model"
    assert answer["recommendation_id"].startswith("v1.")
    seen = {row["item_id"] for row in events if row["user_id"] == buyer and row["type"] != "view"}
    shown = {item["item_id"] for item in answer["items"]}
    assert len(shown) == 10
    assert not seen & shown
    reasons = " ".join(item["reason"]["text"] for item in answer["items"])
    assert "bought" in reasons or "clicked" in reasons
    assert all("predicted" not in item["reason"] for item in answer["items"])
    assert usher("similar", answer["items"][0]["item_id"], "--json")["items"]


def test_later_events_bring_a_second_run_that_is_judged_against_the_first(
    first_run: tuple[str, Any], usher: Any, files: Path, runs: Runs
) -> None:
    first = first_run[0]
    usher("upload", files / "later.csv", "--wait")
    second, record = runs.ended(2)
    assert record["status"] in ("succeeded", "refused"), record
    gate = cast("dict[str, Any]", record["gate"])
    assert gate["passed"] is (record["status"] == "succeeded")
    facts = json.loads(runs.read(second, "evaluation.json"))
    assert facts["leaks"] == []
    assert facts["champion_model_id"].startswith(first)
    assert {"ndcg@10"} <= facts["metrics"]["champion"].keys()
    router = runs.item("ROUTER", "ROUTER")
    assert router["champion"] == "A"
    assert router["models"] == {"A": first, "B": second if gate["passed"] else first}
