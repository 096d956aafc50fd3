"""An experiment under the real shift workflow: the real handler, a clock that a test moves, users written as items.

Without an endpoint unless a test asks for one (`serve`): the back end is then the function, which has no weights.
"""

from __future__ import annotations

import datetime
import hashlib
import json
import random
import re
import threading
import uuid
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from boto3.dynamodb.conditions import Key

from tests import roles
from usher.store import keys
from usher.store.codec import loaded, stored

PROJECT = Path(__file__).parents[3]
REGION = "eu-west-1"
ROLE = "arn:aws:iam::123456789012:role/sagemaker"
IMAGE = "123456789012.dkr.ecr.eu-west-1.amazonaws.com/usher/usher-recommender:latest"
CHAMPION, CHALLENGER = "raaaaaaaaaa-1", "rbbbbbbbbbb-1"
EXPERIMENT = f"x{CHALLENGER}"
EPOCH_SECONDS = 300


class Shift:
    """One deployment with two models, an experiment open between them, and its workflow."""

    def __init__(self, run: Any, patch: pytest.MonkeyPatch) -> None:
        self.run = run
        self.now = float(int(datetime.datetime.now(datetime.UTC).timestamp()) - 20 * 86400)
        self._patch = patch
        clock = SimpleNamespace(time=lambda: self.now)
        for name in ("shift_traffic", "deploy_experiment", "prepare_next"):
            handler = run.functions.handlers.setdefault(name, _load(name))
            patch.setitem(handler.__globals__, "time", clock)
        self.machine = run.client("stepfunctions").create_state_machine(
            name="usher-shift-traffic", definition=definition(), roleArn=workflow_role()
        )["stateMachineArn"]
        self.random = random.Random(12)
        self._variants: dict[str, Any] = {}
        self._again = ""
        for model in (CHAMPION, CHALLENGER):
            self.deploy(model)

    # ── the world ───────────────────────────────────────────────────────────────────────────────────────────────────

    def deploy(self, model: str, version: int | None = None) -> Any:
        """The last step of a run; its answer, or {errorMessage}."""
        router = self.run.router
        self.run.bundle(model)
        event = {
            "run_id": model,
            "router_version": version if version is not None else router["version"] if router else 0,
            "model_name": f"usher-{model}",
            "model_package_arn": self._package(model),
            "trained": [],
        }
        return json.loads(self.run.functions.invoke("deploy_experiment", json.dumps(event).encode())[2])

    def _package(self, model: str) -> str:
        made = self.run.client("sagemaker").create_model_package(
            ModelPackageGroupName="usher", ModelPackageDescription=model, ModelApprovalStatus="Approved"
        )
        return str(made["ModelPackageArn"])

    def approval(self, model: str) -> str:
        record = self.run.record(model)
        package = self.run.client("sagemaker").describe_model_package(ModelPackageName=record["model_package_arn"])
        return str(package["ModelApprovalStatus"])

    def passes(self, seconds: float) -> None:
        self.now += seconds

    def enrol_by_weights(self, users: int, rates: tuple[float, float]) -> None:
        """Users enrolled now by the router's weights, who convert at (champion's, challenger's) rates."""
        challenger = round(users * self.share)
        self.enrolled((users - challenger, challenger), rates)

    def enrolled(self, users: tuple[int, int], rates: tuple[float, float], version: int | None = None) -> None:
        """(champion's, challenger's) users enrolled now, whatever the weights say."""
        meta, at = self.meta, self.now
        version = self.router["version"] if version is None else version
        with self.run.table.batch_writer() as batch:
            for role, count, rate in zip(("champion", "challenger"), users, rates, strict=True):
                for number in range(count):
                    converted = number < round(rate * count)
                    batch.put_item(Item=stored(self.exposure(meta[role], version, at, converted=converted)))

    def exposure(self, variant: str, version: int, at: float, *, converted: bool, number: int = 0) -> dict[str, Any]:
        """An exposure's item."""
        user = hashlib.sha256(f"{self.random.random()} {number}".encode()).hexdigest()[:32]
        return {
            **keys.exposure(user, EXPERIMENT).item(),
            "GSI1pk": keys.exposure_shard(EXPERIMENT, version, user),
            "variant": variant,
            "version": version,
            "enrolled_at": at,
            "expires_at": int(at) + 60 * 86400,
            **({"converted_at": at + 10.0, "reward": 1.0} if converted else {}),
        }

    def answers(self, variant: str, requests: int, **bad: int) -> None:
        """A variant's answers in this minute: `errors=3`, `slow=`, `empty=`."""
        names = {"errors": "VariantErrors", "slow": "VariantSlow", "empty": "VariantEmpty"}
        counts = {"VariantRequests": requests, **{names[kind]: number for kind, number in bad.items()}}
        dimensions = {"experiment": EXPERIMENT, "variant": variant}
        self._metrics(counts, dimensions)

    def outcomes(self, enrolled: int, joined: int) -> None:
        counts = {"EnrolledOutcomes": enrolled, "JoinedOutcomes": joined}
        self._metrics(counts, {"experiment": EXPERIMENT})

    def _metrics(self, counts: dict[str, int], dimensions: dict[str, str]) -> None:
        named = [{"Name": name, "Value": value} for name, value in dimensions.items()]
        moment = datetime.datetime.fromtimestamp(self.now, datetime.UTC)
        data = [
            {"MetricName": name, "Dimensions": named, "Timestamp": moment, "Value": float(value)}
            for name, value in counts.items()
        ]
        self.run.client("cloudwatch").put_metric_data(Namespace="Usher", MetricData=data)

    def command(self, action: str, who: str = "anna", why: str = "as asked") -> str:
        """What `usher rollback` and its like write."""
        sk = f"COMMAND#{self.now:.6f}#{uuid.uuid4()}"
        item = {"action": action, "operator": who, "why": why, "at": int(self.now), "status": "waiting"}
        self.run.table.put_item(Item={"pk": f"EXPERIMENT#{EXPERIMENT}", "sk": sk, **item})
        return sk

    def set(self, key: keys.Key, **fields: Any) -> None:
        """Edit an item by hand."""
        item = self.run.item(*key)
        self.run.table.put_item(Item=stored({**item, **fields}))

    # ── the endpoint ────────────────────────────────────────────────────────────────────────────────────────────────

    def serve(self) -> None:
        """Both models behind the endpoint, as the run's config has them: all traffic to the champion."""
        sagemaker = self.run.client("sagemaker")
        for variant in ("A", "B"):
            model = self.meta["models"]["champion" if variant == "A" else "challenger"]
            name = f"usher-{model}{self._again}"
            self.run.archive(f"{name}.tar.gz")
            container = {"Image": IMAGE, "ModelDataUrl": f"s3://lake/{name}.tar.gz"}
            sagemaker.create_model(ModelName=name, ExecutionRoleArn=ROLE, PrimaryContainer=container)
            self._variants[variant] = {
                "VariantName": variant,
                "ModelName": name,
                "InstanceType": "ml.c5.large",
                "InitialInstanceCount": 1,
                "InitialVariantWeight": 1.0 if variant == "A" else 0.0,
            }
        config = f"usher-{uuid.uuid4().hex[:8]}"
        sagemaker.create_endpoint_config(
            EndpointConfigName=config, ProductionVariants=[self._variants[variant] for variant in ("A", "B")]
        )
        self._again = "-1"
        sagemaker.create_endpoint(EndpointName="usher", EndpointConfigName=config)
        self.run.until(lambda: self.endpoint["EndpointStatus"] == "InService")

    def replace(self, variant: str, model: str) -> None:
        """Another model in a variant, as a run does that then fails."""
        sagemaker = self.run.client("sagemaker")
        self.run.archive(f"{model}.tar.gz")
        container = {"Image": IMAGE, "ModelDataUrl": f"s3://lake/{model}.tar.gz"}
        sagemaker.create_model(ModelName=model, ExecutionRoleArn=ROLE, PrimaryContainer=container)
        self._variants[variant]["ModelName"] = model
        config = f"usher-{uuid.uuid4().hex[:8]}"
        sagemaker.create_endpoint_config(
            EndpointConfigName=config, ProductionVariants=[self._variants[variant] for variant in ("A", "B")]
        )
        sagemaker.update_endpoint(EndpointName="usher", EndpointConfigName=config)
        self.run.until(lambda: self.endpoint["EndpointStatus"] == "InService")

    @property
    def endpoint(self) -> Any:
        return self.run.client("sagemaker").describe_endpoint(EndpointName="usher")

    @property
    def endpoint_weights(self) -> dict[str, float]:
        return {one["VariantName"]: one["CurrentWeight"] for one in self.endpoint["ProductionVariants"]}

    def set_endpoint_weights(self, weights: dict[str, float]) -> None:
        wanted = [{"VariantName": variant, "DesiredWeight": weight} for variant, weight in weights.items()]
        self.run.client("sagemaker").update_endpoint_weights_and_capacities(
            EndpointName="usher", DesiredWeightsAndCapacities=wanted
        )

    def delete_endpoint(self) -> None:
        self.run.client("sagemaker").delete_endpoint(EndpointName="usher")
        found = self.run.client("sagemaker").list_endpoints
        self.run.until(lambda: not found()["Endpoints"])

    def busy(self) -> None:
        """An update that does not end."""
        self._twins_endpoint.status = "Updating"
        self._twins_endpoint._worker = threading.Thread()

    def ready(self) -> None:
        self._twins_endpoint._worker = None
        self._twins_endpoint.status = "InService"

    def fails(self, reason: str) -> None:
        self._twins_endpoint.status, self._twins_endpoint.failure_reason = "Failed", reason

    @property
    def _twins_endpoint(self) -> Any:
        from twin.sagemaker.account import account_in  # noqa: PLC0415 - moto is heavy
        from twin.sagemaker.hosting.endpoint import Endpoint  # noqa: PLC0415

        return account_in("123456789012", REGION).all(Endpoint)["usher"]

    # ── the workflow ────────────────────────────────────────────────────────────────────────────────────────────────

    def begin(self, **given: str) -> str:
        """Start an execution; its ARN."""
        answer = self.run.client("stepfunctions").start_execution(
            stateMachineArn=self.machine, name=uuid.uuid4().hex, input=json.dumps(given)
        )
        return str(answer["executionArn"])

    def invoke_tick(self) -> Any:
        """The function alone, as if all had stopped after it."""
        event = {"holder": "x", "given": {}}
        return json.loads(self.run.functions.invoke("shift_traffic", json.dumps(event).encode())[2])

    def crash_side_effects_once(self) -> None:
        """The next CompleteSideEffects crashes."""
        handlers = self.run.functions.handlers
        real = handlers["shift_traffic"]

        def crash(event: Any, given: Any) -> Any:
            if "complete_side_effects" not in event:
                return real(event, given)
            handlers["shift_traffic"] = real
            raise MemoryError("out of it")

        handlers["shift_traffic"] = crash

    def tick(self, **given: str) -> dict[str, Any]:
        """One execution: its status, states, output; weights sum to one after each."""
        found: dict[str, Any] = self.run.finished(self.begin(**given))
        assert found["status"] == "SUCCEEDED", found.get("cause")
        weights = self.router["weights"]
        assert abs(sum(weights.values()) - 1) < 1e-9
        assert all(0 <= weight <= 1 for weight in weights.values())
        return found

    def epoch(self) -> dict[str, Any]:
        """An epoch passes, and the tick at its end."""
        self.passes(self.meta["epoch_seconds"])
        return self.tick()

    def until(self, decision: str, epochs: int = 40, **enrolled: Any) -> dict[str, Any]:
        """Epochs with these users in each, until that decision."""
        for _ in range(epochs):
            self.enrol_by_weights(**enrolled)
            found = self.epoch()
            if found["output"]["decision"] == decision:
                return found
        raise AssertionError(f"no {decision} in {epochs} epochs: {self.last['reason']}")

    # ── what came of it ─────────────────────────────────────────────────────────────────────────────────────────────

    @property
    def router(self) -> Any:
        return self.run.router

    @property
    def share(self) -> float:
        """The challenger's."""
        return float(self.router["weights"][self.meta["challenger"]])

    @property
    def meta(self) -> Any:
        return self.run.item(*keys.experiment(EXPERIMENT))

    @property
    def state(self) -> Any:
        return self.run.item(*keys.experiment_state(EXPERIMENT))

    def items(self, kind: str) -> list[Any]:
        """DECISION, STRATUM, EPOCH or ORDER items, oldest first."""
        condition = Key("pk").eq(f"EXPERIMENT#{EXPERIMENT}") & Key("sk").begins_with(f"{kind}#")
        return list(loaded(self.run.table.query(KeyConditionExpression=condition)["Items"]))

    @property
    def last(self) -> Any:
        """The newest decision."""
        return self.items("DECISION")[-1]

    @property
    def schedule(self) -> str:
        return str(self.run.client("events").describe_rule(Name="usher-shift-traffic")["State"])

    @property
    def lists(self) -> str:
        return str(self.run.item("ROUTER", "POPULAR")["model_id"])


def _load(name: str) -> Any:
    import importlib.util  # noqa: PLC0415

    spec = importlib.util.spec_from_file_location(f"{name}_app", PROJECT / "functions" / name / "app.py")
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.handler


def workflow_role() -> str:
    """The workflow's role as the template has it, for the resources of these tests."""
    functions = {f":{name.replace('_', '')}": f":function:{name}" for name in ("shift_traffic", "prepare_next")}
    return roles.template_role("ShiftWorkflowRole", {**functions, ":statetable": ":table/state"})


def definition() -> str:
    """The real workflow with what the template fills in."""
    values = {
        "ShiftTrafficFunctionArn": f"arn:aws:lambda:{REGION}:123456789012:function:shift_traffic",
        "PrepareNextFunctionArn": f"arn:aws:lambda:{REGION}:123456789012:function:prepare_next",
        "EndpointName": "usher",
        "StateTable": "state",
    }
    text = (PROJECT / "statemachines/shift_traffic.asl.json").read_text()
    assert set(re.findall(r"\$\{(\w+)\}", text)) == set(values)
    return re.sub(r"\$\{(\w+)\}", lambda match: values[match[1]], text)


@pytest.fixture
def shift(run: Any, monkeypatch: pytest.MonkeyPatch) -> Iterator[Shift]:
    """An experiment that has just been opened, the demo's preset and epochs of five minutes, without an endpoint."""
    monkeypatch.setenv("USHER_SERVING_BACKEND", "function")
    for name in ("EPOCH_SECONDS", "ATTRIBUTION_SECONDS"):
        monkeypatch.setenv(f"USHER_{name}", str(EPOCH_SECONDS))
    monkeypatch.setenv("USHER_EXPERIMENT_PRESET", "demo")
    yield Shift(run, monkeypatch)
