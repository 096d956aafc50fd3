"""OBJECT items: one for each landing object that was ingested, so that no object is read or committed twice."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, Literal

from usher.store import keys
from usher.store.codec import loaded, read_batches
from usher.store.transactions import write_if

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBServiceResource

Status = Literal["parsed", "committing", "committed", "gone"]


@dataclass(frozen=True, slots=True)
class IngestedObject:
    """What ingest and catalog recorded of one landing object.

    dataset:     where its rows went, which for Amazon Personalize's headers is not always what the key says.
    rows_in:     rows_ok + rows_bad, always.
    files:       how many Parquet files hold the good rows (`s3_paths.data_key(dataset, digest, 0 … files - 1)`).
    ignored:     columns that the data set has no field for.
    snapshot_id: the commit that contains the rows; 0 before, and for an object without good rows.
    """

    digest: str
    dataset: str
    bucket: str
    key: str
    status: Status
    rows_in: int = 0
    rows_ok: int = 0
    rows_bad: int = 0
    files: int = 0
    ignored: tuple[str, ...] = ()
    landed_at: str = ""
    snapshot_id: int = 0

    def item(self) -> dict[str, Any]:
        """The object as an item of the state table."""
        fields = asdict(self) | {"ignored": list(self.ignored)}
        del fields["digest"]
        return keys.landing_object(self.digest).item() | fields

    def row_counts(self) -> dict[str, int]:
        """The rows by what became of them, as the metrics name them."""
        return {"RowsIn": self.rows_in, "RowsAccepted": self.rows_ok, "RowsQuarantined": self.rows_bad}

    def commit_message(self) -> str:
        """The message that asks catalog_objects to commit this object."""
        return json.dumps({"dataset": self.dataset, "digest": self.digest})

    @classmethod
    def read(cls, item: Mapping[str, Any]) -> IngestedObject:
        """The object of an item."""
        fields = {name: loaded(item[name]) for name in cls.__dataclass_fields__ if name != "digest"}
        return cls(str(item["pk"]).partition("#")[2], **fields | {"ignored": tuple(fields["ignored"])})


class IngestedObjects:
    """The OBJECT items. Every write is conditional and idempotent: an object's status only moves forward."""

    def __init__(self, dynamodb: DynamoDBServiceResource, table: str) -> None:
        self._dynamodb = dynamodb
        self._name = table
        self.table = dynamodb.Table(table)

    def find(self, digest: str) -> IngestedObject | None:
        """The record of an object, read consistently; None when the object was never recorded."""
        answer = self.table.get_item(Key=keys.landing_object(digest).item(), ConsistentRead=True)
        return IngestedObject.read(answer["Item"]) if "Item" in answer else None

    def find_all(self, digests: Iterable[str]) -> dict[str, IngestedObject]:
        """The records of these objects by digest, without those that were never recorded."""
        wanted = [keys.landing_object(digest) for digest in sorted(set(digests))]
        entries = map(IngestedObject.read, read_batches(self._dynamodb, self._name, wanted, consistent=True))
        return {entry.digest: entry for entry in entries}

    def record(self, entry: IngestedObject) -> IngestedObject:
        """Write the result of reading an object, once; returns the stored record, which may be another reader's."""
        existing = write_if(self.table.put_item, Item=entry.item(), ConditionExpression="attribute_not_exists(pk)")
        return entry if existing is None else self.find(entry.digest) or entry

    def committing(self, digest: str) -> None:
        """Record that a commit of this object may be under way."""
        self._advance(digest, "SET #s = :to", ("parsed", "committing"), {":to": "committing"})

    def committed(self, digest: str, snapshot_id: int) -> None:
        """Record that the commit `snapshot_id` contains this object's rows. A committed object stays as it is."""
        self._advance(
            digest,
            "SET #s = :to, snapshot_id = :snapshot",
            ("parsed", "committing"),
            {":to": "committed", ":snapshot": snapshot_id},
        )

    def _advance(self, digest: str, change: str, allowed: tuple[Status, ...], values: dict[str, Any]) -> None:
        froms = {f":from{number}": status for number, status in enumerate(allowed)}
        write_if(
            self.table.update_item,
            Key=keys.landing_object(digest).item(),
            UpdateExpression=change,
            ConditionExpression=f"#s IN ({', '.join(froms)})",
            ExpressionAttributeNames={"#s": "status"},
            ExpressionAttributeValues=values | froms,
        )
