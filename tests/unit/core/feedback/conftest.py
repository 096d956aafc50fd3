"""The feedback service on moto's DynamoDB, Firehose and Secrets Manager, as the function puts it together."""

from __future__ import annotations

import gzip
import json
from collections.abc import Callable, Iterator
from typing import Any

import boto3
import pytest
from moto import mock_aws
from moto.dynamodb.responses import DynamoHandler

from tests.unit.state_table import STATE_TABLE
from twin.moto_patches.dynamodb import serially
from usher.feedback import bootstrap
from usher.feedback.metrics import Telemetry
from usher.feedback.service import Service, respond
from usher.schema.ids import hash_user_id
from usher.schema.settings import Settings
from usher.schema.signing import Recommendation, sign
from usher.store import keys
from usher.store.codec import loaded, stored
from usher.store.router import Router

NOW = 1_800_000_000.0
KEY = "k" * 64
EXPERIMENT = "xr1-1"
WINDOW = 3600


class Silent:
    """A logger that keeps what it was told."""

    def __init__(self) -> None:
        self.lines: list[tuple[str, Any]] = []

    def warning(self, message: str, extra: Any) -> None:
        self.lines.append((message, extra))

    def log(self, _level: int, message: str, exc_info: Any) -> None:
        self.lines.append((message, exc_info))


class Desk:
    """Sends feedback to the service and looks at what it left behind."""

    def __init__(self) -> None:
        self.now = NOW
        self.logger, self.headers = Silent(), dict[str, str]()
        self.telemetry = Telemetry("ingest_feedback", self.logger)
        self.dynamodb = boto3.resource("dynamodb", region_name="eu-west-1")
        self.table = self.dynamodb.create_table(**STATE_TABLE)
        self.secrets = boto3.client("secretsmanager", region_name="eu-west-1")
        self.secret = self.secrets.create_secret(Name="key", SecretString=KEY)["ARN"]
        self.s3 = boto3.client("s3", region_name="eu-west-1")
        location: Any = {"LocationConstraint": "eu-west-1"}
        self.s3.create_bucket(Bucket="landing", CreateBucketConfiguration=location)
        self.firehose = boto3.client("firehose", region_name="eu-west-1")
        for name in ("ratings", "events"):
            self.firehose.create_delivery_stream(
                DeliveryStreamName=f"usher-{name}",
                ExtendedS3DestinationConfiguration={
                    "RoleARN": "arn:aws:iam::123456789012:role/r",
                    "BucketARN": "arn:aws:s3:::landing",
                    "Prefix": f"{name}/stream/",
                },
            )
        self.service = self.make()

    def make(self) -> Service:
        """The service of a fresh execution environment."""
        settings = Settings(
            state_table="state", stream_prefix="usher-", signing_secret_arn=self.secret, router_cache_seconds=30.0
        )
        return bootstrap.make_service(settings, self.telemetry, lambda: self.now)

    def send(self, body: Any, **fields: Any) -> tuple[int, dict[str, Any]]:
        """(status, body) of a request."""
        event = {
            "rawPath": "/feedback",
            "requestContext": {"stage": "$default", "http": {"method": "POST"}},
            "body": body if isinstance(body, str) else json.dumps(body),
            **fields,
        }
        answer = respond(event, lambda: self.service, self.telemetry, lambda: self.now)
        self.headers = answer["headers"]
        return answer["statusCode"], json.loads(answer["body"])

    def item(self, key: keys.Key) -> dict[str, Any]:
        """An item of the state table; empty when there is none."""
        found: dict[str, Any] = loaded(self.table.get_item(Key=key.item()).get("Item", {}))
        return found

    def items(self, prefix: str) -> list[dict[str, Any]]:
        """All items whose pk begins so."""
        pages = self.dynamodb.meta.client.get_paginator("scan").paginate(TableName="state")
        return [item for page in pages for item in page["Items"] if item["pk"].startswith(prefix)]

    def recent(self, user: str) -> list[tuple[str, float]]:
        """(item, rating) of a user's profile."""
        rows = self.item(keys.profile(hash_user_id(user))).get("recent", [])
        return [(row["item_id"], row["rating"]) for row in rows]

    def forwarded(self, dataset: str) -> list[dict[str, Any]]:
        """The rows that the stream delivered."""
        rows = []
        for found in self.s3.list_objects_v2(Bucket="landing", Prefix=f"{dataset}/").get("Contents", []):
            body = self.s3.get_object(Bucket="landing", Key=found["Key"])["Body"].read()
            body = gzip.decompress(body) if body[:2] == b"\x1f\x8b" else body
            rows += [json.loads(line) for line in body.splitlines()]
        return rows

    def open_experiment(self, experiment: str = EXPERIMENT, state: Any = "testing") -> None:
        """The router shows an open experiment, whose record stands."""
        router = Router(2, int(NOW), state, experiment, "A", {"A": 0.5, "B": 0.5}, {"A": "r0-1", "B": "r1-1"})
        fields = {name: getattr(router, name) for name in Router.__dataclass_fields__}
        self.table.put_item(Item=keys.ROUTER.item() | stored(fields))
        self.table.put_item(Item=keys.experiment(experiment).item() | {"attribution_seconds": WINDOW})

    def enrol(self, user: str, experiment: str = EXPERIMENT, at: float = NOW) -> None:
        """A user's first exposure."""
        who = hash_user_id(user)
        fields = {"variant": "B", "version": 2, "enrolled_at": at, "GSI1pk": keys.exposure_shard(experiment, 2, who)}
        self.table.put_item(Item=keys.exposure(who, experiment).item() | stored(fields))

    def exposure(self, user: str, experiment: str = EXPERIMENT) -> dict[str, Any]:
        return self.item(keys.exposure(hash_user_id(user), experiment))

    def recommendation(self, user: str, *items: str, experiment: str = EXPERIMENT, key: str = KEY) -> str:
        """A recommendation id as recommend_items signs it."""
        said = Recommendation(experiment, 2, "B", hash_user_id(user), int(NOW), "r1-1", items or ("1", "2"))
        return sign(said, key.encode())


@pytest.fixture
def desk(monkeypatch: pytest.MonkeyPatch) -> Iterator[Desk]:
    monkeypatch.delenv("AWS_ENDPOINT_URL", raising=False)
    for name in ("AWS_DEFAULT_REGION", "AWS_REGION"):
        monkeypatch.setenv(name, "eu-west-1")
    with mock_aws():
        # Entries of a list are kept by several threads, and moto's updates are not atomic as DynamoDB's are.
        monkeypatch.setattr(DynamoHandler, "call_action", serially(DynamoHandler.call_action))
        yield Desk()


@pytest.fixture
def metrics(capsys: pytest.CaptureFixture[str]) -> Callable[[], dict[str, int]]:
    """`metrics()`: the counters written since the last call, summed over `service`."""

    def read() -> dict[str, int]:
        found: dict[str, int] = {}
        for line in capsys.readouterr().out.splitlines():
            said = json.loads(line)
            for metric in said["_aws"]["CloudWatchMetrics"][0]["Metrics"]:
                found[metric["Name"]] = found.get(metric["Name"], 0) + said[metric["Name"]]
        return {name: value for name, value in found.items() if value}

    return read
