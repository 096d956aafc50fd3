"""The gate: whether a candidate may get traffic, decided from the facts in its evaluation.json.

It refuses models that are bad; whether a candidate is better than the champion is decided by the experiment.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from botocore.exceptions import ClientError

from usher.errors import NotDeployable, code
from usher.schema import s3_paths
from usher.store.runs import Runs

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

Name = Literal["leak", "nan", "insufficient", "popularity", "worse", "pass"]

EVALUATION_MAX_BYTES = 16 * 1024 * 1024

#: The metric that decides.
METRIC = "ndcg@10"
_METRICS = ("ndcg@10", "recall@10", "recall@20", "map@10", "rmse", "mae", "coverage@10", "novelty@10")


@dataclass(frozen=True, slots=True)
class Verdict:
    """The first rule that refuses, or pass; the reason; and the numbers behind it."""

    name: Name
    reason: str
    numbers: Mapping[str, float | int | None]

    @property
    def passed(self) -> bool:
        return self.name == "pass"


def judge(facts: Mapping[str, Any], min_gate_users: int) -> Verdict:
    """Apply the rules to an evaluation. min_gate_users: fewer users in the window are insufficient.

    ValueError when a fact is missing or malformed.
    """
    _check(facts)
    for rule in _RULES:
        verdict = rule(facts, min_gate_users)
        if verdict is not None:
            return verdict
    return _passed(facts)


def _leak(facts: Mapping[str, Any], _: int) -> Verdict | None:
    """First, since a leak makes every other number meaningless."""
    leaks = [str(finding) for finding in facts["leaks"]]
    if not leaks:
        return None
    return Verdict("leak", f"the evaluation is void: {'; '.join(leaks)}", {"leaks": len(leaks)})


def _insufficient(facts: Mapping[str, Any], min_gate_users: int) -> Verdict | None:
    users = int(facts["window"]["users"])
    if users >= min_gate_users:
        return None
    reason = (
        f"only {users} users liked an item in the evaluation window, at least {min_gate_users} are needed: "
        "wait for more data"
    )
    return Verdict("insufficient", reason, {"users": users, "min_gate_users": min_gate_users})


def _nan(facts: Mapping[str, Any], _: int) -> Verdict | None:
    """The evaluation writes null for NaN; the deciding metric itself must be there."""
    metrics = facts["metrics"]["candidate"]
    bad = [name for name in _METRICS if name in metrics and not _finite(metrics[name])]
    if METRIC not in metrics:
        bad.append(METRIC)
    if not bad:
        return None
    return Verdict("nan", f"the candidate's {', '.join(bad)} is not a number: the training failed", dict.fromkeys(bad))


def _popularity(facts: Mapping[str, Any], _: int) -> Verdict | None:
    candidate, popularity = (_metric(facts, name) for name in ("candidate", "popularity"))
    if candidate >= popularity:
        return None
    reason = f"{METRIC} is {candidate:.4f}, below the {popularity:.4f} of the popularity list"
    return Verdict("popularity", reason, {"candidate": candidate, "popularity": popularity})


def _worse(facts: Mapping[str, Any], _: int) -> Verdict | None:
    interval = _interval(facts, "champion")
    if interval is None or interval["high"] >= 0:
        return None
    reason = (
        f"{METRIC} is {-interval['mean']:.4f} below the champion's, and the 95 % interval "
        f"[{interval['low']:+.4f}, {interval['high']:+.4f}] of the difference is below 0"
    )
    return Verdict("worse", reason, _numbers(facts, interval))


_RULES: tuple[Callable[[Mapping[str, Any], int], Verdict | None], ...] = (
    _leak,
    _insufficient,
    _nan,
    _popularity,
    _worse,
)


def _passed(facts: Mapping[str, Any]) -> Verdict:
    candidate, popularity = (_metric(facts, name) for name in ("candidate", "popularity"))
    users, interval = int(facts["window"]["users"]), _interval(facts, "champion")
    reason = f"{METRIC} is {candidate:.4f} for {users} users, at least the {popularity:.4f} of the popularity list"
    if interval is None:
        return Verdict("pass", f"{reason}; there is no champion to compare with", _numbers(facts, None))
    difference = f"{interval['mean']:+.4f} [{interval['low']:+.4f}, {interval['high']:+.4f}]"
    return Verdict("pass", f"{reason}; difference from the champion {difference}", _numbers(facts, interval))


def _numbers(facts: Mapping[str, Any], interval: Mapping[str, float] | None) -> dict[str, float | int | None]:
    numbers: dict[str, float | int | None] = {
        "users": int(facts["window"]["users"]),
        "candidate": _metric(facts, "candidate"),
        "popularity": _metric(facts, "popularity"),
    }
    if interval is not None:
        numbers |= {"champion": _metric(facts, "champion")}
        numbers |= {name: float(interval[name]) for name in ("mean", "low", "high")}
    return numbers


def _metric(facts: Mapping[str, Any], model: str) -> float:
    value = facts["metrics"][model].get(METRIC)
    if not _finite(value):
        raise ValueError(f"evaluation: metrics.{model}.{METRIC} is {value!r}, not a number; evaluate again")
    return float(value)


def _interval(facts: Mapping[str, Any], other: str) -> Mapping[str, float] | None:
    """candidate - other; None without that model in the evaluation, ValueError with the model but no interval."""
    if other not in facts["metrics"]:
        return None
    interval = facts["intervals"].get(f"candidate-{other}", {}).get(METRIC)
    if not isinstance(interval, Mapping) or not all(_finite(interval.get(name)) for name in ("mean", "low", "high")):
        raise ValueError(f"evaluation: intervals.candidate-{other}.{METRIC} is missing or not a number; evaluate again")
    return interval


def _finite(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def _check(facts: Mapping[str, Any]) -> None:
    shapes: Mapping[str, type] = {"window": dict, "metrics": dict, "intervals": dict, "leaks": list}
    wrong = [name for name, kind in shapes.items() if not isinstance(facts.get(name), kind)]
    if not wrong and not {"candidate", "popularity"} <= facts["metrics"].keys():
        wrong.append("metrics.candidate and metrics.popularity")
    if not wrong and not isinstance(facts["window"].get("users"), int):
        wrong.append("window.users")
    if wrong:
        raise ValueError(
            f"evaluation: {', '.join(wrong)} missing or malformed; evaluate again with this version of Usher"
        )


def read_evaluation(s3: S3Client, bucket: str, run_id: str) -> dict[str, Any]:
    """evaluation.json of a run; NotDeployable when it is missing, too large, malformed, or of another run."""
    key = f"{s3_paths.run_prefix(run_id)}evaluation.json"
    try:
        answer = s3.get_object(Bucket=bucket, Key=key)
    except ClientError as error:
        if code(error) != "NoSuchKey":
            raise
        raise NotDeployable(f"s3://{bucket}/{key} is missing: evaluate did not finish, start the run again") from error
    if answer["ContentLength"] > EVALUATION_MAX_BYTES:
        raise NotDeployable(
            f"s3://{bucket}/{key} has {answer['ContentLength']} bytes, at most {EVALUATION_MAX_BYTES} are read: "
            "evaluate again"
        )
    try:
        evaluation = json.loads(answer["Body"].read())
        if evaluation["run_id"] != run_id:
            raise NotDeployable(f"s3://{bucket}/{key} belongs to run {evaluation['run_id']!r}: evaluate again")
    except (ValueError, KeyError, TypeError) as error:
        raise NotDeployable(
            f"s3://{bucket}/{key} is not an evaluation ({type(error).__name__}: {error}): evaluate again"
        ) from error
    return dict(evaluation)


def judge_run(
    runs: Runs, run_id: str, evaluation_uri: str, evaluation: dict[str, Any], min_gate_users: int
) -> dict[str, Any]:
    """Judge a run and record the verdict: {passed, verdict, reason}. NotDeployable for a malformed evaluation."""
    try:
        verdict = judge(evaluation, min_gate_users)
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
