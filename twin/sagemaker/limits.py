"""AWS's time limits in the twin's time: scaled, but work does not go faster because the clock does."""

from __future__ import annotations

from twin import context

#: No limit on work is scaled to less than this many real seconds: fitting a model takes the time it takes.
WORK_FLOOR_SECONDS = 60.0
#: How long a container may take to answer its first /ping, in real seconds at least.
START_FLOOR_SECONDS = 30.0
#: SIGTERM comes this long before SIGKILL (AWS's time).
STOP_GRACE_SECONDS = 120.0


def work(seconds: float) -> float:
    """Real seconds that a job with a limit of `seconds` may run."""
    return _scaled(seconds, WORK_FLOOR_SECONDS)


def start(seconds: float) -> float:
    """Real seconds that a container with a start-up limit of `seconds` may take."""
    return _scaled(seconds, START_FLOOR_SECONDS)


def grace() -> float:
    """Real seconds between SIGTERM and SIGKILL."""
    return max(1.0, context.current().real_seconds(STOP_GRACE_SECONDS))


def _scaled(seconds: float, floor: float) -> float:
    return min(seconds, max(context.current().real_seconds(seconds), floor))
