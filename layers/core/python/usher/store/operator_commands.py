"""EXPERIMENT#id/COMMAND#time: what an operator wants an experiment to do, and whether it was executed or refused."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from usher.schema.times import iso
from usher.store import keys
from usher.store.codec import loaded, stored
from usher.store.experiment_history import COMMAND, read_kind

if TYPE_CHECKING:
    from mypy_boto3_dynamodb.service_resource import Table

ACTIONS = ("roll_back", "promote", "freeze", "thaw")
WAITING = "waiting"
TEXT_MAX = 500


@dataclass(frozen=True, slots=True)
class OperatorCommand:
    """A waiting command. sk: its sort key. operator, why: as given, cut to 500 characters."""

    experiment_id: str
    sk: str
    action: str
    operator: str
    why: str

    @property
    def origin(self) -> str:
        """Who gave it and why, for reasons that operators read."""
        return f"ordered by {self.operator}: {self.why or 'no reason was given'}"


def write_command(  # noqa: PLR0913 - what a command is
    table: Table, experiment_id: str, *, action: str, operator: str, why: str, at: float
) -> str:
    """Store a waiting command; its sort key. at: epoch seconds to the microsecond, one command at a time."""
    key = keys.command(experiment_id, iso(at))
    fields = {"action": action, "operator": operator, "why": why, "at": at, "status": WAITING}
    table.put_item(Item=key.item() | stored(fields), ConditionExpression="attribute_not_exists(pk)")
    return key.sk


def read_command(table: Table, experiment_id: str, sk: str) -> Mapping[str, Any]:
    """A command as it is now; empty when it was deleted."""
    key = keys.Key(keys.experiment(experiment_id).pk, sk)
    return dict(loaded(table.get_item(Key=key.item(), ConsistentRead=True).get("Item") or {}))


def waiting_commands(table: Table, experiment_id: str) -> list[OperatorCommand]:
    """An experiment's commands that are neither executed nor refused, oldest first."""
    items = read_kind(table, experiment_id, COMMAND)
    return [_command(experiment_id, item) for item in items if item.get("status") == WAITING]


def _command(experiment_id: str, item: Any) -> OperatorCommand:
    operator, why = (" ".join(str(item.get(name, "")).split())[:TEXT_MAX] for name in ("operator", "why"))
    action = str(item.get("action", ""))
    return OperatorCommand(experiment_id, str(item["sk"]), action, operator or "an unnamed operator", why)
