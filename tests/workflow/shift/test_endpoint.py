"""The endpoint follows the router: after crashes and failed updates, while it is busy, and when it is gone."""

from __future__ import annotations

import datetime
from typing import Any

import pytest

REWEIGH = "UpdateEndpointWeightsAndCapacities"
FAILED = "SageMaker.SageMakerException"
ALONE = {"A": 1.0, "B": 0.0}


@pytest.fixture
def served(shift: Any, monkeypatch: pytest.MonkeyPatch) -> Any:
    """The experiment with both models behind a real endpoint, whose weights are those of the run's config: 1 and 0."""
    monkeypatch.setenv("USHER_SERVING_BACKEND", "endpoint")
    shift.serve()
    return shift


def reached(shift: Any, weights: dict[str, float]) -> None:
    """Wait until the endpoint has these weights and is at rest."""
    expected = {variant: pytest.approx(weight, abs=1e-5) for variant, weight in weights.items()}
    shift.run.until(lambda: shift.endpoint["EndpointStatus"] == "InService" and shift.endpoint_weights == expected)


def test_the_first_tick_brings_the_endpoint_in_line_and_the_next_leaves_it_alone(served: Any) -> None:
    assert served.tick()["states"] == ["Tick", "ChooseNext", "UpdateEndpointWeights", "AfterWeights", "Done"]
    reached(served, {"A": 0.9, "B": 0.1})
    assert served.tick()["states"] == ["Tick", "ChooseNext", "Done"]


def test_sagemakers_metrics_of_each_variant_are_in_the_summary_at_an_epochs_close(served: Any) -> None:
    for variant, errors in (("A", 0), ("B", 2)):
        named = [{"Name": "EndpointName", "Value": "usher"}, {"Name": "VariantName", "Value": variant}]
        moment = datetime.datetime.fromtimestamp(served.now + 30, datetime.UTC)
        counts = {"Invocations": 40.0, "Invocation5XXErrors": float(errors), "ModelLatency": 7000.0}
        data = [{"MetricName": n, "Dimensions": named, "Timestamp": moment, "Value": v} for n, v in counts.items()]
        served.run.client("cloudwatch").put_metric_data(Namespace="AWS/SageMaker", MetricData=data)
    served.epoch()
    assert served.state["summary"]["variants"] == {
        "A": {"invocations": 40, "errors_5xx": 0, "latency_p99_us": 7000},
        "B": {"invocations": 40, "errors_5xx": 2, "latency_p99_us": 7000},
    }
    served.passes(60)
    served.tick()
    assert served.state["summary"]["variants"]["B"]["errors_5xx"] == 2


def test_weights_edited_by_hand_and_a_crash_between_router_and_endpoint_are_repaired_by_the_next_tick(
    served: Any,
) -> None:
    served.tick()
    reached(served, {"A": 0.9, "B": 0.1})
    served.set_endpoint_weights({"A": 0.0, "B": 1.0})
    reached(served, {"A": 0.0, "B": 1.0})
    served.tick()
    reached(served, {"A": 0.9, "B": 0.1})
    # The function has written the router; then everything stopped before the workflow's next state.
    served.command("roll_back")
    served.invoke_tick()
    assert served.router["weights"] == ALONE
    assert served.endpoint_weights["B"] > 0
    found = served.tick()
    assert found["states"] == [
        *("Tick", "ChooseNext", "UpdateEndpointWeights", "AfterWeights", "CheckNextRun", "CompleteSideEffects", "Done"),
    ]
    reached(served, ALONE)
    assert (served.schedule, served.approval("rbbbbbbbbbb-1")) == ("ENABLED", "Rejected")
    served.tick()
    assert served.schedule == "DISABLED"


def test_a_rollback_moves_the_router_though_the_endpoint_is_busy_for_long(served: Any) -> None:
    served.tick()
    reached(served, {"A": 0.9, "B": 0.1})
    served.busy()
    for _ in range(3):
        served.passes(60)
        assert served.tick()["states"] == ["Tick", "ChooseNext", "Done"]
    assert served.router["state"] == "testing"
    served.command("roll_back")
    served.tick()
    assert served.router["weights"] == ALONE
    assert served.endpoint_weights["B"] > 0
    for _ in range(2):
        served.tick()
        assert served.schedule == "ENABLED"  # the ticks go on until the endpoint is in line
    served.ready()
    served.tick()
    reached(served, ALONE)
    served.tick()
    assert served.schedule == "DISABLED"


def test_an_update_that_is_refused_is_on_record_until_it_succeeds(served: Any) -> None:
    met = served.run.fault(REWEIGH, "ValidationException", times=3, role="ShiftWorkflowRole")
    found = served.tick()
    assert found["states"] == [
        "Tick",
        "ChooseNext",
        "UpdateEndpointWeights",
        "RecordEndpointProblem",
        "AfterWeights",
        "Done",
    ]
    assert (len(met), found["errors"]) == (3, [FAILED] * 3)
    assert served.state["endpoint_problem"].startswith(f"the endpoint refused the weights: {FAILED}")
    assert served.router["state"] == "testing"
    served.tick()
    reached(served, {"A": 0.9, "B": 0.1})
    served.tick()
    assert "endpoint_problem" not in served.state


def test_a_deleted_endpoint_freezes_the_experiment_on_the_champion_until_it_is_back(served: Any) -> None:
    served.tick()
    reached(served, {"A": 0.9, "B": 0.1})
    served.delete_endpoint()
    served.tick()
    assert (served.router["state"], served.router["weights"]) == ("frozen", ALONE)
    assert served.last["reason"].startswith("the endpoint usher does not exist")
    served.epoch()
    assert (served.router["state"], served.router["weights"]) == ("frozen", ALONE)
    refused = served.command("thaw")
    served.tick(command=refused)
    assert served.items("COMMAND")[-1]["status"] == "refused"
    served.serve()
    served.epoch()
    assert (served.router["state"], served.share) == ("testing", 0.1)


def test_the_failure_of_an_endpoint_is_the_reason(served: Any) -> None:
    served.fails("no capacity")
    served.tick()
    assert (served.router["state"], served.router["weights"]) == ("frozen", ALONE)
    assert "is Failed: no capacity" in served.last["reason"]


def test_a_failed_function_leaves_everything_as_it_was_for_the_next_tick(served: Any) -> None:
    before = served.router
    served.run.functions.trouble["shift_traffic"] = [MemoryError("out of it")]
    assert served.run.finished(served.begin())["status"] == "FAILED"
    assert served.router == before
    served.run.functions.trouble["shift_traffic"] = ["TooManyRequestsException", "ServiceException"]
    assert served.tick()["status"] == "SUCCEEDED"


def test_side_effects_that_failed_are_completed_by_the_next_tick(served: Any) -> None:
    served.command("promote")
    served.crash_side_effects_once()
    assert served.run.finished(served.begin())["status"] == "FAILED"
    assert (served.router["state"], served.lists) == ("baking", "raaaaaaaaaa-1")
    served.tick()
    assert served.lists == "rbbbbbbbbbb-1"
    assert "side_effects" not in served.state


def test_a_rollback_to_a_variant_that_a_failed_run_has_replaced_is_refused(served: Any) -> None:
    served.tick(command=served.command("roll_back"))
    reached(served, ALONE)
    served.replace("B", "usher-rcccccccccc-1")
    refused = served.command("roll_back")
    served.tick(command=refused)
    assert served.router["weights"] == ALONE
    (outcome,) = [item["outcome"] for item in served.items("COMMAND") if item["sk"] == refused]
    assert outcome.startswith("the endpoint's variant B holds usher-rcccccccccc-1 instead of usher-rbbbbbbbbbb-1")
    served.replace("B", "usher-rbbbbbbbbbb-1-1")  # as a second try of CreateModel names it
    served.tick(command=served.command("roll_back"))
    assert served.router["champion"] == "B"
    reached(served, {"A": 0.0, "B": 1.0})


def test_a_run_that_was_planned_before_a_rollback_leaves_the_endpoint_alone(served: Any) -> None:
    version = served.router["version"]
    served.tick(command=served.command("roll_back"))
    reached(served, ALONE)
    before = served.endpoint["EndpointConfigName"]
    found = served.run.go_from("FindEndpoint", run={"router_version": version})
    assert (found["status"], found["error"]) == ("FAILED", "RouterMoved")
    assert "UpdateEndpoint" not in found["states"]
    assert "the endpoint stays as it is" in served.run.record()["cause"]
    assert served.endpoint["EndpointConfigName"] == before
