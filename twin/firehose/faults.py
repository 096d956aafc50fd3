"""Faults on demand: a stream that bears one of these tags throttles, so that producers can show what they do then.

    aws firehose tag-delivery-stream --delivery-stream-name usher-ratings --tags Key=usher:twin:fail-calls,Value=3

A tag is the one thing that every client of AWS can set on a stream; on AWS these change nothing.
"""

from __future__ import annotations

import random
import threading

from moto.firehose.exceptions import InvalidArgumentException

FAIL_CALLS = "usher:twin:fail-calls"
"""So many PutRecord and PutRecordBatch calls, from now on, are answered with ServiceUnavailableException."""

FAIL_RECORDS = "usher:twin:fail-records"
"""This share of the records of PutRecordBatch (0 to 1) fails with ServiceUnavailableException, the others are taken."""

_SEED = 20261124


class Faults:
    """What one stream is to do wrong. Thread-safe; the same calls in the same order meet the same faults."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._calls = 0
        self._share = 0.0
        self._random = random.Random(_SEED)  # noqa: S311 - not for secrets

    def set(self, tag: str, value: str) -> None:
        """Take on a tag; other tags mean nothing here. InvalidArgumentException for a value that is none."""
        try:
            if tag == FAIL_CALLS:
                self._calls = int(value)
            elif tag == FAIL_RECORDS:
                share = float(value)
                if not 0 <= share <= 1:
                    raise ValueError(value)
                self._share, self._random = share, random.Random(_SEED)  # noqa: S311
        except ValueError:
            raise InvalidArgumentException(f"the value {value!r} of the tag {tag} is none") from None

    def call_fails(self) -> bool:
        """Whether this call is one that fails."""
        if not self._calls:
            return False
        with self._lock:
            self._calls = max(0, self._calls - 1)
            return True

    def failing(self, records: int) -> frozenset[int]:
        """Which records of a batch fail, by index."""
        if not self._share:
            return frozenset()
        with self._lock:
            return frozenset(index for index in range(records) if self._random.random() < self._share)
