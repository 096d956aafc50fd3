"""How the twin's scale of time applies to workflows: waits and back-offs shrink, limits on work to a floor."""

from __future__ import annotations

import time
from typing import Any

from twin import context

#: A limit on work never shrinks below this: a job or a function does not run faster because the clock does.
LIMIT_FLOOR_SECONDS = 60.0

_LOOK_SECONDS = 0.1  # an execution that was stopped is noticed within this time


class Interrupted(Exception):
    """The execution, or the state, ended while its work was under way."""


def limit_seconds(seconds: float) -> float:
    """How long a time-out of `seconds` of AWS's time lasts here."""
    return max(context.current().real_seconds(seconds), min(seconds, LIMIT_FLOOR_SECONDS))


def wait(env: Any, seconds: float) -> None:
    """Wait `seconds` of AWS's time, or until the execution ends."""
    end = time.monotonic() + context.current().real_seconds(seconds)
    while env.is_running() and (left := end - time.monotonic()) > 0:
        env.program_state_event.wait(min(left, _LOOK_SECONDS))


def wait_function(self: Any, env: Any, wait_seconds: float) -> None:  # noqa: ARG001 - a method of moto's WaitFunction
    """A Wait state's waiting: sub-second waits end too, and StopExecution ends any."""
    wait(env, wait_seconds)
