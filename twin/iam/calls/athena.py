"""Amazon Athena. A request that names a query by its id is checked on the query's workgroup, which only Athena knows:
the resource is then `workgroup/*` itself, so that only a policy for all workgroups allows it. AWS asks for less.
"""

from __future__ import annotations

from twin.iam.calls.tables import op, table

OF_QUERY = "workgroup/*"
CATALOG = "datacatalog/{CatalogName}"

TABLE = table(
    "athena",
    op("StartQueryExecution", "workgroup/{WorkGroup=primary}"),
    op("GetQueryExecution", OF_QUERY),
    op("BatchGetQueryExecution", OF_QUERY),
    op("GetQueryResults", OF_QUERY),
    op("GetQueryRuntimeStatistics", OF_QUERY),
    op("StopQueryExecution", OF_QUERY),
    op("ListQueryExecutions", "workgroup/{WorkGroup=primary}"),
    op("CreateWorkGroup", "workgroup/{Name}", tags="Tags"),
    op("GetWorkGroup", "workgroup/{WorkGroup}"),
    op("UpdateWorkGroup", "workgroup/{WorkGroup}"),
    op("DeleteWorkGroup", "workgroup/{WorkGroup}"),
    op("ListWorkGroups"),
    op("CreateNamedQuery", "workgroup/{WorkGroup=primary}"),
    op("GetNamedQuery", OF_QUERY),
    op("DeleteNamedQuery", OF_QUERY),
    op("ListNamedQueries", "workgroup/{WorkGroup=primary}"),
    op("GetDataCatalog", "datacatalog/{Name}"),
    op("ListDatabases", CATALOG),
    op("GetDatabase", CATALOG),
    op("ListTableMetadata", CATALOG),
    op("GetTableMetadata", CATALOG),
    op("ListDataCatalogs"),
)
