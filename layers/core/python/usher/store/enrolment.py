"""A person's first exposure in an experiment: one conditional write, to which only an outcome is added."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from boto3.dynamodb.types import TypeDeserializer
from botocore.exceptions import ClientError

from usher.errors import is_condition_failed
from usher.store import keys
from usher.store.codec import loaded, stored
from usher.store.router import VARIANTS, Variant

if TYPE_CHECKING:
    from mypy_boto3_dynamodb.service_resource import Table

#: An exposure outlives every experiment (three weeks and the longest window), then DynamoDB deletes it.
KEPT_SECONDS = 60 * 86_400


@dataclass(frozen=True, slots=True)
class Exposure:
    """variant: the one that was shown. version: the router's that it was shown under. enrolled_at: epoch seconds."""

    variant: Variant
    version: int
    enrolled_at: float


def exposure_of(item: Mapping[str, Any] | None) -> Exposure | None:
    """The exposure that an item of the state table is, or None: there is none, or it is none."""
    found: Any = loaded(item or {})
    try:
        exposure = Exposure(found["variant"], int(found["version"]), float(found["enrolled_at"]))
    except (KeyError, TypeError, ValueError):
        return None
    return exposure if exposure.variant in VARIANTS else None


def enrol(table: Table, user_hash: str, experiment_id: str, exposure: Exposure) -> Exposure | None:
    """Write the first exposure. What stands: this one, or the one that another request wrote before.

    None where something stands that is no exposure. An AWS error when it could not be written.
    """
    fields = {
        "variant": exposure.variant,
        "version": exposure.version,
        "enrolled_at": round(exposure.enrolled_at, 3),
        "GSI1pk": keys.exposure_shard(experiment_id, exposure.version, user_hash),
        "expires_at": int(exposure.enrolled_at) + KEPT_SECONDS,
    }
    try:
        table.put_item(
            Item=keys.exposure(user_hash, experiment_id).item() | stored(fields),
            ConditionExpression="attribute_not_exists(pk)",
            ReturnValuesOnConditionCheckFailure="ALL_OLD",
        )
    except ClientError as error:
        if not is_condition_failed(error):
            raise
        return exposure_of(_standing(error))
    return exposure


def _standing(error: ClientError) -> dict[str, Any]:
    """The item that stood in the way, which DynamoDB's error brings along in its own notation."""
    read = TypeDeserializer().deserialize
    response: Any = error.response
    return {name: read(value) for name, value in response.get("Item", {}).items()}
