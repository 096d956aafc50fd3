"""DynamoDB's transactions on the twin: all or nothing, and no dearer than the items that they name."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import pytest
from botocore.exceptions import ClientError

Client = Callable[[str], Any]
NAMES = ("pk", "sk")


@pytest.fixture
def dynamodb(client: Client) -> Any:
    dynamodb = client("dynamodb")
    dynamodb.create_table(
        TableName="state",
        BillingMode="PAY_PER_REQUEST",
        AttributeDefinitions=[{"AttributeName": name, "AttributeType": "S"} for name in NAMES],
        KeySchema=[{"AttributeName": "pk", "KeyType": "HASH"}, {"AttributeName": "sk", "KeyType": "RANGE"}],
    )
    return dynamodb


def key(name: str) -> dict[str, Any]:
    return {"pk": {"S": name}, "sk": {"S": name}}


def put(name: str, n: int, **more: Any) -> dict[str, Any]:
    return {"Put": {"TableName": "state", "Item": {**key(name), "n": {"N": str(n)}}, **more}}


def update(name: str, *, seen: int) -> dict[str, Any]:
    return {
        "Update": {
            "TableName": "state",
            "Key": key(name),
            "UpdateExpression": "SET n = n + :one",
            "ConditionExpression": "n = :seen",
            "ExpressionAttributeValues": {":one": {"N": "1"}, ":seen": {"N": str(seen)}},
        }
    }


def stands(dynamodb: Any) -> dict[str, str]:
    """n by pk of all items."""
    return {item["pk"]["S"]: item["n"]["N"] for item in dynamodb.scan(TableName="state")["Items"]}


def test_of_a_transaction_whose_last_condition_fails_nothing_is_written(dynamodb: Any) -> None:
    dynamodb.transact_write_items(TransactItems=[put("a", 1), put("b", 1), put("c", 1)])
    deleted = {"Delete": {"TableName": "state", "Key": key("c")}}
    with pytest.raises(ClientError, match="TransactionCanceled") as caught:
        dynamodb.transact_write_items(TransactItems=[update("a", seen=1), deleted, put("d", 1), update("b", seen=9)])
    reasons = [reason["Code"] for reason in caught.value.response["CancellationReasons"]]
    assert reasons == ["None", "None", "None", "ConditionalCheckFailed"]
    assert stands(dynamodb) == {"a": "1", "b": "1", "c": "1"}


def test_a_transaction_that_holds_is_written_whole(dynamodb: Any) -> None:
    dynamodb.transact_write_items(TransactItems=[put("a", 1), put("c", 1)])
    deleted = {"Delete": {"TableName": "state", "Key": key("c")}}
    dynamodb.transact_write_items(TransactItems=[update("a", seen=1), deleted, put("d", 5)])
    assert stands(dynamodb) == {"a": "2", "d": "5"}
    new = {"ConditionExpression": "attribute_not_exists(pk)"}
    with pytest.raises(ClientError, match="TransactionCanceled"):
        dynamodb.transact_write_items(TransactItems=[put("a", 9, **new)])
    with pytest.raises(ClientError, match="ResourceNotFound"):
        dynamodb.transact_write_items(TransactItems=[{"Delete": {"TableName": "none", "Key": key("a")}}])


def test_a_transaction_looks_at_the_items_that_it_names_alone(dynamodb: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    from moto.dynamodb.models import Table  # noqa: PLC0415 - moto is heavy

    for number in range(20):
        dynamodb.put_item(TableName="state", Item={**key(f"user{number}"), "n": {"N": "0"}})
    copied: list[int] = []

    def count(self: Any, memo: Any) -> Any:
        copied.append(sum(len(part) for part in self.items.values()))
        made = copy.copy(self)
        made.items = copy.deepcopy(self.items, memo)
        return made

    monkeypatch.setattr(Table, "__deepcopy__", count, raising=False)
    dynamodb.transact_write_items(TransactItems=[put("user1", 5), put("new", 1)])
    assert copied
    assert max(copied) <= 2
    assert stands(dynamodb)["user1"] == "5"
    assert len(stands(dynamodb)) == 21
