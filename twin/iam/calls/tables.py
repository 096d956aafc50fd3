"""The language of the tables: which checks AWS makes for an operation, as a function of the request's members.

Actions, resource types and condition keys are those of AWS's service authorization reference:
https://docs.aws.amazon.com/service-authorization/latest/reference/reference_policies_actions-resources-contextkeys.html

Paths and templates of resources: see `templates`.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from twin.context import ACCOUNT
from twin.iam.calls.templates import MalformedCall, Members, Path, Template
from twin.iam.request import Check

#: From members and region to the checks: what no template can say.
Derive = Callable[[Members, str], list[Check]]

PARTITION = "aws"
#: Stands before a literal value of a condition key.
LITERAL = "="


class UnknownCall(Exception):
    """The twin does not know which permissions a call needs; the message names the operation and the file to extend."""


@dataclass(frozen=True, slots=True)
class Need:
    """One action that an operation needs.

    action:  without a prefix it is one of the operation's own service.
    when:    the path of a member; without it in the request, the action is not needed.
    context: condition key → path, or `=` and the value.
    tags:    path of the tags in the request: aws:RequestTag/… and aws:TagKeys.
    """

    action: str
    resources: tuple[Template, ...]
    when: Path | None = None
    context: tuple[tuple[str, Path | str], ...] = ()
    tags: Path | None = None

    def checks(self, members: Members, base: str, *, lower: bool) -> Iterator[Check]:
        """The checks, one for each resource."""
        if self.when is not None and not any(self.when.values(members)):
            return
        context = self._context(members)
        for template in self.resources:
            for arn in template.resources(members, base, lower=lower):
                yield Check(self.action, arn, context)

    def _context(self, members: Members) -> dict[str, tuple[str, ...]]:
        context: dict[str, tuple[str, ...]] = {}
        for key, source in self.context:
            values = (source,) if isinstance(source, str) else tuple(map(as_text, source.values(members)))
            if values:
                context[key.lower()] = values
        if self.tags is not None and (tags := _tags(self.tags.values(members))):
            context["aws:tagkeys"] = tuple(tags)
            context.update({f"aws:requesttag/{name.lower()}": (value,) for name, value in tags.items()})
        return context

    def paths(self) -> Iterator[Path]:
        """Every path that the need reads."""
        yield from (path for template in self.resources for slot in template.slots for path in slot.paths)
        yield from (source for _, source in self.context if isinstance(source, Path))
        yield from (path for path in (self.when, self.tags) if path is not None)


def as_text(value: Any) -> str:
    """A value as a policy's conditions compare it."""
    return str(value).lower() if isinstance(value, bool) else str(value)


def _tags(values: Sequence[Any]) -> dict[str, str]:
    """Tags as {Key, Value}, as {key, value} or as a map."""
    tags: dict[str, str] = {}
    for value in itertools.chain.from_iterable(v if isinstance(v, list) else [v] for v in values):
        if not isinstance(value, Mapping):
            raise MalformedCall("the tags have the wrong type")
        if key := value.get("Key", value.get("key")):
            tags[str(key)] = str(value.get("Value", value.get("value", "")))
        else:
            tags.update({str(name): str(text) for name, text in value.items()})
    return tags


@dataclass(frozen=True, slots=True)
class Operation:
    """One operation of an API.

    route:  of a REST API, `POST /functions/{Name}/invocations?Qualifier`: method, path, the query's members.
    derive: computes the checks from the members `reads`, in place of `needs`.
    keys:   the condition keys that `derive` supplies. actions: those that it names.
    """

    name: str
    needs: tuple[Need, ...] = ()
    route: str = ""
    derive: Derive | None = None
    reads: tuple[Path, ...] = ()
    actions: tuple[str, ...] = ()
    keys: tuple[str, ...] = ()

    def paths(self) -> tuple[Path, ...]:
        """Every path that the checks depend on."""
        return (*self.reads, *itertools.chain.from_iterable(need.paths() for need in self.needs))


@dataclass(frozen=True)
class Table:
    """The operations of one service.

    service:  its signing name. prefix: of its actions. boto: botocore's names of the APIs that sign with the name.
    regional: False where ARNs name no region. lower: SageMaker's ARNs have names in lower case.
    """

    service: str
    operations: Mapping[str, Operation]
    prefix: str = ""
    boto: tuple[str, ...] = ()
    regional: bool = True
    lower: bool = False
    file: str = ""
    _bases: dict[str, str] = field(default_factory=dict, repr=False)

    def checks(self, operation: Operation, members: Members, region: str) -> list[Check]:
        """What AWS checks for a request with these members."""
        if operation.derive is not None:
            try:
                return operation.derive(members, region)
            except (AttributeError, KeyError, TypeError, ValueError) as error:  # a list in place of a map, and the like
                raise MalformedCall(f"a member of {operation.name} has the wrong type: {error}") from error
        base = self._bases.get(region)
        if base is None:
            base = self._bases[region] = arn_base(self.prefix, region if self.regional else "")
        return [check for need in operation.needs for check in need.checks(members, base, lower=self.lower)]


def arn_base(service: str, region: str) -> str:
    """`arn:aws:<service>:<region>:<account>:`."""
    return f"arn:{PARTITION}:{service}:{region}:{ACCOUNT}:"


def need(
    action: str, *resources: str, when: str = "", context: Mapping[str, str] | None = None, tags: str = ""
) -> Need:
    """An action on resources; see Need and the module's text."""
    sources = tuple(
        (key, source[1:] if source.startswith(LITERAL) else Path.of(source)) for key, source in (context or {}).items()
    )
    return Need(
        action,
        tuple(map(Template.of, resources or ("*",))),
        Path.of(when) if when else None,
        sources,
        Path.of(tags) if tags else None,
    )


def passes(role: str, to: str) -> Need:
    """iam:PassRole on the role that a member names, to a service; not needed without the member."""
    return need("iam:PassRole", f"{{{role}}}", when=role, context={"iam:PassedToService": f"={to}"})


def op(  # noqa: PLR0913 - what a line of a table may say
    name: str,
    *resources: str,
    action: str = "",
    also: Sequence[Need] = (),
    context: Mapping[str, str] | None = None,
    tags: str = "",
    route: str = "",
) -> Operation:
    """An operation that needs the action of its own name (or `action`) on resources, and what stands in `also`."""
    own = need(action or name, *resources, context=context, tags=tags)
    return Operation(name, (own, *also), route)


def free(name: str) -> Operation:
    """An operation that needs no permission."""
    return Operation(name)


def table(  # noqa: PLR0913 - what a line of a table may say
    service: str,
    *operations: Operation,
    prefix: str = "",
    boto: Sequence[str] = (),
    regional: bool = True,
    lower: bool = False,
    file: str = "",
) -> Table:
    """A service's table; actions without a prefix get its own. file: the module that holds it, if not the service's."""
    prefix = prefix or service
    named = {o.name: _prefixed(o, prefix) for o in operations}
    if len(named) != len(operations):
        raise ValueError(f"an operation of {service} stands twice in its table")
    return Table(service, named, prefix, tuple(boto) or (service,), regional, lower, file or service)


def _prefixed(operation: Operation, prefix: str) -> Operation:
    needs = tuple(
        Need(n.action if ":" in n.action else f"{prefix}:{n.action}", n.resources, n.when, n.context, n.tags)
        for n in operation.needs
    )
    return Operation(
        operation.name, needs, operation.route, operation.derive, operation.reads, operation.actions, operation.keys
    )
