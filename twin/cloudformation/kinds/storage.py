"""Where data lies and how it is asked: DynamoDB tables, Glue databases, Athena workgroups and named queries."""

from __future__ import annotations

from typing import Any

from twin.cloudformation.errors import Replace
from twin.cloudformation.kinds.base import (
    ApiKind,
    Existing,
    Extra,
    Made,
    Order,
    call,
    changed_properties,
    tolerate_missing,
)

_TABLE_EXTRAS = {
    "TimeToLiveSpecification": Extra(
        "update_time_to_live", lambda table, value: {"TableName": table, "TimeToLiveSpecification": value}
    ),
    "PointInTimeRecoverySpecification": Extra(
        "update_continuous_backups",
        lambda table, value: {"TableName": table, "PointInTimeRecoverySpecification": value},
    ),
}


def _table(properties: dict[str, Any]) -> dict[str, Any]:
    result = dict(properties)
    if "SSESpecification" in result:
        renamed = {"SSEEnabled": "Enabled"}
        result["SSESpecification"] = {renamed.get(key, key): item for key, item in result["SSESpecification"].items()}
    if "StreamSpecification" in result:
        result["StreamSpecification"] = {"StreamEnabled": True, **result["StreamSpecification"]}
    return result


class Table(ApiKind):
    """AWS::DynamoDB::Table; global indexes change one at a time, as the API demands."""

    def update(self, order: Order, existing: Existing) -> Made:
        changed = changed_properties(order.properties, existing.properties)
        if changed & {"KeySchema", "LocalSecondaryIndexes", "TableName"}:
            raise Replace
        if "GlobalSecondaryIndexes" in changed:
            self._update_indexes(order, existing)
        apart = ("GlobalSecondaryIndexes", "AttributeDefinitions")
        settled = {key: value for key, value in existing.properties.items() if key not in apart}
        settled.update({key: order.properties[key] for key in apart if key in order.properties})
        return ApiKind.update(self, order, _Settled(existing, settled))

    def _update_indexes(self, order: Order, existing: Existing) -> None:
        old = {index["IndexName"]: index for index in existing.properties.get("GlobalSecondaryIndexes", [])}
        new = {index["IndexName"]: index for index in order.properties.get("GlobalSecondaryIndexes", [])}
        removed = [name for name in old if old[name] != new.get(name)]
        added = [index for name, index in new.items() if index != old.get(name)]
        updates: list[dict[str, Any]] = [{"Delete": {"IndexName": name}} for name in removed]
        updates += [{"Create": index} for index in added]
        for update in updates:
            parameters = {
                "TableName": existing.physical_id,
                "AttributeDefinitions": order.properties["AttributeDefinitions"],
                "GlobalSecondaryIndexUpdates": [update],
            }
            call("dynamodb", "update_table", parameters, order.logical_id)


class _Settled:
    """An existing resource with those properties taken as settled that were changed by calls of their own."""

    def __init__(self, existing: Existing, properties: dict[str, Any]) -> None:
        self.logical_id, self.physical_id = existing.logical_id, existing.physical_id
        self.attributes, self.properties = existing.attributes, properties


class WorkGroup:
    """AWS::Athena::WorkGroup"""

    type = "AWS::Athena::WorkGroup"
    name = "Name"

    def create(self, order: Order) -> Made:
        call("athena", "create_work_group", self._parameters(order), self._where(order))
        name = str(order.properties["Name"])
        if order.properties.get("State") == "DISABLED":
            call("athena", "update_work_group", {"WorkGroup": name, "State": "DISABLED"}, self._where(order))
        return Made(name, {"CreationTime": "", "EffectiveEngineVersion": "Athena engine version 3"})

    def update(self, order: Order, existing: Existing) -> Made:
        changed = changed_properties(order.properties, existing.properties)
        if changed & {"Name", "Tags"}:
            raise Replace
        parameters: dict[str, Any] = {"WorkGroup": existing.physical_id}
        for name in ("Description", "State"):
            if name in order.properties:
                parameters[name] = order.properties[name]
        configuration = dict(order.properties.get("WorkGroupConfiguration", {}))
        if "ResultConfiguration" in configuration:
            configuration["ResultConfigurationUpdates"] = configuration.pop("ResultConfiguration")
        parameters["ConfigurationUpdates"] = configuration
        call("athena", "update_work_group", parameters, self._where(order))
        return Made(existing.physical_id, existing.attributes)

    def delete(self, existing: Existing) -> None:
        parameters = {"WorkGroup": existing.physical_id, "RecursiveDeleteOption": True}
        where = f"{existing.logical_id} ({self.type})"
        tolerate_missing(lambda: call("athena", "delete_work_group", parameters, where))

    def _parameters(self, order: Order) -> dict[str, Any]:
        # RecursiveDeleteOption belongs to the deletion; moto deletes a workgroup with its queries either way.
        apart = ("RecursiveDeleteOption", "State")
        parameters = {key: value for key, value in order.properties.items() if key not in apart}
        if "WorkGroupConfiguration" in parameters:
            parameters["Configuration"] = parameters.pop("WorkGroupConfiguration")
        return parameters

    def _where(self, order: Order) -> str:
        return f"{order.logical_id} ({self.type})"


KINDS = (
    Table(
        "AWS::DynamoDB::Table",
        "dynamodb",
        "create_table",
        delete_by="delete_table",
        update_by="update_table",
        name="TableName",
        name_limit=255,
        ref=lambda properties, _: str(properties["TableName"]),
        attributes=lambda table, _, answer: {
            "Arn": answer["TableDescription"]["TableArn"],
            "TableId": answer["TableDescription"].get("TableId", table),
            **(
                {"StreamArn": answer["TableDescription"]["LatestStreamArn"]}
                if "LatestStreamArn" in answer["TableDescription"]
                else {}
            ),
        },
        identify=lambda table, _: {"TableName": table},
        extras=_TABLE_EXTRAS,
        ignored={
            "ContributorInsightsSpecification": "nothing in Usher reads contributor insights",
            "WarmThroughput": "moto has no throughput to warm",
        },
        prepare=_table,
    ),
    ApiKind(
        "AWS::Glue::Database",
        "glue",
        "create_database",
        delete_by="delete_database",
        update_by="update_database",
        ref=lambda properties, _: str(properties["DatabaseInput"]["Name"]),
        identify=lambda database, _: {"Name": database},
        replace_on=lambda properties: properties["DatabaseInput"]["Name"],
        ignored={"CatalogId": "moto has one catalog an account, and the twin one account"},
    ),
    WorkGroup(),
    ApiKind(
        "AWS::Athena::NamedQuery",
        "athena",
        "create_named_query",
        delete_by="delete_named_query",
        ref=lambda _, answer: str(answer["NamedQueryId"]),
        attributes=lambda query, *_: {"NamedQueryId": query},
        identify=lambda query, _: {"NamedQueryId": query},
        name="Name",
        name_limit=128,
    ),
)
