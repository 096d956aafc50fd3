"""What an Iceberg snapshot holds, read from its table's metadata file: the plan needs row counts, not rows."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from botocore.exceptions import ClientError

from usher.errors import TableMissing, code

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

#: A table's metadata grows with its snapshots; one that is larger than this was never maintained.
METADATA_MAX_BYTES = 64 * 1024 * 1024


def row_count(glue: Any, s3: S3Client, database: str, dataset: str, snapshot_id: int) -> int:
    """Rows of a data set in a snapshot, row deletes taken off; TableMissing when table or snapshot are not there."""
    summary = _summary(_metadata(glue, s3, database, dataset), database, dataset, snapshot_id)
    return int(summary.get("total-records", 0)) - int(summary.get("total-position-deletes", 0))


def _metadata(glue: Any, s3: S3Client, database: str, dataset: str) -> Mapping[str, Any]:
    try:
        table = glue.get_table(DatabaseName=database, Name=dataset)["Table"]
        place = urlsplit(table["Parameters"]["metadata_location"])
    except ClientError as error:
        if code(error) != "EntityNotFoundException":
            raise
        raise TableMissing(
            f"the catalog has no table {database}.{dataset}: update the stack, catalog_tables makes it"
        ) from error
    except KeyError as error:
        raise TableMissing(f"{database}.{dataset} is no Iceberg table: it has no metadata_location") from error
    answer = s3.get_object(Bucket=place.netloc, Key=place.path.lstrip("/"))
    if answer["ContentLength"] > METADATA_MAX_BYTES:
        raise TableMissing(
            f"the metadata of {database}.{dataset} has {answer['ContentLength']} bytes: expire snapshots"
        )
    metadata: dict[str, Any] = json.loads(answer["Body"].read())
    return metadata


def _summary(metadata: Mapping[str, Any], database: str, dataset: str, snapshot_id: int) -> Mapping[str, Any]:
    for snapshot in metadata.get("snapshots", ()):
        if snapshot["snapshot-id"] == snapshot_id:
            summary: dict[str, Any] = snapshot.get("summary", {})
            return summary
    raise TableMissing(f"snapshot {snapshot_id} of {database}.{dataset} has expired: start a run on the newest one")
