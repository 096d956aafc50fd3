"""EXPOSURE items as feedback knows them: an outcome is one conditional update, so it counts once."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from botocore.exceptions import ClientError

from usher.errors import is_condition_failed
from usher.store import keys
from usher.store.codec import stored
from usher.store.events import standing

if TYPE_CHECKING:
    from mypy_boto3_dynamodb.client import DynamoDBClient


@dataclass(frozen=True, slots=True)
class Standing:
    """An exposure as it stands. enrolled_at: epoch seconds, None for no exposure.

    converted_by: the mark of the event that counted; empty for none, or when it was written without.
    """

    enrolled_at: float | None = None
    converted_by: str = ""

    @classmethod
    def of(cls, item: Mapping[str, Any]) -> Standing:
        """The exposure of an item; one that was edited into nonsense is none."""
        try:
            return cls(float(item["enrolled_at"]), str(item.get("converted_by", "")))
        except (KeyError, TypeError, ValueError):
            return cls()

    @property
    def exists(self) -> bool:
        return self.enrolled_at is not None

    def is_open(self, now: float, window_seconds: float) -> bool:
        """Whether outcomes of this person may still arrive."""
        return self.enrolled_at is not None and now <= self.enrolled_at + window_seconds


class NoWindow(Exception):
    """An experiment's record is missing, or says nothing usable of its attribution time: nothing can count in it."""


class Exposures:
    """The EXPOSURE items. dynamodb: a client that takes Python's own types, as a resource's has; it may be shared."""

    def __init__(self, dynamodb: DynamoDBClient, table: str) -> None:
        self._dynamodb, self._name = dynamodb, table

    def attribution_seconds(self, experiment: str) -> float:
        """How long after a person's first exposure an outcome counts; NoWindow when the experiment does not say."""
        key = keys.experiment(experiment).item()
        item = self._dynamodb.get_item(TableName=self._name, Key=key, ConsistentRead=True).get("Item", {})
        try:
            seconds = float(item["attribution_seconds"])  # type: ignore[arg-type]  # whatever it is, it is tried
        except (KeyError, TypeError, ValueError):
            seconds = math.nan
        if not 0 < seconds < math.inf:
            raise NoWindow(f"the record of experiment {experiment} says nothing usable of its attribution time")
        return seconds

    def find(self, user_hash: str, experiment: str) -> Standing:
        """The exposure of a person in an experiment."""
        key = keys.exposure(user_hash, experiment).item()
        answer = self._dynamodb.get_item(TableName=self._name, Key=key, ConsistentRead=True)
        return Standing.of(answer.get("Item", {}))

    def convert(  # noqa: PLR0913 - what an outcome is
        self, user_hash: str, experiment: str, *, now: float, since: float, reward: float, mark: str
    ) -> Standing | None:
        """Write a person's outcome: None when this was it, else the exposure as it stands.

        now: when it arrived. since: the earliest enrolment whose window is still open, both epoch seconds.
        """
        values = {":now": round(now, 3), ":reward": reward, ":mark": mark, ":since": since}
        try:
            self._dynamodb.update_item(
                TableName=self._name,
                Key=keys.exposure(user_hash, experiment).item(),
                UpdateExpression="SET converted_at = :now, reward = :reward, converted_by = :mark",
                ConditionExpression="attribute_not_exists(converted_at) AND enrolled_at >= :since",
                ExpressionAttributeValues=stored(values),
                ReturnValuesOnConditionCheckFailure="ALL_OLD",
            )
        except ClientError as error:
            if not is_condition_failed(error):
                raise
            return Standing.of(standing(error))
        return None
