"""The commands against a real twin: found by its state file, answering from the real lake."""

from __future__ import annotations

import csv
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from cli.commands import query

ROOT = Path(__file__).parents[2]

RATINGS = "userId,movieId,rating,timestamp\n"


@pytest.fixture
def usher(twin: Any, tmp_path: Path) -> Any:
    """`usher("query", …)`: the command in a process of its own, in another folder, knowing only the state folder."""
    clean = {name: value for name, value in os.environ.items() if not name.startswith("AWS_")}
    environment = {**clean, "USHER_STATE_DIR": str(twin.state), "PYTHONPATH": str(ROOT), "NO_COLOR": "1"}

    def call(*arguments: object, code: int = 0) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "cli.main", *map(str, arguments)]
        done = subprocess.run(
            command, cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=180, check=False
        )
        assert done.returncode == code, done.stdout + done.stderr
        assert "Traceback" not in done.stderr
        return done

    return call


def test_a_failing_query_is_one_line(usher: Any) -> None:
    errors = usher("query", "SELECT nobody FROM ratings", code=1).stderr.splitlines()
    assert errors[0].startswith("Using the twin at http://127.0.0.1:")
    assert errors[1].startswith("usher: the query ended FAILED: SYNTAX_ERROR")
    assert len(errors) == 2


def test_an_unknown_stack_is_one_line(usher: Any, tmp_path: Path) -> None:
    (tmp_path / "x.csv").write_text(RATINGS + "1,1,4.0,1\n")
    done = usher("upload", "x.csv", "--stack-name", "absent", code=1)
    assert "stack absent not found on the twin at" in done.stderr.splitlines()[-1]


@pytest.mark.slow
def test_every_named_query_runs_on_the_empty_or_full_lake(usher: Any) -> None:
    for question in query.named_queries():
        given = [part for name, _ in question.parameters for part in ("--param", f"{name}=1")]
        assert isinstance(json.loads(usher("query", question.name, "--json", *given).stdout), list)


@pytest.mark.slow
def test_a_file_is_uploaded_refused_in_part_and_replayed(usher: Any, tmp_path: Path) -> None:
    good = "".join(f"replay-{n},1,4.0,{1_500_000_000 + n}\n" for n in range(50))
    (tmp_path / "some.csv").write_text(RATINGS + good + "replay-x,1,9.5,1500000000\nreplay-y,1,4.0,nonsense\n")
    (sent,) = json.loads(usher("upload", "some.csv", "--wait", "--json").stdout)
    assert (sent["rows_in"], sent["rows_ok"], sent["rows_bad"], sent["status"]) == (52, 50, 2, "committed")
    digest = sent["digest"]

    listed = json.loads(usher("quarantine", "list", "--dataset", "ratings", "--json").stdout)
    assert sum(row["refused"] for row in listed if row["digest"] == digest) == 2
    shown = json.loads(usher("quarantine", "show", digest[:10], "--json").stdout)
    assert [(row["line"], row["field"]) for row in shown] == [(52, "rating"), (53, "rated_at")]

    replayed = usher("quarantine", "replay", digest[:10], "--map", "rating:9.5=4.5")
    assert "2 lines sent as s3://" in replayed.stdout
    assert "was replayed at" in usher("quarantine", "replay", digest[:10], code=1).stderr
    assert count_until(usher, "replay-x", "1") == "1"
    assert count_until(usher, "replay-y", "0") == "0"


def count_until(usher: Any, user: str, wanted: str) -> str:
    """How many ratings a user has, queried until it is `wanted` or some time has passed."""
    for _ in range(20):
        done = usher("query", "SELECT count(*) AS n FROM ratings WHERE user_id = ?", "--param", user, "--csv")
        (row,) = csv.DictReader(done.stdout.splitlines())
        if row["n"] == wanted:
            break
    return str(row["n"])


def test_preflight_finds_the_deployed_stack_fit_for_an_update(usher: Any) -> None:
    found = {one["check"]: one["state"] for one in json.loads(usher("preflight", "--json").stdout)}
    assert found.keys() >= {
        "credentials",
        "region",
        "stack",
        "parameters",
        "names",
        "SageMaker quota",
        "Lake Formation",
    }
    assert set(found.values()) == {"fine"}
    refused = usher("preflight", "--parameter", "TrainingInstanceType=ml.p9.huge", code=1)
    assert "SageMaker does not offer for this use" in refused.stdout
