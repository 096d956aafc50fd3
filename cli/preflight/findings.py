"""The result of a check, and what a call to AWS that fails makes of it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Literal

from botocore.exceptions import BotoCoreError, ClientError

from cli.errors import CommandError, explain

#: fine: AWS takes it. warning: it deploys, and something works badly or could not be checked. refused: it fails.
State = Literal["fine", "warning", "refused"]


@dataclass(frozen=True, slots=True)
class Finding:
    """What a check found. remedy: a command, or what to change; empty when nothing is to be done."""

    check: str
    state: State
    detail: str
    remedy: str = ""


def checked(check: str, run: Callable[[], Iterable[Finding]], permission: str) -> Iterator[Finding]:
    """The findings of `run`; a warning when AWS does not answer. permission: what the check needs."""
    try:
        yield from run()
    except (ClientError, BotoCoreError, CommandError) as error:
        reason = explain(error) or f"{type(error).__name__}: {error}"
        yield Finding(check, "warning", f"could not be checked: {reason}", f"allow {permission} to check it")
