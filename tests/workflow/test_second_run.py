"""The second run and the third: started by new rows, judged against the champion, and what each does to the variants.

The tests hold whatever an opened experiment does to the weights: they look at models, champion and verdicts.
"""

from __future__ import annotations

import json
import time
from typing import Any

import pytest

FIRST = "raaaaaaaaaa-1"
THIRD = "rcccccccccc-1"
WORSE = {
    "metrics": {"candidate": {"ndcg@10": 0.15}, "popularity": {"ndcg@10": 0.1}, "champion": {"ndcg@10": 0.19}},
    "intervals": {"candidate-champion": {"ndcg@10": {"mean": -0.04, "low": -0.06, "high": -0.02}}},
}


def arrive(run: Any, rows: int, ratings: int) -> None:
    """New ratings lie in the lake, under a snapshot of their own, and have been quiet for a minute."""
    summary = {"total-records": "5200", "total-position-deletes": "0"}
    snapshots = [{"snapshot-id": one, "summary": summary} for one in (2**62 + 1, ratings)]
    run.put("lake/ratings/metadata/1.json", json.dumps({"snapshots": snapshots}))
    item = {"snapshots": {"ratings": ratings, "items": 7}, "rows_since_run": rows, "counted": {}}
    run.table.put_item(Item={"pk": "RUN", "sk": "PROGRESS", "last_arrival": int(time.time()) - 60, **item})


def by_itself(run: Any) -> tuple[str, dict[str, Any]]:
    """The run that prepare_next starts when it is asked, and how it ended."""
    before = started(run)
    answer = run.ask()
    assert answer["due"], answer
    (run_id,) = started(run) - before
    return run_id, run.finished(run.arn(run_id))


def started(run: Any) -> set[str]:
    found = run.client("stepfunctions").list_executions(stateMachineArn=run.machine)["executions"]
    return {str(execution["name"]) for execution in found}


def close(run: Any, champion: str) -> None:
    """The experiment is over, as promotion (its variant becomes the champion's) or a refusal leaves the router."""
    other = "B" if champion == "A" else "A"
    run.table.update_item(
        Key={"pk": "ROUTER", "sk": "ROUTER"},
        UpdateExpression="SET #state = :idle, experiment_id = :none, champion = :champion, weights = :weights, "
        "version = version + :one",
        ExpressionAttributeNames={"#state": "state"},
        ExpressionAttributeValues={
            ":idle": "idle",
            ":none": "",
            ":champion": champion,
            ":weights": {champion: 1, other: 0},
            ":one": 1,
        },
    )


def models_served(run: Any) -> dict[str, str]:
    found = run.client("sagemaker").describe_endpoint(EndpointName="usher")
    config = run.client("sagemaker").describe_endpoint_config(EndpointConfigName=found["EndpointConfigName"])
    return {variant["VariantName"]: variant["ModelName"] for variant in config["ProductionVariants"]}


def plan_of(run: Any, run_id: str) -> Any:
    return json.loads(run.client("s3").get_object(Bucket="lake", Key=f"runs/{run_id}/plan.json")["Body"].read())


@pytest.mark.slow
def test_a_second_run_that_is_worse_changes_nothing_and_says_why(run: Any) -> None:
    assert run.go()["status"] == "SUCCEEDED"
    router, served = run.router, models_served(run)
    run.script(evaluate={"facts": WORSE})
    arrive(run, rows=1200, ratings=2**62 + 2)
    second, found = by_itself(run)
    assert found["output"]["status"] == "refused"
    assert found["output"]["verdict"] == "worse"
    assert "CreateModel" not in found["states"]
    gate = run.record(second)["gate"]
    assert (gate["passed"], gate["numbers"]["champion"]) == (False, 0.19)
    assert "0.0400 below the champion's, and the 95 % interval [-0.0600, -0.0200]" in gate["reason"]
    assert run.router == router
    assert models_served(run) == served
    assert run.item("RUN", "PROGRESS")["rows_since_run"] == 0
    assert run.lock is None


@pytest.mark.slow
def test_new_rows_alone_bring_a_challenger_into_the_idle_variant(run: Any) -> None:
    assert run.go()["status"] == "SUCCEEDED"
    arrive(run, rows=999, ratings=2**62 + 2)
    assert "999 new rows: a run starts at 1000" in run.ask()["reason"]
    arrive(run, rows=1200, ratings=2**62 + 2)
    second, found = by_itself(run)
    assert found["status"] == "SUCCEEDED", run.record(second)
    assert run.record(second)["rows_taken"] == 1200
    assert plan_of(run, second)["champion"] == {"run_id": FIRST, "trained_until": "2020-01-01T00:00:00+00:00"}
    assert plan_of(run, second)["snapshots"]["ratings"] == 2**62 + 2
    assert (run.router["champion"], run.router["models"]) == ("A", {"A": FIRST, "B": second})
    assert models_served(run) == {"A": f"usher-{FIRST}", "B": f"usher-{second}"}


@pytest.mark.slow
@pytest.mark.parametrize("champion", ["A", "B"])
def test_a_third_run_replaces_whoever_stands_in_the_idle_variant(run: Any, champion: str) -> None:
    """A: the challenger was turned down; B: it was promoted, and the old champion is the one to go."""
    assert run.go()["status"] == "SUCCEEDED"
    arrive(run, rows=1200, ratings=2**62 + 2)
    second, _ = by_itself(run)
    close(run, champion)
    found = run.go(THIRD)
    assert found["status"] == "SUCCEEDED", run.record(THIRD)
    stays = {"A": FIRST, "B": second}[champion]
    assert plan_of(run, THIRD)["champion"]["run_id"] == stays
    idle = "B" if champion == "A" else "A"
    assert (run.router["champion"], run.router["models"]) == (champion, {champion: stays, idle: THIRD})
    assert models_served(run) == {champion: f"usher-{stays}", idle: f"usher-{THIRD}"}


def test_while_an_experiment_is_open_no_run_starts_and_the_rows_wait(run: Any) -> None:
    weights, models = {"A": "0.9", "B": "0.1"}, {"A": FIRST, "B": "rbbbbbbbbbb-1"}
    router = {"version": 2, "opened_at": 1, "state": "testing", "experiment_id": "xrbbbbbbbbbb-1", "champion": "A"}
    run.table.put_item(Item={"pk": "ROUTER", "sk": "ROUTER", **router, "weights": weights, "models": models})
    arrive(run, rows=5000, ratings=2**62 + 2)
    answer = run.ask()
    assert not answer["due"]
    assert "experiment xrbbbbbbbbbb-1 is open: the rule is checked again when it closes" in answer["reason"]
    assert started(run) == set()
    assert run.item("RUN", "PROGRESS")["rows_since_run"] == 5000


@pytest.mark.slow
@pytest.mark.parametrize(
    ("ratings", "left_out"), [(0, "there are no ratings"), (40, "40 ratings beside 90,000 events")]
)
def test_a_run_on_events_trains_without_fm_and_says_so(run: Any, ratings: int, left_out: str) -> None:
    tables = {"events": 90_000, **({"ratings": ratings} if ratings else {})}
    for name, rows in tables.items():
        summary = {"total-records": str(rows), "total-position-deletes": "0"}
        run.put(f"lake/{name}/metadata/1.json", json.dumps({"snapshots": [{"snapshot-id": 5, "summary": summary}]}))
    location = {"metadata_location": "s3://lake/lake/events/metadata/1.json"}
    run.client("glue").create_table(DatabaseName="usher", TableInput={"Name": "events", "Parameters": location})
    head = {"snapshots": {**dict.fromkeys(tables, 5), "items": 7}, "rows_since_run": 90_000, "counted": {}}
    run.table.put_item(Item={"pk": "RUN", "sk": "PROGRESS", "last_arrival": 1, **head})
    run_id, found = by_itself(run)
    assert found["status"] == "SUCCEEDED", run.record(run_id)
    jobs = run.client("sagemaker").list_training_jobs(MaxResults=100)["TrainingJobSummaries"]
    names = {job["TrainingJobName"] for job in jobs if "-hpo" not in job["TrainingJobName"]}
    assert names == {f"{run_id}-knn", f"{run_id}-ranker"}
    record, plan = run.record(run_id), plan_of(run, run_id)
    assert f"without fm: {left_out}" in record["plan"]
    assert "fm " not in record["plan"].split("without fm")[0]
    assert plan["left_out"]["fm"].startswith(left_out)
    assert (plan["rows"], record["rows"]) == (90_000 + ratings, 90_000 + ratings)
    assert set(record["hyperparameters"]) == {"knn", "ranker"}
