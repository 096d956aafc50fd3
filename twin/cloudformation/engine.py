"""Brings the resources of one stack from what they are to what a template says, and back when that fails."""

from __future__ import annotations

import datetime as dt
import logging
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from twin.cloudformation.errors import Replace, ResourceError, StackError, TemplateError
from twin.cloudformation.graph import order as dependency_order
from twin.cloudformation.graph import wanted
from twin.cloudformation.intrinsics import Scope
from twin.cloudformation.kinds import kind_of
from twin.cloudformation.kinds.base import Made, Order, changed_properties

log = logging.getLogger(__name__)

DELETION_POLICIES = ("Delete", "Retain", "RetainExceptOnCreate", "Snapshot")


@dataclass(slots=True)
class Resource:
    """A resource of a stack: what it is, what the template said when it was last changed, and how that went."""

    logical_id: str
    type: str
    stack_id: str
    physical_id: str = ""
    properties: dict[str, Any] = field(default_factory=dict)
    attributes: dict[str, Any] = field(default_factory=dict)
    deletion_policy: str = "Delete"
    replace_policy: str = "Delete"
    status: str = ""
    status_reason: str | None = None
    changed_at: dt.datetime = field(default_factory=lambda: dt.datetime.now(dt.UTC))

    # The names that moto's answers are built from.
    @property
    def logical_resource_id(self) -> str:
        return self.logical_id

    @property
    def physical_resource_id(self) -> str:
        return self.physical_id

    @property
    def cf_resource_type(self) -> str:
        return self.type


Tell = Callable[[Resource], None]


@dataclass(frozen=True, slots=True)
class _Step:
    """What was done to one resource, so that it can be undone."""

    before: Resource | None
    after: Resource
    replaced: bool = False


class Deployment:
    """One pass over a stack's resources.

    resources: the stack's resources by logical id, changed in place as the pass goes, in the order they were made.
    tell:      called after every change of a resource's status.
    """

    def __init__(self, stack_name: str, stack_id: str, resources: dict[str, Resource], tell: Tell) -> None:
        self.stack_name, self.stack_id = stack_name, stack_id
        self.resources, self.tell = resources, tell
        self._steps: list[_Step] = []

    def apply(self, scope: Scope) -> None:
        """Create and change resources, each after what it depends on; StackError leaves it to `undo` to go back."""
        for logical_id in dependency_order(scope):
            self._bring(logical_id, wanted(scope)[logical_id], scope)

    def clean_up(self, scope: Scope) -> list[str]:
        """After `apply`: remove what was replaced or is no longer wanted; the ids that could not be removed."""
        failed = []
        replaced = [step.before for step in self._steps if step.replaced and step.before]
        for old in reversed(replaced):
            if not self._remove(old, keep=old.replace_policy in ("Retain", "Snapshot"), listed=False):
                failed.append(old.logical_id)
        kept = wanted(scope)
        for logical_id in reversed([name for name in self.resources if name not in kept]):
            old = self.resources[logical_id]
            if self._remove(old, keep=old.deletion_policy in ("Retain", "RetainExceptOnCreate", "Snapshot")):
                del self.resources[logical_id]
            else:
                failed.append(logical_id)
        self.resources.update({name: self.resources.pop(name) for name in dependency_order(scope)})
        return failed

    def undo(self) -> list[str]:
        """Take back what `apply` did, last step first; the logical ids that could not be taken back."""
        failed = [step.after.logical_id for step in reversed(self._steps) if not self._undo(step)]
        self._steps.clear()
        return failed

    def delete(self) -> list[str]:
        """Remove every resource, dependents first; the logical ids that could not be removed."""
        failed = []
        for logical_id in reversed(list(self.resources)):
            old = self.resources[logical_id]
            if self._remove(old, keep=old.deletion_policy in ("Retain", "RetainExceptOnCreate", "Snapshot")):
                del self.resources[logical_id]
            else:
                failed.append(logical_id)
        return failed

    def _bring(self, logical_id: str, declared: Mapping[str, Any], scope: Scope) -> None:
        order = self._order(logical_id, declared, scope)
        existing = self.resources.get(logical_id)
        if existing is None:
            self._create(order, declared, before=None)
        elif existing.type != order.type:
            raise TemplateError(f"{logical_id}: the type of a resource cannot change ({existing.type} to {order.type})")
        elif changed_properties(order.properties, existing.properties):
            self._update(order, declared, existing)
        else:
            self.resources[logical_id] = replace(existing, **_policies(declared))

    def _order(self, logical_id: str, declared: Mapping[str, Any], scope: Scope) -> Order:
        try:
            properties = scope.resolve(declared.get("Properties", {}))
        except StackError as error:
            raise ResourceError(f"{logical_id} ({declared['Type']}): {error}") from error
        return Order(self.stack_name, self.stack_id, logical_id, declared["Type"], properties)

    def _create(self, order: Order, declared: Mapping[str, Any], before: Resource | None) -> None:
        doing = "CREATE" if before is None else "UPDATE"
        made = Resource(order.logical_id, order.type, self.stack_id, properties=order.properties, **_policies(declared))
        if before is None:
            self.resources[order.logical_id] = made
        self._tell(made, f"{doing}_IN_PROGRESS")
        step = _Step(before, made, replaced=before is not None)
        try:
            self._fill(made, kind_of(order.logical_id, order.type).create(order))
        except Exception as error:
            self._steps.append(step)
            raise self._failed(made, f"{doing}_FAILED", error) from error
        self._steps.append(step)
        self.resources[order.logical_id] = made
        self._tell(made, f"{doing}_COMPLETE")

    def _update(self, order: Order, declared: Mapping[str, Any], existing: Resource) -> None:
        kind = kind_of(order.logical_id, order.type)
        changed = replace(existing, properties=order.properties, **_policies(declared))
        self._tell(changed, "UPDATE_IN_PROGRESS")
        try:
            self._fill(changed, kind.update(order, existing))
        except Replace:
            self._replace(order, declared, existing)
            return
        except Exception as error:
            self._steps.append(_Step(existing, changed))
            raise self._failed(changed, "UPDATE_FAILED", error) from error
        # A custom resource that answers with another id has been replaced by its function.
        moved = changed.physical_id != existing.physical_id
        self._steps.append(_Step(existing, changed, replaced=moved))
        self.resources[order.logical_id] = changed
        self._tell(changed, "UPDATE_COMPLETE")

    def _replace(self, order: Order, declared: Mapping[str, Any], existing: Resource) -> None:
        name = getattr(kind_of(order.logical_id, order.type), "name", "")
        if name and name in order.properties and order.properties[name] == existing.properties.get(name):
            message = (
                f"{order.logical_id}: the change needs a new resource, and {name} {order.properties[name]} is taken"
            )
            error = ResourceError(f"{message}; change {name} too")
            raise self._failed(replace(existing), "UPDATE_FAILED", error)
        self._create(order, declared, before=existing)

    def _undo(self, step: _Step) -> bool:
        logical_id = step.after.logical_id
        if step.before is None:
            removed = self._remove(step.after, keep=step.after.deletion_policy in ("Retain", "Snapshot"))
            if removed:
                self.resources.pop(logical_id, None)
            return removed
        if step.replaced:
            self.resources[logical_id] = step.before
            return not step.after.physical_id or self._remove(step.after, keep=False, listed=False)
        return self._change_back(step.before, step.after)

    def _change_back(self, before: Resource, after: Resource) -> bool:
        order = Order(self.stack_name, self.stack_id, before.logical_id, before.type, before.properties)
        self._tell(after, "UPDATE_IN_PROGRESS")
        try:
            self._fill(before, kind_of(before.logical_id, before.type).update(order, after))
        except Exception as error:  # noqa: BLE001 - whatever it is, the rest has to be rolled back all the same
            self._failed(after, "UPDATE_FAILED", error)
            return False
        self.resources[before.logical_id] = before
        self._tell(before, "UPDATE_COMPLETE")
        return True

    def _remove(self, old: Resource, *, keep: bool, listed: bool = True) -> bool:
        """Remove one resource; `listed`: it is the stack's present one of that name, so its status shows."""
        shown = old if listed else replace(old)
        if not old.physical_id:  # its creation failed: there is nothing to remove
            return True
        if keep:
            self._tell(shown, "DELETE_SKIPPED")
            return True
        self._tell(shown, "DELETE_IN_PROGRESS")
        try:
            kind_of(old.logical_id, old.type).delete(old)
        except Exception as error:  # noqa: BLE001 - whatever it is, the other resources have to go all the same
            self._failed(shown, "DELETE_FAILED", error)
            return False
        self._tell(shown, "DELETE_COMPLETE")
        return True

    def _fill(self, resource: Resource, made: Made) -> None:
        resource.physical_id, resource.attributes = made.physical_id, made.attributes

    def _failed(self, resource: Resource, status: str, error: Exception) -> StackError:
        """Tell of the failure; the error to raise, with the resource's name in it."""
        if not isinstance(error, StackError):
            log.error("%s of %s (%s)", status, resource.logical_id, resource.type, exc_info=error)
        text = " ".join(str(error).split()) or type(error).__name__
        if isinstance(error, KeyError):
            text = f"property {error.args[0]} is missing"
        elif not isinstance(error, StackError):
            text = f"{type(error).__name__}: {text}"
        self._tell(resource, status, text)
        return ResourceError(
            text if resource.logical_id in text else f"{resource.logical_id} ({resource.type}): {text}"
        )

    def _tell(self, resource: Resource, status: str, reason: str | None = None) -> None:
        resource.status, resource.status_reason = status, reason
        resource.changed_at = dt.datetime.now(dt.UTC)
        self.tell(resource)


def check(scope: Scope) -> None:
    """TemplateError for what can be known to fail before anything is made: types, references, circles, policies."""
    for logical_id in dependency_order(scope):
        declared = scope.template["Resources"][logical_id]
        kind_of(logical_id, declared["Type"])
        if unknown := sorted(set(declared) - _ATTRIBUTES):
            raise TemplateError(f"{logical_id}: {unknown[0]} is not known to the twin")
        for policy in _policies(declared).values():
            if policy not in DELETION_POLICIES:
                raise TemplateError(f"{logical_id}: deletion policy {policy} does not exist")


def differences(scope: Scope, resources: Mapping[str, Resource]) -> list[tuple[str, str, str]]:
    """What `apply` and `clean_up` would do: (Add, Modify or Remove; logical id; type)."""
    kept = wanted(scope)
    changes = [("Add", name, kept[name]["Type"]) for name in dependency_order(scope) if name not in resources]
    preview = Scope(scope.template, scope.parameters, _Preview(resources), scope.exports)
    for name in kept:
        if name in resources and preview.resolve(kept[name].get("Properties", {})) != resources[name].properties:
            changes.append(("Modify", name, kept[name]["Type"]))
    return changes + [("Remove", name, resources[name].type) for name in resources if name not in kept]


class _Preview(dict[str, Any]):
    """The existing resources, and for those to come what CloudFormation shows in their place."""

    def __contains__(self, name: object) -> bool:
        return True

    def __missing__(self, name: str) -> Made:
        return Made("{{changeSet:KNOWN_AFTER_APPLY}}", _Unknown())


class _Unknown(dict[str, str]):
    def __contains__(self, name: object) -> bool:
        return True

    def __missing__(self, name: str) -> str:
        return "{{changeSet:KNOWN_AFTER_APPLY}}"


_ATTRIBUTES = frozenset(
    ("Type", "Properties", "Condition", "DependsOn", "DeletionPolicy", "UpdateReplacePolicy", "Metadata")
)


def _policies(declared: Mapping[str, Any]) -> dict[str, Any]:
    deletion = declared.get("DeletionPolicy", "Delete")
    return {"deletion_policy": deletion, "replace_policy": declared.get("UpdateReplacePolicy", "Delete")}


def outputs(scope: Scope) -> Iterable[tuple[str, Mapping[str, Any], str]]:
    """The outputs whose condition holds: (key, declaration, value)."""
    for key, declared in (scope.template.get("Outputs") or {}).items():
        if "Condition" in declared and not scope.condition(declared["Condition"]):
            continue
        try:
            yield key, declared, str(scope.resolve(declared["Value"]))
        except (KeyError, StackError) as error:
            raise TemplateError(f"output {key}: {error}") from error
