"""The keys of the objects that Firehose writes.

Source: Amazon Data Firehose Developer Guide, "Understand custom prefixes for Amazon S3 objects" and "Configure Amazon
S3 object name format".
"""

from __future__ import annotations

import datetime
import re
import secrets
import uuid

from moto.firehose.exceptions import InvalidArgumentException

_EXPRESSION = re.compile(r"!\{([^:}]*):([^}]*)\}")
_JAVA = {"yyyy": "%Y", "MM": "%m", "dd": "%d", "HH": "%H", "mm": "%M", "ss": "%S"}
_ERROR_TYPE = "error-output-type"


def check(prefix: str, error_prefix: str) -> None:
    """InvalidArgumentException for prefixes that Firehose, or the twin, refuses."""
    for text in (prefix, error_prefix):
        for space, name in _EXPRESSION.findall(text):
            if space == "timestamp":
                _strftime(name)
            elif (space, name) not in (("firehose", _ERROR_TYPE), ("firehose", "random-string")):
                raise InvalidArgumentException(f"!{{{space}:{name}}} is not known to the twin's Firehose")
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
    """A Java date pattern as Python's; InvalidArgumentException for letters that the twin does not know."""
    parts = re.findall(r"([A-Za-z])(\1*)|([^A-Za-z]+)", java)
    found = []
    for letter, more, literal in parts:
        if letter and letter + more not in _JAVA:
            raise InvalidArgumentException(f"the pattern {letter + more!r} of !{{timestamp:{java}}} is not known")
        found.append(_JAVA[letter + more] if letter else literal.replace("%", "%%"))
    return "".join(found)
