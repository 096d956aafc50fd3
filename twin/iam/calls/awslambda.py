"""AWS Lambda. A function is named by its name, a partial or a whole ARN, with or without a version or an alias:
https://docs.aws.amazon.com/lambda/latest/dg/lambda-api-permissions-ref.html
"""

from __future__ import annotations

from collections.abc import Sequence

from twin.iam.calls.tables import Need, Operation, arn_base, need, op, passes, table
from twin.iam.calls.templates import MalformedCall, Members, Path
from twin.iam.request import Check

FUNCTIONS = "/2015-03-31/functions"
SOURCES = "/2015-03-31/event-source-mappings"
LAYERS = "/2018-10-31/layers"
ROLE = (passes("Role", "lambda.amazonaws.com"),)


def _on_function(  # noqa: PLR0913, PLR0917 - what a line of a table may say
    name: str,
    route: str,
    action: str = "",
    also: Sequence[Need] = (),
    keys: dict[str, str] | None = None,
    tags: str = "",
) -> Operation:
    own = need(f"lambda:{action or name}", context=keys, tags=tags)

    def derive(members: Members, region: str) -> list[Check]:
        arn = function_arn(members, region)
        checks = [Check(check.action, arn, check.context) for check in own.checks(members, "", lower=False)]
        return [*checks, *(check for part in also for check in part.checks(members, "", lower=False))]

    return Operation(
        name,
        route=route,
        derive=derive,
        reads=(Path.of("FunctionName"), *(path for part in (own, *also) for path in part.paths()))
        + ((Path.of("Qualifier"),) if "Qualifier" in route else ()),
        actions=(own.action, *(part.action for part in also)),
        keys=tuple(key for part in (own, *also) for key, _ in part.context),
    )


def function_arn(members: Members, region: str) -> str:
    """`arn:aws:lambda:<region>:<account>:function:<name>`, with `:<qualifier>` where the request has one."""
    given, qualifier = members.get("FunctionName"), members.get("Qualifier")
    if not isinstance(given, str) or not given:
        raise MalformedCall("the request has no FunctionName")
    base, name = f"{arn_base('lambda', region)}function:", given
    if ":function:" in given:  # a whole ARN, or `<account>:function:<name>`
        head, _, name = given.partition(":function:")
        base = f"{head}:function:" if head.startswith("arn:") else base
    if qualifier and ":" not in name:
        name = f"{name}:{qualifier}"
    return base + name


TABLE = table(
    "lambda",
    _on_function("Invoke", f"POST {FUNCTIONS}/{{FunctionName}}/invocations?Qualifier", "InvokeFunction"),
    _on_function(
        "InvokeWithResponseStream",
        "POST /2021-11-15/functions/{FunctionName}/response-streaming-invocations?Qualifier",
        "InvokeFunction",
    ),
    _on_function("CreateFunction", f"POST {FUNCTIONS}", also=ROLE, keys={"lambda:Layer": "Layers[]"}, tags="Tags"),
    _on_function("GetFunction", f"GET {FUNCTIONS}/{{FunctionName}}?Qualifier"),
    _on_function("DeleteFunction", f"DELETE {FUNCTIONS}/{{FunctionName}}?Qualifier"),
    _on_function("GetFunctionConfiguration", f"GET {FUNCTIONS}/{{FunctionName}}/configuration?Qualifier"),
    _on_function(
        "UpdateFunctionConfiguration",
        f"PUT {FUNCTIONS}/{{FunctionName}}/configuration",
        also=ROLE,
        keys={"lambda:Layer": "Layers[]"},
    ),
    _on_function("UpdateFunctionCode", f"PUT {FUNCTIONS}/{{FunctionName}}/code"),
    _on_function("PublishVersion", f"POST {FUNCTIONS}/{{FunctionName}}/versions"),
    _on_function("ListVersionsByFunction", f"GET {FUNCTIONS}/{{FunctionName}}/versions"),
    _on_function("AddPermission", f"POST {FUNCTIONS}/{{FunctionName}}/policy?Qualifier"),
    _on_function("RemovePermission", f"DELETE {FUNCTIONS}/{{FunctionName}}/policy/{{StatementId}}?Qualifier"),
    _on_function("GetPolicy", f"GET {FUNCTIONS}/{{FunctionName}}/policy?Qualifier"),
    _on_function("GetFunctionConcurrency", "GET /2019-09-30/functions/{FunctionName}/concurrency"),
    _on_function("PutFunctionConcurrency", "PUT /2017-10-31/functions/{FunctionName}/concurrency"),
    _on_function("DeleteFunctionConcurrency", "DELETE /2017-10-31/functions/{FunctionName}/concurrency"),
    op("ListFunctions", route=f"GET {FUNCTIONS}"),
    op("GetAccountSettings", route="GET /2016-08-19/account-settings"),
    op("CreateEventSourceMapping", route=f"POST {SOURCES}", tags="Tags"),
    op("ListEventSourceMappings", route=f"GET {SOURCES}"),
    op("GetEventSourceMapping", "event-source-mapping:{UUID}", route=f"GET {SOURCES}/{{UUID}}"),
    op("UpdateEventSourceMapping", "event-source-mapping:{UUID}", route=f"PUT {SOURCES}/{{UUID}}"),
    op("DeleteEventSourceMapping", "event-source-mapping:{UUID}", route=f"DELETE {SOURCES}/{{UUID}}"),
    op("ListLayers", route=f"GET {LAYERS}"),
    op("ListLayerVersions", route=f"GET {LAYERS}/{{LayerName}}/versions"),
    op("PublishLayerVersion", "layer:{LayerName}", route=f"POST {LAYERS}/{{LayerName}}/versions"),
    op(
        "GetLayerVersion",
        "layer:{LayerName}:{VersionNumber}",
        route=f"GET {LAYERS}/{{LayerName}}/versions/{{VersionNumber}}",
    ),
    op(
        "DeleteLayerVersion",
        "layer:{LayerName}:{VersionNumber}",
        route=f"DELETE {LAYERS}/{{LayerName}}/versions/{{VersionNumber}}",
    ),
    op("ListTags", "{Resource}", route="GET /2017-03-31/tags/{Resource}"),
    op("TagResource", "{Resource}", route="POST /2017-03-31/tags/{Resource}", tags="Tags"),
    op("UntagResource", "{Resource}", route="DELETE /2017-03-31/tags/{Resource}"),
    file="awslambda",
)
