"""What a decision changes outside of the state table: model approvals, popularity lists, the schedule of ticks.

An outbox: side effects are stored with the decision in STATE, carried out at least once, and then removed.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from aws_lambda_powertools import Logger
from botocore.exceptions import ClientError

from usher.errors import NotDeployable, code
from usher.store import popular
from usher.store.experiment_state import ExperimentState, remove_side_effects
from usher.store.router import read_router
from usher.store.runs import Runs

if TYPE_CHECKING:
    from mypy_boto3_dynamodb.service_resource import Table
    from mypy_boto3_s3 import S3Client

logger = Logger(child=True)
_APPROVALS = {"approve": "Approved", "reject": "Rejected"}
_DESCRIPTION_MAX = 1000


class SideEffects:
    """Carries out the `side_effects` of STATE: {popular_lists, approve, reject: run ids}. Idempotent."""

    def __init__(self, table: Table, s3: S3Client, sagemaker: Any, bucket: str) -> None:
        self._table = table
        self._s3 = s3
        self._sagemaker = sagemaker
        self._bucket = bucket

    def complete(self, experiment_id: str) -> bool:
        """Carry out what is stored and remove it; False when a later decision has stored others meanwhile."""
        state = ExperimentState.read(self._table, experiment_id)
        if not state.side_effects:
            return True
        self._carry_out(state.side_effects, str(state.summary.get("reason", "")))
        return remove_side_effects(self._table, experiment_id, state.side_effects)

    def _carry_out(self, side_effects: Mapping[str, Any], reason: str) -> None:
        """All of them; a model that the registry or the lake does not have is logged and skipped."""
        for key, status in _APPROVALS.items():
            if key in side_effects:
                self._set_approval(str(side_effects[key]), status, reason)
        if "popular_lists" in side_effects:
            self._write_lists(str(side_effects["popular_lists"]))

    def _set_approval(self, run_id: str, status: str, reason: str) -> None:
        package = (Runs(self._table).find(run_id) or {}).get("model_package_arn")
        if not package:
            logger.warning("run without a model package", extra={"run_id": run_id})
            return
        try:
            self._sagemaker.update_model_package(
                ModelPackageArn=package, ModelApprovalStatus=status, ApprovalDescription=reason[:_DESCRIPTION_MAX]
            )
        except ClientError as error:
            if code(error) not in ("ValidationException", "ResourceNotFound"):
                raise
            extra = {"run_id": run_id, "reason": str(error)[:_DESCRIPTION_MAX]}
            logger.warning("model package not in the registry", extra=extra)

    def _write_lists(self, run_id: str) -> None:
        try:
            popular.write_lists(self._table, run_id, popular.read_lists(self._s3, self._bucket, run_id))
        except NotDeployable as error:
            logger.warning("popularity lists not replaced", extra={"run_id": run_id, "reason": str(error)})


def enable_schedule(events: Any, rule: str) -> None:
    """Enable the rule that starts a tick each minute."""
    events.enable_rule(Name=rule)


def disable_schedule(events: Any, rule: str, table: Table) -> None:
    """Disable the rule, unless an experiment opens meanwhile.

    An opening writes the router and then enables the rule; this disables the rule and then reads the router. In any
    order of the four steps an open experiment keeps its ticks.
    """
    events.disable_rule(Name=rule)
    router = read_router(table)
    if router is not None and router.experiment_is_open:
        enable_schedule(events, rule)
