"""`usher agent`: send the rows of growing files to their stream, and continue where it stopped."""

from __future__ import annotations

import hashlib
import os
import signal
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.text import Text

from cli.agent.batches import BILLED_BYTES, RECORD_BYTES
from cli.errors import CommandError
from cli.formatting.terminal import out, print_json, remark
from cli.target import Target, TargetCommand, chosen
from usher.schema.datasets import DATASETS

app = typer.Typer()

#: Seconds after a signal in which the rows that were read are still sent.
GRACE_SECONDS = 10.0


@app.command(cls=TargetCommand)
def agent(  # noqa: PLR0913 - the options of a command
    ctx: typer.Context,
    paths: Annotated[list[str], typer.Argument(help="Files, or patterns in quotes: CSV with a header, or JSON lines.")],
    *,
    dataset: Annotated[str, typer.Option(help=f"The data set: {', '.join(DATASETS)}.")],
    follow: Annotated[bool, typer.Option("--follow", help="Follow the files as they grow and rotate.")] = False,
    from_start: Annotated[bool, typer.Option("--from-start", help="Send every row, also those sent before.")] = False,
    from_end: Annotated[bool, typer.Option("--from-end", help="Send only rows that are added from now on.")] = False,
    checkpoint: Annotated[Path | None, typer.Option(help="File for the read positions.", dir_okay=False)] = None,
    window: Annotated[int, typer.Option(min=1, max=32, help="The number of concurrent calls.")] = 4,
    record_bytes: Annotated[
        int,
        typer.Option(min=0, max=RECORD_BYTES, help="Join rows into records of up to this size; 0: one row per record."),
    ] = BILLED_BYTES,
    as_json: Annotated[bool, typer.Option("--json", help="Print the summary as JSON.")] = False,
) -> None:
    """Send rows to the stream of a data set, from its checkpoint on, else from the start."""
    if dataset not in DATASETS:
        raise CommandError(f"unknown data set {dataset}: use one of {', '.join(DATASETS)}")
    if from_start and from_end:
        raise CommandError("--from-start and --from-end exclude each other: give one of them")
    from cli.agent.bootstrap import Settings, aside_path, stream, work  # noqa: PLC0415 - boto3
    from cli.agent.screen import Screen, summary  # noqa: PLC0415 - boto3

    target = chosen(ctx)
    known = stream(target, dataset)
    kept = (checkpoint or default_checkpoint(target, paths, known.name, known.made)).absolute()
    remark(f"To {known.name}; checkpoint {kept}")
    settings = Settings(
        paths=paths,
        dataset=dataset,
        stream=known,
        checkpoint=kept,
        follow=follow,
        anew=from_start or from_end,
        from_end=from_end,
        window=window,
        record_bytes=record_bytes,
    )
    with ending() as ends, Screen() as screen:
        done = work(target, settings, ends, hurried=ends.hurried, show=screen.show, tell=screen.tell)
    if as_json:
        print_json({"stream": known.name, "checkpoint": str(kept)} | done.as_json())
    else:
        out().print(Text(summary(done, known.name, aside_path(kept))), soft_wrap=True)
    if ends.is_set() and not follow:
        raise typer.Exit(128 + ends.signal)


def default_checkpoint(target: Target, paths: Sequence[str], stream_name: str, made: str) -> Path:
    """The path of the checkpoint of these files and this stream; a stream that was created anew has a new one."""
    state = Path(os.environ.get("XDG_STATE_HOME") or Path.home() / ".local/state")
    names = sorted(str(Path(path).absolute()) for path in paths)
    identity = "\0".join([target.description, stream_name, made, *names])
    return state / "usher" / f"{stream_name}-{hashlib.sha256(identity.encode()).hexdigest()[:16]}.json"


class Ends(threading.Event):
    """Set by a signal. signal: its number. hurried: set by a second signal, or after GRACE_SECONDS."""

    def __init__(self) -> None:
        super().__init__()
        self.signal = 0
        self.hurried = threading.Event()

    def on_signal(self, number: int, _frame: Any) -> None:
        """The handler."""
        self.signal = number
        if self.is_set():
            self.hurried.set()
        else:
            timer = threading.Timer(GRACE_SECONDS, self.hurried.set)
            timer.daemon = True
            timer.start()
        self.set()


@contextmanager
def ending() -> Iterator[Ends]:
    """Handle Ctrl-C and SIGTERM: the agent ends after the rows it has read."""
    ends = Ends()
    if threading.current_thread() is not threading.main_thread():
        yield ends  # a caller in another thread sets it
        return
    before = {number: signal.signal(number, ends.on_signal) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield ends
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
