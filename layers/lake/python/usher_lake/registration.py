"""Tables whose files outlive their entries in Glue: where a table's newest metadata is, and its registration again.

When a stack is deleted, Glue deletes its database with all tables, and the lake bucket keeps the files. The name of the
current metadata file is then written to `metadata/version-hint.text`, the file that Iceberg's catalogs without a server
use. Without it the newest metadata file by its number is taken.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from botocore.exceptions import ClientError

from usher.errors import TableMissing, code, is_gone
from usher.schema.datasets import DATASETS
from usher.schema.s3_paths import table_prefix

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

_METADATA = re.compile(r"(\d+)-[0-9a-f-]+\.metadata\.json")


def hint_key(dataset: str) -> str:
    return f"{table_prefix(dataset)}/metadata/version-hint.text"


def write_hints(glue: Any, s3: S3Client, database: str, lake_bucket: str) -> dict[str, str]:
    """Write the name of each table's current metadata file; the names by data set.

    Nothing commits any more when this is called. A table that does not exist is left out.
    """
    found = {}
    for dataset in DATASETS:
        try:
            table = glue.get_table(DatabaseName=database, Name=dataset)["Table"]
        except ClientError as error:
            if code(error) != "EntityNotFoundException":
                raise
            continue
        name = urlsplit(table["Parameters"]["metadata_location"]).path.rpartition("/")[2]
        s3.put_object(Bucket=lake_bucket, Key=hint_key(dataset), Body=name.removesuffix(".metadata.json").encode())
        found[dataset] = name
    return found


def newest_metadata(s3: S3Client, lake_bucket: str, dataset: str) -> str | None:
    """The s3:// address of the metadata file to register a table from; None when the lake has none.

    Raises TableMissing when the hint names a file that does not exist.
    """
    files = {key.rpartition("/")[2]: key for key in _metadata_keys(s3, lake_bucket, dataset)}
    hint = _hint(s3, lake_bucket, dataset)
    if hint is not None and hint not in files:
        raise TableMissing(
            f"s3://{lake_bucket}/{hint_key(dataset)} names {hint}, which does not exist: restore that file, or delete "
            "the hint to register the newest metadata file"
        )
    # A commit that lost a race leaves a file with the winner's number; a hint tells the two apart.
    name = hint or max(files, key=lambda name: (int(name.partition("-")[0]), name), default=None)
    return name and f"s3://{lake_bucket}/{files[name]}"


def delete_hint(s3: S3Client, lake_bucket: str, dataset: str) -> None:
    """Delete the hint once the table is registered: the next commit makes it stale."""
    s3.delete_object(Bucket=lake_bucket, Key=hint_key(dataset))


def _hint(s3: S3Client, lake_bucket: str, dataset: str) -> str | None:
    try:
        body = s3.get_object(Bucket=lake_bucket, Key=hint_key(dataset))["Body"].read()
    except ClientError as error:
        if is_gone(error):
            return None
        raise
    return f"{body.decode().strip()}.metadata.json"


def _metadata_keys(s3: S3Client, lake_bucket: str, dataset: str) -> Iterator[str]:
    prefix = f"{table_prefix(dataset)}/metadata/"
    for page in s3.get_paginator("list_objects_v2").paginate(Bucket=lake_bucket, Prefix=prefix):
        for found in page.get("Contents", []):
            if _METADATA.fullmatch(found["Key"].removeprefix(prefix)):
                yield found["Key"]
