"""Which actions, tables and leading keys DynamoDB checks."""

from __future__ import annotations

from typing import Any

import boto3
import pytest
from boto3.dynamodb.conditions import Attr, Key

from tests.unit.twin.iam.calls.conftest import ENDPOINT, REGION, Sends, request_of, stop
from twin.iam.calls import MalformedCall, UnknownCall, checks_of
from twin.iam.request import Check, HttpCall

TABLE = "arn:aws:dynamodb:eu-west-1:123456789012:table/state"
ROUTER = {"pk": {"S": "ROUTER"}, "sk": {"S": "ROUTER"}}
USER = {"pk": {"S": "USER#1"}, "sk": {"S": "PROFILE"}, "name": {"S": "x"}, "GSI1pk": {"S": "G#1"}}
WRITE = {"TableName": "state"}
LEADING = "dynamodb:leadingkeys"


def keys(check: Check) -> tuple[str, ...]:
    return tuple(check.context[LEADING])


@pytest.mark.parametrize(
    ("operation", "parameters", "action", "leading"),
    [
        ("get_item", {"Key": ROUTER}, "GetItem", "ROUTER"),
        ("put_item", {"Item": USER}, "PutItem", "USER#1"),
        (
            "update_item",
            {
                "Key": ROUTER,
                "UpdateExpression": "SET a = :a",
                "ExpressionAttributeValues": {":a": {"S": "USER#2"}},
            },
            "UpdateItem",
            "ROUTER",
        ),
        ("delete_item", {"Key": ROUTER}, "DeleteItem", "ROUTER"),
    ],
)
def test_one_item_is_checked_with_its_partition_key(
    sends: Sends, operation: str, parameters: dict[str, Any], action: str, leading: str
) -> None:
    (check,) = checks_of(sends("dynamodb", operation, TableName="state", **parameters))
    assert (check.action, check.resource, keys(check)) == (f"dynamodb:{action}", TABLE, (leading,))


def test_a_table_may_be_named_by_its_arn(sends: Sends) -> None:
    (check,) = checks_of(sends("dynamodb", "get_item", TableName=TABLE, Key=ROUTER))
    assert check.resource == TABLE


def test_keys_are_numbers_and_bytes_too(sends: Sends) -> None:
    for value, text in (({"N": "17"}, "17"), ({"B": b"\x00\xff"}, "AP8=")):
        (check,) = checks_of(sends("dynamodb", "get_item", TableName="t", Key={"id": value}))
        assert keys(check) == (text,)


def queries() -> list[tuple[dict[str, Any], str]]:
    values = {":p": {"S": "USER#1"}, ":s": {"S": "E#"}, ":t": {"S": "F#"}}
    two = {name: values[name] for name in (":p", ":s")}
    return [
        ({"KeyConditionExpression": "pk = :p", "ExpressionAttributeValues": {":p": values[":p"]}}, TABLE),
        (
            {"KeyConditionExpression": "sk = :s AND pk = :p", "ExpressionAttributeValues": two},
            TABLE,
        ),
        (
            {
                "KeyConditionExpression": "( #p=:p ) and ( #s BETWEEN :s AND :t )",
                "ExpressionAttributeNames": {"#p": "pk", "#s": "sk"},
                "ExpressionAttributeValues": values,
            },
            TABLE,
        ),
        ({"KeyConditionExpression": "pk = :p AND sk >= :s", "ExpressionAttributeValues": two}, TABLE),
        (
            {"KeyConditionExpression": "pk = :p AND begins_with(sk, :s)", "ExpressionAttributeValues": two},
            TABLE,
        ),
        (
            {
                "IndexName": "GSI1",
                "KeyConditionExpression": "GSI1pk = :p AND sk = :s",
                "ExpressionAttributeValues": two,
            },
            f"{TABLE}/index/GSI1",
        ),
        (
            {
                "KeyConditions": {
                    "pk": {"AttributeValueList": [values[":p"]], "ComparisonOperator": "EQ"},
                    "sk": {"AttributeValueList": [values[":s"]], "ComparisonOperator": "BEGINS_WITH"},
                }
            },
            TABLE,
        ),
    ]


@pytest.mark.parametrize(("parameters", "resource"), queries())
def test_a_query_is_checked_with_the_partition_key_of_its_condition(
    sends: Sends, parameters: dict[str, Any], resource: str
) -> None:
    (check,) = checks_of(sends("dynamodb", "query", TableName="state", **parameters))
    assert (check.action, check.resource, keys(check)) == ("dynamodb:Query", resource, ("USER#1",))


def test_the_conditions_that_boto3s_table_writes_are_read() -> None:
    table: Any = boto3.resource(
        "dynamodb", region_name=REGION, endpoint_url=ENDPOINT, aws_access_key_id="a", aws_secret_access_key="b"
    ).Table("state")
    table.meta.client.meta.events.register("before-send", stop)
    condition = Key("pk").eq("USER#1") & Key("sk").begins_with("E#")
    call = request_of(lambda: table.query(KeyConditionExpression=condition, FilterExpression=Attr("pk2").eq("no")))
    (check,) = checks_of(call)
    assert keys(check) == ("USER#1",)


def test_select_and_returned_values_are_in_the_context(sends: Sends) -> None:
    (check,) = checks_of(
        sends(
            *("dynamodb", "query"),
            TableName="state",
            KeyConditionExpression="pk = :p",
            ExpressionAttributeValues={":p": {"S": "a"}},
            Select="COUNT",
            ReturnConsumedCapacity="TOTAL",
        )
    )
    assert check.context == {
        LEADING: ("a",),
        "dynamodb:select": ("COUNT",),
        "dynamodb:returnconsumedcapacity": ("TOTAL",),
    }
    (check,) = checks_of(sends("dynamodb", "delete_item", TableName="state", Key=ROUTER, ReturnValues="ALL_OLD"))
    assert check.context["dynamodb:returnvalues"] == ("ALL_OLD",)


def test_a_scan_has_no_leading_keys(sends: Sends) -> None:
    (check,) = checks_of(sends("dynamodb", "scan", TableName="state", IndexName="GSI1"))
    assert (check.action, check.resource, dict(check.context)) == ("dynamodb:Scan", f"{TABLE}/index/GSI1", {})


def test_a_transaction_needs_the_action_of_each_entry(sends: Sends) -> None:
    checks = checks_of(
        sends(
            *("dynamodb", "transact_write_items"),
            TransactItems=[
                {"Put": {**WRITE, "Item": USER}},
                {"Update": {**WRITE, "Key": ROUTER, "UpdateExpression": "REMOVE a"}},
                {"Delete": {"TableName": "other", "Key": ROUTER}},
                {"ConditionCheck": {**WRITE, "Key": USER_KEY, "ConditionExpression": "attribute_exists(pk)"}},
                {"ConditionCheck": {**WRITE, "Key": USER_KEY, "ConditionExpression": "attribute_exists(sk)"}},
            ],
        )
    )
    enclosing = {"dynamodb:enclosingoperation": ("TransactWriteItems",)}
    other = TABLE.replace("state", "other")
    assert checks == [
        Check("dynamodb:PutItem", TABLE, {LEADING: ("USER#1",), **enclosing}),
        Check("dynamodb:UpdateItem", TABLE, {LEADING: ("ROUTER",), **enclosing}),
        Check("dynamodb:DeleteItem", other, {LEADING: ("ROUTER",), **enclosing}),
        Check("dynamodb:ConditionCheckItem", TABLE, {LEADING: ("USER#1",)}),
    ]
    (check,) = checks_of(sends("dynamodb", "transact_get_items", TransactItems=[{"Get": {**WRITE, "Key": ROUTER}}]))
    assert (check.action, keys(check)) == ("dynamodb:GetItem", ("ROUTER",))


USER_KEY = {"pk": USER["pk"], "sk": USER["sk"]}


def test_a_batch_is_checked_once_for_each_table(sends: Sends) -> None:
    wanted = {"state": {"Keys": [ROUTER, USER_KEY, USER_KEY]}, "other": {"Keys": [{"id": {"S": "a"}}]}}
    state, other = checks_of(sends("dynamodb", "batch_get_item", RequestItems=wanted))
    assert (state.action, state.resource, keys(state)) == ("dynamodb:BatchGetItem", TABLE, ("ROUTER", "USER#1"))
    assert keys(other) == ("a",)
    written = {"state": [{"PutRequest": {"Item": USER}}, {"DeleteRequest": {"Key": ROUTER}}]}
    (check,) = checks_of(sends("dynamodb", "batch_write_item", RequestItems=written))
    assert (check.action, keys(check)) == ("dynamodb:BatchWriteItem", ("USER#1", "ROUTER"))


@pytest.mark.parametrize(
    ("operation", "body"),
    [
        ("GetItem", b'{"Key": {"pk": {"S": "a"}}}'),
        ("GetItem", b'{"TableName": "t"}'),
        ("GetItem", b'{"TableName": "t", "Key": {"a": {"S": "1"}, "b": {"S": "2"}}}'),
        ("GetItem", b'{"TableName": "t", "Key": {"pk": "a"}}'),
        ("GetItem", b'{"TableName": 3, "Key": {"pk": {"S": "a"}}}'),
        ("GetItem", b"{"),
        ("GetItem", b"[]"),
        ("GetItem", b"\xff"),
        ("PutItem", b'{"TableName": "t", "Item": {"id": {"S": "a"}}}'),
        ("PutItem", b'{"TableName": "t", "Item": null}'),
        ("PutItem", b'{"TableName": "t", "Item": []}'),
        ("Query", b'{"TableName": "t", "KeyConditionExpression": "pk > :p"}'),
        ("Query", b'{"TableName": "t", "KeyConditionExpression": "pk = :p"}'),
        ("Query", b'{"TableName": "t", "KeyConditionExpression": "#p=:p", "ExpressionAttributeValues": {":p": {}}}'),
        ("Query", b'{"TableName": "t"}'),
        ("TransactWriteItems", b'{"TransactItems": []}'),
        ("TransactWriteItems", b'{"TransactItems": [{"Put": {"TableName": "t"}}]}'),
        ("BatchGetItem", b'{"RequestItems": {}}'),
        ("BatchGetItem", b'{"RequestItems": {"t": 3}}'),
        ("BatchWriteItem", b'{"RequestItems": {"t": [{"PutRequest": {"Item": 3}}]}}'),
        ("BatchWriteItem", b'{"RequestItems": {"t": [{}]}}'),
    ],
)  # fmt: skip
def test_a_request_without_what_its_permissions_depend_on_is_malformed(operation: str, body: bytes) -> None:
    """Never fewer checks, and never a check without leading keys: ForAllValues would allow it."""
    headers = {"x-amz-target": f"DynamoDB_20120810.{operation}"}
    with pytest.raises(MalformedCall):
        checks_of(HttpCall("dynamodb", REGION, "POST", "/", "", headers, body))


def test_partiql_is_unknown(sends: Sends) -> None:
    with pytest.raises(UnknownCall, match=r"dynamodb:ExecuteStatement needs: add it to twin/iam/calls/dynamodb\.py"):
        checks_of(sends("dynamodb", "execute_statement", Statement="SELECT * FROM state"))
