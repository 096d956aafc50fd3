"""The open experiment's terms for the read path: each record is read once, since what it needs of one never changes."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from usher.api.ttl_cache import RETRY_SECONDS
from usher.store.experiments import Meta, read_meta

if TYPE_CHECKING:
    from mypy_boto3_dynamodb.service_resource import Table


class NoRecord(Exception):
    """The router names an experiment that has no record."""


def read_experiment(table: Table, experiment_id: str, now: float) -> Meta:
    """The record, read consistently; NoRecord without one, StateError when it cannot be true."""
    meta = read_meta(table, experiment_id, now)
    if meta is None:
        raise NoRecord(f"experiment {experiment_id} has no META item: the champion serves, and nobody enrols")
    return meta


class Experiments:
    """The last experiment that was asked for is kept. A failure is told, and tried again a second later.

    read: id → its record. clock: epoch seconds. failures: are told the exception.
    """

    def __init__(
        self, read: Callable[[str], Meta], clock: Callable[[], float], failures: Callable[[Exception], None]
    ) -> None:
        self._read, self._clock, self._failures = read, clock, failures
        self._id = ""
        self._kept: Meta | None = None
        self._until = 0.0

    def get(self, experiment_id: str) -> Meta | None:
        """The experiment's record, or None: it cannot be read. Its status may have moved on since."""
        if experiment_id != self._id:
            self._id, self._kept, self._until = experiment_id, None, 0.0
        if self._kept is None and self._clock() >= self._until:
            try:
                self._kept = self._read(experiment_id)
            except Exception as error:  # noqa: BLE001 - whatever it was, the champion serves
                self._failures(error)
                self._until = self._clock() + RETRY_SECONDS
        return self._kept
