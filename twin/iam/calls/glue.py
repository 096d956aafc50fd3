"""AWS Glue. A table's request is checked on the catalog, the database and the table:
https://docs.aws.amazon.com/glue/latest/dg/glue-specifying-resource-arns.html
"""

from __future__ import annotations

from collections.abc import Sequence

from twin.iam.calls.tables import Need, Operation, op, table

CATALOG = "catalog"
DATABASE = "database/{DatabaseName}"


def _in_database(name: str, tables: str, also: Sequence[Need] = ()) -> Operation:
    return op(name, CATALOG, DATABASE, f"table/{{DatabaseName}}/{tables}", also=also)


TABLE = table(
    "glue",
    op("GetDatabase", CATALOG, "database/{Name}"),
    op("GetDatabases", CATALOG, "database/*"),
    op("CreateDatabase", CATALOG, "database/{DatabaseInput.Name}", tags="Tags"),
    op("UpdateDatabase", CATALOG, "database/{Name}"),
    op("DeleteDatabase", CATALOG, "database/{Name}", "table/{Name}/*", "userDefinedFunction/{Name}/*"),
    _in_database("GetTable", "{Name}"),
    _in_database("GetTables", "*"),
    _in_database("GetTableVersion", "{TableName}"),
    _in_database("GetTableVersions", "{TableName}"),
    _in_database("CreateTable", "{TableInput.Name}"),
    _in_database("UpdateTable", "{TableInput.Name}"),
    _in_database("DeleteTable", "{Name}"),
    _in_database("BatchDeleteTable", "{TablesToDelete[]}"),
    _in_database("DeleteTableVersion", "{TableName}"),
    _in_database("BatchDeleteTableVersion", "{TableName}"),
    _in_database("GetPartition", "{TableName}"),
    _in_database("GetPartitions", "{TableName}"),
    _in_database("BatchGetPartition", "{TableName}"),
    _in_database("CreatePartition", "{TableName}"),
    _in_database("BatchCreatePartition", "{TableName}"),
    _in_database("DeletePartition", "{TableName}"),
    op("GetTags", "{ResourceArn}"),
    op("TagResource", "{ResourceArn}", tags="TagsToAdd"),
)
