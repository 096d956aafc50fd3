"""AWS IAM, STS, CloudFormation, SNS, Lake Formation and Service Quotas: what operators and deployments call."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from twin.iam.calls.tables import Need, Operation, free, need, op, passes, table

ROLE = "role/{RoleName}"


def _each(resource: str, *names: str, also: Sequence[Need] = ()) -> Iterator[Operation]:
    yield from (op(name, resource, also=also) for name in names)


IAM = table(
    "iam",
    op("CreateRole", ROLE, tags="Tags"),
    *_each(ROLE, "GetRole", "DeleteRole", "UpdateRole", "UpdateAssumeRolePolicy", "ListRoleTags"),
    op("TagRole", ROLE, tags="Tags"),
    *_each(ROLE, "PutRolePolicy", "GetRolePolicy", "DeleteRolePolicy", "ListRolePolicies", "ListAttachedRolePolicies"),
    op("AttachRolePolicy", ROLE, context={"iam:PolicyARN": "PolicyArn"}),
    op("DetachRolePolicy", ROLE, context={"iam:PolicyARN": "PolicyArn"}),
    op(
        "CreateServiceLinkedRole",
        "role/aws-service-role/{AWSServiceName}/*",
        context={"iam:AWSServiceName": "AWSServiceName"},
    ),
    op("SimulatePrincipalPolicy", "{PolicySourceArn}"),
    op("SimulateCustomPolicy"),
    op("GetUser", "user/{UserName}"),
    *_each("*", "ListRoles", "ListPolicies", "ListAccountAliases", "GetAccountSummary"),
    boto=("iam",),
    regional=False,
    file="accounts",
)

STS = table(
    "sts",
    # "No permissions are required to perform this operation", whatever a policy says.
    free("GetCallerIdentity"),
    op(
        "AssumeRole",
        "{RoleArn}",
        context={"sts:ExternalId": "ExternalId", "sts:RoleSessionName": "RoleSessionName"},
        tags="Tags",
    ),
    boto=("sts",),
    file="accounts",
)

#: A stack by its name stands for every stack of the name; CloudFormation's ids are not in the request.
STACK = "stack/{StackName}/*"
CFN_ROLE = (passes("RoleARN", "cloudformation.amazonaws.com"),)
_WITH_ROLE = {"cloudformation:RoleArn": "RoleARN", "cloudformation:TemplateUrl": "TemplateURL"}
_CHANGE_SET = {"cloudformation:ChangeSetName": "ChangeSetName"}

CLOUDFORMATION = table(
    "cloudformation",
    op("CreateStack", STACK, also=CFN_ROLE, context=_WITH_ROLE, tags="Tags"),
    op("UpdateStack", STACK, also=CFN_ROLE, context=_WITH_ROLE, tags="Tags"),
    op("DeleteStack", STACK, also=CFN_ROLE, context={"cloudformation:RoleArn": "RoleARN"}),
    op("CreateChangeSet", STACK, also=CFN_ROLE, context={**_WITH_ROLE, **_CHANGE_SET}, tags="Tags"),
    op("DescribeChangeSet", STACK, context=_CHANGE_SET),
    op("ExecuteChangeSet", STACK, context=_CHANGE_SET),
    op("DeleteChangeSet", STACK, context=_CHANGE_SET),
    op("ContinueUpdateRollback", STACK, also=CFN_ROLE, context={"cloudformation:RoleArn": "RoleARN"}),
    op("DescribeStacks", "stack/{StackName=*}/*"),
    *_each(
        STACK, "ListChangeSets", "DescribeStackEvents", "DescribeStackResource", "ListStackResources", "GetTemplate"
    ),
    *_each(STACK, "DescribeStackResources", "CancelUpdateStack", "SignalResource"),
    *_each(STACK, "GetStackPolicy", "SetStackPolicy", "UpdateTerminationProtection"),
    op("GetTemplateSummary", "stack/{StackName=*}/*", context={"cloudformation:TemplateUrl": "TemplateURL"}),
    op("ValidateTemplate", context={"cloudformation:TemplateUrl": "TemplateURL"}),
    op("ListStacks"),
    op("ListExports"),
    boto=("cloudformation",),
    file="accounts",
)

SNS = table(
    "sns",
    *_each(
        "{TopicArn}", "Subscribe", "GetTopicAttributes", "SetTopicAttributes", "DeleteTopic", "ListSubscriptionsByTopic"
    ),
    op("Publish", "{TopicArn|TargetArn}"),
    op("CreateTopic", ":{Name}", tags="Tags"),
    op("ListTopics"),
    boto=("sns",),
    file="accounts",
)

QUOTA = "{ServiceCode}/{QuotaCode}"
SERVICE_QUOTAS = table(
    "servicequotas",
    op("GetServiceQuota", f":{QUOTA}", context={"servicequotas:service": "ServiceCode"}),
    op("RequestServiceQuotaIncrease", f":{QUOTA}", context={"servicequotas:service": "ServiceCode"}),
    *_each("*", "ListServiceQuotas", "GetAWSDefaultServiceQuota", "ListAWSDefaultServiceQuotas", "ListServices"),
    *_each("*", "ListRequestedServiceQuotaChangeHistory"),
    op("ListRequestedServiceQuotaChangeHistoryByQuota", context={"servicequotas:service": "ServiceCode"}),
    boto=("service-quotas",),
    file="accounts",
)


def _posts(*names: str) -> Iterator[Operation]:
    yield from (Operation(name, (need(name),), f"POST /{name}") for name in names)


LAKE_FORMATION = table(
    "lakeformation",
    *_posts("GetDataLakeSettings", "PutDataLakeSettings", "GrantPermissions", "RevokePermissions", "ListPermissions"),
    *_posts(
        "BatchGrantPermissions", "BatchRevokePermissions", "RegisterResource", "DeregisterResource", "ListResources"
    ),
    *_posts("DescribeResource", "GetEffectivePermissionsForPath"),
    boto=("lakeformation",),
    file="accounts",
)
