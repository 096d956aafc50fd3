"""Creates and updates the Iceberg tables of the data sets, and the table over the quarantine files."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

import boto3
from pyiceberg.catalog.glue import GlueCatalog
from pyiceberg.exceptions import NoSuchTableError
from pyiceberg.partitioning import PartitionField, PartitionSpec
from pyiceberg.schema import Schema
from pyiceberg.transforms import IdentityTransform
from pyiceberg.types import (
    DateType,
    DoubleType,
    IcebergType,
    ListType,
    MapType,
    NestedField,
    StringType,
    TimestamptzType,
)

from usher.errors import CatalogDenied, IncompatibleSchema, TableMissing
from usher.schema.datasets import DATASETS, Dataset, Kind
from usher.schema.s3_paths import table_prefix
from usher_lake.registration import delete_hint, newest_metadata

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client
    from pyiceberg.table import Table

PARTITION = "ingested_date"

#: The properties of every table. The first commit adds a name mapping: data files have no field ids, so that they fit
#: a table whatever columns were added to it.
PROPERTIES = {
    "format-version": "2",
    "write.parquet.compression-codec": "zstd",
    "commit.manifest-merge.enabled": "true",
    "write.metadata.delete-after-commit.enabled": "true",
    "write.metadata.previous-versions-max": "20",
}


def open_catalog() -> GlueCatalog:
    """Glue's catalog with the function's own credentials; AWS_ENDPOINT_URL, if set, applies to S3 too."""
    properties = {"s3.region": boto3.Session().region_name or ""}
    endpoint = os.environ.get("AWS_ENDPOINT_URL_S3") or os.environ.get("AWS_ENDPOINT_URL")
    if endpoint:
        properties["s3.endpoint"] = endpoint
    return GlueCatalog("usher", client=boto3.client("glue"), **properties)


def load_table(catalog: GlueCatalog, database: str, dataset: str) -> Table:
    """The table of a data set; TableMissing when it does not exist."""
    try:
        return catalog.load_table((database, dataset))
    except NoSuchTableError as error:
        raise TableMissing(
            f"the table {database}.{dataset} does not exist: deploy the stack again to create it"
        ) from error


def ensure_tables(catalog: GlueCatalog, database: str, lake_bucket: str) -> dict[str, str]:
    """Create missing tables and update the others to the definition; what was done, by data set.

    A missing table whose files the lake has is registered again, with all its rows, before it is updated.

    Raises IncompatibleSchema, before any change, when a table cannot be updated to the definition, and CatalogDenied
    when Lake Formation denies access.
    """
    try:
        return _ensure_all(catalog, database, lake_bucket)
    except Exception as error:
        if "Lake Formation" not in str(error):
            raise
        raise CatalogDenied(
            f"access to database {database} is denied by Lake Formation ({error}): this account does not give IAM's "
            "permissions to new databases; in Lake Formation grant IAMAllowedPrincipals, or each role of the stack "
            "that reads tables, access to the database and its tables"
        ) from error


def _ensure_all(catalog: GlueCatalog, database: str, lake_bucket: str) -> dict[str, str]:
    s3 = boto3.client("s3")
    registered = {name: _register(catalog, s3, database, lake_bucket, name) for name in DATASETS}
    existing = {name: _existing(catalog, database, name) for name in DATASETS}
    for name, table in existing.items():
        if table is not None:
            _refuse_incompatible(table, DATASETS[name])
    done = {name: _ensure(catalog, database, lake_bucket, name, table) for name, table in existing.items()}
    return {name: f"registered {registered[name]}, {what}" if registered[name] else what for name, what in done.items()}


def _register(catalog: GlueCatalog, s3: S3Client, database: str, lake_bucket: str, name: str) -> str:
    """Register a table that the catalog does not have from the lake's files; the metadata file, or an empty string."""
    if _existing(catalog, database, name) is not None:
        return ""
    location = newest_metadata(s3, lake_bucket, name)
    if location is None:
        return ""
    catalog.register_table((database, name), location)
    delete_hint(s3, lake_bucket, name)
    return location.rpartition("/")[2]


def _existing(catalog: GlueCatalog, database: str, name: str) -> Table | None:
    try:
        return catalog.load_table((database, name))
    except NoSuchTableError:
        return None


def _ensure(catalog: GlueCatalog, database: str, lake_bucket: str, name: str, table: Table | None) -> str:
    if table is None:
        schema = iceberg_schema(DATASETS[name])
        location = f"s3://{lake_bucket}/{table_prefix(name)}"
        catalog.create_table((database, name), schema, location, partition_spec(schema), properties=PROPERTIES)
        return "created"
    return _evolve(table, DATASETS[name])


def iceberg_schema(data: Dataset) -> Schema:
    """The table's schema. Field ids count up from 1; Iceberg assigns its own when it creates the table."""
    ids = _Ids(len(data.columns))
    return Schema(
        *(
            NestedField(place, field.name, iceberg_type(field.kind, ids), required=field.required, doc=field.doc)
            for place, field in enumerate(data.columns, start=1)
        )
    )


class _Ids:
    def __init__(self, used: int) -> None:
        self._last = used

    def next(self) -> int:
        self._last += 1
        return self._last


def iceberg_type(kind: Kind, ids: _Ids) -> IcebergType:
    """The Iceberg type of a kind."""
    if kind == "text_list":
        return ListType(ids.next(), StringType(), element_required=True)
    if kind == "attributes":
        return MapType(ids.next(), StringType(), ids.next(), StringType(), value_required=True)
    return {
        "id": StringType(),
        "text": StringType(),
        "number": DoubleType(),
        "timestamp": TimestamptzType(),
        "date": DateType(),
    }[kind]


def partition_spec(schema: Schema) -> PartitionSpec:
    """By the day on which the object landed: all rows of an object are in one partition."""
    source = schema.find_field(PARTITION).field_id
    return PartitionSpec(PartitionField(source, 1000, IdentityTransform(), PARTITION))


def _refuse_incompatible(table: Table, data: Dataset) -> None:
    schema = table.schema()
    wanted = iceberg_schema(data)
    for field in data.columns:
        column = f"{data.name}.{field.name}"
        found = schema.find_field(field.name) if field.name in schema.column_names else None
        if found is None and field.required:
            raise IncompatibleSchema(f"{column} is new and required, but older rows have no value: make it optional")
        if found is None:
            continue
        kind = wanted.find_field(field.name).field_type
        if _shape(found.field_type) != _shape(kind):
            raise IncompatibleSchema(
                f"{column} is {found.field_type} in the table, not {kind}: add a column of another name"
            )
        if found.required and not field.required:
            continue  # made optional below
        if field.required and not found.required:
            raise IncompatibleSchema(f"{column} is optional in the table, and rows may have no value: make it optional")
    names = [partition.name for partition in table.spec().fields]
    if names != [PARTITION]:
        raise IncompatibleSchema(f"{data.name} is partitioned by {names}, not by {PARTITION}")


def _shape(kind: IcebergType) -> str:
    """A type without its ids."""
    if isinstance(kind, ListType):
        return f"list<{kind.element_type}>"
    if isinstance(kind, MapType):
        return f"map<{kind.key_type},{kind.value_type}>"
    return str(kind)


def _evolve(table: Table, data: Dataset) -> str:
    """Add new columns. A column that is no longer in the definition stays: older rows have it."""
    schema, wanted = table.schema(), iceberg_schema(data)
    done = []
    with table.update_schema() as update:
        for field in data.columns:
            if field.name not in schema.column_names:
                update.add_column(field.name, wanted.find_field(field.name).field_type, doc=field.doc)
                done.append(f"added {field.name}")
            elif schema.find_field(field.name).required and not field.required:
                update.make_column_optional(field.name)
                done.append(f"{field.name} is optional now")
    stale = {name: value for name, value in PROPERTIES.items() if name != "format-version"}
    if any(table.properties.get(name) != value for name, value in stale.items()):
        with table.transaction() as transaction:
            transaction.set_properties(stale)
        done.append("set properties")
    return ", ".join(done) or "unchanged"


def ensure_quarantine_table(glue: Any, database: str, lake_bucket: str) -> str:
    """Create or update the external table over the quarantine files; partition projection finds its partitions."""
    table = quarantine_table(lake_bucket)
    try:
        glue.get_table(DatabaseName=database, Name=table["Name"])
    except glue.exceptions.EntityNotFoundException:
        glue.create_table(DatabaseName=database, TableInput=table)
        return "created"
    glue.update_table(DatabaseName=database, TableInput=table)
    return "updated"


def quarantine_table(lake_bucket: str) -> dict[str, Any]:
    """Glue's TableInput of `quarantine`."""
    location = f"s3://{lake_bucket}/quarantine/"
    columns = [
        ("reason", "string", "why the row was refused, without its value"),
        ("field", "string", "the field at fault; null when the whole line is bad"),
        ("line", "bigint", "the line (of Parquet: the row) in the landing object, from 1"),
        ("source", "string", "<object digest>:<line>"),
        ("offset", "bigint", "the byte at which the line starts, after decompression"),
        ("bytes", "bigint", "the line's length; raw_base64 may be only its head"),
        ("raw_base64", "string", "exactly the line's bytes"),
    ]
    return {
        "Name": "quarantine",
        "Description": "Rows that ingest refused, with the reason.",
        "TableType": "EXTERNAL_TABLE",
        "Parameters": {
            "EXTERNAL": "TRUE",
            "classification": "json",
            "projection.enabled": "true",
            "projection.dataset.type": "enum",
            "projection.dataset.values": ",".join(DATASETS),
            "projection.dt.type": "date",
            "projection.dt.format": "yyyy-MM-dd",
            "projection.dt.range": "2020-01-01,NOW+1DAY",
            "projection.dt.interval": "1",
            "projection.dt.interval.unit": "DAYS",
            "storage.location.template": f"{location}${{dataset}}/dt=${{dt}}/",
        },
        "PartitionKeys": [{"Name": "dataset", "Type": "string"}, {"Name": "dt", "Type": "string"}],
        "StorageDescriptor": {
            "Columns": [{"Name": name, "Type": kind, "Comment": comment} for name, kind, comment in columns],
            "Location": location,
            "InputFormat": "org.apache.hadoop.mapred.TextInputFormat",
            "OutputFormat": "org.apache.hadoop.hive.ql.io.HiveIgnoreKeyTextOutputFormat",
            "SerdeInfo": {"SerializationLibrary": "org.openx.data.jsonserde.JsonSerDe", "Parameters": {}},
        },
    }
