"""The agent's loop: read, batch, send, store the checkpoint, poll again; every end leaves a valid checkpoint."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any

from cli.agent.batches import RECORD_BYTES, Aside, Batch, Packer
from cli.agent.checkpoint import Checkpoint, Position
from cli.agent.delivery import Pipeline, Sender, Stopped, Tally
from cli.agent.source import Row, Source
from cli.agent.watch import Watch

#: Seconds between two polls of the files when there is nothing to send.
POLL_SECONDS = 0.25


@dataclass(slots=True)
class Progress:
    """The agent's progress.

    rows, size_bytes: acknowledged.  aside: rows that cannot be sent.  lag_bytes: in the files, not acknowledged yet.
    """

    rows: int = 0
    size_bytes: int = 0
    aside: int = 0
    lag_bytes: int = 0
    tally: Tally = field(default_factory=Tally)
    started: float = field(default_factory=time.monotonic)

    @property
    def seconds(self) -> float:
        """Seconds since the start."""
        return time.monotonic() - self.started

    def as_json(self) -> dict[str, Any]:
        """The progress for --json."""
        plain = {name: getattr(self, name) for name in ("rows", "size_bytes", "aside", "lag_bytes")}
        repeated = {"retries": self.tally.retries, "resent": self.tally.resent}
        return plain | repeated | {"seconds": round(self.seconds, 3)}


class Agent:
    """Delivers the rows of the watched files to a stream, until all are delivered or `ends` is set."""

    def __init__(  # noqa: PLR0913 - its components
        self,
        watch: Watch,
        sender: Sender,
        checkpoint: Checkpoint,
        aside: Aside,
        packer: Packer,
        *,
        window: int,
        show: Callable[[Progress], None],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """window: concurrent calls. show: called after each acknowledgement and each poll."""
        self.progress = Progress(tally=sender.tally)
        self._watch, self._sender, self._checkpoint, self._aside = watch, sender, checkpoint, aside
        self._packer, self._show, self._clock = packer, show, clock
        self._looked = clock()
        self._pipeline = Pipeline(sender, window, self._acknowledged)
        self._reached: dict[Source, tuple[int, int]] = {}  # in the current batch
        self._left: dict[tuple[int, int], Position] = {}  # of the files that end in it

    def run(self, ends: threading.Event) -> Progress:
        """Run until all is delivered or `ends` is set; rows that were read are still delivered if possible.

        Raises CommandError, OSError and boto3's errors; the checkpoint then holds all that was delivered.
        """
        try:
            self._watch.start()
            self._looked = self._clock()
            while not ends.is_set():
                if not self._round(ends) and not self._idle(ends):
                    break
            self._flush()
            self._pipeline.drain()
        except Stopped:
            pass
        finally:
            self._pipeline.close()
            self._measure()
            self._watch.close()
        return self.progress

    def _round(self, ends: threading.Event) -> bool:
        """Read the next lines of each file; True when there were any."""
        anything = False
        if self._watch.follow and self._clock() - self._looked >= POLL_SECONDS:
            self._look()
        for source in self._watch.opened():
            self._reached.setdefault(source, (source.offset, source.unended))
        for source in self._watch.sources():
            if ends.is_set():
                break
            read = self._take(source, source.read())
            anything |= read
            if read:
                source.remember()
            elif not self._watch.follow or self._watch.finished(source, anything=read):
                self._finish(source)
                anything = True
        return anything

    def _take(self, source: Source, rows: Iterable[Row]) -> bool:
        """Pack rows and send each full batch; True when there was a row."""
        anything = False
        for row in rows:
            anything = True
            if row.record is None:
                pass
            elif not row.record or not self._packer.fits(row.record):
                self._set_aside(source, row)
            else:
                if self._packer.is_full_for(row.record):
                    self._send()
                self._packer.add(row.record)
            self._reached[source] = (row.end, row.unended)
        return anything

    def _set_aside(self, source: Source, row: Row) -> None:
        size = (row.end - row.start - 1) if row.record == b"" else len(row.raw)
        reason = f"longer than the {RECORD_BYTES:,} bytes of a record"
        self._aside.keep(str(source.path), row.start, size, reason, row.raw)
        self.progress.aside += 1

    def _finish(self, source: Source) -> None:
        """Finish a file that is at its end and no longer written."""
        self._take(source, source.rest())
        self._watch.leave(source)
        if source in self._reached:
            self._left[source.key] = source.position(*self._reached.pop(source))
        source.close()

    def _idle(self, ends: threading.Event) -> bool:
        """Deliver the pending rows, then poll the files again; False when the work is done."""
        self._flush()
        if not self._watch.follow:
            return False
        self._pipeline.settle()
        self._measure()
        self._show(self.progress)
        ends.wait(POLL_SECONDS)
        self._look()
        return True

    def _look(self) -> None:
        """Detect new, rotated and truncated files. The current batch is sent first, since a file may be closed."""
        self._flush()
        self._watch.look()
        self._looked = self._clock()

    def _flush(self) -> None:
        if self._reached or self._left:
            self._send()

    def _send(self) -> None:
        positions = self._left | {source.key: source.position(*at) for source, at in self._reached.items()}
        batch = self._packer.take(positions)
        self._reached, self._left = {}, {}
        self._pipeline.feed(batch)

    def _acknowledged(self, batches: list[Batch]) -> None:
        positions: dict[tuple[int, int], Position] = {}
        for batch in batches:
            positions |= batch.positions
            self.progress.rows += batch.rows
            self.progress.size_bytes += batch.size
        self._checkpoint.save(positions)
        self._measure()
        self._show(self.progress)

    def _measure(self) -> None:
        saved = self._checkpoint.positions
        behind = 0
        for source in self._watch.sources():
            position = saved.get(source.key)
            behind += max(0, source.size - (position.offset + position.ended if position else 0))
        self.progress.lag_bytes = behind
