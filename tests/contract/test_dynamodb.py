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
