"""Which route of an HTTP API a request takes: the most specific one, as AWS documents it."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import NamedTuple
from urllib.parse import unquote

DEFAULT = "$default"
_VARIABLE = re.compile(r"\{([A-Za-z0-9_.:-]+)(\+?)\}")


class Match(NamedTuple):
    """A route's key, and the values of its path variables."""

    route_key: str
    path_parameters: dict[str, str]


def match(route_keys: Iterable[str], method: str, path: str) -> Match | None:
    """The route for a request. path: within the stage, still percent-encoded.

    Whole matches come before greedy ones, fewer variables before more, the method before ANY, and `$default` last.
    """
    found: list[tuple[tuple[bool, int, bool], Match]] = []
    keys = list(route_keys)
    for key in keys:
        wanted, _, pattern = key.partition(" ")
        if key == DEFAULT or wanted not in (method, "ANY"):
            continue
        values = _values(pattern, path)
        if values is not None:
            variables = _VARIABLE.findall(pattern)
            found.append(((any(plus for _, plus in variables), len(variables), wanted == "ANY"), Match(key, values)))
    if found:
        return min(found, key=lambda entry: entry[0])[1]
    return Match(DEFAULT, {}) if DEFAULT in keys else None


def _values(pattern: str, path: str) -> dict[str, str] | None:
    names, parts, end = [], [], 0
    for variable in _VARIABLE.finditer(pattern):
        parts += [re.escape(pattern[end : variable.start()]), "(.+)" if variable[2] else "([^/]+)"]
        names.append(variable[1])
        end = variable.end()
    parts.append(re.escape(pattern[end:]))
    hit = re.fullmatch("".join(parts), path)
    return None if hit is None else dict(zip(names, map(unquote, hit.groups()), strict=True))
