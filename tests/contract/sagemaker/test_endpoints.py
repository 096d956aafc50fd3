"""Endpoints on the twin: one process a variant, weights, updates that hold or fall back. Failure paths first."""

from __future__ import annotations

import json
import socket
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from botocore.config import Config
from botocore.exceptions import ClientError

from twin import context, moto_patches
from twin.sagemaker import container
from twin.sagemaker.hosting import connections, variant

Lab = Any


def _code(caught: pytest.ExceptionInfo[ClientError]) -> tuple[str, int]:
    response = caught.value.response
    return response["Error"]["Code"], response["ResponseMetadata"]["HTTPStatusCode"]


def _runtime() -> Any:
    """A client that does not try again."""
    import boto3  # noqa: PLC0415 - as heavy as the other one

    here = context.current()
    retries = Config(retries={"max_attempts": 1, "mode": "standard"})
    return boto3.client("sagemaker-runtime", endpoint_url=here.endpoint, region_name=here.region, config=retries)


# ── what is refused ──────────────────────────────────────────────────────────────────────────────────────────────────


def test_a_model_needs_its_data_its_image_and_its_role(lab: Lab) -> None:
    container = {"Image": lab.image, "ModelDataUrl": f"s3://{lab.bucket}/nothing.tar.gz"}
    create = lab.sagemaker.create_model
    with pytest.raises(ClientError, match="Could not access model data at s3://lake/nothing"):
        create(ModelName="m", ExecutionRoleArn=lab.role, PrimaryContainer=container)
    with pytest.raises(ClientError, match="must lie in S3"):
        create(ModelName="m", ExecutionRoleArn=lab.role, PrimaryContainer={**container, "ModelDataUrl": "https://a/b"})
    with pytest.raises(ClientError, match="Requested image somewhere/else:1 not found"):
        create(ModelName="m", ExecutionRoleArn=lab.role, PrimaryContainer={"Image": "somewhere/else:1"})
    with pytest.raises(ClientError, match="ExecutionRoleArn must be specified"):
        create(ModelName="m", PrimaryContainer={"Image": lab.image})
    with pytest.raises(ClientError, match="regular expression pattern"):
        create(ModelName="m_1", ExecutionRoleArn=lab.role, PrimaryContainer={"Image": lab.image})


def test_the_model_of_an_endpoint_is_read_only(lab: Lab) -> None:
    lab.model("m", {"write": "model/model.json"})
    assert lab.deploy(A=("m", 1))["EndpointStatus"] == "Failed"
    assert any("PermissionError" in line for line in lab.messages("/aws/sagemaker/Endpoints/shop"))


def test_a_configuration_needs_models_that_exist_and_names_that_differ(lab: Lab) -> None:
    lab.model("m")
    with pytest.raises(ClientError, match='Could not find model "arn:aws:sagemaker:eu-west-1:123456789012:model/n"'):
        lab.config("c", A=("n", 1))
    item = {"VariantName": "A", "ModelName": "m", "InitialInstanceCount": 1, "InstanceType": "ml.m5.large"}
    with pytest.raises(ClientError, match="unique; repeated: A"):
        lab.sagemaker.create_endpoint_config(EndpointConfigName="c", ProductionVariants=[item, item])
    with pytest.raises(ClientError, match="enum value set"):
        lab.sagemaker.create_endpoint_config(
            EndpointConfigName="c", ProductionVariants=[{**item, "InstanceType": "ml.huge"}]
        )
    with pytest.raises(ClientError, match="does not support serverless inference"):
        serverless = {
            "VariantName": "A",
            "ModelName": "m",
            "ServerlessConfig": {"MemorySizeInMB": 1024, "MaxConcurrency": 1},
        }
        lab.sagemaker.create_endpoint_config(EndpointConfigName="c", ProductionVariants=[serverless])


def test_names_are_taken_until_they_are_deleted(lab: Lab) -> None:
    lab.model("m")
    with pytest.raises(ClientError, match="Cannot create already existing model"):
        lab.model("m")
    lab.deploy(A=("m", 1))
    with pytest.raises(ClientError, match="Cannot create already existing endpoint configuration"):
        lab.config("first", A=("m", 1))
    with pytest.raises(ClientError, match='Cannot create already existing endpoint "arn'):
        lab.sagemaker.create_endpoint(EndpointName="shop", EndpointConfigName="first")


def test_an_endpoint_that_is_not_there_is_not_found(lab: Lab) -> None:
    with pytest.raises(ClientError, match="Could not find endpoint"):
        lab.sagemaker.describe_endpoint(EndpointName="shop")
    with pytest.raises(ClientError, match="Could not find endpoint configuration"):
        lab.sagemaker.create_endpoint(EndpointName="shop", EndpointConfigName="first")
    with pytest.raises(ClientError) as caught:
        lab.call()
    assert _code(caught) == ("ValidationError", 400)
    assert "Endpoint shop of account 123456789012 not found" in str(caught.value)


def test_a_busy_endpoint_is_neither_called_nor_changed_nor_deleted(lab: Lab) -> None:
    lab.model("slow", {"ping": 503})
    lab.config("first", A=("slow", 1))
    lab.sagemaker.create_endpoint(EndpointName="shop", EndpointConfigName="first")
    described = lab.sagemaker.describe_endpoint(EndpointName="shop")
    assert described["EndpointStatus"] == "Creating"
    assert "ProductionVariants" not in described
    weights = [{"VariantName": "A", "DesiredWeight": 0.5}]
    with pytest.raises(ClientError, match="Cannot update in-progress endpoint"):
        lab.sagemaker.delete_endpoint(EndpointName="shop")
    with pytest.raises(ClientError, match="Cannot update in-progress endpoint"):
        lab.sagemaker.update_endpoint(EndpointName="shop", EndpointConfigName="first")
    with pytest.raises(ClientError, match="Cannot update in-progress endpoint"):
        lab.sagemaker.update_endpoint_weights_and_capacities(EndpointName="shop", DesiredWeightsAndCapacities=weights)
    with pytest.raises(ClientError) as caught:
        _runtime().invoke_endpoint(EndpointName="shop", Body=b"{}")
    assert _code(caught) == ("ServiceUnavailable", 503)


# ── what fails ───────────────────────────────────────────────────────────────────────────────────────────────────────


def test_a_container_that_exits_fails_the_endpoint(lab: Lab) -> None:
    lab.model("bad", {"exit": 3})
    described = lab.deploy(A=("bad", 1))
    assert described["EndpointStatus"] == "Failed"
    assert "production variant A did not pass the ping health check" in described["FailureReason"]
    assert "no such model" in lab.messages("/aws/sagemaker/Endpoints/shop")
    with pytest.raises(ClientError, match="Cannot update failed endpoint"):
        lab.sagemaker.update_endpoint(EndpointName="shop", EndpointConfigName="first")
    lab.sagemaker.delete_endpoint(EndpointName="shop")
    lab.eventually(lambda: not lab.sagemaker.list_endpoints()["Endpoints"])


def test_a_container_that_never_gets_healthy_fails_the_endpoint(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(container, "START_FLOOR_SECONDS", 1.0)
    monkeypatch.setattr("twin.sagemaker.hosting.endpoint.START_SECONDS", 60)  # a second on this server
    lab.model("sick", {"ping": 503})
    assert lab.deploy(A=("sick", 1))["EndpointStatus"] == "Failed"


def test_a_damaged_model_fails_the_endpoint(lab: Lab) -> None:
    lab.model("m")
    lab.put("models/m.tar.gz", b"not an archive")
    described = lab.deploy(A=("m", 1))
    assert described["EndpointStatus"] == "Failed"
    assert "not a gzip-compressed tar archive" in described["FailureReason"]


def test_a_failed_update_stays_on_the_old_configuration(lab: Lab) -> None:
    lab.model("good")
    lab.model("bad", {"exit": 1})
    lab.deploy(A=("good", 1), B=("good", 0))
    before = {name: lab.call(TargetVariant=name)[0]["pid"] for name in "AB"}
    lab.config("second", A=("good", 1), B=("bad", 0))
    lab.sagemaker.update_endpoint(EndpointName="shop", EndpointConfigName="second")
    described = lab.endpoint()
    assert (described["EndpointStatus"], described["EndpointConfigName"]) == ("InService", "first")
    assert "variant B did not pass the ping health check" in described["FailureReason"]
    assert {name: lab.call(TargetVariant=name)[0]["pid"] for name in "AB"} == before


def test_an_answer_of_the_model_that_is_no_success_is_a_model_error(lab: Lab) -> None:
    lab.model("m")
    lab.deploy(A=("m", 1))
    with pytest.raises(ClientError) as caught:
        lab.call({"status": 400})
    assert _code(caught) == ("ModelError", 424)
    response = caught.value.response
    assert response["OriginalStatusCode"] == 400
    assert json.loads(response["OriginalMessage"])["pid"]
    assert response["Error"]["Message"].startswith("Received client error (400) from primary with message")
    with pytest.raises(ClientError) as caught:
        _runtime().invoke_endpoint(EndpointName="shop", Body=b'{"status": 500}')
    assert caught.value.response["OriginalStatusCode"] == 500


def test_an_answer_that_comes_too_late_is_a_model_error(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    lab.model("m")
    lab.deploy(A=("m", 1))
    monkeypatch.setattr(connections, "RESPONSE_SECONDS", 0.3)
    with pytest.raises(ClientError, match="timed out while waiting for a response from container primary") as caught:
        _runtime().invoke_endpoint(EndpointName="shop", Body=b'{"pause": 1}')
    assert _code(caught) == ("ModelError", 424)
    assert caught.value.response["OriginalStatusCode"] == 0


def test_bodies_are_bounded_in_both_directions(lab: Lab) -> None:
    lab.model("m")
    lab.deploy(A=("m", 1))
    runtime = _runtime()
    largest = json.dumps({"filler": ""}).replace('""', '"' + "x" * (6 * 2**20 - len('{"filler": ""}')) + '"')
    assert runtime.invoke_endpoint(EndpointName="shop", Body=largest)["ResponseMetadata"]["HTTPStatusCode"] == 200
    with pytest.raises(ClientError, match="length less than or equal to 6291456"):
        runtime.invoke_endpoint(EndpointName="shop", Body=largest + " ")
    with pytest.raises(ClientError, match="more than 6291456 bytes"):
        runtime.invoke_endpoint(EndpointName="shop", Body=json.dumps({"size": 6 * 2**20 + 1}))


def test_a_variant_whose_process_dies_comes_back(lab: Lab) -> None:
    lab.model("m")
    lab.deploy(A=("m", 1))
    before = lab.call()[0]["pid"]
    with pytest.raises(ClientError) as caught:
        _runtime().invoke_endpoint(EndpointName="shop", Body=b'{"exit": 1}')
    assert caught.value.response["OriginalStatusCode"] == 0

    def answered() -> int | None:
        try:
            return int(lab.call()[0]["pid"])
        except ClientError:
            return None

    assert lab.eventually(answered, seconds=60) != before
    assert lab.endpoint()["EndpointStatus"] == "InService"


def test_a_variant_that_no_longer_answers_ping_is_started_again(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(variant, "PING_EVERY_SECONDS", 0.2)
    monkeypatch.setattr(variant, "PINGS_MISSED_MAX", 2)
    lab.model("m")
    lab.deploy(A=("m", 1))
    before = lab.call()[0]["pid"]
    lab.call({"ping": 503})  # from now on it answers calls, and says that it is not well
    lab.eventually(lambda: _pid(lab) not in (None, before), seconds=60)


# ── what works ───────────────────────────────────────────────────────────────────────────────────────────────────────


def test_calls_are_split_by_weight_and_say_which_variant_answered(lab: Lab) -> None:
    lab.model("one", COLOUR="blue")
    lab.model("two")
    described = lab.deploy(A=("one", 3.0), B=("two", 1.0))
    assert described["EndpointStatus"] == "InService"
    answers = [lab.call() for _ in range(200)]
    assert all(body["model"]["name"] == {"A": "one", "B": "two"}[name] for body, name in answers)
    assert {body["model"]["colour"] for body, name in answers if name == "A"} == {"blue"}
    assert 120 <= Counter(name for _, name in answers)["A"] <= 180  # 150 expected, σ = 6.1


def test_a_target_variant_is_called_whatever_its_weight(lab: Lab) -> None:
    lab.model("m")
    lab.deploy(A=("m", 1.0), B=("m", 0.0))
    assert {lab.call()[1] for _ in range(20)} == {"A"}
    assert {lab.call(TargetVariant="B")[1] for _ in range(3)} == {"B"}
    with pytest.raises(ClientError) as caught:
        lab.call(TargetVariant="C")
    assert _code(caught) == ("ValidationError", 400)


def test_headers_reach_the_container_and_come_back(lab: Lab) -> None:
    lab.model("m")
    lab.deploy(A=("m", 1))
    answer = lab.client("sagemaker-runtime").invoke_endpoint(
        EndpointName="shop",
        Body=b"{}",
        ContentType="application/json",
        Accept="application/json",
        CustomAttributes="trace=1",
        InferenceId="i-1",
    )
    headers = json.loads(answer["Body"].read())["headers"]
    assert headers["content-type"] == headers["accept"] == "application/json"
    assert headers["x-amzn-sagemaker-custom-attributes"] == "trace=1"
    assert headers["x-amzn-sagemaker-inference-id"] == "i-1"
    assert (answer["CustomAttributes"], answer["ContentType"]) == ("seen", "application/json")


def test_an_endpoint_is_described_as_aws_does(lab: Lab) -> None:
    lab.model("m")
    described = lab.deploy(A=("m", 1.0), B=("m", 0.0))
    first, second = described["ProductionVariants"]
    deployed = first.pop("DeployedImages")
    assert first == {
        "VariantName": "A",
        "CurrentWeight": 1.0,
        "DesiredWeight": 1.0,
        "CurrentInstanceCount": 1,
        "DesiredInstanceCount": 1,
    }
    assert deployed[0]["SpecifiedImage"] == lab.image
    assert (second["CurrentWeight"], second["DesiredWeight"]) == (0.0, 0.0)
    (listed,) = lab.sagemaker.list_endpoints(StatusEquals="InService")["Endpoints"]
    assert listed["EndpointArn"] == described["EndpointArn"] == "arn:aws:sagemaker:eu-west-1:123456789012:endpoint/shop"


def test_weights_arrive_after_a_while(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("twin.sagemaker.hosting.endpoint.WEIGHTS_SECONDS", 60.0)  # a second on this server
    lab.model("m")
    lab.deploy(A=("m", 1.0), B=("m", 0.0))
    wanted = [
        {"VariantName": "A", "DesiredWeight": 0.0},
        {"VariantName": "B", "DesiredWeight": 0.25, "DesiredInstanceCount": 2},
    ]
    change = lab.sagemaker.update_endpoint_weights_and_capacities
    change(EndpointName="shop", DesiredWeightsAndCapacities=wanted)
    described = lab.sagemaker.describe_endpoint(EndpointName="shop")
    assert described["EndpointStatus"] == "Updating"
    assert [(v["CurrentWeight"], v["DesiredWeight"]) for v in described["ProductionVariants"]] == [(1, 0), (0, 0.25)]
    assert lab.call()[1] == "A"
    with pytest.raises(ClientError, match="Cannot update in-progress endpoint"):
        change(EndpointName="shop", DesiredWeightsAndCapacities=wanted)
    described = lab.endpoint()
    assert [(v["CurrentWeight"], v["CurrentInstanceCount"]) for v in described["ProductionVariants"]] == [
        (0, 1),
        (0.25, 2),
    ]
    assert {lab.call()[1] for _ in range(10)} == {"B"}
    with pytest.raises(ClientError, match="is/are not present within endpoint configuration"):
        change(EndpointName="shop", DesiredWeightsAndCapacities=[{"VariantName": "C", "DesiredWeight": 1}])


def test_an_update_swaps_only_the_variant_that_changes_and_answers_all_the_time(lab: Lab) -> None:
    lab.model("old")
    lab.model("new")
    lab.deploy(A=("old", 1), B=("old", 0))
    before = lab.call(TargetVariant="A")[0]["pid"]
    lab.config("second", A=("old", 0.9), B=("new", 0.1))
    lab.sagemaker.update_endpoint(EndpointName="shop", EndpointConfigName="second")
    assert lab.sagemaker.describe_endpoint(EndpointName="shop")["EndpointStatus"] == "Updating"
    statuses = []
    while not statuses or statuses[-1] != "InService":
        assert lab.call(TargetVariant="B")[0]["model"]["name"] in ("old", "new")
        described = lab.sagemaker.describe_endpoint(EndpointName="shop")
        statuses.append(described["EndpointStatus"])
    assert described["EndpointConfigName"] == "second"
    assert [v["CurrentWeight"] for v in described["ProductionVariants"]] == [0.9, 0.1]
    assert lab.call(TargetVariant="A")[0]["pid"] == before
    assert lab.call(TargetVariant="B")[0]["model"]["name"] == "new"


def test_a_swap_waits_for_the_calls_that_the_old_variant_still_answers(lab: Lab) -> None:
    lab.model("old")
    lab.model("new")
    lab.deploy(A=("old", 1))
    lab.config("second", A=("new", 1))
    with ThreadPoolExecutor(1) as pool:
        slow = pool.submit(lab.call, {"pause": 3})
        lab.sagemaker.update_endpoint(EndpointName="shop", EndpointConfigName="second")
        assert lab.endpoint()["EndpointConfigName"] == "second"
        assert not slow.done()
        assert lab.call()[0]["model"]["name"] == "new"
        assert slow.result()[0]["model"]["name"] == "old"


def test_an_update_may_rename_the_variants_and_takes_no_deployment_config(lab: Lab) -> None:
    lab.model("m")
    lab.deploy(A=("m", 1))
    lab.config("second", B=("m", 1))
    traffic = {"TrafficRoutingConfiguration": {"Type": "ALL_AT_ONCE", "WaitIntervalInSeconds": 0}}
    update = lab.sagemaker.update_endpoint
    for settings in ({"DeploymentConfig": {"BlueGreenUpdatePolicy": traffic}}, {"RetainAllVariantProperties": True}):
        with pytest.raises(ClientError, match=f"does not support {next(iter(settings))}"):
            update(EndpointName="shop", EndpointConfigName="second", **settings)
    update(EndpointName="shop", EndpointConfigName="second")
    assert [v["VariantName"] for v in lab.endpoint()["ProductionVariants"]] == ["B"]
    assert lab.call()[1] == "B"


def test_deleting_an_endpoint_ends_it(lab: Lab) -> None:
    lab.model("m")
    lab.deploy(A=("m", 1))
    lab.sagemaker.delete_endpoint(EndpointName="shop")
    lab.eventually(lambda: not lab.sagemaker.list_endpoints()["Endpoints"])
    with pytest.raises(ClientError, match="Could not find endpoint"):
        lab.sagemaker.describe_endpoint(EndpointName="shop")
    lab.sagemaker.delete_endpoint_config(EndpointConfigName="first")
    lab.sagemaker.delete_model(ModelName="m")
    assert lab.sagemaker.list_models()["Models"] == lab.sagemaker.list_endpoint_configs()["EndpointConfigs"] == []


def test_calls_are_measured_by_variant(lab: Lab) -> None:
    lab.model("m")
    lab.deploy(A=("m", 1.0), B=("m", 0.0))
    for body in ({}, {"pause": 0.2}, {"status": 400}):
        try:
            lab.call(body)
        except ClientError:
            assert "status" in body
    lab.eventually(lambda: _statistic(lab, "A", "Invocations", "Sum") == 3)
    assert _statistic(lab, "A", "Invocations", "SampleCount") == 3
    assert _statistic(lab, "A", "Invocation4XXErrors", "Sum") == 1
    assert _statistic(lab, "A", "Invocation5XXErrors", "Sum") == 0
    assert 200_000 <= _statistic(lab, "A", "ModelLatency", "Maximum") < 2_000_000  # microseconds
    assert 0 < _statistic(lab, "A", "OverheadLatency", "Maximum") < 1_000_000
    assert _statistic(lab, "B", "Invocations", "Sum") is None


def test_warm_calls_share_one_connection_that_does_not_wait_for_acknowledgements(
    lab: Lab, monkeypatch: pytest.MonkeyPatch
) -> None:
    lab.model("m")
    lab.deploy(A=("m", 1))
    lab.call()
    used: list[tuple[int, int]] = []
    exchange = connections.Connections._exchange

    def spy(self: Any, connection: Any, *request: Any) -> Any:
        response = exchange(self, connection, *request)
        used.append((id(connection), connection.sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)))
        return response

    monkeypatch.setattr(connections.Connections, "_exchange", spy)
    for _ in range(30):
        lab.call()
    assert len(used) == 30
    assert len(set(used)) == 1, "a new connection for each call"
    assert used[0][1], "without TCP_NODELAY each call takes 40 ms more"


def test_the_patches_name_these_tests() -> None:
    ours = [patch for patch in moto_patches.PATCHES if patch.replacement.startswith("twin.sagemaker.hosting")]
    assert {patch.contract.rpartition("::")[2] for patch in ours} <= set(globals())


def _statistic(lab: Lab, name: str, metric: str, statistic: str) -> float | None:
    found = lab.client("cloudwatch").get_metric_statistics(
        Namespace="AWS/SageMaker",
        MetricName=metric,
        Dimensions=[{"Name": "EndpointName", "Value": "shop"}, {"Name": "VariantName", "Value": name}],
        StartTime=time.time() - 3600,
        EndTime=time.time() + 3600,
        Period=7200,
        Statistics=[statistic],
    )["Datapoints"]
    return float(sum(point[statistic] for point in found)) if found else None


def _pid(lab: Lab) -> int | None:
    try:
        return int(lab.call()[0]["pid"])
    except ClientError:
        return None
