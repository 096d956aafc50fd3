"""What SageMaker refuses of a training job beyond the shape of the request, and what the twin cannot do."""

from __future__ import annotations

from typing import Any

from twin.sagemaker.errors import invalid, unsupported
from twin.sagemaker.resource import Request

DEFAULT_RUNTIME_SECONDS = 86_400
_ELSEWHERE = {
    "ServerlessJobConfig": "serverless training jobs",
    "SessionChainingConfig": "session chaining",
    "ModelPackageConfig": "training into a model package",
}


def check(request: Request) -> None:
    """Refused with AWS's reason, or with what the twin lacks."""
    for field, name in _ELSEWHERE.items():
        if request.get(field):
            raise unsupported(name)
    check_algorithm(request.get("AlgorithmSpecification"))
    check_resources(request.get("ResourceConfig"))
    check_channels(request.get("InputDataConfig") or [])
    check_output(request["OutputDataConfig"]["S3OutputPath"])
    check_stopping(request)


def check_algorithm(algorithm: dict[str, Any] | None) -> None:
    """The image is ours to run; built-in algorithms and pipes are not."""
    if not algorithm:
        raise invalid("AlgorithmSpecification is required.")
    if algorithm.get("AlgorithmName"):
        raise unsupported("algorithms of the AWS Marketplace")
    if not algorithm.get("TrainingImage"):
        raise invalid("Either TrainingImage or AlgorithmName must be specified in AlgorithmSpecification.")
    if algorithm["TrainingInputMode"] == "Pipe":
        raise unsupported("the input mode Pipe; use File")
    names = [item["Name"] for item in algorithm.get("MetricDefinitions") or []]
    if len(set(names)) != len(names):
        raise invalid("Metric names in MetricDefinitions must be unique.")


def check_resources(resources: dict[str, Any] | None) -> None:
    """One instance, of a type and with a volume."""
    if not resources or not resources.get("InstanceType"):
        raise invalid("ResourceConfig must name an InstanceType.")
    if not resources.get("VolumeSizeInGB"):
        raise invalid("ResourceConfig must give VolumeSizeInGB of at least 1.")
    if resources.get("InstanceCount", 1) != 1 or resources.get("InstanceGroups"):
        raise unsupported("training on more than one instance")


def check_channels(channels: list[dict[str, Any]]) -> None:
    """Names once, data from S3 prefixes."""
    names = [channel["ChannelName"] for channel in channels]
    if len(set(names)) != len(names):
        raise invalid("Channel names must be unique within InputDataConfig.")
    for channel in channels:
        source = channel["DataSource"].get("S3DataSource")
        if source is None:
            raise unsupported("channels from anything but S3")
        if source["S3DataType"] != "S3Prefix":
            raise unsupported(f"the S3DataType {source['S3DataType']}; use S3Prefix")
        if channel.get("InputMode") == "Pipe":
            raise unsupported("the input mode Pipe; use File")
        if not source["S3Uri"].startswith("s3://"):
            raise invalid(f"The S3Uri of channel {channel['ChannelName']} must begin with s3://.")


def check_output(uri: str) -> None:
    """Results go to S3."""
    if not uri.startswith("s3://"):
        raise invalid("S3OutputPath must begin with s3://.")


def check_stopping(request: Request) -> None:
    """Spot training waits at least as long as it may run."""
    condition = request.get("StoppingCondition") or {}
    wait = condition.get("MaxWaitTimeInSeconds")
    if request.get("EnableManagedSpotTraining"):
        if wait is None or wait < condition.get("MaxRuntimeInSeconds", DEFAULT_RUNTIME_SECONDS):
            raise invalid("Invalid MaxWaitTimeInSeconds. It must be at least MaxRuntimeInSeconds.")
    elif wait is not None:
        raise invalid("MaxWaitTimeInSeconds may only be given with EnableManagedSpotTraining.")
