"""The sample events in events/ are what the handlers take: they go through ingest and catalog one after another."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

EVENTS = Path(__file__).parents[3] / "events"
SAMPLE = b"userId,movieId,rating,timestamp\n1,2,3.5,964982703\n"


def sample(name: str) -> Any:
    return json.loads((EVENTS / f"{name}.json").read_text())


class Context:
    log_stream_name = "stream"

    def get_remaining_time_in_millis(self) -> int:
        return 900_000


def test_the_samples_take_an_object_from_the_landing_bucket_to_the_lake(lake: Any, monkeypatch: Any) -> None:
    answers: list[bytes] = []
    monkeypatch.setattr("usher.custom_resource._put", lambda _url, body: answers.append(body))
    lake.handler("catalog_tables")(sample("catalog_tables"), Context())
    assert json.loads(answers[0])["Status"] == "SUCCESS"
    lake.put("ratings/upload/sample.csv", SAMPLE)
    assert lake.handler("ingest_objects")(sample("ingest_objects"), Context()) == {"batchItemFailures": []}
    assert lake.handler("catalog_objects")(sample("catalog_objects"), Context()) == {"batchItemFailures": []}
    assert [row["user_id"] for row in lake.rows("ratings")] == ["1"]
