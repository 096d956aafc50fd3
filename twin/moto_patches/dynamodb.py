"""What the twin replaces in moto's DynamoDB."""

from __future__ import annotations

from twin.moto_patches.registry import Patch

PATCHES = (
    Patch(
        "moto.dynamodb.responses:DynamoHandler.call_action",
        "twin.dynamodb.atomic:call_action",
        "reads and writes an item in steps that other threads come between",
        "test_dynamodb.py::test_of_many_updates_of_one_item_at_once_none_is_lost",
    ),
    Patch(
        "moto.dynamodb.models.table:Table.query",
        "twin.dynamodb.partitions:query",
        "sorts the whole table for each Query",
        "test_dynamodb.py::test_a_query_looks_at_its_own_partition_alone",
    ),
    Patch(
        "moto.core.serialize:BaseJSONSerializer._serialize_type_structure",
        "twin.dynamodb.answers:serialize_type_structure",
        "writes each value of an item anew, half a second for the popularity lists",
        "test_dynamodb.py::test_an_item_goes_out_as_it_came_in_and_costs_no_call_for_each_value",
    ),
    Patch(
        "moto.dynamodb.models:DynamoDBBackend.transact_write_items",
        "twin.dynamodb.transactions:transact_write_items",
        "copies the whole table for each write of a transaction",
        "test_dynamodb_transactions.py::test_a_transaction_looks_at_the_items_that_it_names_alone",
    ),
)
