"""Ticks with random users, errors, operator commands, edits and crashes: what holds after each of them."""

from __future__ import annotations

import hashlib
import random
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import boto3
import pytest
from boto3.dynamodb.conditions import Key
from botocore.exceptions import ClientError
from moto import mock_aws

from tests.unit.state_table import STATE_TABLE
from usher.errors import TickUnderWay, UsherError
from usher.experiments.controller import ExperimentController
from usher.experiments.metrics import Metrics
from usher.experiments.opening import Terms, open_experiment
from usher.experiments.tick import TickRequest, TickResult
from usher.schema.settings import Settings
from usher.store import keys
from usher.store.codec import loaded, stored
from usher.store.router import VARIANTS, Router, read_router, write_router

NOW = 1_800_000_000
CHAMPION, CHALLENGER = "raaaaaaaaaa-1", "rbbbbbbbbbb-1"
EXPERIMENT = f"x{CHALLENGER}"
TERMS = Terms("demo", 300, 300, 3600.0, 900, 1.0)
SETTINGS = Settings(state_table="state", endpoint_name="usher", serving_backend="function", shift_rule_name="ticks")
TICKS = 30


class Events:
    """The rule, as the tick sees it."""

    enabled = True

    def enable_rule(self, Name: str) -> None:
        assert Name == "ticks"
        self.enabled = True

    def disable_rule(self, Name: str) -> None:
        assert Name == "ticks"
        self.enabled = False


@dataclass
class World:
    """A deployment with seeded random input. rates: conversion rate by variant; errors: error rate by variant."""

    table: Any
    random: random.Random
    now: float = NOW
    events: Events = field(default_factory=Events)
    sums: dict[str, dict[int, float]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        draw = self.random
        self.rates = {"A": 0.2, "B": draw.choice([0.02, 0.2, 0.25, 0.6])}
        self.errors = {"A": 0.0, "B": draw.choice([0.0, 0.0, 0.0, 0.3])}
        self.controller = ExperimentController(
            self.table, {"events": self.events, "cloudwatch": None, "sagemaker": None}, SETTINGS
        )
        self.versions = [1]

    @property
    def router(self) -> Router:
        found = read_router(self.table)
        assert found is not None
        return found

    def enrol_users(self) -> None:
        """Enrol some users now."""
        router = self.router
        if router.state != "testing":
            return
        with self.table.batch_writer() as batch:
            for _ in range(self.random.choice([0, 10, 40])):
                user = hashlib.sha256(str(self.random.random()).encode()).hexdigest()[:32]
                variant = "B" if self.random.random() < float(router.weights.get("B", 0)) else "A"
                converted = self.random.random() < self.rates[variant]
                batch.put_item(Item=stored(exposure(user, variant, router.version, self.now, converted=converted)))

    def answers(self) -> None:
        start = int(self.now) // 60 * 60
        for role, variant in (("champion", "A"), ("challenger", "B")):
            self.sums.setdefault(f"{role}_variantrequests", {})[start] = 20.0
            self.sums.setdefault(f"{role}_varianterrors", {})[start] = round(20 * self.errors[variant])

    def interfere(self) -> None:
        """Send an operator command or edit an item."""
        item: dict[str, Any] = keys.ROUTER.item() | stored(self.router.item())
        kind = self.random.choice(
            ["freeze", "thaw", "promote", "roll_back", "weights", "jump", "back", "state", "none"]
        )
        if kind in ("freeze", "thaw", "promote", "roll_back"):
            order = {"action": kind, "operator": "anna", "why": "so", "status": "waiting"}
            self.table.put_item(Item=keys.command(EXPERIMENT, f"{self.now:.3f}").item() | order)
        elif kind == "weights":
            self.table.put_item(Item=item | stored({"weights": {"A": self.random.random(), "B": 0.7}}))
        elif kind in ("jump", "back") and self.router.experiment_is_open:
            self.table.put_item(Item=item | {"version": self.router.version + (7 if kind == "jump" else -1)})
            self.versions[-1] = max(self.versions[-1], self.router.version)
        elif kind == "state":
            self.table.update_item(
                Key=keys.experiment_state(EXPERIMENT).item(),
                UpdateExpression="SET evidence = :lost",
                ExpressionAttributeValues={":lost": {"schema": 1}},
            )

    def tick(self, monkeypatch: pytest.MonkeyPatch) -> TickResult | None:
        """One tick; some die at their write, and the next one starts after the lease."""
        crash = self.random.random() < 0.1
        with monkeypatch.context() as patch:
            if crash:
                patch.setattr("usher.store.experiment_state.ExperimentStore.write", die)
            try:
                return self.controller.tick(TickRequest(str(self.random.random())), self.now)
            except (TickUnderWay, Died):
                self.now += 320
                return None

    def items(self, kind: str) -> list[Any]:
        condition = Key("pk").eq(f"EXPERIMENT#{EXPERIMENT}") & Key("sk").begins_with(f"{kind}#")
        return list(loaded(self.table.query(KeyConditionExpression=condition)["Items"]))


class Died(Exception):
    """The function was killed."""


def die(*_: Any) -> None:
    raise Died


def exposure(user: str, variant: str, version: int, at: float, *, converted: bool) -> dict[str, Any]:
    return {
        **keys.exposure(user, EXPERIMENT).item(),
        "GSI1pk": keys.exposure_shard(EXPERIMENT, version, user),
        **{"variant": variant, "version": version, "enrolled_at": at},
        **({"converted_at": at + 1, "reward": 1.0} if converted else {}),
    }


@pytest.fixture
def table(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    monkeypatch.delenv("AWS_ENDPOINT_URL", raising=False)
    monkeypatch.setenv("AWS_DEFAULT_REGION", "eu-west-1")
    with mock_aws():
        yield boto3.resource("dynamodb").create_table(**STATE_TABLE)


def opened(table: Any, seed: int, monkeypatch: pytest.MonkeyPatch) -> World:
    first = Router.first(CHAMPION, NOW)
    write_router(table, first)
    open_experiment(table, first, CHALLENGER, TERMS, NOW)
    world = World(table, random.Random(seed))
    monkeypatch.setattr(Metrics, "_read", lambda _, asked, *__: {name: world.sums.get(name, {}) for name in asked})
    return world


def holds(world: World) -> None:
    """What holds after every tick: weights, versions, and no traffic to a variant without an experiment."""
    router = world.router
    assert set(router.weights) == set(VARIANTS)
    assert abs(sum(router.weights.values()) - 1) < 1e-9
    assert all(0 <= weight <= 1 for weight in router.weights.values())
    assert router.version >= world.versions[-1]
    world.versions.append(router.version)
    if router.state == "idle":
        assert router.weights[router.champion] == 1
        assert router.experiment_id == ""
    if router.state == "baking":
        assert (router.champion, router.weights["B"]) == ("B", 1)
    if router.state in ("testing", "frozen"):
        assert router.weights["B"] <= 0.5


@pytest.mark.parametrize("seed", [0, *(pytest.param(seed, marks=pytest.mark.slow) for seed in range(1, 10))])
def test_weights_sum_to_one_and_versions_grow_after_every_tick(
    table: Any, seed: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    world = opened(table, seed, monkeypatch)
    for _ in range(TICKS):
        world.enrol_users()
        world.answers()
        if world.random.random() < 0.15:
            world.interfere()
        world.now += world.random.choice([60, 60, 120, 300])
        if world.tick(monkeypatch) is not None:
            holds(world)
    versions = [item["version"] for item in world.items("STRATUM")]
    assert len(versions) == len(set(versions))
    voids = {item["version"] for item in world.items("EPOCH") if "void" in item}
    assert not voids & set(versions)
    meta = loaded(table.get_item(Key=keys.experiment(EXPERIMENT).item())["Item"])
    assert (meta["status"] == "closed") == (world.router.state == "idle")


def test_every_user_is_counted_once_when_ticks_die(table: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    world = opened(table, 3, monkeypatch)
    world.rates, world.errors = {"A": 0.2, "B": 0.2}, {"A": 0.0, "B": 0.0}
    enrolled: dict[int, int] = {}
    for number in range(24):
        version, before = world.router.version, world.table.item_count
        world.enrol_users()
        enrolled[version] = enrolled.get(version, 0) + world.table.item_count - before
        world.now += 150
        if number % 3 == 1:
            with monkeypatch.context() as patch:
                patch.setattr("usher.store.experiment_state.ExperimentStore.write", die)
                with pytest.raises(Died):
                    world.controller.tick(TickRequest(str(number)), world.now)
        else:
            world.controller.tick(TickRequest(str(number)), world.now)
        if world.router.state != "testing":
            break
    strata = world.items("STRATUM")
    assert len(strata) > 4
    for item in strata:
        assert item["champion"]["n"] + item["challenger"]["n"] == enrolled[item["version"]]
    evidence = loaded(table.get_item(Key=keys.experiment_state(EXPERIMENT).item())["Item"])["evidence"]
    counted = [item for item in strata if item["version"] <= evidence["last_version"]]
    assert sum(evidence["exposed"]) == sum(item["champion"]["n"] + item["challenger"]["n"] for item in counted)


def test_one_of_two_concurrent_ticks_writes(table: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    world = opened(table, 1, monkeypatch)
    world.now += 300
    real = ExperimentController._commit
    met: list[str] = []

    def overtaken(self: ExperimentController, *given: Any) -> None:
        """Another tick, whose lease had expired, writes between this tick's read and its write."""
        if not met:
            met.append("once")
            table.update_item(
                Key=keys.experiment_state(EXPERIMENT).item(),
                UpdateExpression="REMOVE lease",
            )
            world.controller.tick(TickRequest("other"), world.now)
        real(self, *given)

    monkeypatch.setattr(ExperimentController, "_commit", overtaken)
    with pytest.raises(TickUnderWay, match=f"another writer changed experiment {EXPERIMENT} first"):
        world.controller.tick(TickRequest("slow"), world.now)
    assert world.router.version == 3
    assert len(world.items("DECISION")) == 1


def test_a_failed_tick_releases_its_lease(table: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    world = opened(table, 1, monkeypatch)
    with monkeypatch.context() as patch:
        patch.setattr(ExperimentController, "_open", die)
        with pytest.raises(Died):
            world.controller.tick(TickRequest("first"), world.now)
    assert "lease" not in table.get_item(Key=keys.experiment_state(EXPERIMENT).item())["Item"]


@pytest.mark.parametrize("version", ["two", None, 2.5])
def test_an_unreadable_router_stops_the_tick_with_an_error(
    table: Any, monkeypatch: pytest.MonkeyPatch, version: Any
) -> None:
    world = opened(table, 1, monkeypatch)
    item: dict[str, Any] = keys.ROUTER.item() | stored(world.router.item()) | stored({"version": version})
    table.put_item(Item=item)
    with pytest.raises(UsherError, match="restore the item"):
        world.controller.tick(TickRequest("one"), world.now)


def test_a_table_error_is_not_mistaken_for_a_lost_race(table: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    world = opened(table, 1, monkeypatch)

    def refuse(**_: Any) -> Any:
        raise ClientError({"Error": {"Code": "AccessDeniedException", "Message": "no"}}, "TransactWriteItems")

    monkeypatch.setattr(table.meta.client, "transact_write_items", refuse)
    with pytest.raises(ClientError, match="AccessDenied"):
        world.controller.tick(TickRequest("one"), world.now + 300)
