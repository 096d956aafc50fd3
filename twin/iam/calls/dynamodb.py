"""Amazon DynamoDB. A transaction needs the action of each of its entries, a batch its own action on each table, a query
of an index the index; `dynamodb:LeadingKeys` has the partition keys that a request names.

https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/specifying-conditions.html
https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/transaction-apis-iam.html

A request does not say which attribute is the partition key: see PARTITION_KEYS. A Scan has no leading keys, as on AWS,
where a condition with ForAllValues therefore allows it.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any

from twin.iam.calls.tables import Derive, Operation, arn_base, as_text, op, table
from twin.iam.calls.templates import MalformedCall, Members, Path
from twin.iam.request import Check

#: The partition keys of the tables and indexes that the twin knows; a table with a key of one attribute needs no entry.
PARTITION_KEYS = frozenset({"pk", "GSI1pk"})

LEADING, ENCLOSING = "dynamodb:LeadingKeys", "dynamodb:EnclosingOperation"
#: Members that are condition keys too, `dynamodb:Select`; no operation has all of them.
CAPACITY, SELECT, RETURNS = PLAIN = ("ReturnConsumedCapacity", "Select", "ReturnValues")

_EQUALITY = re.compile(r"([#\w.\-]+)\s*=\s*(:\w+)")
_ENTRIES = {"Put": "PutItem", "Update": "UpdateItem", "Delete": "DeleteItem", "ConditionCheck": "ConditionCheckItem"}


def _resource(name: Any, region: str, index: Any = None) -> str:
    if not isinstance(name, str) or not name:
        raise MalformedCall("the request has no TableName")
    arn = name if name.startswith("arn:") else f"{arn_base('dynamodb', region)}table/{name}"
    return f"{arn}/index/{index}" if index else arn


def _leading(attributes: Any) -> str:
    """The partition key's value in a key or an item, whose values are `{"S": …}`, `{"N": …}` or `{"B": …}`."""
    if not isinstance(attributes, Mapping) or not attributes:
        raise MalformedCall("the request names no key")
    names = [name for name in attributes if name in PARTITION_KEYS] or list(attributes)
    if "pk" in names or len(names) == 1:
        return _scalar(attributes["pk" if "pk" in names else names[0]])
    raise MalformedCall(f"which of {', '.join(sorted(names))[:80]} is the partition key? Add it to {__name__}")


def _scalar(value: Any) -> str:
    if isinstance(value, Mapping) and len(value) == 1:
        ((kind, scalar),) = value.items()
        if kind in {"S", "N", "B"} and isinstance(scalar, str):
            return scalar
    raise MalformedCall(f"a key has no value of the types S, N or B: {str(value)[:80]}")


def _queried(members: Members) -> str:
    """The partition key's value in a query's condition."""
    found: dict[str, Any] = {}
    if isinstance(expression := members.get("KeyConditionExpression"), str):
        names = members.get("ExpressionAttributeNames") or {}
        values = members.get("ExpressionAttributeValues") or {}
        for name, value in _EQUALITY.findall(expression):
            if value not in values or (name.startswith("#") and name not in names):
                raise MalformedCall(f"KeyConditionExpression uses {name} = {value}, which the request does not define")
            found[names.get(name, name)] = values[value]
    else:
        for name, condition in (members.get("KeyConditions") or {}).items():
            if condition.get("ComparisonOperator") == "EQ":
                (found[name],) = condition.get("AttributeValueList") or (None,)
    keys = [name for name in found if name in PARTITION_KEYS] or list(found)
    if len(keys) != 1:
        raise MalformedCall("the query's condition does not compare one partition key with =")
    return _scalar(found[keys[0]])


def _context(members: Members, leading: Iterable[str]) -> dict[str, tuple[str, ...]]:
    context = {LEADING.lower(): tuple(leading)}
    for member in PLAIN:
        if (value := members.get(member)) is not None:
            context[f"dynamodb:{member.lower()}"] = (as_text(value),)
    return context


def _one(name: str, holder: str) -> Operation:
    """An operation on one item, whose key is in the member `Key` or in the whole `Item`."""
    action = f"dynamodb:{name}"

    def derive(members: Members, region: str) -> list[Check]:
        table_arn = _resource(members.get("TableName"), region)
        return [Check(action, table_arn, _context(members, (_leading(members.get(holder)),)))]

    key = "Item.pk" if holder == "Item" else holder
    plain = (CAPACITY,) if name == "GetItem" else (CAPACITY, RETURNS)
    return _operation(name, derive, ("TableName", key), (action,), plain)


def _query(members: Members, region: str) -> list[Check]:
    arn = _resource(members.get("TableName"), region, members.get("IndexName"))
    return [Check("dynamodb:Query", arn, _context(members, (_queried(members),)))]


def _scan(members: Members, region: str) -> list[Check]:
    context = _context(members, ())
    del context[LEADING.lower()]
    return [Check("dynamodb:Scan", _resource(members.get("TableName"), region, members.get("IndexName")), context)]


def _transaction(name: str, kinds: Mapping[str, str]) -> Operation:
    """TransactGetItems and TransactWriteItems: one check for each entry."""

    def derive(members: Members, region: str) -> list[Check]:
        checks: list[Check] = []
        for entry in members.get("TransactItems") or ():
            for kind, action in kinds.items():
                if (item := entry.get(kind)) is not None:
                    leading = _leading(item["Item"] if item.get("Item") else item.get("Key"))
                    context = {**_context(members, (leading,)), ENCLOSING.lower(): (name,)}
                    if action == "ConditionCheckItem":
                        del context[ENCLOSING.lower()]  # the one action that does not have the key
                    check = Check(f"dynamodb:{action}", _resource(item.get("TableName"), region), context)
                    if check not in checks:
                        checks.append(check)
        if not checks:
            raise MalformedCall(f"{name} has no entries")
        return checks

    reads = []
    for kind, action in kinds.items():
        keys = "Item.pk" if action == "PutItem" else "Key"
        reads += [f"TransactItems[].{kind}.TableName", f"TransactItems[].{kind}.{keys}"]
    return _operation(name, derive, reads, tuple(f"dynamodb:{action}" for action in kinds.values()), (CAPACITY,))


def _batch_get(members: Members, region: str) -> list[Check]:
    return [
        Check(
            "dynamodb:BatchGetItem",
            _resource(name, region),
            _context(members, dict.fromkeys(map(_leading, wanted.get("Keys") or ()))),
        )
        for name, wanted in _tables(members)
    ]


def _batch_write(members: Members, region: str) -> list[Check]:
    checks = []
    for name, requests in _tables(members):
        keys = [
            _leading((entry.get("PutRequest") or {}).get("Item") or (entry.get("DeleteRequest") or {}).get("Key"))
            for entry in requests
        ]
        checks.append(Check("dynamodb:BatchWriteItem", _resource(name, region), _context(members, dict.fromkeys(keys))))
    return checks


def _tables(members: Members) -> Iterable[tuple[str, Any]]:
    tables = members.get("RequestItems")
    if not isinstance(tables, Mapping) or not tables:
        raise MalformedCall("the request has no RequestItems")
    return tables.items()


def _operation(
    name: str, derive: Derive, reads: Iterable[str], actions: tuple[str, ...], plain: tuple[str, ...] = ()
) -> Operation:
    """plain: the members that are condition keys too."""
    keys: tuple[str, ...] = () if name == "Scan" else (LEADING,)
    keys += (ENCLOSING,) if name.startswith("Transact") else ()
    keys += tuple(f"dynamodb:{member}" for member in plain)
    return Operation(name, derive=derive, reads=tuple(map(Path.of, (*reads, *plain))), actions=actions, keys=keys)


_CONDITION = ("KeyConditionExpression", "ExpressionAttributeNames", "ExpressionAttributeValues", "KeyConditions")
TABLE = table(
    "dynamodb",
    _one("GetItem", "Key"),
    _one("PutItem", "Item"),
    _one("UpdateItem", "Key"),
    _one("DeleteItem", "Key"),
    _operation("Query", _query, ("TableName", "IndexName", *_CONDITION), ("dynamodb:Query",), (CAPACITY, SELECT)),
    _operation("Scan", _scan, ("TableName", "IndexName"), ("dynamodb:Scan",), (CAPACITY, SELECT)),
    _operation("BatchGetItem", _batch_get, ("RequestItems",), ("dynamodb:BatchGetItem",), (CAPACITY,)),
    _operation("BatchWriteItem", _batch_write, ("RequestItems",), ("dynamodb:BatchWriteItem",), (CAPACITY,)),
    _transaction("TransactGetItems", {"Get": "GetItem"}),
    _transaction("TransactWriteItems", _ENTRIES),
    op("DescribeTable", "table/{TableName}"),
    op("DescribeTimeToLive", "table/{TableName}"),
    op("DescribeContinuousBackups", "table/{TableName}"),
    op("CreateTable", "table/{TableName}", tags="Tags"),
    op("UpdateTable", "table/{TableName}"),
    op("DeleteTable", "table/{TableName}"),
    op("UpdateTimeToLive", "table/{TableName}"),
    op("UpdateContinuousBackups", "table/{TableName}"),
    op("ListTables"),
    op("ListTagsOfResource", "{ResourceArn}"),
    op("TagResource", "{ResourceArn}", tags="Tags"),
)
