"""What one request, event, tick and run use on AWS. Counted or measured; the tests hold each figure to the code."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType


@dataclass(frozen=True, slots=True, kw_only=True)
class Usage:
    """The use of one request or event.

    read_units, write_units: DynamoDB's, on demand. stream_records: of Firehose, each billed as 5 KB.
    log_bytes: with Lambda's own lines. endpoint_bytes: to and from the endpoint. seconds: of the function.
    """

    read_units: float = 0.0
    write_units: float = 0.0
    stream_records: int = 0
    log_bytes: int = 0
    endpoint_bytes: int = 0
    seconds: float = 0.0


#: START, END and REPORT of an invocation, as Lambda writes them in text.
PLATFORM_LOG_BYTES = 420

#: GET /recommendations of a known user while an experiment is open: tests/unit/core/serving/test_request_usage.py.
#: A profile over 4 KB (some 30 ratings) takes more read units. seconds: the p95 on the twin, docs/figures.md.
RECOMMENDATION = Usage(read_units=1, log_bytes=1300, endpoint_bytes=2000, seconds=0.020)
#: A user's first request in an experiment.
ENROLMENT = Usage(write_units=2)
#: The costliest event, a rating that counts as an outcome: tests/unit/core/feedback/test_event_usage.py. seconds: the
#: p50 on the twin, docs/figures.md.
FEEDBACK = Usage(write_units=5, stream_records=1, log_bytes=1300, seconds=0.015)
#: A tick of the shift workflow that leaves the weights as they are: upper bounds by reading, not counted. seconds: the
#: CPU of a tick (docs/figures.md) and its calls, rounded up.
TICK = Usage(read_units=6, write_units=2, log_bytes=2500, seconds=0.3)

#: States of the shift workflow in such a tick, and of the train workflow in a run that deploys, with ten minutes of
#: waiting for the endpoint: tests/unit/cli/costs/test_usage.py walks through both definitions.
TRANSITIONS_PER_TICK = 3
TRANSITIONS_PER_RUN = 90

#: An object that a stream writes, one in each minute with data: requests to S3 of Firehose, ingest and the Iceberg
#: commit, seconds of ingest_objects and catalog_objects. By reading the code and from `python -m benchmarks.commit`,
#: with allowance for the network; not measured on AWS.
OBJECT_S3_WRITES = 6
OBJECT_S3_READS = 10
OBJECT_SQS_REQUESTS = 6
OBJECT_INGEST_SECONDS = 0.3
OBJECT_COMMIT_SECONDS = 1.5
#: Ratings and events arrive by a stream each.
FEEDBACK_STREAMS = 2

#: Custom metrics by part, which are billed while they get data: counted in the tests of this module, of requests and of
#: events. ingest: ratings and events, from files and streams.
METRICS: Mapping[str, int] = MappingProxyType({"recommendations": 18, "feedback": 9, "ingest": 12, "shift": 5})

#: Bytes of a rating as CSV in the landing bucket and as Parquet in the lake: `python -m benchmarks.ingest --memory`.
LANDING_BYTES_PER_ROW = 25
LAKE_BYTES_PER_ROW = 11
#: Rows per second of ingest_objects: the same benchmark.
ROWS_PER_SECOND = 2_700_000.0
#: Bytes of a user's profile and exposures in the state table: twenty ratings.
STATE_BYTES_PER_USER = 3000

#: Lambda polls a queue with five long polls of 20 s each, also when nothing arrives.
POLLERS_PER_QUEUE = 5
POLL_SECONDS = 20.0

#: The image: GB of a compressed version, versions kept on average, minutes of a build. Not measured on AWS.
IMAGE_GB = 0.5
IMAGES_KEPT = 2
BUILD_MINUTES = 10.0
