"""Amazon SageMaker AI and its runtime, which sign with one name. SageMaker's ARNs have names in lower case. Creating a
job or a model passes a role; tags on creation need sagemaker:AddTags on the new resource:
https://docs.aws.amazon.com/sagemaker/latest/dg/security_iam_id-based-policy-examples.html#sagemaker-condition-tag-permissions
"""

from __future__ import annotations

from collections.abc import Iterator

from twin.iam.calls.tables import Operation, arn_base, need, op, passes, table
from twin.iam.calls.templates import MalformedCall, Members, Path
from twin.iam.request import Check

SERVICE = "sagemaker.amazonaws.com"

TRAINING = "training-job/{TrainingJobName}"
PROCESSING = "processing-job/{ProcessingJobName}"
TUNING = "hyper-parameter-tuning-job/{HyperParameterTuningJobName}"
MODEL = "model/{ModelName}"
CONFIG = "endpoint-config/{EndpointConfigName}"
ENDPOINT = "endpoint/{EndpointName}"
GROUP = "model-package-group/{ModelPackageGroupName}"
PACKAGE = "model-package/{ModelPackageName}"


def _create(name: str, *resources: str, roles: tuple[str, ...] = (), types: str = "") -> Operation:
    """A creation: it passes roles and may tag the first of its resources. types: path of the instance types."""
    tagging = need("sagemaker:AddTags", resources[0], when="Tags", tags="Tags")
    context = {"sagemaker:InstanceTypes": types} if types else None
    return op(
        name, *resources, context=context, tags="Tags", also=(*(passes(role, SERVICE) for role in roles), tagging)
    )


def _create_package(members: Members, region: str) -> list[Check]:
    """A package of a group is `model-package/<group>/<version>`; SageMaker counts the versions: all are asked for."""
    group, name = members.get("ModelPackageGroupName"), members.get("ModelPackageName")
    if not isinstance(group or name, str):
        raise MalformedCall("the request has neither ModelPackageGroupName nor ModelPackageName")
    place = f"{str(group).rpartition('/')[2]}/*" if group else str(name)
    arn = f"{arn_base('sagemaker', region)}model-package/{place.lower()}"
    own, tagging = _PACKAGE
    found = [*own.checks(members, "", lower=False), *tagging.checks(members, "", lower=False)]
    return [Check(check.action, arn, check.context) for check in found]


_PACKAGE = (
    need("sagemaker:CreateModelPackage", context={"sagemaker:ModelApprovalStatus": "ModelApprovalStatus"}, tags="Tags"),
    need("sagemaker:AddTags", when="Tags", tags="Tags"),
)


def _lists(*names: str) -> Iterator[Operation]:
    yield from map(op, names)


TABLE = table(
    "sagemaker",
    _create("CreateTrainingJob", TRAINING, roles=("RoleArn",), types="ResourceConfig.InstanceType"),
    _create(
        "CreateProcessingJob", PROCESSING, roles=("RoleArn",), types="ProcessingResources.ClusterConfig.InstanceType"
    ),
    _create(
        "CreateHyperParameterTuningJob",
        TUNING,
        roles=("TrainingJobDefinition.RoleArn", "TrainingJobDefinitions[].RoleArn"),
        types="TrainingJobDefinition.ResourceConfig.InstanceType",
    ),
    _create("CreateModel", MODEL, roles=("ExecutionRoleArn",)),
    _create("CreateEndpointConfig", CONFIG, roles=("ExecutionRoleArn",), types="ProductionVariants[].InstanceType"),
    _create("CreateEndpoint", ENDPOINT, CONFIG),
    _create("CreateModelPackageGroup", GROUP),
    Operation(
        "CreateModelPackage",
        derive=_create_package,
        reads=(
            *map(Path.of, ("ModelPackageGroupName", "ModelPackageName")),
            *(path for part in _PACKAGE for path in part.paths()),
        ),
        actions=("sagemaker:CreateModelPackage", "sagemaker:AddTags"),
        keys=("sagemaker:ModelApprovalStatus",),
    ),
    op("DescribeTrainingJob", TRAINING),
    op("StopTrainingJob", TRAINING),
    op("DescribeProcessingJob", PROCESSING),
    op("StopProcessingJob", PROCESSING),
    op("DescribeHyperParameterTuningJob", TUNING),
    op("StopHyperParameterTuningJob", TUNING),
    op("ListTrainingJobsForHyperParameterTuningJob", TUNING),
    op("DescribeModel", MODEL),
    op("DeleteModel", MODEL),
    op("DescribeEndpointConfig", CONFIG),
    op("DeleteEndpointConfig", CONFIG),
    op("DescribeEndpoint", ENDPOINT),
    op("UpdateEndpoint", ENDPOINT, CONFIG),
    op("UpdateEndpointWeightsAndCapacities", ENDPOINT),
    op("DeleteEndpoint", ENDPOINT),
    op("DescribeModelPackageGroup", GROUP),
    op("DeleteModelPackageGroup", GROUP),
    op("DescribeModelPackage", PACKAGE),
    op("DeleteModelPackage", PACKAGE),
    op("UpdateModelPackage", "{ModelPackageArn}", context={"sagemaker:ModelApprovalStatus": "ModelApprovalStatus"}),
    op("AddTags", "{ResourceArn}", tags="Tags"),
    op("ListTags", "{ResourceArn}"),
    op("DeleteTags", "{ResourceArn}", context={"aws:TagKeys": "TagKeys[]"}),
    *_lists("ListTrainingJobs", "ListProcessingJobs", "ListHyperParameterTuningJobs", "ListModels", "ListEndpoints"),
    *_lists("ListEndpointConfigs", "ListModelPackages", "ListModelPackageGroups", "Search"),
    op("InvokeEndpoint", ENDPOINT, route="POST /endpoints/{EndpointName}/invocations"),
    op("InvokeEndpointAsync", ENDPOINT, route="POST /endpoints/{EndpointName}/async-invocations"),
    op(
        "InvokeEndpointWithResponseStream",
        ENDPOINT,
        route="POST /endpoints/{EndpointName}/invocations-response-stream",
    ),
    boto=("sagemaker", "sagemaker-runtime"),
    lower=True,
)
