"""A delivery stream's configuration, read and checked once, and the keys of the objects that follow from it.

Source: Amazon Data Firehose Developer Guide, "Understand custom prefixes for Amazon S3 objects" and "Configure Amazon
S3 object name format".
"""

from __future__ import annotations

import datetime
import re
import secrets
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from moto.firehose.exceptions import InvalidArgumentException

MIB = 1 << 20

_SUPPORTED = frozenset(
    (
        *("RoleARN", "BucketARN", "Prefix", "ErrorOutputPrefix", "BufferingHints", "CompressionFormat"),
        *("EncryptionConfiguration", "CloudWatchLoggingOptions", "ProcessingConfiguration", "S3BackupMode"),
        *("FileExtension", "CustomTimeZone"),
    )
)
_SUPPORTED_PARAMETERS = frozenset(
    ("LambdaArn", "NumberOfRetries", "RoleArn", "BufferSizeInMBs", "BufferIntervalInSeconds")
)

_EXPRESSION = re.compile(r"!\{([^:}]*):([^}]*)\}")
_JAVA = {"yyyy": "%Y", "MM": "%m", "dd": "%d", "HH": "%H", "mm": "%M", "ss": "%S"}
_ERROR_TYPE = "error-output-type"


@dataclass(frozen=True, slots=True)
class Transformation:
    """The Lambda function that transforms records.

    role: ARN; Firehose invokes the function with it. retries: after the first try.
    buffer_bytes, buffer_seconds: when a batch is sent, of AWS's time.
    """

    function_arn: str
    role: str
    buffer_bytes: int = MIB
    buffer_seconds: float = 60.0
    retries: int = 3


@dataclass(frozen=True, slots=True)
class Destination:
    """The S3 destination of a stream.

    prefix, error_prefix: with Firehose's expressions. extension: of the objects' names.
    buffer_bytes, buffer_seconds: when an object is written, of AWS's time.
    log_group, log_stream: where errors are logged; empty for none. role: ARN; Firehose does all of it with that role.
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
    role: str

    @classmethod
    def of(cls, given: Mapping[str, Any]) -> Destination:
        """Read an ExtendedS3DestinationConfiguration; InvalidArgumentException for what the twin cannot do."""
        if unknown := sorted(name for name, value in given.items() if value and name not in _SUPPORTED):
            raise InvalidArgumentException(f"{unknown[0]} is not supported by the twin's Firehose")
        compression = given.get("CompressionFormat") or "UNCOMPRESSED"
        if compression not in ("UNCOMPRESSED", "GZIP"):
            raise InvalidArgumentException(f"CompressionFormat {compression} is not supported by the twin's Firehose")
        if given.get("S3BackupMode", "Disabled") != "Disabled" or given.get("CustomTimeZone", "UTC") != "UTC":
            raise InvalidArgumentException("the twin's Firehose supports no S3 backup and no time zone but UTC")
        prefix, error_prefix = given.get("Prefix") or "", given.get("ErrorOutputPrefix") or ""
        check_prefixes(prefix, error_prefix)
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
            transformation=_transformation(given.get("ProcessingConfiguration") or {}, given["RoleARN"]),
            log_group=logging.get("LogGroupName", "") if logging.get("Enabled") else "",
            log_stream=logging.get("LogStreamName", "") if logging.get("Enabled") else "",
            role=given["RoleARN"],
        )


def _transformation(given: Mapping[str, Any], default_role: str) -> Transformation | None:
    if not given.get("Enabled"):
        return None
    processors = given.get("Processors") or []
    if len(processors) != 1 or processors[0]["Type"] != "Lambda":
        raise InvalidArgumentException("the twin's Firehose supports exactly one processor, of type Lambda")
    values = {item["ParameterName"]: item["ParameterValue"] for item in processors[0].get("Parameters", [])}
    if unknown := sorted(values.keys() - _SUPPORTED_PARAMETERS):
        raise InvalidArgumentException(f"the processor's {unknown[0]} is not supported by the twin's Firehose")
    arn = values.get("LambdaArn", "")
    if not re.fullmatch(r"arn:[\w-]+:lambda:[\w-]+:\d{12}:function:[\w-]+(:[\w$-]+)?", arn):
        raise InvalidArgumentException(f"LambdaArn {arn!r} is not the ARN of a function")
    return Transformation(
        function_arn=arn,
        role=values.get("RoleArn") or default_role,
        buffer_bytes=int(_within(values, "BufferSizeInMBs", 1, 0.2, 3) * MIB),
        buffer_seconds=_within(values, "BufferIntervalInSeconds", 60, 0, 900),
        retries=int(_within(values, "NumberOfRetries", 3, 0, 300)),
    )


def _within(given: Mapping[str, Any], name: str, default: float, least: float, most: float) -> float:
    try:
        value = float(given.get(name, default))
    except ValueError:
        raise InvalidArgumentException(f"{name} {given[name]!r} is not a number") from None
    if not least <= value <= most:
        raise InvalidArgumentException(f"{name} {value:g} is not within {least:g} and {most:g}")
    return value


def check_prefixes(prefix: str, error_prefix: str) -> None:
    """InvalidArgumentException for prefixes that Firehose, or the twin, refuses."""
    for text in (prefix, error_prefix):
        for space, name in _EXPRESSION.findall(text):
            if space == "timestamp":
                _strftime(name)
            elif (space, name) not in (("firehose", _ERROR_TYPE), ("firehose", "random-string")):
                raise InvalidArgumentException(f"!{{{space}:{name}}} is not supported by the twin's Firehose")
    if _ERROR_TYPE in prefix:
        raise InvalidArgumentException(f"!{{firehose:{_ERROR_TYPE}}} cannot be used in Prefix")
    if _EXPRESSION.search(prefix + error_prefix) and _ERROR_TYPE not in error_prefix:
        raise InvalidArgumentException(
            f"ErrorOutputPrefix needs !{{firehose:{_ERROR_TYPE}}} where expressions are used"
        )


def object_key(prefix: str, stream: str, version: str, moment: datetime.datetime, extension: str) -> str:
    """The key of an object of records. moment: when its first record came, UTC."""
    return f"{_expanded(prefix, moment, '')}{_name(stream, version, moment)}{extension}"


def error_key(prefix: str, kind: str, stream: str, version: str, moment: datetime.datetime) -> str:
    """The key of an object of errors. kind: such as `processing-failed`."""
    if _ERROR_TYPE not in prefix:
        prefix = f"{prefix}!{{firehose:{_ERROR_TYPE}}}/"
    return f"{_expanded(prefix, moment, kind)}{_name(stream, version, moment)}"


def _expanded(prefix: str, moment: datetime.datetime, kind: str) -> str:
    """Without a time of its own, a prefix is followed by the hour."""

    def value(found: re.Match[str]) -> str:
        if found[1] == "timestamp":
            return moment.strftime(_strftime(found[2]))
        return kind if found[2] == _ERROR_TYPE else secrets.token_urlsafe(8)

    hour = "" if "!{timestamp:" in prefix else moment.strftime("%Y/%m/%d/%H/")
    return _EXPRESSION.sub(value, prefix) + hour


def _name(stream: str, version: str, moment: datetime.datetime) -> str:
    return f"{stream}-{version}-{moment:%Y-%m-%d-%H-%M-%S}-{uuid.uuid4()}"


def _strftime(java: str) -> str:
    """A Java date pattern as Python's; InvalidArgumentException for letters that the twin does not support."""
    parts = re.findall(r"([A-Za-z])(\1*)|([^A-Za-z]+)", java)
    found = []
    for letter, more, literal in parts:
        if letter and letter + more not in _JAVA:
            raise InvalidArgumentException(f"the pattern {letter + more!r} of !{{timestamp:{java}}} is not known")
        found.append(_JAVA[letter + more] if letter else literal.replace("%", "%%"))
    return "".join(found)
