"""catalog_tables: the tables are what the data sets' definition says, today and after it has grown."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any

import pytest
from botocore.exceptions import ClientError
from pyiceberg.types import DoubleType, ListType, MapType, StringType, TimestamptzType

from usher import clients, custom_resource
from usher.errors import CatalogDenied, IncompatibleSchema, TableMissing
from usher.schema import datasets
from usher.schema.datasets import DATASETS, Dataset, Field
from usher.store.router import Router, write_router
from usher.store.run_lock import RunLock
from usher_lake import sweep, tables
from usher_lake.arrow_types import file_schema
from usher_lake.tables import ensure_tables, iceberg_schema, load_table, open_catalog, quarantine_table

HEADER = b"userId,movieId,rating,timestamp\n"


class Answers:
    """The web address that CloudFormation would be listening at."""

    def __init__(self) -> None:
        self.bodies: list[dict[str, Any]] = []
        self.fail = 0
        answers = self

        class Handler(BaseHTTPRequestHandler):
            def do_PUT(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                if answers.fail:
                    answers.fail -= 1
                    self.send_error(503)
                    return
                answers.bodies.append(json.loads(body))
                self.send_response(200)
                self.end_headers()

            def log_message(self, *_: Any) -> None:
                return

        self._server = HTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_port}/answer?signature=x"
        self._thread = threading.Thread(target=self._server.serve_forever, daemon=True)
        self._thread.start()

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()


@pytest.fixture
def answers() -> Iterator[Answers]:
    made = Answers()
    yield made
    made.close()


def request(answers: Answers, kind: str, **more: Any) -> dict[str, Any]:
    return {
        "RequestType": kind,
        "ResponseURL": answers.url,
        "StackId": "arn:aws:cloudformation:eu-west-1:123456789012:stack/usher/guid",
        "RequestId": "r",
        "LogicalResourceId": "Tables",
        **more,
    }


class Context:
    log_stream_name = "stream"


def grown(name: str, *fields: Field) -> dict[str, Dataset]:
    """The definition with further fields in one data set."""
    data = DATASETS[name]
    return {**DATASETS, name: replace(data, fields=(*data.fields, *fields))}


# -- the custom resource ----------------------------------------------------------------------------------------------


def test_a_failure_is_reported_to_cloudformation_with_its_reason(lake: Any, answers: Answers) -> None:
    lake.glue.delete_database(Name="usher")
    lake.handler("catalog_tables")(request(answers, "Create"), Context())
    (answer,) = answers.bodies
    assert answer["Status"] == "FAILED"
    assert "usher" in answer["Reason"] and "stream" in answer["Reason"]


def test_missing_settings_are_reported_to_cloudformation(
    lake: Any, answers: Answers, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("USHER_DATABASE")
    lake.handler("catalog_tables")(request(answers, "Create"), Context())
    assert "USHER_DATABASE is missing" in answers.bodies[0]["Reason"]


def test_create_makes_all_tables_and_a_second_create_changes_nothing(lake: Any, answers: Answers) -> None:
    handler = lake.handler("catalog_tables")
    handler(request(answers, "Create"), Context())
    handler(request(answers, "Create"), Context())
    first, second = answers.bodies
    assert first["Data"] == {**dict.fromkeys(DATASETS, "created"), "quarantine": "created"}
    assert second["Data"] == {**dict.fromkeys(DATASETS, "unchanged"), "quarantine": "updated"}
    assert first["PhysicalResourceId"] == second["PhysicalResourceId"] == "Tables-guid"
    found = lake.glue.get_tables(DatabaseName="usher")["TableList"]
    assert {table["Name"] for table in found} == {*DATASETS, "quarantine"}


def test_update_keeps_the_physical_id(lake: Any, answers: Answers) -> None:
    lake.handler("catalog_tables")(request(answers, "Update", PhysicalResourceId="as it was"), Context())
    assert answers.bodies[0]["PhysicalResourceId"] == "as it was"


def test_delete_keeps_the_lake(lake: Any, answers: Answers) -> None:
    handler = lake.handler("catalog_tables")
    handler(request(answers, "Create"), Context())
    handler(request(answers, "Delete"), Context())
    assert answers.bodies[-1]["Status"] == "SUCCESS"
    assert len(lake.glue.get_tables(DatabaseName="usher")["TableList"]) == 6


def test_a_response_that_is_not_accepted_is_sent_again(lake: Any, answers: Answers) -> None:
    answers.fail = 2
    lake.handler("catalog_tables")(request(answers, "Delete"), Context())
    assert len(answers.bodies) == 1


# -- a deployment that is deleted, and one that adopts its lake -------------------------------------------------------


def redeploy(lake: Any, answers: Answers) -> dict[str, str]:
    """Delete the database as its stack's deletion does, and make the tables of a new stack; what was done."""
    handler = lake.handler("catalog_tables")
    handler(request(answers, "Delete"), Context())
    lake.glue.delete_database(Name="usher")
    lake.glue.create_database(DatabaseInput={"Name": "usher"})
    handler(request(answers, "Create"), Context())
    assert answers.bodies[-1]["Status"] == "SUCCESS"
    done: dict[str, str] = answers.bodies[-1]["Data"]
    return done


def deployment(lake: Any, answers: Answers, kind: str) -> dict[str, Any]:
    """A request for the resource that begins and ends a deployment."""
    given = {"IngestQueue": lake.ingest_queue_url, "Schedule": "usher-shift-traffic"}
    return request(answers, kind, ResourceType="Custom::UsherDeployment", ResourceProperties=given)


def load(lake: Any, key: str) -> None:
    assert lake.ingest(lake.put(key, HEADER + b"1,2,3.5,964982703\n")) == []
    assert lake.catalog(*lake.waiting()) == []


def test_a_new_stack_registers_the_tables_of_a_kept_lake_with_all_their_rows(lake: Any, answers: Answers) -> None:
    lake.handler("catalog_tables")(request(answers, "Create"), Context())
    load(lake, "ratings/upload/a.csv")
    snapshot = lake.table("ratings").current_snapshot().snapshot_id
    done = redeploy(lake, answers)
    assert done["ratings"].startswith("registered 00001-") and done["ratings"].endswith(", unchanged")
    assert lake.table("ratings").current_snapshot().snapshot_id == snapshot
    load(lake, "ratings/upload/b.csv")
    assert len(lake.rows("ratings")) == 2


def test_the_hint_tells_the_current_metadata_from_the_loser_of_a_race(lake: Any, answers: Answers) -> None:
    lake.handler("catalog_tables")(request(answers, "Create"), Context())
    load(lake, "ratings/upload/a.csv")
    loser = "lake/ratings/metadata/00001-ffffffff-ffff-ffff-ffff-ffffffffffff.metadata.json"
    lake.s3.put_object(Bucket="lake", Key=loser, Body=b"{}")
    redeploy(lake, answers)
    assert len(lake.rows("ratings")) == 1
    names = [found["Key"] for found in lake.s3.list_objects_v2(Bucket="lake")["Contents"]]
    assert not [name for name in names if name.endswith("version-hint.text")], "it would be stale after a commit"


def test_without_a_hint_the_newest_metadata_is_registered(lake: Any, answers: Answers) -> None:
    lake.handler("catalog_tables")(request(answers, "Create"), Context())
    load(lake, "ratings/upload/a.csv")
    load(lake, "ratings/upload/b.csv")
    lake.glue.delete_database(Name="usher")
    lake.glue.create_database(DatabaseInput={"Name": "usher"})
    lake.handler("catalog_tables")(request(answers, "Create"), Context())
    assert answers.bodies[-1]["Data"]["ratings"].startswith("registered 00002-")
    assert len(lake.rows("ratings")) == 2


def test_a_hint_to_a_missing_file_fails_and_says_what_to_do(lake: Any, answers: Answers) -> None:
    lake.s3.put_object(Bucket="lake", Key="lake/ratings/metadata/version-hint.text", Body=b"00009-abc")
    lake.handler("catalog_tables")(request(answers, "Create"), Context())
    assert answers.bodies[-1]["Status"] == "FAILED"
    assert "names 00009-abc.metadata.json, which does not exist" in answers.bodies[-1]["Reason"]


def test_the_deletion_of_a_deployment_forgets_its_endpoint_and_keeps_the_rest(lake: Any, answers: Answers) -> None:
    table = lake.dynamodb.Table(lake.state_table)
    router = replace(Router.first("rabc-1", 1), state="testing", experiment_id="xrdef-1")
    write_router(table, router)
    RunLock(table).take("rabc-2", 1)
    kept = [
        {"pk": "EXPERIMENT#xrdef-1", "sk": "META", "status": "open"},
        {"pk": "ROUTER", "sk": "POPULAR", "lists": "{}"},
        {"pk": "RUN", "sk": "PROGRESS", "rows_since_run": 3},
    ]
    for item in kept:
        table.put_item(Item=item)
    for _ in range(2):
        lake.handler("catalog_tables")(deployment(lake, answers, "Delete"), Context())
    first, second = answers.bodies
    assert first["Data"] == {"experiment": "closed xrdef-1", "router": "deleted version 1"}
    assert (second["Status"], second["Data"]) == ("SUCCESS", {})
    items = {(item["pk"], item["sk"]): item for item in table.scan()["Items"]}
    assert items.keys() == {(item["pk"], item["sk"]) for item in kept}
    closed = items["EXPERIMENT#xrdef-1", "META"]
    assert (closed["status"], closed["outcome"], closed["reason"]) == (
        "closed",
        "inconclusive",
        "the stack was deleted",
    )


@pytest.mark.parametrize("is_open", [True, False])
def test_an_update_enables_the_schedule_exactly_when_an_experiment_is_open(
    lake: Any, answers: Answers, is_open: bool
) -> None:
    rule = {"Name": "usher-shift-traffic"}
    events = clients.client("events")
    events.put_rule(**rule, ScheduleExpression="rate(1 minute)", State="DISABLED")
    opened = {"state": "testing", "experiment_id": "xrdef-1"} if is_open else {}
    write_router(lake.dynamodb.Table(lake.state_table), replace(Router.first("rabc-1", 1), **opened))
    lake.handler("catalog_tables")(deployment(lake, answers, "Update"), Context())
    assert answers.bodies[-1]["Status"] == "SUCCESS"
    assert events.describe_rule(**rule)["State"] == ("ENABLED" if is_open else "DISABLED")


def test_a_new_deployment_looks_three_times_for_objects_that_no_event_has_announced(
    lake: Any, answers: Answers, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sweep, "DELAYS_SECONDS", (0, 0, 0))
    lake.handler("catalog_tables")(deployment(lake, answers, "Create"), Context())
    requests = lake.waiting(lake.ingest_queue_url)
    assert len(requests) == 3 and all(map(sweep.is_request, requests))


def test_a_role_that_is_too_new_is_waited_for(lake: Any, answers: Answers, monkeypatch: pytest.MonkeyPatch) -> None:
    waits: list[float] = []
    failures = [
        ClientError({"Error": {"Code": "AccessDeniedException"}}, "GetTable"),
        OSError("AWS Error ACCESS_DENIED"),
    ]

    def ensure(*given: Any) -> dict[str, str]:
        if failures:
            raise failures.pop()
        return ensure_tables(*given)

    handler = lake.handler("catalog_tables")
    monkeypatch.setitem(handler.__globals__, "ensure_tables", ensure)
    monkeypatch.setattr(custom_resource.time, "sleep", waits.append)
    handler(request(answers, "Create"), Context())
    assert (answers.bodies[-1]["Status"], waits) == ("SUCCESS", [5, 10])


def test_lake_formation_is_named_when_it_denies_access(lake: Any, answers: Answers) -> None:
    error = {"Code": "AccessDeniedException", "Message": "Insufficient Lake Formation permission(s) on usher"}

    class Denied:
        def load_table(self, _identifier: Any) -> Any:
            raise ClientError({"Error": error}, "GetTable")

    with pytest.raises(
        CatalogDenied, match=r"access to database usher is denied by Lake Formation .*IAMAllowedPrincipals"
    ):
        ensure_tables(Denied(), "usher", "lake")  # type: ignore[arg-type]


@pytest.mark.parametrize("kind", ["Custom::UsherTables", "Custom::UsherDeployment"])
def test_a_deletion_goes_on_when_there_is_nothing_to_delete(lake: Any, answers: Answers, kind: str) -> None:
    lake.glue.delete_database(Name="usher")
    lake.dynamodb.Table(lake.state_table).delete()
    lake.handler("catalog_tables")(request(answers, "Delete", ResourceType=kind), Context())
    assert answers.bodies[-1]["Status"] == "SUCCESS"


# -- the schema -------------------------------------------------------------------------------------------------------


def test_a_missing_table_is_an_error_that_says_what_to_do(lake: Any) -> None:
    with pytest.raises(TableMissing, match=r"usher\.ratings does not exist: deploy the stack again"):
        load_table(open_catalog(), "usher", "ratings")


@pytest.mark.parametrize("name", DATASETS)
def test_the_tables_schema_equals_the_definition_and_the_data_files(lake: Any, name: str) -> None:
    lake.make_tables(name)
    schema = lake.table(name).schema()
    definition = DATASETS[name].columns
    assert [(field.name, field.required, field.doc) for field in schema.fields] == [
        (field.name, field.required, field.doc) for field in definition
    ]
    arrow = file_schema(name)
    assert arrow.names == [field.name for field in definition]
    assert [not field.nullable for field in arrow] == [field.required for field in definition]
    assert [tables._shape(field.field_type) for field in schema.fields] == [
        tables._shape(field.field_type) for field in iceberg_schema(DATASETS[name]).fields
    ]


def test_the_kinds_have_their_iceberg_types() -> None:
    schema = iceberg_schema(DATASETS["items"])
    assert isinstance(schema.find_field("genres").field_type, ListType)
    assert isinstance(schema.find_field("attributes").field_type, MapType)
    assert schema.find_field("title").field_type == StringType()
    assert schema.find_field("released_at").field_type == TimestamptzType()
    assert iceberg_schema(DATASETS["ratings"]).find_field("rating").field_type == DoubleType()


def test_tables_are_version_two_by_day_and_merge_their_manifests(lake: Any) -> None:
    lake.make_tables("ratings")
    table = lake.table("ratings")
    assert table.metadata.format_version == 2
    assert [str(field.transform) for field in table.spec().fields] == ["identity"]
    assert table.properties["commit.manifest-merge.enabled"] == "true"
    assert table.location() == "s3://lake/lake/ratings"


def test_a_new_optional_field_is_added_and_is_null_in_older_rows(lake: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    lake.make_tables("ratings")
    lake.ingest(lake.put("ratings/upload/a.csv", HEADER + b"1,2,3.5,964982703\n"))
    assert lake.catalog() == []
    new = Field("device", "text", "where from", required=False)
    larger = grown("ratings", new)
    monkeypatch.setattr(tables, "DATASETS", larger)
    monkeypatch.setattr(datasets, "DATASETS", larger)
    _forget_schemas()
    try:
        done = ensure_tables(open_catalog(), "usher", "lake")
        assert (done["ratings"], done["items"]) == ("added device", "created")
        lake.ingest(lake.put("ratings/upload/b.csv", b"userId,movieId,rating,timestamp,device\n3,2,3.5,964982703,tv\n"))
        assert lake.catalog() == []
        assert sorted((row["user_id"], row["device"]) for row in lake.rows("ratings")) == [("1", None), ("3", "tv")]
        assert ensure_tables(open_catalog(), "usher", "lake")["ratings"] == "unchanged"
    finally:
        _forget_schemas()


def _forget_schemas() -> None:
    from usher_lake import arrow_types, json_rows  # noqa: PLC0415

    for cached in (arrow_types.row_schema, arrow_types.file_schema, json_rows._decoder, json_rows._names):
        cached.cache_clear()


@pytest.mark.parametrize(
    ("field", "reason"),
    [
        (Field("device", "text", "x"), "ratings.device is new and required"),
        (Field("rating", "text", "x"), "ratings.rating is double in the table, not string"),
    ],
)
def test_an_incompatible_change_is_refused_before_any_table_changes(
    lake: Any, monkeypatch: pytest.MonkeyPatch, field: Field, reason: str
) -> None:
    lake.make_tables("ratings")
    data = DATASETS["ratings"]
    fields = tuple(each for each in data.fields if each.name != field.name)
    changed = {"items": DATASETS["items"], "ratings": replace(data, fields=(*fields, field))}
    monkeypatch.setattr(tables, "DATASETS", changed)
    with pytest.raises(IncompatibleSchema, match=reason):
        ensure_tables(open_catalog(), "usher", "lake")
    assert [table["Name"] for table in lake.glue.get_tables(DatabaseName="usher")["TableList"]] == ["ratings"]


def test_changed_table_properties_are_reset(lake: Any) -> None:
    lake.make_tables(*DATASETS)
    with lake.table("ratings").transaction() as transaction:
        transaction.set_properties({"commit.manifest-merge.enabled": "false"})
    assert ensure_tables(open_catalog(), "usher", "lake")["ratings"] == "set properties"
    assert lake.table("ratings").properties["commit.manifest-merge.enabled"] == "true"


def test_the_quarantine_table_covers_every_data_set_and_every_field_of_a_record() -> None:
    table = quarantine_table("lake")
    assert table["Parameters"]["projection.dataset.values"].split(",") == list(DATASETS)
    assert table["Parameters"]["storage.location.template"] == "s3://lake/quarantine/${dataset}/dt=${dt}/"
    columns = [column["Name"] for column in table["StorageDescriptor"]["Columns"]]
    assert columns == ["reason", "field", "line", "source", "offset", "bytes", "raw_base64"]
