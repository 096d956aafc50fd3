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
#: A call of 4 MiB over a thin line takes its time.
READ_SECONDS = 30
#: How long a stream may take nothing before an agent that does not follow gives up, seconds.
PATIENCE_SECONDS = 300.0
#: Calls under way at a time.
WINDOW = 4


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """What to send where.

    anew:         whatever the checkpoint says.  from_end: only what is added from now on.
    record_bytes: rows are joined in records of up to so many bytes; 0: one row each.
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

    With permission only to put records the stream is assumed to exist; the first call shows it.
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


def work(  # noqa: PLR0913 - what it works with and reports to
    target: Target,
    settings: Settings,
    ends: threading.Event,
    *,
    hurried: threading.Event | None = None,
    show: Callable[[Progress], None] = lambda _: None,
    tell: Callable[[str], None] = lambda _: None,
) -> Progress:
    """Send the rows until all are delivered or `ends` is set.

    hurried: set to end at once, without waiting for a stream that takes nothing.
    show:    is told how it stands.  tell: is told, in one line, what the user should know.
    Raises CommandError, OSError and boto3's errors; the checkpoint holds what is delivered, whatever happens.
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
    """Where records are kept that cannot be sent."""
    return checkpoint.with_name(f"{checkpoint.stem}.aside.jsonl")


def client(target: Target, connections: int) -> Any:
    """A client that does not repeat calls by itself: the agent repeats only what failed."""
    own = Config(
        retries={"total_max_attempts": 1},
        max_pool_connections=connections,
        connect_timeout=CONNECT_SECONDS,
        read_timeout=READ_SECONDS,
        parameter_validation=False,  # 500 records a call: a third of the call's time here
    )
    return target.session.client(
        "firehose",
        endpoint_url=target.endpoint,
        config=target.config.merge(own) if target.config else own,
    )
