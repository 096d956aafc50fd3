"""What a resource type of the twin is, and what most of them are: properties that become one API call."""

from __future__ import annotations

import re
import secrets
import string
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

from botocore.exceptions import BotoCoreError, ClientError
from botocore.parsers import ResponseParserError

from twin import context
from twin.cloudformation.cast import cast
from twin.cloudformation.errors import Replace, ResourceError

Properties = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Order:
    """One resource to be made or changed; `properties` are resolved."""

    stack_name: str
    stack_id: str
    logical_id: str
    type: str
    properties: dict[str, Any]

    def named(self, property_name: str, limit: int = 64, *, lower: bool = False) -> Order:
        """This order with a name in `property_name`: the given one, or one made as CloudFormation makes them."""
        if property_name in self.properties:
            return self
        name = generated_name(self.stack_name, self.logical_id, limit)
        return self.with_properties(**{property_name: name.lower() if lower else name})

    def with_properties(self, **changed: Any) -> Order:
        """This order with other values for some properties."""
        return Order(self.stack_name, self.stack_id, self.logical_id, self.type, {**self.properties, **changed})


@dataclass(slots=True)
class Made:
    """A resource that exists: what `Ref` gives, and what `Fn::GetAtt` gives."""

    physical_id: str
    attributes: dict[str, Any] = field(default_factory=dict)


class Existing(Protocol):
    """A resource of the stack as it is before a change."""

    logical_id: str
    physical_id: str
    attributes: dict[str, Any]
    properties: dict[str, Any]


class Kind(Protocol):
    """A resource type. Every method raises ResourceError, or an error of boto3's, with the reason."""

    type: str

    def create(self, order: Order) -> Made:
        """Make the resource."""

    def update(self, order: Order, existing: Existing) -> Made:
        """Change it in place; Replace when only a new one will do."""

    def delete(self, existing: Existing) -> None:
        """Remove it; one that is gone already is no error."""


def generated_name(stack_name: str, logical_id: str, limit: int = 64) -> str:
    """`<stack>-<logical id>-<12 random characters>`, cut to `limit` characters as CloudFormation cuts."""
    suffix = "".join(secrets.choice(string.ascii_uppercase + string.digits) for _ in range(12))
    room = limit - len(suffix) - 2
    logical = logical_id[: max(room // 2, room - len(stack_name))]
    return f"{stack_name[: room - len(logical)]}-{logical}-{suffix}"


def call(service: str, operation: str, parameters: Properties, where: str) -> dict[str, Any]:
    """Call boto3's `operation` with template values, cast to the API's types; the answer without its metadata."""
    client = context.client(service)
    model = client.meta.service_model.operation_model(client.meta.method_to_api_mapping[operation])
    arguments = cast(parameters, model.input_shape, where) if model.input_shape else {}
    try:
        answer: dict[str, Any] = getattr(client, operation)(**arguments)
    except ClientError as error:
        raise ResourceError(
            f"{where}: {error.response['Error']['Message']} ({error.response['Error']['Code']})"
        ) from error
    except ResponseParserError as error:  # moto's answer to a defect of its own is a page, not an answer
        raise ResourceError(f"{where}: the twin failed at {service}:{operation}; its log has the trace") from error
    except BotoCoreError as error:
        raise ResourceError(f"{where}: {' '.join(str(error).split())}") from error
    answer.pop("ResponseMetadata", None)
    return answer


def members(service: str, operation: str) -> frozenset[str]:
    """The names of an operation's parameters."""
    client = context.client(service)
    model = client.meta.service_model.operation_model(client.meta.method_to_api_mapping[operation])
    return frozenset(model.input_shape.members) if model.input_shape else frozenset()


def tolerate_missing(action: Callable[[], Any]) -> None:
    """Run a deletion; that the thing is gone already is what was wanted."""
    try:
        action()
    except ResourceError as error:
        cause = error.__cause__
        code = cause.response["Error"]["Code"] if isinstance(cause, ClientError) else ""
        if not re.search(r"NotFound|NoSuch|NonExist|DoesNotExist|^404$", code):
            raise


@dataclass(frozen=True, slots=True)
class Extra:
    """A property that a call of its own sets.

    set_by, remove_by: boto3 operations, for a new or changed value and for one that vanished from the template.
    parameters:        from the physical id and the property's value to the call's parameters.
    keys:              from the physical id to the removing call's parameters.
    """

    set_by: str
    parameters: Callable[[str, Any], Properties]
    remove_by: str = ""
    keys: Callable[[str], Properties] = lambda _: {}


@dataclass(frozen=True, slots=True)
class ApiKind:
    """A resource type whose properties are, by and large, the parameters of the service's create call.

    rename:      property → API parameter, where the names differ by more than case.
    name:        the property that gets a generated name; name_limit its length, name_lower its case.
    ref:         what `Ref` gives, from the properties and the answer.
    attributes:  what `Fn::GetAtt` gives, from the physical id, the properties and the answer.
    identify:    physical id and properties → the parameters that name the resource in update and delete calls.
    update_keys: the same for the update call alone, where it differs.
    on_update:   fixed parameters of the update call.
    replace_on:  what must not change about the properties; when it does, the resource is replaced.
    update:      the operation that changes it; a changed property that it does not take means replacement.
    extras:      properties that are set by calls of their own.
    ignored:     properties that change nothing in the twin → because …
    """

    type: str
    service: str
    create_by: str
    delete_by: str = ""
    update_by: str = ""
    rename: Mapping[str, str] = field(default_factory=dict)
    name: str = ""
    name_limit: int = 64
    name_lower: bool = False
    ref: Callable[[Properties, Properties], str] = lambda properties, answer: str(answer or properties)
    attributes: Callable[[str, Properties, Properties], dict[str, Any]] = lambda *_: {}
    identify: Callable[[str, Properties], Properties] = lambda *_: {}
    update_keys: Callable[[str, Properties], Properties] | None = None
    on_update: Properties = field(default_factory=dict)
    replace_on: Callable[[Properties], Any] = lambda _: None
    extras: Mapping[str, Extra] = field(default_factory=dict)
    ignored: Mapping[str, str] = field(default_factory=dict)
    prepare: Callable[[dict[str, Any]], dict[str, Any]] = lambda properties: properties

    def create(self, order: Order) -> Made:
        order = order.named(self.name, self.name_limit, lower=self.name_lower) if self.name else order
        answer = call(self.service, self.create_by, self._parameters(order), _where(order))
        physical_id = self.ref(order.properties, answer)
        for property_name, extra in self.extras.items():
            if property_name in order.properties:
                self._set(extra, physical_id, order, property_name)
        return Made(physical_id, self.attributes(physical_id, order.properties, answer))

    def update(self, order: Order, existing: Existing) -> Made:
        changed = changed_properties(order.properties, existing.properties)
        direct = changed - set(self.extras) - set(self.ignored)
        if direct:
            self._update_direct(order, existing, direct)
        for property_name in changed & set(self.extras):
            self._update_extra(order, existing, property_name)
        return Made(existing.physical_id, existing.attributes)

    def delete(self, existing: Existing) -> None:
        if self.delete_by:
            keys = self.identify(existing.physical_id, existing.properties)
            tolerate_missing(lambda: call(self.service, self.delete_by, keys, f"{existing.logical_id} ({self.type})"))

    def _update_direct(self, order: Order, existing: Existing, changed: set[str]) -> None:
        if not self.update_by or self.replace_on(order.properties) != self.replace_on(existing.properties):
            raise Replace
        taken = members(self.service, self.update_by)
        lower = {member.lower() for member in taken}
        prepared = self._parameters(order)
        wanted = {name for name in (self.rename.get(name, name).lower() for name in changed) if name not in lower}
        keys = (self.update_keys or self.identify)(existing.physical_id, existing.properties)
        if wanted or {self.rename.get(name, name).lower() for name in changed} & {key.lower() for key in keys}:
            raise Replace
        parameters = {key: value for key, value in prepared.items() if key.lower() in lower} | {
            **keys,
            **self.on_update,
        }
        call(self.service, self.update_by, parameters, _where(order))

    def _update_extra(self, order: Order, existing: Existing, property_name: str) -> None:
        extra = self.extras[property_name]
        if property_name in order.properties:
            self._set(extra, existing.physical_id, order, property_name)
        elif extra.remove_by:
            call(self.service, extra.remove_by, extra.keys(existing.physical_id), _where(order))
        else:
            raise Replace

    def _set(self, extra: Extra, physical_id: str, order: Order, property_name: str) -> None:
        parameters = extra.parameters(physical_id, order.properties[property_name])
        call(self.service, extra.set_by, parameters, f"{_where(order)}.{property_name}")

    def _parameters(self, order: Order) -> dict[str, Any]:
        apart = set(self.extras) | set(self.ignored)
        prepared = self.prepare({key: value for key, value in order.properties.items() if key not in apart})
        return {self.rename.get(key, key): value for key, value in prepared.items()}


def changed_properties(new: Properties, old: Properties) -> set[str]:
    """The names of properties that differ, or that only one side has."""
    return {name for name in new.keys() | old.keys() if new.get(name) != old.get(name)}


def only_known(order: Order, known: frozenset[str]) -> None:
    """ResourceError for the first property that a hand-written type does not handle."""
    if unknown := sorted(set(order.properties) - known):
        raise ResourceError(f"property {_where(order)}.{unknown[0]} is not known to the twin")


def arn(service: str, resource: str) -> str:
    """An ARN of the twin's account and region."""
    return f"arn:aws:{service}:{context.current().region}:{context.ACCOUNT}:{resource}"


def _where(order: Order) -> str:
    return f"{order.logical_id} ({order.type})"
