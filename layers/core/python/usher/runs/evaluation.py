"""EvaluateGate: what the container measured, judged by the gate's rules and written into the run's record."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from botocore.exceptions import ClientError

from usher.errors import NotDeployable, code
from usher.runs import gate
from usher.schema import s3_paths
from usher.store.runs import Runs

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

EVALUATION_MAX_BYTES = 16 * 1024 * 1024


def read_evaluation(s3: S3Client, bucket: str, run_id: str) -> dict[str, Any]:
    """evaluation.json of a run; NotDeployable when it is missing, too large or no JSON."""
    key = f"{s3_paths.run_prefix(run_id)}evaluation.json"
    try:
        answer = s3.get_object(Bucket=bucket, Key=key)
    except ClientError as error:
        if code(error) != "NoSuchKey":
            raise
        raise NotDeployable(f"s3://{bucket}/{key} is missing: evaluate did not finish, start the run again") from error
    if answer["ContentLength"] > EVALUATION_MAX_BYTES:
        raise NotDeployable(f"s3://{bucket}/{key} has {answer['ContentLength']} bytes: {EVALUATION_MAX_BYTES} are read")
    try:
        evaluation = json.loads(answer["Body"].read())
        if evaluation["run_id"] != run_id:
            raise NotDeployable(f"s3://{bucket}/{key} is of run {evaluation['run_id']!r}")
    except (ValueError, KeyError, TypeError) as error:
        raise NotDeployable(f"s3://{bucket}/{key} is no evaluation ({type(error).__name__}: {error})") from error
    return dict(evaluation)


def judge_run(
    runs: Runs, run_id: str, evaluation_uri: str, evaluation: dict[str, Any], min_gate_users: int
) -> dict[str, Any]:
    """The gate's verdict, kept with the run; {passed, verdict, reason}. NotDeployable for facts of another shape."""
    try:
        verdict = gate.judge(evaluation, min_gate_users)
    except ValueError as error:
        raise NotDeployable(f"run {run_id}: {error}") from error
    decided = {"passed": verdict.passed, "verdict": verdict.name, "reason": verdict.reason}
    runs.record(
        run_id,
        gate={**decided, "numbers": dict(verdict.numbers)},
        evaluation_uri=evaluation_uri,
        trained_until=str(evaluation["trained_until"]),
    )
    return decided
