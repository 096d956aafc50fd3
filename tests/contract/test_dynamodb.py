"""DynamoDB's writes and transactions are atomic, and cost no more than the items they name."""

from __future__ import annotations

import copy
import threading
from collections.abc import Callable
from typing import Any

import pytest
from botocore.exceptions import ClientError

Client = Callable[[str], Any]
WRITERS, WRITES = 8, 30
KEY = {"pk": {"S": "USER#1"}}


@pytest.fixture
def dynamodb(client: Client) -> Any:
    dynamodb = client("dynamodb")
    dynamodb.create_table(
        TableName="state",
        BillingMode="PAY_PER_REQUEST",
        AttributeDefinitions=[{"AttributeName": "pk", "AttributeType": "S"}],
        KeySchema=[{"AttributeName": "pk", "KeyType": "HASH"}],
    )
    return dynamodb


def at_once(write: Callable[[int], None]) -> list[str]:
    """Call `write` in WRITERS threads, each with its number; the errors' names."""
    errors: list[str] = []
    start = threading.Barrier(WRITERS)

    def run(number: int) -> None:
        start.wait(60)
        try:
            write(number)
        except ClientError as error:
            errors.append(error.response["Error"]["Code"])

    threads = [threading.Thread(target=run, args=(number,)) for number in range(WRITERS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return errors


def test_of_many_updates_of_one_item_at_once_none_is_lost(dynamodb: Any) -> None:
    def append(number: int) -> None:
        for turn in range(WRITES):
            dynamodb.update_item(
                TableName="state",
                Key=KEY,
                UpdateExpression="SET recent = list_append(if_not_exists(recent, :none), :row) "
                "ADD events :event, n :one",
                ConditionExpression="attribute_not_exists(pk) OR NOT contains(events, :name)",
                ExpressionAttributeValues={
                    **{":none": {"L": []}, ":row": {"L": [{"S": f"{number}-{turn}"}]}, ":one": {"N": "1"}},
                    **{":event": {"SS": [f"{number}-{turn}"]}, ":name": {"S": f"{number}-{turn}"}},
                },
            )

    assert at_once(append) == []
    item = dynamodb.get_item(TableName="state", Key=KEY)["Item"]
    assert (len(item["recent"]["L"]), len(item["events"]["SS"]), item["n"]["N"]) == (240, 240, "240")


def test_of_many_conditional_writes_of_a_new_item_one_succeeds(dynamodb: Any) -> None:
    for turn in range(WRITES):
        key = {"pk": {"S": f"EVENT#{turn}"}}

        def put(number: int, key: dict[str, Any] = key) -> None:
            item = {**key, "by": {"N": str(number)}}
            dynamodb.put_item(TableName="state", Item=item, ConditionExpression="attribute_not_exists(pk)")

        assert at_once(put) == ["ConditionalCheckFailedException"] * (WRITERS - 1)


def test_a_query_looks_at_its_own_partition_alone(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    """Counted, not timed: so many comparisons of keys do not depend on what else the table holds."""
    from moto.dynamodb.models.dynamo_type import DynamoType  # noqa: PLC0415 - only where a server is used

    dynamodb = client("dynamodb")
    dynamodb.create_table(
        TableName="wide",
        BillingMode="PAY_PER_REQUEST",
        AttributeDefinitions=[{"AttributeName": name, "AttributeType": "S"} for name in ("pk", "sk", "GSI1pk")],
        KeySchema=[{"AttributeName": "pk", "KeyType": "HASH"}, {"AttributeName": "sk", "KeyType": "RANGE"}],
        GlobalSecondaryIndexes=[
            {
                "IndexName": "GSI1",
                "KeySchema": [
                    {"AttributeName": "GSI1pk", "KeyType": "HASH"},
                    {"AttributeName": "sk", "KeyType": "RANGE"},
                ],
                "Projection": {"ProjectionType": "ALL"},
            }
        ],
    )
    for start in range(0, 500, 25):
        rows = [
            {"pk": {"S": f"USER#{n}"}, "sk": {"S": sk}} | ({"GSI1pk": {"S": str(n % 100)}} if sk == "B" else {})
            for n in range(start, start + 25)
            for sk in ("A", "B", "C")
        ]
        for part in (rows[:25], rows[25:50], rows[50:]):
            dynamodb.batch_write_item(RequestItems={"wide": [{"PutRequest": {"Item": row}} for row in part]})
    compared = 0
    before = DynamoType.__lt__

    def counting(self: Any, other: Any) -> bool:
        nonlocal compared
        compared += 1
        return bool(before(self, other))

    monkeypatch.setattr(DynamoType, "__lt__", counting)
    asked = {"TableName": "wide", "KeyConditionExpression": "pk = :pk AND sk BETWEEN :a AND :b"}
    values = {":pk": {"S": "USER#7"}, ":a": {"S": "B"}, ":b": {"S": "C"}}
    page = dynamodb.query(**asked, ExpressionAttributeValues=values, ScanIndexForward=False, Limit=1)
    assert [item["sk"]["S"] for item in page["Items"]] == ["C"]
    rest = dynamodb.query(
        **asked,
        ExpressionAttributeValues=values,
        ScanIndexForward=False,
        ExclusiveStartKey=page["LastEvaluatedKey"],
    )
    assert [item["sk"]["S"] for item in rest["Items"]] == ["B"]
    assert dynamodb.query(**asked, ExpressionAttributeValues=values | {":pk": {"S": "UNKNOWN"}})["Items"] == []
    stratum = dynamodb.query(
        TableName="wide",
        IndexName="GSI1",
        KeyConditionExpression="GSI1pk = :shard",
        ExpressionAttributeValues={":shard": {"S": "7"}},
    )
    assert sorted(item["pk"]["S"] for item in stratum["Items"]) == [f"USER#{n}" for n in (107, 207, 307, 407, 7)]
    assert compared < 100


def test_an_item_goes_out_as_it_came_in_and_costs_no_call_for_each_value(
    client: Client, dynamodb: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    from moto.core.serialize import ResponseSerializer  # noqa: PLC0415 - only where a server is used

    titles = [{"M": {"title": {"S": f"Title {n} é"}, "genres": {"L": [{"S": "Drama"}]}}} for n in range(200)]
    odd = {"M": {"bytes": {"B": b"\x00\xff"}, "deep": {"L": [{"BS": [b"a", b"b"]}, {"N": "1.50"}]}}}
    rest = {"no": {"NULL": True}, "yes": {"BOOL": False}, "empty": {"M": {}}, "some": {"NS": ["1"]}}
    item = {**KEY, "titles": {"L": titles}, "odd": odd, **rest}
    dynamodb.put_item(TableName="state", Item=item)
    calls = 0
    before = ResponseSerializer._serialize

    def counting(*arguments: Any) -> Any:
        nonlocal calls
        calls += 1
        return before(*arguments)

    monkeypatch.setattr(ResponseSerializer, "_serialize", counting)
    assert dynamodb.get_item(TableName="state", Key=KEY)["Item"] == item
    assert calls < 100


# ── transactions ─────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.fixture
def keyed(client: Client) -> Any:
    """DynamoDB with a table that has a partition key and a sort key."""
    dynamodb = client("dynamodb")
    dynamodb.create_table(
        TableName="state",
        BillingMode="PAY_PER_REQUEST",
        AttributeDefinitions=[{"AttributeName": name, "AttributeType": "S"} for name in ("pk", "sk")],
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


def numbers(dynamodb: Any) -> dict[str, str]:
    """n by pk of all items."""
    return {item["pk"]["S"]: item["n"]["N"] for item in dynamodb.scan(TableName="state")["Items"]}


def test_of_a_transaction_whose_last_condition_fails_nothing_is_written(keyed: Any) -> None:
    keyed.transact_write_items(TransactItems=[put("a", 1), put("b", 1), put("c", 1)])
    deleted = {"Delete": {"TableName": "state", "Key": key("c")}}
    with pytest.raises(ClientError, match="TransactionCanceled") as caught:
        keyed.transact_write_items(TransactItems=[update("a", seen=1), deleted, put("d", 1), update("b", seen=9)])
    reasons = [reason["Code"] for reason in caught.value.response["CancellationReasons"]]
    assert reasons == ["None", "None", "None", "ConditionalCheckFailed"]
    assert numbers(keyed) == {"a": "1", "b": "1", "c": "1"}


def test_a_transaction_that_holds_is_written_whole(keyed: Any) -> None:
    keyed.transact_write_items(TransactItems=[put("a", 1), put("c", 1)])
    deleted = {"Delete": {"TableName": "state", "Key": key("c")}}
    keyed.transact_write_items(TransactItems=[update("a", seen=1), deleted, put("d", 5)])
    assert numbers(keyed) == {"a": "2", "d": "5"}
    new = {"ConditionExpression": "attribute_not_exists(pk)"}
    with pytest.raises(ClientError, match="TransactionCanceled"):
        keyed.transact_write_items(TransactItems=[put("a", 9, **new)])
    with pytest.raises(ClientError, match="ResourceNotFound"):
        keyed.transact_write_items(TransactItems=[{"Delete": {"TableName": "none", "Key": key("a")}}])


def test_a_transaction_looks_at_the_items_that_it_names_alone(keyed: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    from moto.dynamodb.models import Table  # noqa: PLC0415 - moto is heavy

    for number in range(20):
        keyed.put_item(TableName="state", Item={**key(f"user{number}"), "n": {"N": "0"}})
    copied: list[int] = []

    def count(self: Any, memo: Any) -> Any:
        copied.append(sum(len(part) for part in self.items.values()))
        made = copy.copy(self)
        made.items = copy.deepcopy(self.items, memo)
        return made

    monkeypatch.setattr(Table, "__deepcopy__", count, raising=False)
    keyed.transact_write_items(TransactItems=[put("user1", 5), put("new", 1)])
    assert copied
    assert max(copied) <= 2
    assert numbers(keyed)["user1"] == "5"
    assert len(numbers(keyed)) == 21
