"""Athena in the twin, through boto3: what its patches of moto make real."""

from __future__ import annotations

import datetime
import json
import time
from collections.abc import Callable, Iterator
from typing import Any

import pyarrow as pa
import pytest
from botocore.exceptions import ClientError

from twin.context import Context

DAY = datetime.date(2026, 11, 24)
WHEN = datetime.datetime(2020, 1, 31, 12, 30, tzinfo=datetime.UTC)

Clients = Callable[[str], Any]


class Lake:
    """A lake of two tables, and questions to it."""

    def __init__(self, client: Clients, server: Context) -> None:
        self.s3, self.athena = client("s3"), client("athena")
        self.s3.create_bucket(Bucket="lake", CreateBucketConfiguration={"LocationConstraint": "eu-west-1"})
        client("glue").create_database(DatabaseInput={"Name": "usher"})
        client("glue").create_table(DatabaseName="usher", TableInput=QUARANTINE)
        self.create_workgroup("usher", "s3://lake/athena/")
        self.catalog = _catalog(server)

    def create_workgroup(self, name: str, location: str, **settings: Any) -> None:
        result = {"ResultConfiguration": {"OutputLocation": location}} if location else {}
        configuration = {"EnforceWorkGroupConfiguration": True, **result, **settings}
        self.athena.create_work_group(Name=name, Configuration=configuration)

    def ratings(self, rows: int = 3) -> Any:
        table = self.catalog.create_table("usher.ratings", schema=RATINGS, location="s3://lake/lake/ratings")
        table.append(ratings(range(rows)))
        return table

    def quarantine(self, dataset: str, day: str, records: list[dict[str, Any]]) -> None:
        body = "".join(json.dumps(record) + "\n" for record in records)
        self.s3.put_object(Bucket="lake", Key=f"quarantine/{dataset}/dt={day}/x.jsonl", Body=body)

    def start(self, sql: str, **arguments: Any) -> str:
        arguments = {"WorkGroup": "usher", "QueryExecutionContext": {"Database": "usher"}, **arguments}
        query_id: str = self.athena.start_query_execution(QueryString=sql, **arguments)["QueryExecutionId"]
        return query_id

    def end(self, query_id: str) -> dict[str, Any]:
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline:
            execution: dict[str, Any] = self.athena.get_query_execution(QueryExecutionId=query_id)["QueryExecution"]
            if execution["Status"]["State"] not in ("QUEUED", "RUNNING"):
                return execution
            time.sleep(0.02)
        raise AssertionError(f"query {query_id} did not end")

    def ask(self, sql: str, **arguments: Any) -> list[list[str | None]]:
        """The rows, the header first; AssertionError with the reason when the query fails."""
        query_id = self.start(sql, **arguments)
        execution = self.end(query_id)
        assert execution["Status"]["State"] == "SUCCEEDED", execution["Status"]
        rows = self.athena.get_query_results(QueryExecutionId=query_id)["ResultSet"]["Rows"]
        return [[cell.get("VarCharValue") for cell in row["Data"]] for row in rows]

    def reason(self, sql: str, **arguments: Any) -> str:
        """Why the query failed."""
        execution = self.end(self.start(sql, **arguments))
        assert execution["Status"]["State"] == "FAILED", execution["Status"]
        reason: str = execution["Status"]["StateChangeReason"]
        assert "\n" not in reason
        return reason


QUARANTINE: dict[str, Any] = {
    "Name": "quarantine",
    "TableType": "EXTERNAL_TABLE",
    "PartitionKeys": [{"Name": "dataset", "Type": "string"}, {"Name": "dt", "Type": "string"}],
    "Parameters": {
        "projection.enabled": "true",
        "projection.dataset.type": "enum",
        "projection.dataset.values": "ratings,items",
        "projection.dt.type": "date",
        "projection.dt.format": "yyyy-MM-dd",
        "projection.dt.range": "2020-01-01,NOW+1DAYS",
        "storage.location.template": "s3://lake/quarantine/${dataset}/dt=${dt}/",
    },
    "StorageDescriptor": {
        "Columns": [
            {"Name": "reason", "Type": "string"},
            {"Name": "line", "Type": "bigint"},
            {"Name": "raw_base64", "Type": "string"},
        ],
        "Location": "s3://lake/quarantine/",
        "InputFormat": "org.apache.hadoop.mapred.TextInputFormat",
        "SerdeInfo": {"SerializationLibrary": "org.openx.data.jsonserde.JsonSerDe"},
    },
}

RATINGS = pa.schema(
    [
        ("user_id", pa.string()),
        ("rating", pa.float64()),
        ("rated_at", pa.timestamp("us", "UTC")),
        ("genres", pa.list_(pa.string())),
        ("ingested_date", pa.date32()),
    ]
)


def ratings(numbers: range) -> Any:
    rows = [
        {
            "user_id": f"u{n}",
            "rating": 0.5 + n % 10 / 2,
            "rated_at": WHEN,
            "genres": ["Drama", "War"] if n % 2 else [],
            "ingested_date": DAY,
        }
        for n in numbers
    ]
    return pa.Table.from_pylist(rows, schema=RATINGS)


def _catalog(server: Context) -> Any:
    from pyiceberg.catalog import load_catalog  # noqa: PLC0415 - a second of imports, only here

    return load_catalog(
        "glue", **{"type": "glue", "s3.endpoint": server.endpoint, "glue.region": server.region}
    )  # credentials come from the environment, as in a function


@pytest.fixture
def lake(server: Context, client: Clients) -> Iterator[Lake]:
    yield Lake(client, server)


# What fails


@pytest.mark.parametrize(
    ("sql", "reason"),
    [
        ("SELECT FROM WHERE", "SYNTAX_ERROR: line 1:"),
        ("SELECT absent FROM ratings", "absent"),
        ("SELECT * FROM absent", "TABLE_NOT_FOUND: Table 'awsdatacatalog.usher.absent' does not exist"),
        ("SELECT 1 / 0", "ivision by zero"),
        ("SELECT CAST('x' AS bigint)", "x"),
        ("SELECT 1; SELECT 2", "Only one sql statement is allowed"),
        ("SELECT * FROM ratings FOR VERSION AS OF 7", "not supported by the twin: FOR VERSION"),
        ("SELECT * FROM ratings FOR TIMESTAMP AS OF TIMESTAMP '2100-01-01 00:00:00 UTC'", "twin: FOR TIMESTAMP"),
        ("INSERT INTO ratings SELECT 1", "not supported by the twin: INSERT"),
        ("CREATE TABLE t AS SELECT 1 AS a", "not supported by the twin: CREATE"),
        ("UNLOAD (SELECT 1) TO 's3://lake/x/' WITH (format = 'PARQUET')", "not supported by the twin: UNLOAD"),
        ("DROP TABLE ratings", "not supported by the twin: DROP"),
        ("MSCK REPAIR TABLE ratings", "not supported by the twin: MSCK"),
        ("DELETE FROM ratings WHERE user_id = 'u1'", "not supported by the twin: DELETE"),
        ("MERGE INTO ratings USING ratings b ON true WHEN MATCHED THEN DELETE", "not supported by the twin: MERGE"),
        ("SELECT strftime(rated_at, '%Y') AS y FROM ratings", "line 1:8: Function 'strftime' not registered"),
        ("SELECT * EXCEPT (user_id) FROM ratings", "SYNTAX_ERROR"),
        ("SELECT user_id FROM ratings WHERE user_id ILIKE 'U%'", "SYNTAX_ERROR: Athena has no ILIKE"),
        ("SELECT format('%s-%d', user_id, 1) AS f FROM ratings", "not supported by the twin: format"),
        ("WITH absent AS (SELECT 1 AS a) SELECT * FROM usher.absent", "TABLE_NOT_FOUND"),
        ('SELECT * FROM "ratings$snapshots"', "not supported by the twin: the metadata table $snapshots"),
    ],
)
def test_a_failed_query_says_why(lake: Lake, sql: str, reason: str) -> None:
    lake.ratings()
    assert reason in lake.reason(sql)


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT * FROM read_csv('/etc/passwd')",
        "SELECT * FROM read_text('/etc/passwd')",
        "SELECT * FROM glob('/*')",
        "SELECT * FROM '/etc/passwd'",
        "COPY (SELECT 1) TO '/tmp/usher-athena-escape.csv'",
        "ATTACH '/tmp/usher-athena-escape.db'",
        "INSTALL httpfs",
        "SET enable_external_access = true",
        "PRAGMA database_list",
    ],
)
def test_sql_reaches_no_file_no_network_and_no_setting(lake: Lake, sql: str) -> None:
    lake.reason(sql)


def test_a_parameter_is_a_value_and_never_sql(lake: Lake) -> None:
    lake.ratings()
    sql = "SELECT count(*) AS n FROM ratings WHERE user_id = ?"
    assert lake.ask(sql, ExecutionParameters=["'u1'"])[1] == ["1"]
    assert lake.ask("SELECT '?' AS a, ? AS b, ? AS c", ExecutionParameters=["1", "'?'"])[1] == ["?", "1", "?"]
    assert "is not a literal" in lake.reason(sql, ExecutionParameters=["user_id"])
    assert "is not a literal" in lake.reason(sql, ExecutionParameters=["(SELECT 'u1')"])
    assert "expected 1 but found 2" in lake.reason(sql, ExecutionParameters=["1", "2"])
    assert "expected 1 but found 0" in lake.reason(sql)


def test_what_athena_refuses_at_the_start_is_refused(lake: Lake) -> None:
    lake.create_workgroup("nowhere", "")
    for arguments, words in (({"WorkGroup": "absent"}, "absent"), ({"WorkGroup": "nowhere"}, "output location")):
        with pytest.raises(ClientError, match=words):
            lake.start("SELECT 1 AS a", **arguments)
    with pytest.raises(ClientError, match="was not found"):
        lake.athena.get_query_results(QueryExecutionId="absent")


def test_a_result_that_cannot_be_written_fails_the_query(lake: Lake) -> None:
    lake.create_workgroup("lost", "s3://no-such-bucket/x/")
    assert "no-such-bucket" in lake.reason("SELECT 1 AS a", WorkGroup="lost")


def test_a_query_over_the_scan_limit_is_cancelled(lake: Lake) -> None:
    least = 10_000_000  # that Athena takes as a limit
    lake.create_workgroup("poor", "s3://lake/athena/", BytesScannedCutoffPerQuery=least)
    lake.s3.put_object(Bucket="lake", Key="quarantine/ratings/dt=2026-11-20/x.jsonl", Body=b"\n" * (least + 1))
    status = lake.end(lake.start("SELECT * FROM quarantine", WorkGroup="poor"))["Status"]
    assert (status["State"], status["StateChangeReason"]) == ("CANCELLED", "Bytes scanned limit was exceeded")


def test_a_line_that_is_no_json_fails_the_query(lake: Lake) -> None:
    lake.s3.put_object(Bucket="lake", Key="quarantine/ratings/dt=2026-11-20/x.jsonl", Body=b'{"reason": "a"}\n{bad\n')
    assert "JSON" in lake.reason("SELECT reason FROM quarantine")


def test_a_running_query_is_stopped(lake: Lake) -> None:
    many = "UNNEST(sequence(1, 300000))"
    slow = f"SELECT sum(a.n * b.n) AS s FROM {many} AS a(n) CROSS JOIN {many} AS b(n)"
    query_id = lake.start(slow)
    with pytest.raises(ClientError, match="not yet finished"):
        lake.athena.get_query_results(QueryExecutionId=query_id)
    lake.athena.stop_query_execution(QueryExecutionId=query_id)
    status = lake.end(query_id)["Status"]
    assert (status["State"], status["StateChangeReason"]) == ("CANCELLED", "Query was cancelled by user")
    with pytest.raises(ClientError, match="did not finish successfully"):
        lake.athena.get_query_results(QueryExecutionId=query_id)


# What works


def test_a_query_returns_what_the_table_holds(lake: Lake) -> None:
    lake.ratings()
    rows = lake.ask("SELECT user_id, rating, rated_at, genres, ingested_date FROM ratings ORDER BY user_id")
    assert rows == [
        ["user_id", "rating", "rated_at", "genres", "ingested_date"],
        ["u0", "0.5", "2020-01-31 12:30:00.000000 UTC", "[]", "2026-11-24"],
        ["u1", "1.0", "2020-01-31 12:30:00.000000 UTC", "[Drama, War]", "2026-11-24"],
        ["u2", "1.5", "2020-01-31 12:30:00.000000 UTC", "[]", "2026-11-24"],
    ]


def test_queries_follow_trinos_semantics(lake: Lake) -> None:
    lake.ratings(10)
    sql = """
        WITH many AS (SELECT * FROM ratings), good AS (SELECT user_id FROM many WHERE rating > 3)
        SELECT 7 / 2, date_diff('month', DATE '2020-01-31', DATE '2020-02-28') AS months,
               date_diff('day', TIMESTAMP '2020-01-01 23:00:00', TIMESTAMP '2020-01-02 01:00:00') AS days,
               (SELECT count(*) FROM good) AS good, (SELECT count(*) FROM many m JOIN many n USING (user_id)) AS pairs,
               format_datetime(max(rated_at), 'yyyy-MM') AS month, count_if(cardinality(genres) = 2),
               CAST(1e10 AS double),
               approx_percentile(rating, 0.5) AS median
        FROM usher.ratings WHERE contains(genres, 'War') OR cardinality(genres) = 0"""
    header, row = lake.ask(sql)
    assert header == ["_col0", "months", "days", "good", "pairs", "month", "_col6", "_col7", "median"]
    assert row[:8] == ["3", "0", "0", "4", "10", "2020-01", "5", "1.0E10"]


def test_functions_that_differ_in_duckdb_follow_trino(lake: Lake) -> None:
    sql = r"""
        SELECT array_join(slice(ARRAY['a', 'b', 'c', 'd'], 2, 2), '') AS sliced,
               regexp_extract('abc', 'x(.)', 1) AS absent, regexp_extract('abc', 'b(.)', 1) AS present,
               regexp_replace('Heat (1995)', '(\w+) \((\d+)\)', '$2 $1') AS swapped,
               split_part('a,b', ',', 3) AS third, split_part('a,', ',', 2) AS second,
               from_utf8(from_base64('aGk=')) AS decoded, element_at(map(ARRAY['k'], ARRAY[1]), 'x') AS missing"""
    _, row = lake.ask(sql)
    assert row == ["bc", None, "c", "1995 Heat", None, "", "hi", None]


def test_unnest_gives_a_row_for_each_element(lake: Lake) -> None:
    lake.ratings(10)
    sql = "SELECT genre, count(*) AS n FROM ratings CROSS JOIN UNNEST(genres) AS t(genre) GROUP BY genre ORDER BY genre"
    assert lake.ask(sql) == [["genre", "n"], ["Drama", "5"], ["War", "5"]]


def test_deleted_rows_are_gone(lake: Lake) -> None:
    table = lake.ratings()
    table.delete("user_id = 'u1'")
    assert lake.ask("SELECT count(*) AS n FROM ratings")[1] == ["2"]


def test_values_are_a_query(lake: Lake) -> None:
    assert lake.ask("VALUES (1, 'a')") == [["_col0", "_col1"], ["1", "a"]]


def test_an_empty_table_has_no_rows_and_its_columns(lake: Lake) -> None:
    lake.catalog.create_table("usher.ratings", schema=RATINGS, location="s3://lake/lake/ratings")
    assert lake.ask("SELECT * FROM ratings") == [["user_id", "rating", "rated_at", "genres", "ingested_date"]]
    assert lake.ask("SELECT reason FROM quarantine") == [["reason"]]


def test_only_the_columns_asked_for_are_scanned(lake: Lake) -> None:
    lake.ratings(5000)
    scanned = [
        lake.end(lake.start(sql))["Statistics"]["DataScannedInBytes"]
        for sql in ("SELECT rating FROM ratings", "SELECT * FROM ratings")
    ]
    assert 0 < scanned[0] < scanned[1] / 2


def test_json_lines_are_read_with_their_projected_partitions(lake: Lake) -> None:
    record = {"reason": "bad", "line": 7, "raw_base64": "aGk="}
    lake.quarantine("ratings", "2026-11-20", [record, {**record, "reason": 'worse "quoted"\u2028', "line": None}])
    lake.quarantine("items", "2026-11-21", [record])
    lake.quarantine("unknown", "2026-11-21", [record])  # outside the enum: Athena does not see it either
    lake.quarantine("items", "1999-01-01", [record])  # outside the range
    lake.quarantine("items", "yesterday", [record])
    rows = lake.ask("SELECT dataset, dt, reason, line FROM quarantine ORDER BY dt, line")
    assert rows[1:] == [
        ["ratings", "2026-11-20", "bad", "7"],
        ["ratings", "2026-11-20", 'worse "quoted"\u2028', None],
        ["items", "2026-11-21", "bad", "7"],
    ]
    assert lake.ask("SELECT from_utf8(from_base64(raw_base64)) AS raw FROM quarantine WHERE dataset = 'items'")[1] == [
        "hi"
    ]


def test_the_csv_in_s3_distinguishes_null_from_an_empty_string(lake: Lake) -> None:
    query_id = lake.start("""SELECT 'a "b", c' AS "x y", NULL AS n, '' AS empty, true AS yes""")
    location = lake.end(query_id)["ResultConfiguration"]["OutputLocation"]
    assert location == f"s3://lake/athena/{query_id}.csv"
    body = lake.s3.get_object(Bucket="lake", Key=f"athena/{query_id}.csv")["Body"].read()
    assert body == b'"x y","n","empty","yes"\n"a ""b"", c",,"","true"\n'


def test_results_come_in_pages_and_nothing_is_lost(lake: Lake) -> None:
    query_id = lake.start("SELECT n FROM UNNEST(sequence(1, 2500)) AS t(n) ORDER BY n")
    lake.end(query_id)
    pages = list(lake.athena.get_paginator("get_query_results").paginate(QueryExecutionId=query_id))
    values = [row["Data"][0]["VarCharValue"] for page in pages for row in page["ResultSet"]["Rows"]]
    assert values == ["n", *map(str, range(1, 2501))]
    assert len(pages) == 3
    assert pages[0]["ResultSet"]["ResultSetMetadata"]["ColumnInfo"][0]["Type"] == "bigint"
    with pytest.raises(ClientError, match="Invalid NextToken"):
        lake.athena.get_query_results(QueryExecutionId=query_id, NextToken="7")


def test_the_same_token_starts_one_query(lake: Lake) -> None:
    token = "t" * 32
    first = lake.start("SELECT 1 AS a", ClientRequestToken=token)
    assert lake.start("SELECT 1 AS a", ClientRequestToken=token) == first
    with pytest.raises(ClientError, match="Idempotent parameters do not match"):
        lake.start("SELECT 2 AS a", ClientRequestToken=token)
