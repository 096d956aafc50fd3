"""Creates, changes and deletes the resources of one stack as a template declares, and rolls back when that fails."""

from __future__ import annotations

import datetime as dt
import logging
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from twin.cloudformation.errors import ReplacementRequired, ResourceError, StackError, TemplateError
from twin.cloudformation.intrinsics import Scope, active_resources, creation_order
from twin.cloudformation.resource_types import resource_type
from twin.cloudformation.resource_types.base import CreatedResource, DesiredResource, changed_properties

log = logging.getLogger(__name__)

DELETION_POLICIES = ("Delete", "Retain")


@dataclass(slots=True)
class Resource:
    """A resource of a stack: its ids, its properties at the last change, and its status."""

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

    # The names from which moto builds responses.
    @property
    def logical_resource_id(self) -> str:
        return self.logical_id

    @property
    def physical_resource_id(self) -> str:
        return self.physical_id

    @property
    def cf_resource_type(self) -> str:
        return self.type


Report = Callable[[Resource], None]


@dataclass(frozen=True, slots=True)
class _Change:
    """A change of one resource, which can be undone."""

    before: Resource | None
    after: Resource
    replaced: bool = False


class Deployment:
    """One pass over a stack's resources.

    resources: the stack's resources by logical id, in the order of their creation; changed in place.
    report:    called after every change of a resource's status.
    importing: whether a resource with a name of its own that exists already is taken over (ImportExistingResources).
    """

    def __init__(
        self, stack_name: str, stack_id: str, resources: dict[str, Resource], report: Report, *, importing: bool = False
    ) -> None:
        self.stack_name, self.stack_id, self._importing = stack_name, stack_id, importing
        self.resources, self.report = resources, report
        self._changes: list[_Change] = []

    def apply(self, scope: Scope) -> None:
        """Create and change resources, each after its dependencies; after a StackError call `undo`."""
        for logical_id in creation_order(scope):
            self._create_or_update(logical_id, active_resources(scope)[logical_id], scope)

    def clean_up(self, scope: Scope) -> list[str]:
        """After `apply`: remove replaced and undeclared resources; the ids that could not be removed."""
        failed = []
        replaced = [change.before for change in self._changes if change.replaced and change.before]
        for old in reversed(replaced):
            if not self._remove(old, keep=old.replace_policy == "Retain", listed=False):
                failed.append(old.logical_id)
        kept = active_resources(scope)
        failed += self._remove_listed([name for name in self.resources if name not in kept])
        self.resources.update({name: self.resources.pop(name) for name in creation_order(scope)})
        return failed

    def undo(self) -> list[str]:
        """Undo the changes of `apply`, the last one first; the logical ids that could not be undone.

        What is kept stays in the list: the rolled-back stack shows what it has left behind.
        """
        failed = [change.after.logical_id for change in reversed(self._changes) if not self._undo(change)]
        self._changes.clear()
        return failed

    def delete(self) -> list[str]:
        """Remove every resource, dependents first; the logical ids that could not be removed."""
        return self._remove_listed(list(self.resources))

    def _remove_listed(self, logical_ids: list[str]) -> list[str]:
        failed = []
        for logical_id in reversed(logical_ids):
            old = self.resources[logical_id]
            if self._remove(old, keep=old.deletion_policy == "Retain"):
                del self.resources[logical_id]
            else:
                failed.append(logical_id)
        return failed

    def _create_or_update(self, logical_id: str, declared: Mapping[str, Any], scope: Scope) -> None:
        desired = self._desired(logical_id, declared, scope)
        existing = self.resources.get(logical_id)
        if existing is None:
            self._create(desired, declared, before=None)
        elif existing.type != desired.type:
            raise TemplateError(
                f"{logical_id}: the type of a resource cannot change ({existing.type} to {desired.type})"
            )
        elif changed_properties(desired.properties, existing.properties):
            self._update(desired, declared, existing)
        else:
            self.resources[logical_id] = replace(existing, **_policies(declared))

    def _desired(self, logical_id: str, declared: Mapping[str, Any], scope: Scope) -> DesiredResource:
        try:
            properties = scope.resolve(declared.get("Properties", {}))
        except StackError as error:
            raise ResourceError(f"{logical_id} ({declared['Type']}): {error}") from error
        return DesiredResource(self.stack_name, self.stack_id, logical_id, declared["Type"], properties)

    def _create(self, desired: DesiredResource, declared: Mapping[str, Any], before: Resource | None) -> None:
        doing = "CREATE" if before is None else "UPDATE"
        made = Resource(
            desired.logical_id, desired.type, self.stack_id, properties=desired.properties, **_policies(declared)
        )
        if before is None:
            self.resources[desired.logical_id] = made
        if before is None and self._import(desired, made):
            return
        self._report(made, f"{doing}_IN_PROGRESS")
        change = _Change(before, made, replaced=before is not None)
        try:
            self._fill(made, resource_type(desired.logical_id, desired.type).create(desired))
        except Exception as error:
            self._changes.append(change)
            raise self._failed(made, f"{doing}_FAILED", error) from error
        self._changes.append(change)
        self.resources[desired.logical_id] = made
        self._report(made, f"{doing}_COMPLETE")

    def _import(self, desired: DesiredResource, made: Resource) -> bool:
        """Take over a resource that exists, as it is; False when it does not exist or nothing is to be imported."""
        adopt = getattr(resource_type(desired.logical_id, desired.type), "adopt", None)
        found = adopt(desired) if self._importing and adopt else None
        if found is None:
            return False
        self._report(made, "IMPORT_IN_PROGRESS")
        if made.deletion_policy != "Retain":
            error = ResourceError(f"{desired.where}: a resource to import needs the DeletionPolicy Retain")
            self._changes.append(_Change(None, made))
            raise self._failed(made, "IMPORT_FAILED", error)
        self._fill(made, found)
        self._changes.append(_Change(None, made))
        self._report(made, "IMPORT_COMPLETE")
        return True

    def _update(self, desired: DesiredResource, declared: Mapping[str, Any], existing: Resource) -> None:
        kind = resource_type(desired.logical_id, desired.type)
        changed = replace(existing, properties=desired.properties, **_policies(declared))
        self._report(changed, "UPDATE_IN_PROGRESS")
        try:
            self._fill(changed, kind.update(desired, existing))
        except ReplacementRequired:
            self._replace(desired, declared, existing)
            return
        except Exception as error:
            self._changes.append(_Change(existing, changed))
            raise self._failed(changed, "UPDATE_FAILED", error) from error
        # A custom resource that responds with another id has been replaced by its function.
        moved = changed.physical_id != existing.physical_id
        self._changes.append(_Change(existing, changed, replaced=moved))
        self.resources[desired.logical_id] = changed
        self._report(changed, "UPDATE_COMPLETE")

    def _replace(self, desired: DesiredResource, declared: Mapping[str, Any], existing: Resource) -> None:
        name = getattr(resource_type(desired.logical_id, desired.type), "name", "")
        if name and name in desired.properties and desired.properties[name] == existing.properties.get(name):
            in_use = f"{name} {desired.properties[name]} is in use; change {name} too"
            error = ResourceError(f"{desired.logical_id}: the change needs a new resource, and {in_use}")
            raise self._failed(replace(existing), "UPDATE_FAILED", error)
        self._create(desired, declared, before=existing)

    def _undo(self, change: _Change) -> bool:
        logical_id = change.after.logical_id
        if change.before is None:
            keep = change.after.deletion_policy == "Retain"
            removed = self._remove(change.after, keep=keep)
            if removed and not (keep and change.after.physical_id):
                self.resources.pop(logical_id, None)
            return removed
        if change.replaced:
            self.resources[logical_id] = change.before
            return not change.after.physical_id or self._remove(change.after, keep=False, listed=False)
        return self._change_back(change.before, change.after)

    def _change_back(self, before: Resource, after: Resource) -> bool:
        desired = DesiredResource(self.stack_name, self.stack_id, before.logical_id, before.type, before.properties)
        self._report(after, "UPDATE_IN_PROGRESS")
        try:
            self._fill(before, resource_type(before.logical_id, before.type).update(desired, after))
        except Exception as error:  # noqa: BLE001 - the rest has to be rolled back in any case
            self._failed(after, "UPDATE_FAILED", error)
            return False
        self.resources[before.logical_id] = before
        self._report(before, "UPDATE_COMPLETE")
        return True

    def _remove(self, old: Resource, *, keep: bool, listed: bool = True) -> bool:
        """Remove one resource; `listed`: it is the stack's present one of that name, whose status is visible."""
        shown = old if listed else replace(old)
        if not old.physical_id:  # its creation failed: there is nothing to remove
            return True
        if keep:
            self._report(shown, "DELETE_SKIPPED")
            return True
        self._report(shown, "DELETE_IN_PROGRESS")
        try:
            resource_type(old.logical_id, old.type).delete(old)
        except Exception as error:  # noqa: BLE001 - the other resources have to be removed in any case
            self._failed(shown, "DELETE_FAILED", error)
            return False
        self._report(shown, "DELETE_COMPLETE")
        return True

    def _fill(self, resource: Resource, made: CreatedResource) -> None:
        resource.physical_id, resource.attributes = made.physical_id, made.attributes

    def _failed(self, resource: Resource, status: str, error: Exception) -> StackError:
        """Report the failure; the error to raise, with the resource's name in it."""
        if not isinstance(error, StackError):
            log.error("%s of %s (%s)", status, resource.logical_id, resource.type, exc_info=error)
        text = " ".join(str(error).split()) or type(error).__name__
        if isinstance(error, KeyError):
            text = f"property {error.args[0]} is missing"
        elif not isinstance(error, StackError):
            text = f"{type(error).__name__}: {text}"
        self._report(resource, status, text)
        return ResourceError(
            text if resource.logical_id in text else f"{resource.logical_id} ({resource.type}): {text}"
        )

    def _report(self, resource: Resource, status: str, reason: str | None = None) -> None:
        resource.status, resource.status_reason = status, reason
        resource.changed_at = dt.datetime.now(dt.UTC)
        self.report(resource)


def check(scope: Scope) -> None:
    """TemplateError for what would certainly fail: types, references, circles, policies."""
    for logical_id in creation_order(scope):
        declared = scope.template["Resources"][logical_id]
        resource_type(logical_id, declared["Type"])
        if unknown := sorted(set(declared) - _ATTRIBUTES):
            raise TemplateError(f"{logical_id}: {unknown[0]} is not supported by the twin")
        for policy in _policies(declared).values():
            if policy not in DELETION_POLICIES:
                raise TemplateError(f"{logical_id}: deletion policy {policy} is not supported by the twin")


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
