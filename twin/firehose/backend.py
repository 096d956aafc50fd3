"""moto's Firehose backend with streams that buffer, transform and deliver; tags make a stream throttle on demand.

    aws firehose tag-delivery-stream --delivery-stream-name usher-ratings --tags Key=usher:twin:fail-calls,Value=3

A tag is the one thing that every AWS client can set on a stream; on AWS these tags change nothing.
"""

from __future__ import annotations

import copy
import random
import threading
from collections.abc import Callable
from typing import Any, Self

from moto.firehose.exceptions import InvalidArgumentException, ResourceNotFoundException
from moto.firehose.models import FirehoseBackend

from twin.context import Context
from twin.firehose.configuration import Destination
from twin.firehose.stream import Stream

FAIL_CALLS = "usher:twin:fail-calls"
"""So many PutRecord and PutRecordBatch calls, from now on, are answered with ServiceUnavailableException."""

FAIL_RECORDS = "usher:twin:fail-records"
"""This share of the records of PutRecordBatch (0 to 1) fails with ServiceUnavailableException, the others are taken."""

_SEED = 20261124


class Faults:
    """The faults of one stream. Thread-safe; the same calls in the same order meet the same faults."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._calls = 0
        self._share = 0.0
        self._random = random.Random(_SEED)  # noqa: S311 - not for secrets

    def set(self, tag: str, value: str) -> None:
        """Apply a fault tag, ignore other tags; InvalidArgumentException for an invalid value."""
        try:
            if tag == FAIL_CALLS:
                self._calls = int(value)
            elif tag == FAIL_RECORDS:
                share = float(value)
                if not 0 <= share <= 1:
                    raise ValueError(value)
                self._share, self._random = share, random.Random(_SEED)  # noqa: S311
        except ValueError:
            raise InvalidArgumentException(
                f"{value!r} is not a value of {tag}: use a count of calls, or a share from 0 to 1"
            ) from None

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


class Backend(FirehoseBackend):
    """One account in one region; `streams` and `faults` by the stream's name."""

    __module__ = FirehoseBackend.__module__  # moto derives the service's URLs from it

    def __init__(self, region_name: str, account_id: str) -> None:
        super().__init__(region_name, account_id)
        self.streams: dict[str, Stream] = {}
        self.faults: dict[str, Faults] = {}

    def reset(self) -> None:
        """An empty account: also without the threads of the old one."""
        self.close(wait=False)  # moto's lock is held, for which a stream may be waiting
        super().reset()

    def close(self, *, wait: bool = True) -> None:
        """End every stream."""
        for stream in list(self.streams.values()):
            stream.close(wait=wait)

    def create_delivery_stream(self, *arguments: Any, **named: Any) -> str:
        """moto's, with the configuration read beforehand and a stream set to work."""
        arn: str = _created(super().create_delivery_stream, *arguments, **named)
        name = arn.rpartition("/")[2]
        stream = self.delivery_streams[name]
        self.faults[name] = Faults()
        for tag, value in self.tagger.get_tag_dict_for_resource(arn).items():
            self.faults[name].set(tag, value)
        self.streams[name] = Stream(arn, stream.version_id, Destination.of(stream.destinations[0]["ExtendedS3"]))
        return arn

    def update_destination(self, *arguments: Any, **named: Any) -> None:
        """moto's, with the new configuration read beforehand and given to the stream."""
        name = named.get("delivery_stream_name") or arguments[0]
        update = named.get("extended_s3_destination_update") or arguments[4]
        known = self.delivery_streams.get(name)
        if known is not None:
            if not update:
                raise InvalidArgumentException("the twin's Firehose delivers to ExtendedS3 alone")
            Destination.of({**copy.deepcopy(known.destinations[0]["ExtendedS3"]), **update})
        super().update_destination(*arguments, **named)
        stream = self.delivery_streams[name]
        self.streams[name].configure(stream.version_id, Destination.of(stream.destinations[0]["ExtendedS3"]))

    def delete_delivery_stream(self, delivery_stream_name: str) -> None:
        """moto's; what was not delivered goes with the stream, as on AWS."""
        super().delete_delivery_stream(delivery_stream_name)
        self.faults.pop(delivery_stream_name)
        self.streams.pop(delivery_stream_name).close()

    def tag_delivery_stream(self, delivery_stream_name: str, tags: list[dict[str, str]]) -> None:
        """moto's; a fault tag takes effect at once."""
        if delivery_stream_name in self.faults:
            for tag in tags:
                self.faults[delivery_stream_name].set(tag["Key"], tag.get("Value", ""))
        super().tag_delivery_stream(delivery_stream_name, tags)

    def untag_delivery_stream(self, delivery_stream_name: str, tag_keys: list[str]) -> None:
        """moto's; a fault ends with its tag."""
        if delivery_stream_name in self.faults:
            for tag in tag_keys:
                self.faults[delivery_stream_name].set(tag, "0")
        super().untag_delivery_stream(delivery_stream_name, tag_keys)

    def stream(self, name: str) -> Stream:
        """The stream of that name; ResourceNotFoundException when it does not exist."""
        try:
            return self.streams[name]
        except KeyError:
            raise ResourceNotFoundException(f"Firehose {name} under account {self.account_id} not found.") from None


def _created(create: Callable[..., str], *arguments: Any, **named: Any) -> str:
    """moto's creation, for configurations that the twin supports."""
    # The order of moto's arguments.
    names = ("region", "name", "kind", "source", "encryption", "s3", "extended_s3")
    given = dict(zip(names, arguments, strict=False)) | named
    if given.get("kind") not in (None, "DirectPut") or not given.get("extended_s3"):
        raise InvalidArgumentException("the twin's Firehose takes direct puts and delivers to ExtendedS3 alone")
    Destination.of(given["extended_s3"])
    return create(*arguments, **named)


class Firehose:
    """Firehose as a service of the twin; records that are not delivered at its end are dropped with the lake."""

    def __init__(self, context: Context) -> None:
        self._context = context

    def start(self) -> Self:
        """Nothing: a stream's thread starts with its first record."""
        return self

    def stop(self) -> None:
        """End every stream's thread; undelivered bytes are logged."""
        from moto.firehose.models import firehose_backends  # noqa: PLC0415 - moto is heavy

        backends: list[Any] = [backend for account in firehose_backends.values() for backend in account.values()]
        for backend in backends:
            backend.close()
