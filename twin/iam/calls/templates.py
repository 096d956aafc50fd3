"""Paths to members of a request, and templates that make ARNs of them.

A path names members of a request: `TableName`, `DatabaseInput.Name`, `ids[]` (each entry of a list), `Entries[].Key`,
`RequestItems{}` (each key of a map). A resource is a template:

    database/{DatabaseName}      relative to the service's ARNs: `arn:aws:glue:<region>:<account>:database/…`
    {stateMachineArn}            the member holds the ARN
    table/{TableName}            where the member holds an ARN instead of a name, that ARN is the resource
    :{QueueName}                 relative, where nothing stands before the name
    workgroup/{WorkGroup=primary}   with a value for a missing member
    arn:aws:cloudwatch::…        an ARN of another form than the service's
    model-package/{A|B}          the first of the members that the request has
    *                            the action has no resource types
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

Members = Mapping[str, Any]

_SLOT = re.compile(r"\{([^{}=]+(?:\{\})?[^{}=]*)(?:=([^{}]*))?\}")
_STEP = re.compile(r"([^.\[\]{}]+)(\[\]|\{\})?(?:\.|$)")


class MalformedCall(Exception):
    """A request without the members that its permissions depend on, which AWS refuses before it asks any policy."""


@dataclass(frozen=True, slots=True)
class Path:
    """A compiled path. steps: (name of the member, `[]` for each entry, `{}` for each key, or nothing)."""

    text: str
    steps: tuple[tuple[str, str], ...]

    @classmethod
    def of(cls, text: str) -> Path:
        steps = tuple((name, many) for name, many in _STEP.findall(text))
        if "".join(name + many for name, many in steps) != text.replace(".", ""):
            raise ValueError(
                f"the path is {text!r}: it must be names of members, with [] after a list and {{}} after a map, "
                "separated by points"
            )
        return cls(text, steps)

    def values(self, members: Members) -> list[Any]:
        """What the request holds there; empty when it holds nothing."""
        found: list[Any] = [members]
        for name, many in self.steps:
            deeper: list[Any] = []
            for node in found:
                value = node.get(name) if isinstance(node, Mapping) else None
                if value is None:
                    continue
                if not many:
                    deeper.append(value)
                elif isinstance(value, Mapping if many == "{}" else list):
                    deeper.extend(value)
                else:
                    raise MalformedCall(f"{self.text}: the member {name} has the wrong type")
            found = deeper
        return found


@dataclass(frozen=True, slots=True)
class Slot:
    """A place in a template that members fill."""

    paths: tuple[Path, ...]
    default: str | None

    def values(self, members: Members) -> list[str]:
        """The values to fill in; MalformedCall when there are none."""
        for path in self.paths:
            found = path.values(members)
            if found:
                return [_name(path, value) for value in found]
        if self.default is None:
            raise MalformedCall(f"the request has no {' or '.join(path.text for path in self.paths)}")
        return [self.default]


def _name(path: Path, value: Any) -> str:
    if not isinstance(value, str | int) or isinstance(value, bool) or value == "":
        raise MalformedCall(f"{path.text} is not a name: {str(value)[:80]!r}")
    return str(value)


@dataclass(frozen=True, slots=True)
class Template:
    """A compiled template of resources: texts and slots in turn, a text first and last."""

    text: str
    texts: tuple[str, ...]
    slots: tuple[Slot, ...]

    @classmethod
    def of(cls, text: str) -> Template:
        pieces = _SLOT.split(text.removeprefix(":"))
        slots = tuple(
            Slot(tuple(map(Path.of, paths.split("|"))), default)
            for paths, default in zip(pieces[1::3], pieces[2::3], strict=True)
        )
        return cls(text, tuple(pieces[::3]), slots)

    def resources(self, members: Members, base: str, *, lower: bool) -> Iterator[str]:
        """The ARNs. base: what stands before a relative one. lower: names are in lower case in the service's ARNs."""
        if self.text.startswith(("arn:", "*")):
            base = ""
        if not self.slots:
            yield base + self.text
            return
        whole = self.text.startswith("{") and len(self.slots) == 1 and not self.texts[1]
        for filled in itertools.product(*(slot.values(members) for slot in self.slots)):
            arn = next((value for value in filled if value.startswith("arn:")), "")
            if arn or whole:
                if not arn:
                    raise MalformedCall(f"{self.text} is not an ARN: {filled[0][:80]!r}")
                yield arn
                continue
            names = [value.lower() for value in filled] if lower else filled
            yield base + self.texts[0] + "".join(map(str.__add__, names, self.texts[1:]))
