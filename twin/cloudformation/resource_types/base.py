"""The interface of a resource type, and the common implementation: properties that become one API call."""

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
from twin.cloudformation.errors import ReplacementRequired, ResourceError
from twin.cloudformation.resource_types.policies import check_policies

Properties = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class DesiredResource:
    """One resource to be created or changed; `properties` are resolved."""

    stack_name: str
    stack_id: str
    logical_id: str
    type: str
    properties: dict[str, Any]

    @property
    def where(self) -> str:
        """How error messages name the resource."""
        return f"{self.logical_id} ({self.type})"

    def named(self, property_name: str, limit: int = 64, *, lower: bool = False) -> DesiredResource:
        """This resource with a name in `property_name`: the given one, or one generated as CloudFormation does."""
        if property_name in self.properties:
            return self
        name = generated_name(self.stack_name, self.logical_id, limit)
        properties = {**self.properties, property_name: name.lower() if lower else name}
        return DesiredResource(self.stack_name, self.stack_id, self.logical_id, self.type, properties)


@dataclass(slots=True)
class CreatedResource:
    """A resource that exists: the results of `Ref` and of `Fn::GetAtt`."""

    physical_id: str
    attributes: dict[str, Any] = field(default_factory=dict)


class ExistingResource(Protocol):
    """A resource of the stack before a change."""

    logical_id: str
    physical_id: str
    attributes: dict[str, Any]
    properties: dict[str, Any]


class ResourceType(Protocol):
    """A resource type. Every method raises ResourceError, or an error of boto3's, with the reason."""

    type: str

    def create(self, desired: DesiredResource) -> CreatedResource:
        """Create the resource."""

    def update(self, desired: DesiredResource, existing: ExistingResource) -> CreatedResource:
        """Change it in place; ReplacementRequired when that is not possible."""

    def delete(self, existing: ExistingResource) -> None:
        """Delete it; a resource that does not exist is not an error."""


def generated_name(stack_name: str, logical_id: str, limit: int = 64) -> str:
    """`<stack>-<logical id>-<12 random characters>`, cut to `limit` characters as CloudFormation cuts."""
    suffix = "".join(secrets.choice(string.ascii_uppercase + string.digits) for _ in range(12))
    room = limit - len(suffix) - 2
    logical = logical_id[: max(room // 2, room - len(stack_name))]
    return f"{stack_name[: room - len(logical)]}-{logical}-{suffix}"


def call(service: str, operation: str, parameters: Properties, where: str) -> dict[str, Any]:
    """Call boto3's `operation` with template values, cast to the API's types; the response without its metadata."""
    check_policies(service, operation, parameters, where)
    client = context.client(service)
    model = client.meta.service_model.operation_model(client.meta.method_to_api_mapping[operation])
    arguments = cast(parameters, model.input_shape, where) if model.input_shape else {}
    try:
        response: dict[str, Any] = getattr(client, operation)(**arguments)
    except ClientError as error:
        raise ResourceError(
            f"{where}: {error.response['Error']['Message']} ({error.response['Error']['Code']})"
        ) from error
    except ResponseParserError as error:  # a defect of moto's is an HTML page
        raise ResourceError(f"{where}: the twin failed at {service}:{operation}; see its log") from error
    except BotoCoreError as error:
        raise ResourceError(f"{where}: {' '.join(str(error).split())}") from error
    response.pop("ResponseMetadata", None)
    return response


def tolerate_missing(action: Callable[[], Any]) -> None:
    """Run a deletion; ignore that the resource does not exist."""
    try:
        action()
    except ResourceError as error:
        cause = error.__cause__
        code = cause.response["Error"]["Code"] if isinstance(cause, ClientError) else ""
        if not re.search(r"NotFound|NoSuch|NonExist|DoesNotExist|^404$", code):
            raise


@dataclass(frozen=True, slots=True)
class ExtraCall:
    """A property that a call of its own sets.

    set_by:     boto3's operation for a new or changed value; a value that is removed means replacement.
    parameters: from the physical id and the property's value to the call's parameters.
    """

    set_by: str
    parameters: Callable[[str, Any], Properties]


@dataclass(frozen=True, slots=True)
class ApiResourceType:
    """A resource type whose properties are mostly the parameters of the service's create call.

    rename:      property → API parameter, where the names differ by more than case.
    name:        the property that gets a generated name; name_limit its length, name_lower its case.
    ref:         the result of `Ref`, from the properties and the response.
    attributes:  the results of `Fn::GetAtt`, from the physical id, the properties and the response.
    identify:    physical id and properties → the parameters that name the resource in update and delete calls.
    update_keys: the same for the update call alone, where it differs.
    replace_on:  a part of the properties whose change means replacement.
    update_by:   the operation that changes it; a changed property that it does not take means replacement.
    extras:      properties that are set by calls of their own.
    ignored:     properties that change nothing in the twin → because …
    prepare:     reshapes or checks the properties before create and update.
    adopt:       the existing resource that a named one takes over; None when there is none.
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
    ref: Callable[[Properties, Properties], str] = lambda properties, response: str(response or properties)
    attributes: Callable[[str, Properties, Properties], dict[str, Any]] = lambda *_: {}
    identify: Callable[[str, Properties], Properties] = lambda *_: {}
    update_keys: Callable[[str, Properties], Properties] | None = None
    replace_on: Callable[[Properties], Any] = lambda _: None
    extras: Mapping[str, ExtraCall] = field(default_factory=dict)
    ignored: Mapping[str, str] = field(default_factory=dict)
    prepare: Callable[[dict[str, Any]], dict[str, Any]] = lambda properties: properties
    adopt: Callable[[DesiredResource], CreatedResource | None] = lambda _: None

    def create(self, desired: DesiredResource) -> CreatedResource:
        if self.name:
            desired = desired.named(self.name, self.name_limit, lower=self.name_lower)
        response = call(self.service, self.create_by, self._parameters(desired), desired.where)
        physical_id = self.ref(desired.properties, response)
        for property_name in self.extras.keys() & desired.properties.keys():
            self._set(physical_id, desired, property_name)
        return CreatedResource(physical_id, self.attributes(physical_id, desired.properties, response))

    def update(self, desired: DesiredResource, existing: ExistingResource) -> CreatedResource:
        changed = changed_properties(desired.properties, existing.properties)
        direct = changed - set(self.extras) - set(self.ignored)
        if direct:
            self._update_direct(desired, existing, direct)
        for property_name in changed & set(self.extras):
            if property_name not in desired.properties:
                raise ReplacementRequired
            self._set(existing.physical_id, desired, property_name)
        return CreatedResource(existing.physical_id, existing.attributes)

    def delete(self, existing: ExistingResource) -> None:
        if self.delete_by:
            keys = self.identify(existing.physical_id, existing.properties)
            tolerate_missing(lambda: call(self.service, self.delete_by, keys, f"{existing.logical_id} ({self.type})"))

    def _update_direct(self, desired: DesiredResource, existing: ExistingResource, changed: set[str]) -> None:
        if not self.update_by or self.replace_on(desired.properties) != self.replace_on(existing.properties):
            raise ReplacementRequired
        taken = {member.lower() for member in _members(self.service, self.update_by)}
        keys = (self.update_keys or self.identify)(existing.physical_id, existing.properties)
        wanted = {self.rename.get(name, name).lower() for name in changed}
        if wanted - taken or wanted & {key.lower() for key in keys}:
            raise ReplacementRequired
        prepared = self._parameters(desired)
        parameters = {key: value for key, value in prepared.items() if key.lower() in taken} | dict(keys)
        call(self.service, self.update_by, parameters, desired.where)

    def _set(self, physical_id: str, desired: DesiredResource, property_name: str) -> None:
        extra = self.extras[property_name]
        parameters = extra.parameters(physical_id, desired.properties[property_name])
        call(self.service, extra.set_by, parameters, f"{desired.where}.{property_name}")

    def _parameters(self, desired: DesiredResource) -> dict[str, Any]:
        apart = set(self.extras) | set(self.ignored)
        prepared = self.prepare({key: value for key, value in desired.properties.items() if key not in apart})
        return {self.rename.get(key, key): value for key, value in prepared.items()}


def changed_properties(new: Properties, old: Properties) -> set[str]:
    """The names of properties that differ, or that only one side has."""
    return {name for name in new.keys() | old.keys() if new.get(name) != old.get(name)}


def refuse_unknown(desired: DesiredResource, known: frozenset[str]) -> None:
    """ResourceError for the first property that a hand-written type does not support."""
    if unknown := sorted(set(desired.properties) - known):
        raise ResourceError(f"property {desired.where}.{unknown[0]} is not supported by the twin")


def arn(service: str, resource: str) -> str:
    """An ARN of the twin's account and region."""
    return f"arn:aws:{service}:{context.current().region}:{context.ACCOUNT}:{resource}"


def _members(service: str, operation: str) -> frozenset[str]:
    """The names of an operation's parameters."""
    client = context.client(service)
    model = client.meta.service_model.operation_model(client.meta.method_to_api_mapping[operation])
    return frozenset(model.input_shape.members) if model.input_shape else frozenset()
