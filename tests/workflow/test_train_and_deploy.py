"""train_and_deploy, run as it is, on the twin: what it does when all goes well, and who asks for the next run."""

from __future__ import annotations

import json
import time
from typing import Any

from usher.runs import cost
from usher.runs.cost import TrainingRows

TRAINING = ["IsTuned", "Tune", "Train"]
DEPLOYED = ["WaitForService", "CheckService", "IsInService"]
RUN_ID, SECOND = "raaaaaaaaaa-1", "rbbbbbbbbbb-1"


def endpoint(run: Any) -> dict[str, Any]:
    found = run.client("sagemaker").describe_endpoint(EndpointName="usher")
    config = run.client("sagemaker").describe_endpoint_config(EndpointConfigName=found["EndpointConfigName"])
    models = {variant["VariantName"]: variant["ModelName"] for variant in config["ProductionVariants"]}
    weights = {variant["VariantName"]: variant["CurrentWeight"] for variant in found["ProductionVariants"]}
    return {
        "status": found["EndpointStatus"],
        "config": found["EndpointConfigName"],
        "models": models,
        "weights": weights,
    }


def test_a_first_run_goes_from_data_to_both_variants_in_service(run: Any) -> None:
    found = run.go()
    assert found["status"] == "SUCCEEDED", (found, run.record())
    visited = [name for name in found["states"] if name not in TRAINING]
    loop = [name for name in visited if name in DEPLOYED]
    assert loop == DEPLOYED * (len(loop) // 3)
    assert [name for name in visited if name not in DEPLOYED] == [
        "PrepareRun",
        "Prepare",
        "TrainAll",
        "Evaluate",
        "EvaluateGate",
        "IsPassed",
        "RegisterModel",
        "ServesFromEndpoint",
        "CreateModel",
        "CreateEndpointConfig",
        "FindEndpoint",
        "EndpointState",
        "CreateEndpoint",
        "DeployExperiment",
        "PrepareNext",
        "HowItEnded",
        "RunEnded",
    ]
    assert {name: found["states"].count(name) for name in TRAINING} == dict.fromkeys(TRAINING, 3)
    assert found["errors"] == []
    assert found["output"] == {"status": "succeeded", "variant": "A", "router_version": 1}
    name = f"usher-{RUN_ID}"
    assert endpoint(run) == {
        "status": "InService",
        "config": name,
        "models": {"A": name, "B": name},
        "weights": {"A": 1.0, "B": 0.0},
    }
    _is_recorded(run)
    _trained_what_was_tuned(run)


def _is_recorded(run: Any) -> None:
    router = run.router
    assert (router["champion"], router["models"]) == ("A", {"A": RUN_ID, "B": RUN_ID})
    assert (router["state"], router["weights"]) == ("idle", {"A": 1, "B": 0})
    popular = json.loads(run.item("ROUTER", "POPULAR")["lists"])
    assert [item["title"] for item in popular["all"]] == ["Fargo", "Heat"]
    record = run.record()
    assert (record["status"], record["gate"]["verdict"], record["rows"]) == ("succeeded", "pass", 5000)
    assert record["cost_usd"] > 0
    assert record["evaluation_uri"] == f"s3://lake/runs/{RUN_ID}/evaluation.json"
    assert record["ended_at"] >= record["started_at"]
    assert run.lock is None
    packages = run.client("sagemaker").list_model_packages(ModelPackageGroupName="usher")["ModelPackageSummaryList"]
    assert [package["ModelApprovalStatus"] for package in packages] == ["Approved"]
    plan = json.loads(run.client("s3").get_object(Bucket="lake", Key=f"runs/{RUN_ID}/plan.json")["Body"].read())
    assert plan["snapshots"] == {"ratings": 2**62 + 1, "items": 7}
    assert plan["champion"] is None


def test_all_of_a_run_and_its_model_use_the_image_that_the_run_was_planned_with(run: Any) -> None:
    """Also when another one is pushed meanwhile; the next run takes that one, and the champion keeps its own."""
    pinned = run.image
    execution = run.begin(RUN_ID)
    run.until(lambda: "image" in (run.record() or {}))
    pushed = run.push("another build")
    assert run.finished(execution)["status"] == "SUCCEEDED"
    assert _images(run, RUN_ID) == {pinned}
    assert run.go(SECOND)["status"] == "SUCCEEDED"
    assert _images(run, SECOND) == {pushed}
    assert pinned != pushed
    sagemaker = run.client("sagemaker")
    serving = sagemaker.describe_endpoint(EndpointName="usher")["ProductionVariants"]
    assert {item["VariantName"]: item["DeployedImages"][0]["SpecifiedImage"] for item in serving} == {
        "A": pinned,
        "B": pushed,
    }
    tags = {image["imageDigest"]: image["imageTags"] for image in _in_ecr(run)}
    assert tags.keys() == {uri.split("@")[1] for uri in (pinned, pushed)}  # ECR expires untagged ones only
    assert all(any(tag.startswith("used-") for tag in own) for own in tags.values())


def _in_ecr(run: Any) -> list[Any]:
    found: list[Any] = run.client("ecr").describe_images(repositoryName="usher/usher-recommender")["imageDetails"]
    return found


def _images(run: Any, run_id: str) -> set[str]:
    """The images of a run's jobs, model package and model, and what its record and plan say."""
    sagemaker = run.client("sagemaker")
    processing = [
        sagemaker.describe_processing_job(ProcessingJobName=f"{run_id}-{name}")["AppSpecification"]["ImageUri"]
        for name in ("prepare", "evaluate")
    ]
    listed = sagemaker.list_training_jobs(MaxResults=100)["TrainingJobSummaries"]
    names = [job["TrainingJobName"] for job in listed if run_id in job["TrainingJobName"]]
    assert len(names) >= 3
    training = [
        sagemaker.describe_training_job(TrainingJobName=name)["AlgorithmSpecification"]["TrainingImage"]
        for name in names
    ]
    model = sagemaker.describe_model(ModelName=f"usher-{run_id}")["PrimaryContainer"]["Image"]
    packages = sagemaker.list_model_packages(ModelPackageGroupName="usher")["ModelPackageSummaryList"]
    described = [sagemaker.describe_model_package(ModelPackageName=item["ModelPackageArn"]) for item in packages]
    (package,) = [item for item in described if item["CustomerMetadataProperties"]["run_id"] == run_id]
    plan = json.loads(run.client("s3").get_object(Bucket="lake", Key=f"runs/{run_id}/plan.json")["Body"].read())
    registered = [container["Image"] for container in package["InferenceSpecification"]["Containers"]]
    return {*processing, *training, model, *registered, plan["image"], run.record(run_id)["image"]}


def test_a_run_without_an_image_is_refused_in_words(run: Any) -> None:
    run.client("ecr").batch_delete_image(repositoryName="usher/usher-recommender", imageIds=[{"imageTag": "latest"}])
    assert run.go()["status"] != "SUCCEEDED"
    assert "no image with tag latest in repository usher/usher-recommender: run `usher image`" in run.record()["cause"]
    assert run.lock is None


def _trained_what_was_tuned(run: Any) -> None:
    for kind, names in (("fm", {"num_factors", "init_sigma"}), ("knn", {"k", "shrinkage"})):
        (trial,) = run.ran(f"{kind}-hpo")
        (trained,) = run.ran(kind)
        assert (trial["fit_rows"], trained["fit_rows"]) == ("train", "train_and_validation")
        assert {name: trial[name] for name in names} == {name: trained[name] for name in names}
        assert run.record()["hyperparameters"][kind] == {name: trained[name] for name in names}
    jobs = run.client("sagemaker").list_training_jobs(MaxResults=100)["TrainingJobSummaries"]
    names = {job["TrainingJobName"] for job in jobs if "-hpo" not in job["TrainingJobName"]}
    assert names == {f"{RUN_ID}-fm", f"{RUN_ID}-knn", f"{RUN_ID}-ranker"}


def test_a_later_run_is_judged_beside_the_champion_and_takes_the_idle_variant_without_tuning(run: Any) -> None:
    assert run.go()["status"] == "SUCCEEDED"
    found = run.go(SECOND)
    assert found["status"] == "SUCCEEDED", run.record(SECOND)
    assert "Tune" not in found["states"]
    assert "CreateEndpoint" not in found["states"]
    assert found["output"] == {"status": "succeeded", "variant": "B", "router_version": 2}
    first, second = f"usher-{RUN_ID}", f"usher-{SECOND}"
    assert endpoint(run) == {
        "status": "InService",
        "config": second,
        "models": {"A": first, "B": second},
        "weights": {"A": 1.0, "B": 0.0},
    }
    assert run.router["models"] == {"A": RUN_ID, "B": SECOND}
    assert "champion" in run.record(SECOND)["gate"]["numbers"]
    assert run.item("ROUTER", "POPULAR")["model_id"] == RUN_ID  # what serves is still the champion
    plan = json.loads(run.client("s3").get_object(Bucket="lake", Key=f"runs/{SECOND}/plan.json")["Body"].read())
    assert plan["champion"] == {"run_id": RUN_ID, "trained_until": "2020-01-01T00:00:00+00:00"}


def test_the_function_back_end_needs_no_endpoint(run: Any) -> None:
    found = run.go_from("RegisterModel", run={"serving": "function"})
    assert "CreateModel" not in found["states"]
    assert found["states"][-5:-2] == ["DeployExperiment", "RecordFailure", "PrepareNext"]  # there is no bundle here
    assert found["error"] == "NotDeployable"


def test_an_endpoint_whose_creation_failed_is_deleted_and_made_anew(run: Any) -> None:
    sagemaker = run.client("sagemaker")
    run.script(serve={"fail": "no memory"})
    found = run.go_from("CreateModel")
    assert (found["status"], found["error"]) == ("FAILED", "EndpointNotUpdated")
    assert sagemaker.describe_endpoint(EndpointName="usher")["EndpointStatus"] == "Failed"
    run.script()
    found = run.go_from("CreateModel", run={"model_name": "usher-rb"})
    assert "DeleteFailedEndpoint" in found["states"]
    assert found["states"].count("CreateEndpoint") == 1
    assert endpoint(run)["status"] == "InService"


def test_a_run_starts_by_data_alone_once_and_what_arrives_meanwhile_is_for_the_next(run: Any) -> None:
    run.script(prepare={"fail": "enough for this test"})
    assert not run.ask()["due"]
    run.head(rows=1000, arrived=int(time.time()) - 60)
    first = run.ask()
    assert first["due"], first
    run.ask()
    executions = run.client("stepfunctions").list_executions(stateMachineArn=run.machine)["executions"]
    assert len(executions) == 1
    run_id = executions[0]["name"]
    run.table.update_item(
        Key={"pk": "RUN", "sk": "PROGRESS"},
        UpdateExpression="ADD rows_since_run :more SET snapshots.ratings = :next",
        ExpressionAttributeValues={":more": 300, ":next": 2**62 + 2},
    )
    found = run.finished(executions[0]["executionArn"])
    assert found["error"] == "States.TaskFailed"
    assert run.item("RUN", "PROGRESS")["rows_since_run"] == 300
    assert run.record(run_id)["rows_taken"] == 1000
    assert run.lock is None


def test_the_end_of_a_run_starts_the_next_one_that_is_due(run: Any) -> None:
    run.script(prepare={"fail": "enough for this test"})
    run.head(rows=2500, arrived=int(time.time()) - 60)
    found = run.go()  # started by hand on 0 rows: 2500 are left
    assert found["status"] == "FAILED"
    executions = run.client("stepfunctions").list_executions(stateMachineArn=run.machine)["executions"]
    (following,) = [one for one in executions if one["name"] != RUN_ID]
    run.finished(following["executionArn"])
    assert run.record(following["name"])["rows_taken"] == 2500
    assert run.item("RUN", "PROGRESS")["rows_since_run"] == 0


def test_an_execution_started_by_hand_without_input_takes_the_newest_snapshots_and_all_rows(run: Any) -> None:
    run.script(prepare={"fail": "enough for this test"})
    run.head(rows=700)
    arn = run.client("stepfunctions").start_execution(stateMachineArn=run.machine, name=RUN_ID)["executionArn"]
    run.finished(arn)
    record = run.record()
    assert (record["rows_taken"], record["snapshots"]["ratings"]) == (700, str(2**62 + 1))


def test_with_one_algorithm_at_once_the_next_trains_after_the_one_before(run: Any) -> None:
    planned = [{**job, "tune": False} for job in cost.jobs(TrainingRows(5000), None)]
    run.script(evaluate={"fail": "enough for this test"})
    found = run.go_from("TrainAll", run={"parallel_algorithms": 1, "algorithms": planned})
    kinds = [event["type"] for event in run.history(found["executionArn"])]
    iterations = [kind for kind in kinds if kind in ("MapIterationStarted", "MapIterationSucceeded")]
    assert iterations == ["MapIterationStarted", "MapIterationSucceeded"] * len(planned)
    assert len(planned) == 3
