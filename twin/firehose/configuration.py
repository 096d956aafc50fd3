"""What a delivery stream is told: read once, with everything refused that the twin would otherwise pass over."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from moto.firehose.exceptions import InvalidArgumentException

from twin.firehose import naming

MIB = 1 << 20

_TAKEN = frozenset(
    (
        *("RoleARN", "BucketARN", "Prefix", "ErrorOutputPrefix", "BufferingHints", "CompressionFormat"),
        *("EncryptionConfiguration", "CloudWatchLoggingOptions", "ProcessingConfiguration", "S3BackupMode"),
        *("FileExtension", "CustomTimeZone"),
    )
)
_PARAMETERS = frozenset(("LambdaArn", "NumberOfRetries", "RoleArn", "BufferSizeInMBs", "BufferIntervalInSeconds"))


@dataclass(frozen=True, slots=True)
class Transformation:
    """The function that checks and changes records.

    buffer_bytes, buffer_seconds: when a batch is sent, of AWS's time. retries: after the first try.
    """

    function_arn: str
    buffer_bytes: int = MIB
    buffer_seconds: float = 60.0
    retries: int = 3


@dataclass(frozen=True, slots=True)
class Destination:
    """Where records go.

    prefix, error_prefix: with Firehose's expressions. extension: of the objects' names.
    buffer_bytes, buffer_seconds: when an object is written, of AWS's time.
    log_group, log_stream: where errors are told; empty when nowhere.
    """

    bucket: str
    prefix: str
    error_prefix: str
    extension: str
    gzip: bool
    buffer_bytes: int
    buffer_seconds: float
    transformation: Transformation | None
    log_group: str
    log_stream: str

    @classmethod
    def of(cls, given: Mapping[str, Any]) -> Destination:
        """Read an ExtendedS3DestinationConfiguration; InvalidArgumentException for what the twin cannot do."""
        if unknown := sorted(name for name, value in given.items() if value and name not in _TAKEN):
            raise InvalidArgumentException(f"{unknown[0]} is not known to the twin's Firehose")
        compression = given.get("CompressionFormat") or "UNCOMPRESSED"
        if compression not in ("UNCOMPRESSED", "GZIP"):
            raise InvalidArgumentException(f"CompressionFormat {compression} is not known to the twin's Firehose")
        if given.get("S3BackupMode", "Disabled") != "Disabled" or given.get("CustomTimeZone", "UTC") != "UTC":
            raise InvalidArgumentException("the twin's Firehose keeps no backup and knows UTC alone")
        prefix, error_prefix = given.get("Prefix") or "", given.get("ErrorOutputPrefix") or ""
        naming.check(prefix, error_prefix)
        logging = given.get("CloudWatchLoggingOptions") or {}
        hints = given.get("BufferingHints") or {}
        return cls(
            bucket=given["BucketARN"].rpartition(":")[2],
            prefix=prefix,
            error_prefix=error_prefix,
            extension=given.get("FileExtension") or (".gz" if compression == "GZIP" else ""),
            gzip=compression == "GZIP",
            buffer_bytes=int(_within(hints, "SizeInMBs", 5, 1, 128) * MIB),
            buffer_seconds=_within(hints, "IntervalInSeconds", 300, 0, 900),
            transformation=_transformation(given.get("ProcessingConfiguration") or {}),
            log_group=logging.get("LogGroupName", "") if logging.get("Enabled") else "",
            log_stream=logging.get("LogStreamName", "") if logging.get("Enabled") else "",
        )


def _transformation(given: Mapping[str, Any]) -> Transformation | None:
    if not given.get("Enabled"):
        return None
    processors = given.get("Processors") or []
    if len(processors) != 1 or processors[0]["Type"] != "Lambda":
        raise InvalidArgumentException("the twin's Firehose knows one processor, of the type Lambda")
    values = {item["ParameterName"]: item["ParameterValue"] for item in processors[0].get("Parameters", [])}
    if unknown := sorted(values.keys() - _PARAMETERS):
        raise InvalidArgumentException(f"the processor's {unknown[0]} is not known to the twin's Firehose")
    arn = values.get("LambdaArn", "")
    if not re.fullmatch(r"arn:[\w-]+:lambda:[\w-]+:\d{12}:function:[\w-]+(:[\w$-]+)?", arn):
        raise InvalidArgumentException(f"LambdaArn {arn!r} is no function's ARN")
    return Transformation(
        function_arn=arn,
        buffer_bytes=int(_within(values, "BufferSizeInMBs", 1, 0.2, 3) * MIB),
        buffer_seconds=_within(values, "BufferIntervalInSeconds", 60, 0, 900),
        retries=int(_within(values, "NumberOfRetries", 3, 0, 300)),
    )


def _within(given: Mapping[str, Any], name: str, default: float, least: float, most: float) -> float:
    try:
        value = float(given.get(name, default))
    except ValueError:
        raise InvalidArgumentException(f"{name} {given[name]!r} is no number") from None
    if not least <= value <= most:
        raise InvalidArgumentException(f"{name} {value:g} is not within {least:g} and {most:g}")
    return value
