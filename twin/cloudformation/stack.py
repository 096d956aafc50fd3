"""Stacks and change sets: moto's attributes, from which its API builds responses, and the twin's engine."""

from __future__ import annotations

import datetime as dt
import json
import logging
import threading
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from moto.cloudformation import models as moto
from moto.core.utils import utcnow

from twin.cloudformation import engine, preview, template
from twin.cloudformation.errors import StackError, TemplateError
from twin.cloudformation.intrinsics import Scope

log = logging.getLogger(__name__)


class Plan:
    """A template with its parameters for one stack, checked as far as possible before anything is created.

    template: as it was given. expanded: with the SAM transform applied. parameters: every parameter's value.
    """

    def __init__(self, stack: Stack, text: str, given: Mapping[str, str]) -> None:
        self.text, self.given = text, dict(given)
        self.template = template.parse(text)
        self.parameters = template.parameter_values(self.template, given)
        self.expanded = template.expand(self.template, self.parameters, stack.region_name)
        pseudo = template.pseudo_parameters(stack.region_name, stack.name, stack.stack_id)
        self.scope = Scope(self.expanded, {**pseudo, **self.parameters}, stack.resources)
        engine.check(self.scope)


class Stack(moto.Stack):
    """One stack. Its resources change in a thread: the API responds at once, as AWS's does."""

    def __init__(
        self, stack_id: str, name: str, account_id: str, region_name: str, tags: dict[str, str] | None = None
    ) -> None:
        self.stack_id, self.name, self.account_id, self.region_name = stack_id, name, account_id, region_name
        self.template = ""
        self.description: str | None = None
        self.parameters: dict[str, str] = {}
        self.tags = tags or {}
        # Attributes of moto's that the twin does not use.
        self.notification_arns: list[str] = []
        self.role_arn: str | None = None
        self.timeout_in_minutes: int | None = None
        self.policy = ""
        self.enable_termination_protection = self.disable_rollback = False
        self.creation_time = utcnow()
        self.last_updated_time: dt.datetime | None = None
        self.status = "CREATE_PENDING"
        self.stack_status_reason: str | None = None
        self.events: list[moto.Event] = []
        self.resources: dict[str, engine.Resource] = {}
        self.plan: Plan | None = None
        self._outputs: list[tuple[str, Mapping[str, Any], str]] = []
        self._busy = threading.Lock()

    # ── what moto's responses are built from ───────────────────────────────────────────────────────────────────────

    @property
    def template_description(self) -> str | None:
        return self.description

    @property
    def stack_parameters(self) -> dict[str, Any]:
        return self.plan.parameters if self.plan else {}

    @property
    def parameter_list(self) -> list[dict[str, Any]]:
        return [{"ParameterKey": name, "ParameterValue": value} for name, value in self.stack_parameters.items()]

    @property
    def stack_resources(self) -> Iterable[Any]:
        return list(self.resources.values())

    @property
    def outputs(self) -> list[dict[str, Any]] | None:
        return [
            {"OutputKey": key, "OutputValue": value, "Description": declared.get("Description"), "ExportName": None}
            for key, declared, value in self._outputs
        ]

    @property
    def exports(self) -> list[Any]:
        return []

    @staticmethod
    def cloudformation_name_type() -> str:
        raise NotImplementedError("moto's own engine is not used")

    def is_created(self) -> bool:
        raise NotImplementedError("moto's own engine is not used")

    # ── changes ─────────────────────────────────────────────────────────────────────────────────────────────────

    def start_creating(self, plan: Plan, *, importing: bool = False) -> None:
        """Create every resource of `plan`, in the background; `importing` takes over named ones that exist."""
        self._start("CREATE_IN_PROGRESS", lambda: self._create(plan, importing))

    def start_updating(self, plan: Plan) -> None:
        """Change the stack to `plan`, in the background."""
        self.last_updated_time = utcnow()
        self._start("UPDATE_IN_PROGRESS", lambda: self._update(plan))

    def start_deleting(self, done: Callable[[], None]) -> None:
        """Remove every resource, in the background; `done` is called after the last one."""
        self._start("DELETE_IN_PROGRESS", lambda: self._delete(done))

    def review(self) -> None:
        """Wait for a change set to be executed."""
        self._set("REVIEW_IN_PROGRESS", "User Initiated")

    def _start(self, status: str, work: Callable[[], None]) -> None:
        if not self._busy.acquire(blocking=False):
            raise TemplateError(f"stack {self.name} is in {self.status}: wait until that has ended")
        self._set(status, "User Initiated")
        threading.Thread(target=self._run, args=(work,), name=f"stack {self.name}", daemon=True).start()

    def _run(self, work: Callable[[], None]) -> None:
        try:
            work()
        except Exception as error:  # a defect of the twin must end the deployment, not leave it IN_PROGRESS
            log.exception("stack %s", self.name)
            self._set(f"{self.status.partition('_')[0]}_FAILED", f"defect in the twin: {type(error).__name__}: {error}")
        finally:
            self._busy.release()

    def _create(self, plan: Plan, importing: bool) -> None:
        self._adopt(plan)
        deployment = self._deployment(importing=importing)
        try:
            deployment.apply(plan.scope)
            self._outputs = list(engine.outputs(plan.scope))
        except StackError as error:
            self._set("ROLLBACK_IN_PROGRESS", str(error))
            failed = deployment.undo()
            self._set("ROLLBACK_FAILED" if failed else "ROLLBACK_COMPLETE", self._not_removed(failed) or str(error))
            return
        self._set("CREATE_COMPLETE")

    def _update(self, plan: Plan) -> None:
        before = self.plan
        self._adopt(plan)
        deployment = self._deployment()
        try:
            deployment.apply(plan.scope)
            self._outputs = list(engine.outputs(plan.scope))
        except StackError as error:
            self._set("UPDATE_ROLLBACK_IN_PROGRESS", str(error))
            failed = deployment.undo()
            self._forget_kept()
            if before is not None:
                self._adopt(before)
            status = "UPDATE_ROLLBACK_FAILED" if failed else "UPDATE_ROLLBACK_COMPLETE"
            self._set(status, self._not_removed(failed) or str(error))
            return
        self._set("UPDATE_COMPLETE_CLEANUP_IN_PROGRESS")
        failed = deployment.clean_up(plan.scope)
        self._set("UPDATE_COMPLETE", self._not_removed(failed))

    def _delete(self, done: Callable[[], None]) -> None:
        failed = self._deployment().delete()
        if failed:
            self._set("DELETE_FAILED", self._not_removed(failed))
            return
        done()
        self._set("DELETE_COMPLETE")

    def _deployment(self, *, importing: bool = False) -> engine.Deployment:
        return engine.Deployment(self.name, self.stack_id, self.resources, self._report, importing=importing)

    def _forget_kept(self) -> None:
        """A resource that a failed update made and kept is not part of the stack."""
        for logical_id in [name for name, one in self.resources.items() if one.status == "DELETE_SKIPPED"]:
            del self.resources[logical_id]

    def _adopt(self, plan: Plan) -> None:
        self.plan, self.template, self.parameters = plan, plan.text, plan.given
        self.description = plan.template.get("Description")

    def _not_removed(self, failed: list[str]) -> str | None:
        return f"The following resource(s) failed: [{', '.join(failed)}]" if failed else None

    def _set(self, status: str, reason: str | None = None) -> None:
        self.status, self.stack_status_reason = status, reason
        self._add_stack_event(status, reason)

    def _report(self, resource: engine.Resource) -> None:
        event = moto.Event(
            stack_id=self.stack_id,
            stack_name=self.name,
            logical_resource_id=resource.logical_id,
            physical_resource_id=resource.physical_id,
            resource_type=resource.type,
            resource_status=resource.status,
            resource_status_reason=resource.status_reason,
            resource_properties=json.dumps(resource.properties, default=str),
        )
        self.events.append(event)


class ChangeSet(moto.ChangeSet):
    """A plan for a stack, with the changes that it would make."""

    def __init__(  # noqa: PLR0913, PLR0917 - the API's own parameters
        self,
        change_set_id: str,
        change_set_name: str,
        change_set_type: str,
        stack: Stack,
        plan: Plan,
        description: str = "",
        tags: dict[str, str] | None = None,
    ) -> None:
        self.change_set_id, self.change_set_name, self.change_set_type = change_set_id, change_set_name, change_set_type
        self.stack = self.of = stack
        self.plan = plan
        self.stack_id, self.stack_name = stack.stack_id, stack.name
        self.description, self.tags = description, tags
        self.importing = False
        self.notification_arns: list[str] = []
        self.role_arn: str | None = None
        self.template, self.template_dict = plan.text, plan.expanded
        self.parameters = {**plan.given}
        self.creation_time = utcnow()
        self.changes = [moto.Change(*change) for change in preview.differences(plan.scope, stack.resources)]
        self.status: str | None = "CREATE_COMPLETE"
        self.execution_status: str | None = "AVAILABLE"
        self.status_reason: str | None = None
        if change_set_type == "UPDATE" and not self.changes and not self._outputs_change():
            self.status, self.execution_status = "FAILED", "UNAVAILABLE"
            self.status_reason = (
                "The submitted information didn't contain changes. Submit different information to create a change set."
            )

    def _outputs_change(self) -> bool:
        before = self.of.plan
        return before is None or before.expanded.get("Outputs") != self.plan.expanded.get("Outputs")
