"""Matches actions, ARNs and strings against the patterns of a policy: wildcards `*` and `?`, policy variables, escapes.

Sources, under https://docs.aws.amazon.com/IAM/latest/UserGuide/: reference_policies_elements_action.html,
reference_policies_elements_resource.html, reference_policies_variables.html.
"""

from __future__ import annotations

import enum
import functools
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from twin.iam import keys
from twin.iam.keys import PolicyError

Context = Mapping[str, tuple[str, ...]]
"""Condition key in lower case → its values in the request."""


class Wildcard(enum.Enum):
    """A character that stands for others."""

    ANY = "*"
    ONE = "?"


@dataclass(frozen=True, slots=True)
class Variable:
    """`${key}` or `${key, 'default'}`. key: in lower case."""

    key: str
    default: str | None = None

    def value(self, context: Context) -> str | None:
        """Its value in a request; None when the request does not carry the key and there is no default."""
        values = context.get(self.key)
        return values[0] if values else self.default


Piece = str | Wildcard | Variable

_SPAN = re.compile(r"\$\{([^}]*)(\}?)")
_NAME = re.compile(r"([^,']+)(?:, '([^']*)')?")
_ACTION = re.compile(r"[a-zA-Z0-9-]+:[a-zA-Z0-9*?]+")
_PARTITION = re.compile(r"aws(-[a-z]+)*|[a-z*?-]*[*?][a-z*?-]*")
_REGION = re.compile(r"[a-z0-9*?-]*")
_ACCOUNT = re.compile(r"(\d{12}|aws|[0-9]*[*?][0-9*?]*)?")


def variables(text: str) -> bool:
    """Whether `text` has a policy variable or an escape."""
    return "${" in text


@dataclass(frozen=True, slots=True)
class Pattern:
    """A compiled string of a policy. text: as the policy has it.

    segments: matched one by one, separated by `:`. A wildcard crosses `:` in the last one, and with `goes_on` where a
    `*` ends a segment.
    """

    text: str
    segments: tuple[tuple[Piece, ...], ...]
    ignore_case: bool = False
    goes_on: bool = False
    _literal: str | None = field(default=None, compare=False, repr=False)
    _regex: re.Pattern[str] | None = field(default=None, compare=False, repr=False)

    def matches(self, value: str, context: Context) -> bool:
        """Whether `value` matches. A variable without a value matches nothing."""
        if self._literal is not None:
            return self._literal == value
        regex = self._regex or self._resolved(context)
        return regex is not None and regex.fullmatch(value) is not None

    def _resolved(self, context: Context) -> re.Pattern[str] | None:
        segments: list[list[Piece]] = []
        for segment in self.segments:
            pieces = [piece.value(context) if isinstance(piece, Variable) else piece for piece in segment]
            present: list[Piece] = [piece for piece in pieces if piece is not None]
            if len(present) < len(pieces):
                return None
            segments.append(present)
        return _compiled(_source(segments, self.goes_on), self.ignore_case)


def action(text: str) -> Pattern:
    """An entry of Action: `s3:Get*`. It is matched against an action in lower case.

    PolicyError: it is empty, or has no service prefix, or a wildcard in it.
    """
    if text != "*" and not _ACTION.fullmatch(text):
        raise PolicyError(f"{text!r} is not an action: write <service>:<action>, such as s3:GetObject or s3:Get*")
    return _pattern(text, [_pieces(text.lower(), escapes=False)])


def resource(text: str, *, goes_on: bool = False) -> Pattern:
    """An entry of Resource: `*` or an ARN. A wildcard in one of its first five parts stays in that part.

    goes_on: a `*` that ends a part goes on over colons. AWS: it "can expand to match beyond the colon boundaries".
    PolicyError: it is no ARN, or has a variable before the part of the resource, or a wildcard in the service.
    """
    if text == "*":
        return _pattern(text, [_pieces(text)])
    parts = _arn_parts(text)
    if any(map(variables, parts[:5])):
        raise PolicyError(f"{text} has a policy variable before its fifth colon: use it in the resource's part only")
    if "*" in parts[2] or "?" in parts[2]:
        raise PolicyError(f"{text} has a wildcard in the part of the service: name the service")
    return _pattern(text, map(_pieces, parts), goes_on=goes_on)


def arn(text: str) -> Pattern:
    """The value of an ARN condition: its six parts are compared one by one. PolicyError: it is no ARN."""
    return _pattern(text, map(_pieces, _arn_parts(text)))


def like(text: str) -> Pattern:
    """A string with wildcards."""
    return _pattern(text, [_pieces(text)])


def equal(text: str, *, ignore_case: bool = False) -> Pattern:
    """A string without wildcards; `*` stands for itself."""
    return _pattern(text, [_pieces(text, wildcards=False)], ignore_case=ignore_case)


def _arn_parts(text: str) -> list[str]:
    masked = _SPAN.sub(lambda span: span[0].replace(":", "\0"), text)  # a colon inside of ${…} separates nothing
    parts = [part.replace("\0", ":") for part in masked.split(":", 5)]
    if len(parts) < 6 or parts[0] != "arn" or not parts[2] or not parts[5]:
        raise PolicyError(f"{text!r} is not an ARN: write arn:<partition>:<service>:<region>:<account>:<resource>")
    for part, allowed, what in (
        (parts[1], _PARTITION, "a partition"),
        (parts[3], _REGION, "a region"),
        (parts[4], _ACCOUNT, "an account of twelve digits"),
    ):
        if not variables(part) and not allowed.fullmatch(part):
            raise PolicyError(f"{text!r} is not an ARN: {part!r} is not {what}")
    return parts


def _pieces(text: str, *, wildcards: bool = True, escapes: bool = True) -> tuple[Piece, ...]:
    found: list[Piece] = []
    end = 0
    for span in _SPAN.finditer(text) if escapes else ():
        found += _plain(text[end : span.start()], wildcards)
        found.append(_variable(span))
        end = span.end()
    return (*found, *_plain(text[end:], wildcards))


def _plain(text: str, wildcards: bool) -> list[Piece]:
    if not wildcards:
        return [text] if text else []
    return [Wildcard(part) if part in ("*", "?") else part for part in re.split(r"([*?])", text) if part]


def _variable(span: re.Match[str]) -> Piece:
    inside, closed = span[1], span[2]
    if not closed:
        raise PolicyError(f"{span[0]!r} opens a policy variable and does not close it: write }} behind its name")
    if inside in ("*", "?", "$"):
        return inside
    named = _NAME.fullmatch(inside)
    if named is None:
        raise PolicyError(f"{span[0]} is not a policy variable: write ${{key}} or ${{key, 'default'}}")
    try:
        key = keys.find(named[1])
    except PolicyError as error:
        raise PolicyError(f"unknown policy variable {span[0]}: {error}") from None
    if key.multivalued:
        raise PolicyError(f"{span[0]} has many values in a request: only a single-valued key can be a policy variable")
    return Variable(key.name, named[2])


def _pattern(
    text: str, segments: Iterable[tuple[Piece, ...]], *, ignore_case: bool = False, goes_on: bool = False
) -> Pattern:
    parts = tuple(segments)
    pieces = [piece for segment in parts for piece in segment]
    if any(isinstance(piece, Variable) for piece in pieces):
        return Pattern(text, parts, ignore_case, goes_on)
    if ignore_case or any(isinstance(piece, Wildcard) for piece in pieces):
        return Pattern(text, parts, ignore_case, goes_on, _regex=_compiled(_source(parts, goes_on), ignore_case))
    literal = ":".join("".join(map(str, segment)) for segment in parts)
    return Pattern(text, parts, ignore_case, goes_on, _literal=literal)


def _source(segments: Sequence[Sequence[Piece]], goes_on: bool = False) -> str:
    *first, last = segments
    sources = []
    for segment in first:
        beyond = goes_on and segment and segment[-1] is Wildcard.ANY
        sources.append(_glob(segment[:-1], "[^:]") + ".*" if beyond else _glob(segment, "[^:]"))
    return ":".join([*sources, _glob(last, ".")])


def _glob(pieces: Sequence[Piece], one: str) -> str:
    """A regular expression that tries each text between two `*` only where it comes first, which is enough."""
    texts = [""]
    for piece in pieces:
        if piece is Wildcard.ANY:
            texts.append("")
        else:
            texts[-1] += one if piece is Wildcard.ONE else re.escape(str(piece))
    if len(texts) == 1:
        return texts[0]
    first, *middle, last = texts
    return first + "".join(f"(?>{one}*?{text})" for text in middle if text) + f"{one}*{last}"


@functools.lru_cache(maxsize=4096)
def _compiled(source: str, ignore_case: bool) -> re.Pattern[str]:
    return re.compile(source, re.DOTALL | (re.IGNORECASE if ignore_case else 0))
