"""The state table's keys: pk and sk of every item that Usher writes to DynamoDB."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

#: The index on GSI1pk, an attribute of exposures alone.
EXPOSURE_INDEX = "GSI1"

#: The partitions that an experiment's exposures are spread over, so that counting them does not overload one.
EXPOSURE_SHARDS = 8


class Key(NamedTuple):
    """Partition and sort key of one item of the state table."""

    pk: str
    sk: str

    def item(self) -> dict[str, str]:
        """The key as the resource API of DynamoDB takes it."""
        return {"pk": self.pk, "sk": self.sk}


RUN_LOCK = Key("RUN", "LOCK")
RUN_PROGRESS = Key("RUN", "PROGRESS")
ROUTER = Key("ROUTER", "ROUTER")
POPULAR = Key("ROUTER", "POPULAR")


def landing_object(digest: str) -> Key:
    """The item of one landing object."""
    return Key(f"OBJECT#{digest}", "OBJECT")


def run(run_id: str) -> Key:
    return Key(f"RUN#{run_id}", "META")


def run_id(item: Mapping[str, Any]) -> str:
    """The run of an item of `run`."""
    return str(item["pk"]).removeprefix("RUN#")


def experiment(experiment_id: str) -> Key:
    return Key(f"EXPERIMENT#{experiment_id}", "META")


def experiment_state(experiment_id: str) -> Key:
    return Key(f"EXPERIMENT#{experiment_id}", "STATE")


def stratum(experiment_id: str, version: int) -> Key:
    """Versions are padded, so that a Query returns strata in their order."""
    return Key(f"EXPERIMENT#{experiment_id}", f"STRATUM#{version:010d}")


def epoch(experiment_id: str, version: int) -> Key:
    """One version of the router while an experiment was open: its weights, when it began and ended."""
    return Key(f"EXPERIMENT#{experiment_id}", f"EPOCH#{version:010d}")


def decision(experiment_id: str, time: str) -> Key:
    """time: ISO 8601, UTC, so that a Query returns decisions in their order."""
    return Key(f"EXPERIMENT#{experiment_id}", f"DECISION#{time}")


def command(experiment_id: str, time: str) -> Key:
    """One operator command. time: ISO 8601, UTC."""
    return Key(f"EXPERIMENT#{experiment_id}", f"COMMAND#{time}")


def user(user_id_hash: str) -> str:
    """The partition of a user: one Query on it returns the profile and the exposures."""
    return f"USER#{user_id_hash}"


def profile(user_id_hash: str) -> Key:
    return Key(user(user_id_hash), "PROFILE")


def exposure(user_id_hash: str, experiment_id: str) -> Key:
    return Key(user(user_id_hash), f"EXPOSURE#{experiment_id}")


def exposure_shard(experiment_id: str, version: int, user_id_hash: str) -> str:
    """GSI1pk of an exposure: the experiment, the router version, and a shard of the user's hash."""
    return exposure_shards(experiment_id, version)[int(user_id_hash[:8], 16) % EXPOSURE_SHARDS]


def exposure_shards(experiment_id: str, version: int) -> list[str]:
    """GSI1pk of all exposures under a router version."""
    return [f"EXPERIMENT#{experiment_id}#{version}#{shard}" for shard in range(EXPOSURE_SHARDS)]


def event(event_id: str) -> Key:
    return Key(f"EVENT#{event_id}", "EVENT")
