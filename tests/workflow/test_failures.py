"""train_and_deploy when something fails: what is tried again, what is caught, and that the lock always goes back."""

from __future__ import annotations

import json
import threading
import time
from dataclasses import replace
from typing import Any

import pytest

from twin import context
from twin.sagemaker import job as sagemaker_job

RUN_ID = "raaaaaaaaaa-1"
THROTTLED, LIMIT = "ThrottlingException", "ResourceLimitExceeded"
GENERIC, LIMITED = "SageMaker.AmazonSageMakerException", "SageMaker.ResourceLimitExceededException"
#: State, the call it makes, and where its name stands in the request.
JOBS = [
    ("Prepare", "CreateProcessingJob", "ProcessingJobName", f"{RUN_ID}-prepare"),
    ("TrainAll", "CreateHyperParameterTuningJob", "HyperParameterTuningJobName", f"{RUN_ID}-fm-hpo"),
    ("Evaluate", "CreateProcessingJob", "ProcessingJobName", f"{RUN_ID}-evaluate"),
]
MADE = [
    ("CreateModel", "CreateModel", "ModelName", f"usher-{RUN_ID}"),
    ("CreateEndpointConfig", "CreateEndpointConfig", "EndpointConfigName", f"usher-{RUN_ID}"),
]
CALLS = [
    ("RegisterModel", "CreateModelPackage"),
    ("FindEndpoint", "ListEndpoints"),
    ("CheckService", "DescribeEndpoint"),
    ("DeleteFailedEndpoint", "DeleteEndpoint"),
]
LAMBDAS = [
    ("PrepareRun", "prepare_run"),
    ("EvaluateGate", "evaluate_gate"),
    ("DeployExperiment", "deploy_experiment"),
]


def failed_at(run: Any, found: dict[str, Any], state: str) -> None:
    """A run that failed at `state` went the one failure path: recorded, lock given back, ended in Fail."""
    assert found["status"] == "FAILED"
    assert found["states"][-4:] == ["RecordFailure", "PrepareNext", "HowItEnded", "RunFailed"]
    record = run.record()
    assert (record["status"], record["failed_state"]) == ("failed", state)
    assert record["cause"].startswith(f"{state}: ")
    assert "ended_at" in record
    assert run.lock is None


@pytest.mark.parametrize("job", JOBS)
@pytest.mark.parametrize(("code", "error"), [(THROTTLED, GENERIC), (LIMIT, LIMITED)])
def test_a_job_that_cannot_be_started_is_tried_again_under_another_name(
    run: Any, job: tuple[str, str, str, str], code: str, error: str
) -> None:
    state, operation, key, name = job
    met = run.fault(operation, code, times=2)
    run.script(prepare={"fail": "x"}, fm={"fail": "x"}, evaluate={"fail": "x"}, **{"fm-hpo": {"fail": "x"}})
    found = run.go_from(state)
    assert [request[key] for request in met] == [name, f"{name}-1"]
    assert found["errors"][:2] == [error, error]
    assert found["errors"][2] == "States.TaskFailed"  # the third try was let through, and its job failed
    failed_at(run, found, state)


@pytest.mark.parametrize(("state", "operation", "key", "name"), MADE)
def test_what_is_made_by_name_is_tried_again_under_another_name(
    run: Any, state: str, operation: str, key: str, name: str
) -> None:
    met = run.fault(operation, THROTTLED)
    found = run.go_from(state)
    assert [request[key] for request in met] == [name, *(f"{name}-{retry}" for retry in range(1, 6))]
    assert found["errors"] == [GENERIC] * 6
    failed_at(run, found, state)


@pytest.mark.parametrize("state", ["CreateEndpoint", "UpdateEndpoint"])
def test_an_endpoint_that_cannot_be_made_or_changed_fails_the_run_after_its_retries(run: Any, state: str) -> None:
    limited = run.fault(state, LIMIT, times=1)
    throttled = run.fault(state, THROTTLED)
    found = run.go_from(state)
    assert (len(limited), len(throttled)) == (1, 6)
    assert found["errors"] == [LIMITED, *[GENERIC] * 6]
    failed_at(run, found, state)


@pytest.mark.parametrize(("state", "operation"), CALLS)
def test_a_call_of_sagemakers_fails_the_run_after_its_retries(run: Any, state: str, operation: str) -> None:
    met = run.fault(operation, THROTTLED)
    found = run.go_from(state)
    assert (len(met), found["errors"]) == (6, ["SageMaker.SageMakerException"] * 6)
    failed_at(run, found, state)


def test_a_registration_that_is_tried_again_registers_once(run: Any) -> None:
    met = run.fault("CreateModelPackage", THROTTLED, times=1)
    run.go_from("RegisterModel", run={"serving": "function"})
    assert met[0]["ClientToken"] == RUN_ID
    packages = run.client("sagemaker").list_model_packages(ModelPackageGroupName="usher")["ModelPackageSummaryList"]
    assert len(packages) == 1


def test_a_run_over_the_accounts_quotas_is_refused_at_once_in_words(run: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(context, "_current", replace(context.current(), new_account=True))
    found = run.go()
    failed_at(run, found, "PrepareRun")
    assert found["errors"] == ["QuotaTooLow"]
    cause = run.record()["cause"]
    assert "'ml.m5.xlarge for training job usage' (L-CCE2AFA6) is 0 and must be at least 3" in cause


@pytest.mark.parametrize(("state", "function"), LAMBDAS)
def test_lambdas_own_trouble_is_tried_again_and_ours_is_not(run: Any, state: str, function: str) -> None:
    run.functions.trouble[function] = ["TooManyRequestsException", "ServiceException", ValueError("a defect")]
    found = run.go_from(state)
    assert found["errors"] == ["Lambda.TooManyRequestsException", "Lambda.ServiceException", "ValueError"]
    failed_at(run, found, state)
    assert run.record()["cause"] == f"{state}: ValueError: a defect"


@pytest.mark.parametrize(("state", "kind"), [("Prepare", "prepare"), ("Evaluate", "evaluate"), ("TrainAll", "fm")])
def test_a_job_that_fails_is_tried_once_more_and_then_says_why(run: Any, state: str, kind: str) -> None:
    run.script(**{kind: {"fail": f"{kind} has no row"}})
    algorithms = [{**job, "tune": False} for job in run.given["algorithms"]]
    found = run.go_from(state, run={"algorithms": algorithms})
    assert (len(run.ran(kind)), found["errors"][:2]) == (2, ["States.TaskFailed"] * 2)
    failed_at(run, found, state)
    assert f"{kind} has no row" in run.record()["cause"]
    assert "{" not in run.record()["cause"]


def test_a_job_that_failed_once_by_bad_luck_does_not_fail_the_run(run: Any) -> None:
    run.script(prepare={"fail": "no capacity", "times": 1}, fm={"fail": "x"}, **{"fm-hpo": {"fail": "x"}})
    found = run.go_from("Prepare")
    assert found["states"][1:3] == ["Prepare", "TrainAll"]
    assert len(run.ran("prepare")) == 2


def test_tuning_that_fails_fails_the_run_and_stops_the_other_algorithms(
    run: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sagemaker_job, "_free", threading.Semaphore(3))  # else fm may wait for the sleeping ones
    others = {f"{name}-hpo": {"sleep": 60} for name in ("knn", "ranker")}  # none may come through before fm fails
    run.script(**{"fm-hpo": {"fail": "nan in the first epoch"}}, **others)
    found = run.go()
    assert found["states"].count("Train") == 0
    failed_at(run, found, "TrainAll")
    assert f"{RUN_ID}-fm-hpo failed" in run.record()["cause"]
    name = f"{RUN_ID}-knn-hpo"
    describe = run.client("sagemaker").describe_hyper_parameter_tuning_job
    run.until(lambda: describe(HyperParameterTuningJobName=name)["HyperParameterTuningJobStatus"] == "Stopped")


def test_a_run_over_budget_starts_nothing_and_says_its_numbers(run: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("USHER_BUDGET_USD", "0.02")
    found = run.go()
    assert found["states"] == ["PrepareRun", "RecordFailure", "PrepareNext", "HowItEnded", "RunFailed"]
    assert found["error"] == "OverBudget"
    failed_at(run, found, "PrepareRun")
    assert "over the budget of 0.02 USD" in run.record()["cause"]
    assert "tune fm 1 x ml.m5.xlarge" in run.record()["cause"]
    assert run.client("sagemaker").list_processing_jobs()["ProcessingJobSummaries"] == []


def test_a_run_that_finds_another_one_running_leaves_its_lock_alone(run: Any) -> None:
    lease = {"run_id": "rother-1", "execution_arn": "arn:other", "expires_at": int(time.time()) + 1000}
    run.table.put_item(Item={"pk": "RUN", "sk": "LOCK", **lease})
    found = run.go()
    assert found["error"] == "RunInProgress"
    assert run.lock["run_id"] == "rother-1"
    assert "run rother-1 holds the lock" in run.record()["cause"]


REFUSALS = {
    "leak": {"leaks": ["the label is among the features"]},
    "insufficient": {"window": {"users": 49}},
    "nan": {"metrics": {"candidate": {"ndcg@10": None}, "popularity": {"ndcg@10": 0.1}}},
    "popularity": {"metrics": {"candidate": {"ndcg@10": 0.09}, "popularity": {"ndcg@10": 0.1}}},
    "worse": {
        "metrics": {"candidate": {"ndcg@10": 0.2}, "popularity": {"ndcg@10": 0.1}, "champion": {"ndcg@10": 0.3}},
        "intervals": {"candidate-champion": {"ndcg@10": {"mean": -0.1, "low": -0.15, "high": -0.05}}},
    },
}
FACTS = {
    "run_id": RUN_ID,
    "trained_until": "2020-01-01T00:00:00+00:00",
    "window": {"users": 100},
    "metrics": {"candidate": {"ndcg@10": 0.2}, "popularity": {"ndcg@10": 0.1}},
    "intervals": {},
    "leaks": [],
}


@pytest.mark.parametrize("verdict", REFUSALS)
def test_a_refused_candidate_ends_the_run_in_success_with_the_verdict(run: Any, verdict: str) -> None:
    run.put(f"runs/{RUN_ID}/evaluation.json", json.dumps({**FACTS, **REFUSALS[verdict]}))
    found = run.go_from("EvaluateGate")
    assert found["states"][1:] == ["EvaluateGate", "IsPassed", "PrepareNext", "HowItEnded", "RunEnded"]
    assert (found["status"], found["output"]["status"], found["output"]["verdict"]) == ("SUCCEEDED", "refused", verdict)
    record = run.record()
    assert (record["status"], record["gate"]["verdict"], record["gate"]["passed"]) == ("refused", verdict, False)
    assert record["gate"]["reason"] == found["output"]["reason"]
    assert run.router is None


@pytest.mark.parametrize("text", ["", "{}", "[]", '{"run_id": "rother-1"}', json.dumps({"run_id": RUN_ID}), "nan"])
def test_an_evaluation_that_cannot_be_read_is_a_failure_not_a_pass(run: Any, text: str) -> None:
    run.put(f"runs/{RUN_ID}/evaluation.json", text)
    found = run.go_from("EvaluateGate")
    assert found["error"] == "NotDeployable"
    failed_at(run, found, "EvaluateGate")


def test_an_update_that_fails_falls_back_to_the_old_config_and_fails_the_run(run: Any) -> None:
    run.go_from("CreateModel")  # fails past the endpoint, as there is no bundle
    sagemaker = run.client("sagemaker")
    assert sagemaker.describe_endpoint(EndpointName="usher")["EndpointStatus"] == "InService"
    run.script(serve={"fail": "bundle is damaged"})
    run.archive("runs/rb/model.tar.gz")  # other data: the twin starts no process for the same model again
    other = {"model_name": "usher-rb", "prefix": "s3://lake/runs/rb", "variants": {"A": f"usher-{RUN_ID}", "B": ""}}
    found = run.go_from("CreateModel", run=other)
    assert found["error"] == "EndpointNotUpdated"
    failed_at(run, found, "CheckService")
    assert f"is InService on config usher-{RUN_ID}, not on usher-rb" in run.record()["cause"]
    described = sagemaker.describe_endpoint(EndpointName="usher")
    assert (described["EndpointStatus"], described["EndpointConfigName"]) == ("InService", f"usher-{RUN_ID}")
    assert run.router is None


@pytest.mark.parametrize("status", ["OutOfService", "UpdateRollbackFailed"])
def test_an_endpoint_that_takes_no_update_fails_the_run_with_what_to_do(run: Any, status: str) -> None:
    found = run.go_from("EndpointState", input={"status": status})
    assert found["states"][1:3] == ["EndpointState", "EndpointUnusable"]
    failed_at(run, found, "FindEndpoint")
    assert f"endpoint usher is {status} and takes no update" in run.record()["cause"]


@pytest.mark.parametrize(
    ("state", "given", "end"),
    [
        ("EndpointState", {"status": "Updating"}, "EndpointUnusable"),
        ("EndpointState", {"status": "Failed"}, "EndpointUnusable"),
        ("IsInService", {"status": "Creating", "config": "c", "reason": "r"}, "NotInService"),
    ],
)
def test_no_loop_goes_on_for_ever(run: Any, state: str, given: dict[str, str], end: str) -> None:
    found = run.go_from(state, input=given, assign={"checks": 80})
    assert found["states"][1:3] == [state, end]


def test_a_router_that_moved_meanwhile_fails_the_run_and_is_left_alone(run: Any) -> None:
    item = {"version": 7, "opened_at": 1, "state": "testing", "experiment_id": "x", "champion": "A"}
    item |= {"weights": {"A": 1, "B": 0}, "models": {"A": "a", "B": "b"}}
    run.table.put_item(Item={"pk": "ROUTER", "sk": "ROUTER", **item})
    run.bundle(RUN_ID)
    found = run.go_from("DeployExperiment", run={"router_version": 6})
    assert found["error"] == "RouterMoved"
    failed_at(run, found, "DeployExperiment")
    assert run.router["version"] == 7


def test_a_failure_that_cannot_be_recorded_still_gives_the_lock_back(run: Any) -> None:
    lease = {"run_id": RUN_ID, "execution_arn": "arn:mine", "expires_at": int(time.time()) + 1000}
    run.table.put_item(Item={"pk": "RUN", "sk": "LOCK", **lease})
    run.fault("UpdateItem", "InternalServerError", service="dynamodb")
    given = {"status": "failed", "state": "Train", "error": "E", "cause": "why"}
    found = run.go_from("RecordFailure", input=given)
    assert found["states"][1:] == ["RecordFailure", "PrepareNext", "HowItEnded", "RunFailed"]
    assert (found["error"], found["cause"]) == ("E", "Train: why")
    assert run.lock is None
    assert run.record()["cause"] == "Train: E: why"  # prepare_next writes it too


@pytest.mark.parametrize(("status", "end"), [("failed", "FAILED"), ("succeeded", "SUCCEEDED")])
def test_an_end_that_nobody_could_be_told_of_is_the_end_all_the_same(run: Any, status: str, end: str) -> None:
    run.functions.trouble["prepare_next"] = ["TooManyRequestsException", ValueError("a defect")]
    given = {"status": status, "state": "Train", "error": "E", "cause": "why"}
    assert run.go_from("PrepareNext", input=given)["status"] == end


def test_an_aborted_execution_stops_its_job_and_its_event_gives_the_lock_back(run: Any) -> None:
    _tell_the_queue_of_ends(run)
    run.script(prepare={"sleep": 60})
    arn = run.begin(RUN_ID)
    sagemaker = run.client("sagemaker")
    run.until(lambda: sagemaker.list_processing_jobs()["ProcessingJobSummaries"])
    assert run.lock["execution_arn"] == arn
    run.client("stepfunctions").stop_execution(executionArn=arn, cause="wrong data")
    assert run.finished(arn)["states"] == ["PrepareRun", "Prepare"]
    name = f"{RUN_ID}-prepare"
    run.until(lambda: sagemaker.describe_processing_job(ProcessingJobName=name)["ProcessingJobStatus"] == "Stopped")
    run.until(lambda: _take(run))
    assert run.lock is None
    assert (run.record()["status"], run.record()["cause"]) == ("aborted", "wrong data")


def _tell_the_queue_of_ends(run: Any) -> None:
    """As the template's rule does."""
    arn = run.client("sqs").get_queue_attributes(QueueUrl=run.queue, AttributeNames=["QueueArn"])["Attributes"][
        "QueueArn"
    ]
    detail = {"stateMachineArn": [run.machine], "status": ["SUCCEEDED", "FAILED", "TIMED_OUT", "ABORTED"]}
    pattern = {"source": ["aws.states"], "detail": detail}
    run.client("events").put_rule(Name="ends", EventPattern=json.dumps(pattern))
    run.client("sqs").set_queue_attributes(QueueUrl=run.queue, Attributes={"Policy": json.dumps(_policy(arn))})
    run.client("events").put_targets(Rule="ends", Targets=[{"Id": "1", "Arn": arn}])


def _policy(queue: str) -> dict[str, Any]:
    allowed = {"Effect": "Allow", "Principal": {"Service": "events.amazonaws.com"}}
    return {"Version": "2012-10-17", "Statement": [{**allowed, "Action": "sqs:SendMessage", "Resource": queue}]}


def _take(run: Any) -> bool:
    """What the event source does: the queue's messages as a batch for prepare_next."""
    messages = run.client("sqs").receive_message(QueueUrl=run.queue).get("Messages", [])
    records = [{"messageId": message["MessageId"], "body": message["Body"]} for message in messages]
    if not records:
        return False
    answer = json.loads(run.functions.invoke("prepare_next", json.dumps({"Records": records}).encode())[2])
    assert answer == {"batchItemFailures": []}
    return True
