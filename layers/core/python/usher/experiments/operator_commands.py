"""COMMAND#time: what people told the experiment to do, and what it is told in words that were obeyed or refused."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from boto3.dynamodb.conditions import Attr, Key

from usher.store import keys
from usher.store.codec import loaded

if TYPE_CHECKING:
    from mypy_boto3_dynamodb.service_resource import Table

ACTIONS = ("roll_back", "promote", "freeze", "thaw")
_TEXT_MAX = 500


@dataclass(frozen=True, slots=True)
class Order:
    """One order that waits. sk: its sort key. who, why: as its giver wrote them, cut to 500 characters."""

    experiment_id: str
    sk: str
    action: str
    who: str
    why: str

    @property
    def words(self) -> str:
        return f"ordered by {self.who}: {self.why or 'no reason was given'}"


def waiting(table: Table, experiment_id: str) -> list[Order]:
    """The orders of an experiment that nobody has answered, oldest first."""
    condition = Key("pk").eq(keys.experiment(experiment_id).pk) & Key("sk").begins_with("COMMAND#")
    question: dict[str, Any] = {
        "KeyConditionExpression": condition,
        "FilterExpression": Attr("status").eq("waiting"),
        "ConsistentRead": True,
    }
    items: list[Any] = []
    while True:
        answer = table.query(**question)
        items += loaded(answer["Items"])
        if "LastEvaluatedKey" not in answer:
            return [_order(experiment_id, item) for item in items]
        question["ExclusiveStartKey"] = answer["LastEvaluatedKey"]


def _order(experiment_id: str, item: Any) -> Order:
    who, why = (" ".join(str(item.get(name, "")).split())[:_TEXT_MAX] for name in ("operator", "why"))
    return Order(experiment_id, str(item["sk"]), str(item.get("action", "")), who or "somebody unnamed", why)
