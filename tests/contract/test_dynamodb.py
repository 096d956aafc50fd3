"""DynamoDB's writes are atomic: what the state table counts rests on it."""

from __future__ import annotations

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


def test_of_many_who_write_what_nobody_has_written_one_succeeds(dynamodb: Any) -> None:
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
    assert dynamodb.query(**asked, ExpressionAttributeValues=values | {":pk": {"S": "NOBODY"}})["Items"] == []
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
