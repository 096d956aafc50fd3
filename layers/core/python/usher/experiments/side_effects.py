"""What follows a decision outside of the state table: the registry's approval, the popularity lists. Safe to repeat."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from aws_lambda_powertools import Logger
from botocore.exceptions import ClientError

from usher.errors import NotDeployable, code
from usher.store import popular
from usher.store.runs import Runs

if TYPE_CHECKING:
    from mypy_boto3_dynamodb.service_resource import Table
    from mypy_boto3_s3 import S3Client

logger = Logger(child=True)
_APPROVALS = {"approve": "Approved", "reject": "Rejected"}
_DESCRIPTION_MAX = 1000


class Chores:
    """Does what STATE's `side_effects` say: {lists, approve, reject: run ids}."""

    def __init__(self, table: Table, s3: S3Client, sagemaker: Any, bucket: str) -> None:
        self._table = table
        self._s3 = s3
        self._sagemaker = sagemaker
        self._bucket = bucket

    def do(self, side_effects: Mapping[str, Any], reason: str) -> None:
        """All of them; a model that the registry or the lake does not know is said so, and holds nothing up."""
        for key, status in _APPROVALS.items():
            if key in side_effects:
                self._approve(str(side_effects[key]), status, reason)
        if "popular_lists" in side_effects:
            self._lists(str(side_effects["popular_lists"]))

    def _approve(self, run_id: str, status: str, reason: str) -> None:
        package = (Runs(self._table).find(run_id) or {}).get("model_package_arn")
        if not package:
            logger.warning("no package", extra={"run_id": run_id})
            return
        try:
            self._sagemaker.update_model_package(
                ModelPackageArn=package, ModelApprovalStatus=status, ApprovalDescription=reason[:_DESCRIPTION_MAX]
            )
        except ClientError as error:
            if code(error) not in ("ValidationException", "ResourceNotFound"):
                raise
            logger.warning("not registered", extra={"run_id": run_id, "reason": str(error)[:_DESCRIPTION_MAX]})

    def _lists(self, run_id: str) -> None:
        try:
            popular.write_lists(self._table, run_id, popular.read_lists(self._s3, self._bucket, run_id))
        except NotDeployable as error:
            logger.warning("no lists", extra={"run_id": run_id, "reason": str(error)})
