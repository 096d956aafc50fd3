"""Build an agent for a target: the stream, its client, the checkpoint with its lock."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from botocore.config import Config
from botocore.exceptions import ClientError

from cli.agent.agent import Agent, Progress
from cli.agent.batches import BILLED_BYTES, Aside, Packer
from cli.agent.checkpoint import Checkpoint, Stream, locked
from cli.agent.delivery import Sender
from cli.agent.watch import Watch
from cli.errors import CommandError
from cli.target import Target

CONNECT_SECONDS = 5
#: A call of 4 MiB is slow over a narrow connection.
READ_SECONDS = 30
#: Seconds without an acknowledgement after which an agent that does not follow gives up.
PATIENCE_SECONDS = 300.0
#: The number of concurrent calls.
WINDOW = 4


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """The files, the data set and how to send them.

    anew:         start at the beginning, ignoring the checkpoint.  from_end: only rows that are added from now on.
    record_bytes: rows are joined in records of at most so many bytes; 0: one row per record.
    """

    paths: Sequence[str]
    dataset: str
    stream: Stream
    checkpoint: Path
    follow: bool = False
    anew: bool = False
    from_end: bool = False
    window: int = WINDOW
    record_bytes: int = BILLED_BYTES
    patience_seconds: float | None = PATIENCE_SECONDS


def stream(target: Target, dataset: str) -> Stream:
    """The stream of a data set; CommandError when the stack has none.

    Without permission to describe the stream it is assumed to exist; the first call then fails if it does not.
    """
    name = f"{target.resources.stream_prefix or f'{target.stack_name}-'}{dataset}"
    try:
        found = target.client("firehose").describe_delivery_stream(DeliveryStreamName=name)
    except ClientError as error:
        code = error.response["Error"]["Code"]
        if code == "ResourceNotFoundException":
            raise CommandError(
                f"stream {name} not found on {target.description}: deploy the current template.yaml"
            ) from error
        if code in ("AccessDenied", "AccessDeniedException"):
            return Stream(name)
        raise
    made = found["DeliveryStreamDescription"].get("CreateTimestamp")
    return Stream(name, made.isoformat() if made else "")


def work(  # noqa: PLR0913 - settings and callbacks
    target: Target,
    settings: Settings,
    ends: threading.Event,
    *,
    hurried: threading.Event | None = None,
    show: Callable[[Progress], None] = lambda _: None,
    tell: Callable[[str], None] = lambda _: None,
) -> Progress:
    """Send the rows until all are delivered or `ends` is set.

    hurried: set to end at once, without waiting for a stream that rejects records.
    show:    called with the progress.  tell: called with a one-line message for the user.
    Raises CommandError, OSError and boto3's errors; the checkpoint then holds all that was delivered.
    """
    with locked(settings.checkpoint):
        checkpoint = Checkpoint.load(settings.checkpoint, settings.stream)
        watch = Watch(
            settings.paths,
            settings.dataset,
            {} if settings.anew else dict(checkpoint.positions),
            settings.follow,
            tell,
            from_end=settings.from_end,
        )
        patience = None if settings.follow else settings.patience_seconds
        sender = Sender(client(target, settings.window), settings.stream.name, hurried or threading.Event(), patience)
        aside = Aside(aside_path(settings.checkpoint))
        agent = Agent(
            watch, sender, checkpoint, aside, Packer(settings.record_bytes), window=settings.window, show=show
        )
        return agent.run(ends)


def aside_path(checkpoint: Path) -> Path:
    """The path of the file for rows that cannot be sent."""
    return checkpoint.with_name(f"{checkpoint.stem}.aside.jsonl")


def client(target: Target, connections: int) -> Any:
    """A client without retries of its own: the agent repeats only the records that failed."""
    own = Config(
        retries={"total_max_attempts": 1},
        max_pool_connections=connections,
        connect_timeout=CONNECT_SECONDS,
        read_timeout=READ_SECONDS,
        parameter_validation=False,  # a third of the client's time for a call of 500 records
    )
    return target.session.client(
        "firehose",
        endpoint_url=target.client_endpoint,
        config=own,
    )
