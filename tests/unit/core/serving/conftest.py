"""The read path on moto's state table and secret; the variants are a local server that asks a real bundle, or fails."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Final
from urllib.parse import urlencode

import boto3
import pytest
from botocore.awsrequest import AWSResponse
from moto import mock_aws
from openapi_schema_validator import OAS31Validator

import usher_scorer.bundle
from tests.unit.small_world import bundle, bundle_folder, items, prepared, trained, world
from tests.unit.state_table import STATE_TABLE
from usher.api import openapi
from usher.api.responses import respond
from usher.schema.ids import hash_user_id
from usher.schema.settings import Settings
from usher.schema.signing import Recommendation, verify
from usher.serving.assignment import Assignment, assign
from usher.serving.bootstrap import Scorer, make_service
from usher.serving.service import handle
from usher.store import keys
from usher.store.codec import loaded, stored
from usher.store.popular import describe, make_lists, write_lists
from usher.store.router import Router, Variant, write_router
from usher_scorer.bundle import Bundle
from usher_scorer.errors import RequestError
from usher_scorer.invocations import invoke, problem

__all__ = ["bundle", "bundle_folder", "items", "prepared", "trained", "world"]

NOW: Final = 1_800_000_000
KEY = "k" * 64
IDLE = Router(1, NOW, "idle", "", "A", {"A": 1.0, "B": 0.0}, {"A": "rtest-1", "B": "rtest-1"})
NAME = "xrtest-2"
WINDOW = 3600
TESTING = Router(2, NOW, "testing", NAME, "A", {"A": 0.5, "B": 0.5}, {"A": "rtest-1", "B": "rtest-2"})
META: dict[str, Any] = {
    "salt": "5a17",
    "attribution_seconds": WINDOW,
    "epoch_seconds": 3600,
    "settle_seconds": 60,
    "hour_seconds": 3600,
    "bake_seconds": 86400,
    "champion": "A",
    "challenger": "B",
    "started_at": NOW,
    "models": {"champion": "rtest-1", "challenger": "rtest-2"},
    "status": "open",
    "preset": "default",
}
USERS = [f"u{n}" for n in range(30)]


class Variants(ThreadingHTTPServer):
    """InvokeEndpoint for two variants. modes by variant: ok, held, down, broken, slow, garbage, gone, odd, refusing,
    empty.

    held answers when `release` is set; slow breaks off then.
    """

    daemon_threads = True

    def __init__(self, bundle: Bundle) -> None:
        super().__init__(("127.0.0.1", 0), Invocation)
        self.bundle = bundle
        self.modes = {"A": "ok", "B": "ok"}
        self.asked: list[tuple[str, dict[str, Any]]] = []
        self.release = threading.Event()


class Invocation(BaseHTTPRequestHandler):
    server: Variants

    def do_POST(self) -> None:
        variant = self.headers["X-Amzn-SageMaker-Target-Variant"]
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.server.asked.append((variant, json.loads(body)))
        mode = self.server.modes[variant]
        if mode in ("slow", "held"):
            self.server.release.wait(20)
        if mode in ("slow", "down"):
            self.connection.close()
        elif mode == "gone":
            self._send(400, {"Message": "Endpoint usher not found."}, "ValidationError")
        elif mode == "broken":
            self._model_error(500, '{"error": {"code": "internal", "message": "the model failed"}}')
        elif mode == "odd":
            self._model_error(400, '{"error": {"code": "bad_profile", "message": "profile row 0"}}')
        elif mode == "refusing":
            self._model_error(400, '{"error": {"code": "unknown_genre", "message": "no item has this genre"}}')
        elif mode == "empty":
            self._send(200, {"items": [], "model_id": "m", "level": "model"})
        elif mode == "garbage":
            self._send(200, {"items": [{"title": "no id"}], "model_id": "m"})
        else:
            self._invoke(body)

    def _invoke(self, body: bytes) -> None:
        try:
            self._send(200, invoke(self.server.bundle, body))
        except RequestError as error:
            self._model_error(400, json.dumps(problem(error)))

    def _model_error(self, status: int, said: str) -> None:
        fields = {"Message": "Received error", "OriginalMessage": said, "OriginalStatusCode": status}
        self._send(424, fields, "ModelError")

    def _send(self, status: int, body: Any, error: str = "") -> None:
        data = json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(data)))
        if error:
            self.send_header("x-amzn-errortype", error)
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, *args: Any) -> None:
        """Nothing."""


@dataclass
class Told:
    """Telemetry that remembers."""

    failed: list[tuple[str, str]] = field(default_factory=list)
    unread_: list[str] = field(default_factory=list)
    unwritten_: list[str] = field(default_factory=list)
    asked: list[tuple[str, str, tuple[str, ...]]] = field(default_factory=list)
    defects: list[Exception] = field(default_factory=list)

    def variant_asked(self, given: Assignment, faults: Sequence[str]) -> None:
        self.asked.append((given.experiment, given.variant, tuple(faults)))

    def variant_failed(self, variant: str, reason: str) -> None:
        self.failed.append((variant, reason))

    def unread(self, what: str, _error: Exception) -> None:
        self.unread_.append(what)

    def unwritten(self, what: str, _error: Exception) -> None:
        self.unwritten_.append(what)


@dataclass
class Api:
    """The read path, asked as API Gateway asks it."""

    settings: Settings
    variants: Variants
    table: Any
    now: float = NOW
    told: Any = field(default_factory=Told)
    scorer: Scorer = field(default_factory=lambda: Scorer(usher_scorer.bundle.load, invoke))
    _service: Any = None

    def __call__(self, path: str, body: Any = None, method: str = "", **query: Any) -> tuple[int, dict[str, Any]]:
        """Status and body; the answer is held against the OpenAPI document."""
        event: dict[str, Any] = {
            "rawPath": path,
            "rawQueryString": urlencode(query, doseq=True),
            "requestContext": {"stage": "$default", "http": {"method": method or ("POST" if body else "GET")}},
        }
        if body is not None:
            event["body"] = body if isinstance(body, str) else json.dumps(body)
        return self.send(event)

    def send(self, event: dict[str, Any]) -> tuple[int, dict[str, Any]]:
        response, body = respond(lambda: handle(event, self.service), self.told.defects.append)
        assert json.loads(response["body"]) == body
        expected = "application/json" if response["statusCode"] == 200 else "application/problem+json"
        assert response["headers"]["content-type"] == expected
        self._check(event, response["statusCode"], body)
        return response["statusCode"], body

    def service(self) -> Any:
        if self._service is None:
            self._service = make_service(self.settings, self.told, lambda: self.now, lambda: self.scorer)
        return self._service

    def route(self, **changes: Any) -> None:
        """Write the next version of the router and wait until it is seen."""
        found = self.table.get_item(Key=keys.ROUTER.item())["Item"]
        write_router(self.table, replace(TESTING, version=int(found["version"]) + 1, **changes))
        self.now += self.settings.router_cache_seconds

    def record(self, experiment: str = NAME, **changes: Any) -> None:
        """Write an experiment's META."""
        self.table.put_item(Item=keys.experiment(experiment).item() | stored(META | changes))

    def exposure(self, user: str, experiment: str = NAME) -> dict[str, Any] | None:
        found: dict[str, Any] | None = loaded(
            self.table.get_item(Key=keys.exposure(hash_user_id(user), experiment).item()).get("Item")
        )
        return found

    def expose(self, user: str, variant: str, at: float = NOW, experiment: str = NAME) -> None:
        fields = {"variant": variant, "version": 2, "enrolled_at": at}
        self.table.put_item(Item=keys.exposure(hash_user_id(user), experiment).item() | stored(fields))

    def serve(self, user: str) -> tuple[str, Recommendation]:
        """The variant that answered a user, and what the recommendation id says."""
        status, body = self("/recommendations", user_id=user)
        assert status == 200, body
        return body["variant"], verify(body["recommendation_id"], [KEY.encode()])

    def given_to(self, variant: Variant) -> list[str]:
        """The users whom the hash gives to a variant, found without enrolling them."""
        experiment = self.service().serving.experiment_of(NAME)
        return [user for user in USERS if assign(TESTING, experiment, hash_user_id(user), None, NOW).variant == variant]

    @staticmethod
    def _check(event: dict[str, Any], status: int, body: dict[str, Any]) -> None:
        name = "Problem"
        if status == 200:
            said = openapi.document()["paths"][event["rawPath"].removeprefix("/v1")]
            said = said[event["requestContext"]["http"]["method"].lower()]["responses"]["200"]
            name = said["content"]["application/json"]["schema"]["$ref"].rsplit("/", 1)[1]
        components = openapi.document()["components"]
        OAS31Validator({"$ref": f"#/components/schemas/{name}", "components": components}).validate(body)


@pytest.fixture
def variants(bundle: Bundle) -> Iterator[Variants]:
    with Variants(bundle) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
        thread.start()
        yield server
        server.release.set()
        server.shutdown()
        thread.join(5)


@pytest.fixture
def api(variants: Variants, bundle: Bundle, monkeypatch: pytest.MonkeyPatch) -> Iterator[Api]:
    """A deployed stack: router, popularity lists and signing secret are there, both variants answer."""
    monkeypatch.delenv("AWS_ENDPOINT_URL", raising=False)
    monkeypatch.setenv("AWS_DEFAULT_REGION", "eu-west-1")
    monkeypatch.setenv("AWS_ENDPOINT_URL_SAGEMAKER_RUNTIME", f"http://127.0.0.1:{variants.server_port}")
    with mock_aws():
        table = boto3.resource("dynamodb").create_table(**STATE_TABLE)
        secret = boto3.client("secretsmanager").create_secret(Name="signing", SecretString=KEY)["ARN"]
        write_router(table, IDLE)
        lines = map(json.loads, bundle.catalogue.lines())
        items = [{"item_id": i, **describe(line)} for i, line in zip(bundle.catalogue.ids, lines, strict=True)]
        write_lists(table, "rtest-1", make_lists(bundle.popularity.all.tolist(), items))
        yield Api(Settings(state_table="state", endpoint_name="usher", signing_secret_arn=secret), variants, table)


@pytest.fixture
def opened(api: Api) -> Api:
    """The deployed stack, an experiment open with half the traffic for each variant."""
    api.record()
    write_router(api.table, TESTING)
    return api


@pytest.fixture
def failing(opened: Api) -> set[str]:
    """Operations of DynamoDB that answer 500 from now on; the function's own client sees it."""
    operations: set[str] = set()

    def answer(request: Any, **_: Any) -> AWSResponse | None:
        name = request.headers["X-Amz-Target"].decode().rpartition(".")[2]
        if name not in operations:
            return None
        raw: Any = _Raw()
        return AWSResponse(request.url, 500, {}, raw)

    events = opened.service().serving.users._table.meta.client.meta.events
    events.register_first("before-send.dynamodb", answer)
    return operations


class _Raw:
    """The body of a server error."""

    def stream(self, **_: Any) -> Iterator[bytes]:
        yield b'{"__type": "com.amazonaws.dynamodb.v20120810#InternalServerError", "message": "away"}'
