"""An agent's progress: a live line on a terminal, else a line every few seconds, and a summary at the end."""

from __future__ import annotations

import time
from pathlib import Path
from types import TracebackType

from rich.live import Live
from rich.text import Text

from cli.agent.agent import Progress
from cli.formatting.terminal import err, printable, remark

#: Seconds between two lines without a terminal.
PLAIN_SECONDS = 10.0


class Screen:
    """Shows the progress while the agent runs."""

    def __init__(self) -> None:
        self._console = err()
        self._live = Live(console=self._console, refresh_per_second=4, transient=True)
        self._said = time.monotonic()
        self._trouble = ""

    def __enter__(self) -> Screen:
        if self._console.is_terminal:
            self._live.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, value: object, trace: TracebackType | None) -> None:
        self._live.stop()

    def show(self, progress: Progress) -> None:
        """Show the progress."""
        if progress.tally.trouble != self._trouble:
            self._trouble = progress.tally.trouble
            self.tell(
                f"The stream accepts no records: {self._trouble}; retrying"
                if self._trouble
                else "The stream accepts records again"
            )
        if self._console.is_terminal:
            self._live.update(Text(status(progress)))
        elif time.monotonic() - self._said >= PLAIN_SECONDS:
            self._said = time.monotonic()
            remark(status(progress))

    def tell(self, line: str) -> None:
        """Print one line that the user should read."""
        self._console.print(Text(printable(line), style="yellow"))


def status(progress: Progress) -> str:
    """The progress in one line."""
    parts = [f"{progress.rows:,} rows", f"{progress.rows / max(progress.seconds, 1e-3):,.0f} rows/s"]
    parts.append(f"{progress.lag_bytes:,} bytes to go")
    if progress.tally.retries:
        parts.append(f"{progress.tally.retries:,} calls retried")
    if progress.aside:
        parts.append(f"{progress.aside:,} set aside")
    return " · ".join(parts)


def summary(progress: Progress, stream_name: str, aside: Path) -> str:
    """The summary of what was sent."""
    rate = progress.rows / max(progress.seconds, 1e-3)
    lines = [
        f"{progress.rows:,} rows ({progress.size_bytes:,} bytes) sent to {stream_name} in {progress.seconds:.1f} s, "
        f"{rate:,.0f} rows/s"
    ]
    if progress.tally.retries:
        lines.append(f"{progress.tally.resent:,} records were sent again in {progress.tally.retries:,} calls")
    if progress.aside:
        lines.append(f"{progress.aside:,} rows are too large to send: they are in {aside}")
    if progress.lag_bytes:
        lines.append(f"{progress.lag_bytes:,} bytes are not sent yet: the same command continues there")
    return "\n".join(lines)
