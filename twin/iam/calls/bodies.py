"""Reads the members of a request that its permissions depend on, and no others.

Protocols: https://smithy.io/2.0/aws/protocols/. JSON is decoded into the needed members only, so that a batch of
megabytes costs one scan.
"""

from __future__ import annotations

import functools
import re
import zlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypedDict
from urllib.parse import parse_qsl, unquote

import msgspec

from twin.iam.calls.tables import Operation, Table, UnknownCall
from twin.iam.calls.templates import MalformedCall, Members
from twin.iam.request import HttpCall

FORM = "application/x-www-form-urlencoded"
#: A request whose body is larger after decompression is refused; the largest of AWS's APIs is 16 MB (DynamoDB).
BODY_BYTES_MAX = 64 * 1024 * 1024

_typed_dict: Any = TypedDict  # with names that are known only at run time


def target(call: HttpCall) -> str:
    """The operation in `X-Amz-Target`; empty when there is none."""
    return call.headers.get("x-amz-target", "").rpartition(".")[2]


def json_members(operation: Operation, body: bytes, headers: Mapping[str, str]) -> Members:
    """The members of a JSON body."""
    decoder = _decoders.get(id(operation))
    if decoder is None:
        decoder = _decoders[id(operation)] = _decoder_of(operation)
    if decoder is _NOTHING:
        return {}
    try:
        found: Members = decoder.decode(plain(body, headers) or b"{}")
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise MalformedCall(f"the body of {operation.name} cannot be read: {error}") from error
    return found


def plain(body: bytes, headers: Mapping[str, str]) -> bytes:
    """A body without the compression that botocore applies to large ones (PutMetricData)."""
    if headers.get("content-encoding", "").lower() != "gzip":
        return body
    try:
        unpacker = zlib.decompressobj(wbits=31)
        data = unpacker.decompress(body, BODY_BYTES_MAX)
    except zlib.error as error:
        raise MalformedCall(f"the body is not gzip: {error}") from error
    if not unpacker.eof:
        raise MalformedCall(f"the body is cut off, or larger than {BODY_BYTES_MAX} bytes")
    return data


_NOTHING: msgspec.json.Decoder[Any] = msgspec.json.Decoder()
#: By identity: operations live as long as the process, and hashing one costs more than the rest of a call.
_decoders: dict[int, msgspec.json.Decoder[Any]] = {}


def _decoder_of(operation: Operation) -> msgspec.json.Decoder[Any]:
    paths = [path.steps for path in operation.paths()]
    return msgspec.json.Decoder(_type_of("Request", paths)) if paths else _NOTHING


def _type_of(name: str, paths: Sequence[tuple[tuple[str, str], ...]]) -> Any:
    """A TypedDict with the members that the paths name; others are skipped while decoding."""
    deeper: dict[str, list[tuple[tuple[str, str], ...]]] = {}
    kinds: dict[str, str] = {}
    for first, *rest in paths:
        deeper.setdefault(first[0], []).append(tuple(rest))
        kinds[first[0]] = kinds.get(first[0]) or first[1]
    members: dict[str, Any] = {}
    for member, rests in deeper.items():
        inner: Any = Any if any(not rest for rest in rests) else _type_of(member, rests)
        # A path that ends here may want the whole member, and another its entries.
        kind = kinds[member]
        members[member] = (list[inner] if kind == "[]" else dict[str, inner] if kind == "{}" else inner) | None
    return _typed_dict(name, members, total=False)


def form_members(call: HttpCall) -> tuple[str, Members]:
    """(Action, members) of a request in the Query protocol, from its body or, without one, from its query string."""
    text = plain(call.body, call.headers).decode("utf-8", "replace") if call.body else call.query
    pairs = dict(parse_qsl(text, keep_blank_values=True))
    tree: dict[str, Any] = {}
    for name, value in pairs.items():
        node, (*above, last) = tree, name.split(".")
        for part in above:
            below = node.setdefault(part, {})
            if not isinstance(below, dict):
                raise MalformedCall(f"the member {name} stands below a value")
            node = below
        node[last] = value
    return pairs.get("Action", ""), {name: _lists(node) for name, node in tree.items()}


def _lists(node: Any) -> Any:
    """`{"member": {"1": …}}` becomes a list, and so does `{"1": …}`."""
    if not isinstance(node, dict):
        return node
    inner = node["member"] if set(node) == {"member"} and isinstance(node["member"], dict) else node
    if inner and all(name.isdecimal() for name in inner):
        return [_lists(inner[name]) for name in sorted(inner, key=int)]
    return {name: _lists(value) for name, value in node.items()}


@dataclass(frozen=True, slots=True)
class _Route:
    """pattern: of the path. query: the query's members. body: the operation with only the paths that the body holds."""

    pattern: re.Pattern[str]
    query: frozenset[str]
    operation: Operation
    body: Operation | None

    @classmethod
    def of(cls, operation: Operation) -> _Route:
        place = operation.route.partition(" ")[2]
        path, _, query = place.partition("?")
        pattern = re.compile(re.sub(r"\\\{(\w+)\\\}", r"(?P<\1>[^/]+)", re.escape(path)) + "/?")
        names = frozenset(query.split("&")) if query else frozenset()
        in_body = tuple(p for p in operation.paths() if p.steps[0][0] not in names | pattern.groupindex.keys())
        return cls(pattern, names, operation, Operation(operation.name, reads=in_body) if in_body else None)


class Router:
    """The operations of a REST API, found by method and path."""

    def __init__(self, table: Table) -> None:
        self._routes: dict[str, list[_Route]] = {}
        for operation in table.operations.values():
            if operation.route:
                self._routes.setdefault(operation.route.partition(" ")[0], []).append(_Route.of(operation))

    def find(self, call: HttpCall) -> tuple[Operation, Callable[[], Members]] | None:
        """The operation, and what reads its members; None when no route matches."""
        for route in self._routes.get(call.method, ()):
            if match := route.pattern.fullmatch(call.path):
                return route.operation, functools.partial(_rest_members, route, match, call)
        return None


def _rest_members(route: _Route, match: re.Match[str], call: HttpCall) -> Members:
    """The members in path and query, and those in the JSON body, which is read only for what those do not say."""
    members: dict[str, Any] = {}
    if route.body is not None:
        members.update(json_members(route.body, call.body, call.headers))
    if route.query and call.query:
        pairs = dict(parse_qsl(call.query, keep_blank_values=True))
        members.update({name: pairs[name] for name in route.query & pairs.keys()})
    members.update({name: unquote(value) for name, value in match.groupdict().items()})
    return members


def refuse_cbor(call: HttpCall) -> None:
    """UnknownCall for a CBOR request: no pinned botocore sends one to a service of the tables."""
    if "smithy-protocol" in call.headers or "cbor" in call.headers.get("content-type", ""):
        raise UnknownCall(f"the twin reads no CBOR: send the call of {call.service} ({call.path}) as JSON")
