"""What the demo's use would have cost on AWS: an estimate from what was counted, with every assumption named."""

from __future__ import annotations

from dataclasses import dataclass

from demo.simulated_users.tally import Tally

_MILLION = 1_000_000.0

#: USD, on demand, us-east-1, without free tiers; from the public price lists, as far as they are remembered.
HTTP_API_PER_MILLION = 1.00
LAMBDA_PER_MILLION = 0.20
LAMBDA_PER_GB_SECOND = 0.0000166667
DYNAMODB_WRITE_PER_MILLION = 0.625
DYNAMODB_READ_PER_MILLION = 0.125
FIREHOSE_PER_GB = 0.029
TRANSITIONS_PER_THOUSAND = 0.025
HOSTING_PER_HOUR = 0.102  # ml.c5.large

#: Assumed of each request: 15 ms in a function of 512 MB, one Query, and for feedback three writes an event.
_REQUEST_GB_SECONDS = 0.015 * 0.5
_READS_PER_REQUEST = 1.0
_WRITES_PER_EVENT = 3.0
#: Firehose bills each record by the next 5 KB; the agent fills its records up to that.
_BYTES_PER_ROW = 110
#: A tick: some seven states of the shift workflow; a run: some forty of the train workflow.
TRANSITIONS_PER_TICK = 7
TRANSITIONS_PER_RUN = 40


@dataclass(slots=True)
class Use:
    """What was counted. enrolled: people in the experiment. ticks: looks of shift_traffic."""

    runs_usd: float = 0.0
    runs: int = 0
    streamed_rows: int = 0
    requests: int = 0
    events: int = 0
    enrolled: int = 0
    ticks: int = 0

    def add(self, tally: Tally) -> None:
        """What people did."""
        self.requests += tally.requests
        self.events += sum(tally.actions.values())

    def add_experiment(self, enrolled: int, ticks: int) -> None:
        """What the experiment took."""
        self.enrolled += enrolled
        self.ticks += ticks


@dataclass(frozen=True, slots=True)
class Line:
    """One line of the bill."""

    what: str
    amount: str
    usd: float


def lines(use: Use) -> list[Line]:
    """The bill."""
    gigabytes = use.streamed_rows * _BYTES_PER_ROW / 1e9
    requests = HTTP_API_PER_MILLION + LAMBDA_PER_MILLION + _READS_PER_REQUEST * DYNAMODB_READ_PER_MILLION
    serving = use.requests * (requests / _MILLION + _REQUEST_GB_SECONDS * LAMBDA_PER_GB_SECOND)
    writes = use.events * _WRITES_PER_EVENT + use.enrolled
    transitions = use.ticks * TRANSITIONS_PER_TICK + use.runs * TRANSITIONS_PER_RUN
    return [
        Line("training and judging (the plans' estimate)", f"{use.runs} runs", use.runs_usd),
        Line("streams", f"{use.streamed_rows:,} rows", gigabytes * FIREHOSE_PER_GB),
        Line("requests: API, function, reads", f"{use.requests:,}", serving),
        Line("writes of feedback and enrolment", f"{writes:,.0f}", writes * DYNAMODB_WRITE_PER_MILLION / _MILLION),
        Line("states of the two workflows", f"{transitions:,}", transitions * TRANSITIONS_PER_THOUSAND / 1000.0),
        Line("endpoint, if it stood for an hour", "two ml.c5.large", 2 * HOSTING_PER_HOUR),
    ]
