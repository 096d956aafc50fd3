"""The state table of all unit tests, as the template defines it: `dynamodb.create_table(**STATE_TABLE)`."""

from __future__ import annotations

from typing import Any

STATE_TABLE: dict[str, Any] = {
    "TableName": "state",
    "BillingMode": "PAY_PER_REQUEST",
    "AttributeDefinitions": [{"AttributeName": name, "AttributeType": "S"} for name in ("pk", "sk", "GSI1pk")],
    "KeySchema": [{"AttributeName": "pk", "KeyType": "HASH"}, {"AttributeName": "sk", "KeyType": "RANGE"}],
    "GlobalSecondaryIndexes": [
        {
            "IndexName": "GSI1",
            "KeySchema": [{"AttributeName": "GSI1pk", "KeyType": "HASH"}, {"AttributeName": "sk", "KeyType": "RANGE"}],
            "Projection": {
                "ProjectionType": "INCLUDE",
                "NonKeyAttributes": ["variant", "version", "enrolled_at", "converted_at", "reward"],
            },
        }
    ],
}
