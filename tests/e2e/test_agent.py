"""From a file that grows to the lake, through the agent and a stream that throttles: every row counted."""

from __future__ import annotations

import base64
import json
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[2]
SECONDS = 120.0
ROWS, BAD = 5000, 40


def test_five_thousand_rows_reach_the_lake_or_quarantine(twin: Any, tmp_path: Path) -> None:
    stream = twin.outputs["StreamPrefix"] + "ratings"
    tags = {"usher:twin:fail-calls": "3", "usher:twin:fail-records": "0.3"}
    fault(twin, stream, tags)
    try:
        path = tmp_path / "ratings.csv"
        good = [f"agent-{at % 50},{at},4.5,{1_500_000_000 + at}" for at in range(ROWS)]
        bad = [f"agent-bad,{at},9.5,{1_500_000_000 + at}" if at % 2 else f"agent-bad,{at}" for at in range(BAD)]
        path.write_text("userId,movieId,rating,timestamp\n" + "\n".join([*good[:2000], *bad, *good[2000:]]))
        sent = json.loads(usher(twin, tmp_path, "agent", path, "--dataset", "ratings", "--checkpoint", "c", "--json"))
        assert (sent["rows"], sent["aside"], sent["lag_bytes"]) == (ROWS + BAD, 0, 0)
        assert sent["retries"] >= 3
    finally:
        fault(twin, stream, dict.fromkeys(tags, "0"))
    sql = "SELECT count(*) AS n, count(DISTINCT item_id) AS items FROM ratings WHERE user_id LIKE 'agent-%'"
    (row,) = eventually(lambda: found if (found := ask(twin, tmp_path, sql))[0]["n"] == ROWS else None)
    assert row["items"] == ROWS
    assert eventually(lambda: refused(twin) >= BAD) and refused(twin) == BAD


def refused(twin: Any) -> int:
    """Rows of the bad user in quarantine."""
    s3, bucket = twin.client("s3"), twin.outputs["LakeBucket"]
    listing = s3.list_objects_v2(Bucket=bucket, Prefix="quarantine/ratings/").get("Contents", [])
    bodies = [s3.get_object(Bucket=bucket, Key=item["Key"])["Body"].read() for item in listing]
    raw = [base64.b64decode(json.loads(line)["raw_base64"]) for body in bodies for line in body.splitlines()]
    return sum(b"agent-bad" in line for line in raw)


def fault(twin: Any, stream: str, tags: dict[str, str]) -> None:
    listed = [{"Key": key, "Value": value} for key, value in tags.items()]
    twin.client("firehose").tag_delivery_stream(DeliveryStreamName=stream, Tags=listed)


def ask(twin: Any, folder: Path, sql: str) -> Any:
    return json.loads(usher(twin, folder, "query", sql, "--json"))


def usher(twin: Any, folder: Path, *arguments: object) -> str:
    """The command in a process of its own, in another folder, knowing only the state folder."""
    clean = {name: value for name, value in os.environ.items() if not name.startswith("AWS_")}
    environment = {**clean, "USHER_STATE_DIR": str(twin.state), "PYTHONPATH": str(ROOT), "NO_COLOR": "1"}
    done = subprocess.run(
        [sys.executable, "-m", "cli.main", *map(str, arguments)],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        timeout=180,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def eventually(probe: Any) -> Any:
    until = time.monotonic() + SECONDS
    while not (found := probe()):
        assert time.monotonic() < until, f"nothing within {SECONDS:.0f} s"
        time.sleep(0.3)
    return found
