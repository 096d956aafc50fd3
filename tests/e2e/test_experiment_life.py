"""An experiment's whole life on a twin: opened by the real function, ticked by the real schedule, closed by evidence.

Users are written as exposures by the current weights, so that the conversions are known; everything else is real.
"""

from __future__ import annotations

import hashlib
import io
import json
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from boto3.dynamodb.conditions import Key

from usher.store import keys
from usher.store.codec import loaded, stored
from usher.store.router import read_router

DEADLINE_SECONDS = 90.0
CHAMPION, CHALLENGER = "raaaaaaaaaa-1", "rbbbbbbbbbb-1"
EXPERIMENT = f"x{CHALLENGER}"
#: Epochs of two seconds; an hour of the preset takes 60 s, so its 2.8 hours take longer than this test may.
PARAMETERS = {
    "ServingBackend": "function",
    "ExperimentPreset": "demo",
    "ExperimentHourSeconds": "60",
    "EpochSeconds": "2",
    "AttributionSeconds": "2",
    "BakeSeconds": "2",
    "RouterCacheSeconds": "0.5",
}

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def own_twin(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    """A twin of this module, whose experiments are played fast."""
    from importlib.util import module_from_spec, spec_from_file_location  # noqa: PLC0415 - a conftest is no module

    spec = spec_from_file_location("e2e_twin", Path(__file__).with_name("conftest.py"))
    assert spec is not None and spec.loader is not None
    twins = module_from_spec(spec)
    sys.modules["e2e_twin"] = twins
    spec.loader.exec_module(twins)
    state = tmp_path_factory.mktemp("life")
    parameters = [part for each in PARAMETERS.items() for part in ("--parameter", "=".join(each))]
    process = twins.start(state, "--speed", "60", *parameters)
    try:
        yield twins.wait_until_ready(process, state)
    finally:
        twins.end(process)


class World:
    """The deployment, and users with known conversions."""

    def __init__(self, twin: Any) -> None:
        self._twin = twin
        self.table = twin.session.resource("dynamodb", endpoint_url=twin.endpoint).Table(twin.outputs["StateTable"])
        self._users = 0

    def deploy(self, model: str) -> Any:
        """The last step of a run, by the function itself; the bundle is as much as it reads."""
        file = io.BytesIO()
        np.save(file, np.array([0.5], np.float32))
        files = {"popularity/all.npy": file.getvalue(), "items.txt": b"1\n", "items.jsonl": ITEM}
        for name, body in files.items():
            self._twin.client("s3").put_object(
                Bucket=self._twin.outputs["LakeBucket"], Key=f"runs/{model}/bundle/{name}", Body=body
            )
        router = read_router(self.table)
        event = {
            "run_id": model,
            "router_version": router.version if router else 0,
            "model_name": f"usher-{model}",
            "model_package_arn": "",
            "trained": [],
        }
        return self._invoke("DeployExperiment", event)

    def _invoke(self, logical_id: str, event: Any) -> Any:
        resource = self._twin.client("cloudformation").describe_stack_resource(
            StackName=self._twin.running.stack_name, LogicalResourceId=logical_id
        )
        name = resource["StackResourceDetail"]["PhysicalResourceId"]
        answer = self._twin.client("lambda").invoke(FunctionName=name, Payload=json.dumps(event).encode())
        return json.loads(answer["Payload"].read())

    def enrol_by_weights(self, count: int, rates: tuple[float, float]) -> None:
        """Users who are enrolled now by the weights, and convert at (champion's, challenger's) rates."""
        router = read_router(self.table)
        assert router is not None
        if router.state != "testing":
            return
        meta = self.item(keys.experiment(EXPERIMENT))
        with self.table.batch_writer() as batch:
            for _ in range(count):
                self._users += 1
                user = hashlib.sha256(str(self._users).encode()).hexdigest()[:32]
                draws = [int(user[start : start + 8], 16) / 2**32 for start in (8, 16)]
                role = "challenger" if draws[0] < router.weights[meta["challenger"]] else "champion"
                converted = draws[1] < rates[role == "challenger"]
                now = time.time()
                item = {
                    **keys.exposure(user, EXPERIMENT).item(),
                    "GSI1pk": keys.exposure_shard(EXPERIMENT, router.version, user),
                    **{"variant": meta[role], "version": router.version, "enrolled_at": now},
                    **({"converted_at": now, "reward": 1.0} if converted else {}),
                }
                batch.put_item(Item=stored(item))

    def item(self, key: keys.Key) -> Any:
        return loaded(self.table.get_item(Key=key.item(), ConsistentRead=True).get("Item"))

    def items(self, kind: str) -> list[Any]:
        condition = Key("pk").eq(f"EXPERIMENT#{EXPERIMENT}") & Key("sk").begins_with(f"{kind}#")
        return list(loaded(self.table.query(KeyConditionExpression=condition, ConsistentRead=True)["Items"]))

    @property
    def schedule(self) -> str:
        rule = self._twin.outputs["ShiftRuleName"]
        return str(self._twin.client("events").describe_rule(Name=rule)["State"])

    def until(self, probe: Any, what: str) -> None:
        end = time.monotonic() + DEADLINE_SECONDS
        while not probe():
            assert time.monotonic() < end, f"{what}: not within {DEADLINE_SECONDS} s; {self.items('DECISION')[-2:]}"
            time.sleep(0.3)

    def failed_ticks(self) -> list[Any]:
        arn = self._twin.outputs["ShiftWorkflowArn"]
        client = self._twin.client("stepfunctions")
        found = client.list_executions(stateMachineArn=arn, statusFilter="FAILED")["executions"]
        return [client.describe_execution(executionArn=one["executionArn"]) for one in found]


ITEM = b'{"title": "Heat", "genres": []}\n'


def test_an_experiment_opens_moves_weights_by_itself_and_ends(own_twin: Any) -> None:
    world = World(own_twin)
    assert world.deploy(CHAMPION) == {"variant": "A", "router_version": 1}
    assert world.schedule == "DISABLED"
    assert world.deploy(CHALLENGER) == {"variant": "B", "router_version": 2}
    assert world.schedule == "ENABLED"

    def better_users() -> bool:
        world.enrol_by_weights(60, (0.15, 0.45))
        meta = world.item(keys.experiment(EXPERIMENT))
        return bool(meta["status"] != "open")

    world.until(better_users, "a decision")
    meta = world.item(keys.experiment(EXPERIMENT))
    assert meta["outcome"] == "promoted", meta
    shares = [item["weights"]["challenger"] for item in world.items("EPOCH")]
    assert (shares[0], shares) == (0.1, sorted(shares))  # how many stages it took depends on the machine
    assert shares[-1] <= 0.5
    world.until(lambda: world.schedule == "DISABLED", "the end of the ticks")
    router = read_router(world.table)
    assert router is not None
    assert (router.state, router.champion, router.weights) == ("idle", "B", {"A": 0.0, "B": 1.0})
    assert world.item(keys.experiment(EXPERIMENT))["status"] == "closed"
    assert world.item(keys.POPULAR)["model_id"] == CHALLENGER
    assert "side_effects" not in world.item(keys.experiment_state(EXPERIMENT))
    decisions = world.items("DECISION")
    assert {one["by"] for one in decisions} == {"usher"}
    assert all(abs(sum(one["weights_after"].values()) - 1) < 1e-9 for one in decisions)
    versions = [item["version"] for item in world.items("STRATUM")]
    assert versions == sorted(set(versions))
    assert world.failed_ticks() == []
