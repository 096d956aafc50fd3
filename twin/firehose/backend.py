"""moto's backend for Firehose with streams that buffer, transform and deliver, where moto writes each put at once."""

from __future__ import annotations

import base64
import copy
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from moto.firehose.exceptions import InvalidArgumentException, ResourceNotFoundException
from moto.firehose.models import FirehoseBackend

from twin.firehose.configuration import Destination
from twin.firehose.faults import Faults
from twin.firehose.stream import Stream


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
        """moto's; a tag of `twin.firehose.faults` takes effect at once."""
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

    def put_s3_records(
        self,
        delivery_stream_name: str,
        version_id: str,  # noqa: ARG002 - moto's signature
        s3_destination: Mapping[str, Any],  # noqa: ARG002
        records: Sequence[Mapping[str, bytes]],
    ) -> list[dict[str, str]]:
        """The way of CloudWatch Logs' subscriptions; puts of others come by `twin.firehose.api`."""
        data = [base64.b64encode(record["Data"]).decode() for record in records]
        sizes = [len(record["Data"]) for record in records]
        return [{"RecordId": identity} for identity in self.stream(delivery_stream_name).accept(data, sizes)]

    def stream(self, name: str) -> Stream:
        """The stream of that name; ResourceNotFoundException when there is none."""
        try:
            return self.streams[name]
        except KeyError:
            raise ResourceNotFoundException(f"Firehose {name} under account {self.account_id} not found.") from None


def _created(create: Callable[..., str], *arguments: Any, **named: Any) -> str:
    """Create by moto what the twin can serve."""
    # The order of moto's arguments.
    names = ("region", "name", "kind", "source", "encryption", "s3", "extended_s3")
    given = dict(zip(names, arguments, strict=False)) | named
    if given.get("kind") not in (None, "DirectPut") or not given.get("extended_s3"):
        raise InvalidArgumentException("the twin's Firehose takes direct puts and delivers to ExtendedS3 alone")
    Destination.of(given["extended_s3"])
    return create(*arguments, **named)
