"""JSONPath as AWS reads it: a definite path is the value itself, an indefinite one always a list."""

from __future__ import annotations

import re
from typing import Any

from jsonpath_ng.ext.parser import parse
from moto.stepfunctions.parser.asl.utils.json_path import NoSuchJsonPathError

#: `..`, a filter, a wildcard, a slice or a union: more than one value may match.
_INDEFINITE = re.compile(r"\.\.|\?\(|\*|\[[^\]'\"]*[:,]")


def extract_json(path: str, data: Any) -> Any:
    """The value at `path`; moto gives [x] for `$.a[0].b`, so that a Choice silently takes the wrong branch."""
    found = parse(path.replace("&&", "&").replace("||", "|")).find(data)
    if _INDEFINITE.search(path):
        return [match.value for match in found]
    if not found:
        raise NoSuchJsonPathError(json_path=path, data=data)
    return found[0].value
