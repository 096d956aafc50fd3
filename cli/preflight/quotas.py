"""The service quotas that a deployment needs: SageMaker's instances, and Lambda's concurrency."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from cli.preflight.findings import Finding
from cli.preflight.names import resolve
from cli.target import Target
from usher.algorithms import ALGORITHMS
from usher.runs.quotas import (
    InstanceTypes,
    QuotaCheck,
    QuotaNeed,
    QuotaReader,
    check,
    needs,
    trainings_at_once,
)

CONCURRENCY = "Concurrent executions"
#: Executions that the API's functions should always find free.
FOR_THE_API = 20


def check_quotas(target: Target, template: Mapping[str, Any], values: Mapping[str, str]) -> Iterator[Finding]:
    """Each quota with its value; an endpoint is assumed to serve, since each later run updates it."""
    reader = QuotaReader(target.client("service-quotas"))
    for one in check(reader, _needed(values)):
        yield _finding(one, "refused", "SageMaker quota")
    polled = queue_concurrency(template, values)
    remedy = "fewer executions delay ingest and let the API answer 429 and 503 while files arrive"
    purpose = f"{polled} for queues, {FOR_THE_API} for the API"
    for one in check(reader, [QuotaNeed(CONCURRENCY, polled + FOR_THE_API, purpose, remedy, "lambda")]):
        yield _finding(one, "warning", "Lambda quota")


def _needed(values: Mapping[str, str]) -> list[QuotaNeed]:
    hosting = values["HostingInstanceType"] if values["ServingBackend"] == "endpoint" else ""
    types = InstanceTypes(values["ProcessingInstanceType"], values["TrainingInstanceType"], hosting)
    tuned = sum(bool(one.tuned) for one in ALGORITHMS.values())
    trials = min(_whole(values["ParallelTrials"]), _whole(values["TuningTrials"]))
    trainings = trainings_at_once(tuned, len(ALGORITHMS) - tuned, _whole(values["ParallelAlgorithms"]), trials)
    return needs(types, trainings, updates_endpoint=True)


def queue_concurrency(template: Mapping[str, Any], values: Mapping[str, str]) -> int:
    """Executions that the template's queues may take at once."""
    return sum(
        _whole(resolve(event["Properties"]["ScalingConfig"]["MaximumConcurrency"], values) or "0")
        for resource in template["Resources"].values()
        if resource["Type"] == "AWS::Serverless::Function"
        for event in resource["Properties"].get("Events", {}).values()
        if event["Type"] == "SQS"
    )


def _whole(text: str) -> int:
    return int(float(text))


def _finding(one: QuotaCheck, state: Any, name: str) -> Finding:
    need, quota = one.need, one.quota
    if quota is None:
        return Finding(name, "warning", f"the account has no quota named {need.name!r}", "check the instance type")
    detail = f"{need.name} ({quota.quota_code}) is {quota.value:g}, needed: {need.value} ({need.purpose})"
    return Finding(name, state, detail, one.request) if one.too_low else Finding(name, "fine", detail)
