"""What each service checks for the requests that botocore's clients send."""

from __future__ import annotations

from typing import Any

import pytest

from tests.unit.twin.iam.calls.conftest import Sends
from twin.iam.calls import checks_of, operation_of

ARN = "arn:aws:{}:eu-west-1:123456789012:{}"
ROLE = "arn:aws:iam::123456789012:role/jobs"
MACHINE = ARN.format("states", "stateMachine:usher-train")
EXECUTION = ARN.format("states", "execution:usher-train:r-1")
QUEUE = "http://127.0.0.1:5000/123456789012/usher-ingest"
FUNCTION = ARN.format("lambda", "function:f")
SECRET = ARN.format("secretsmanager", "secret:usher-AbCdEf")
PACKAGE = ARN.format("sagemaker", "model-package/usher/3")

Expected = list[tuple[str, str]]


def glue(action: str, *resources: str) -> Expected:
    return [(f"glue:{action}", ARN.format("glue", resource)) for resource in resources]


def on(action: str, resource: str) -> Expected:
    """An action on a resource of its own service."""
    service = action.partition(":")[0]
    return [(action, resource if resource == "*" or resource.startswith("arn:") else ARN.format(service, resource))]


def passed(role: str = ROLE) -> Expected:
    return [("iam:PassRole", role)]


CALLS: list[tuple[str, str, dict[str, Any], Expected]] = [
    ("glue", "get_database", {"Name": "lake"}, glue("GetDatabase", "catalog", "database/lake")),
    (
        "glue",
        "get_table",
        {"DatabaseName": "lake", "Name": "ratings"},
        glue("GetTable", "catalog", "database/lake", "table/lake/ratings"),
    ),
    (
        "glue",
        "get_tables",
        {"DatabaseName": "lake"},
        glue("GetTables", "catalog", "database/lake", "table/lake/*"),
    ),
    (
        "glue",
        "update_table",
        {"DatabaseName": "lake", "TableInput": {"Name": "ratings", "Parameters": {"a": "b"}}, "SkipArchive": True},
        glue("UpdateTable", "catalog", "database/lake", "table/lake/ratings"),
    ),
    (
        "glue",
        "create_table",
        {"DatabaseName": "lake", "TableInput": {"Name": "ratings"}},
        glue("CreateTable", "catalog", "database/lake", "table/lake/ratings"),
    ),
    (
        "glue",
        "batch_delete_table",
        {"DatabaseName": "lake", "TablesToDelete": ["a", "b"]},
        glue("BatchDeleteTable", "catalog", "database/lake", "table/lake/a", "table/lake/b"),
    ),
    (
        "athena",
        "start_query_execution",
        {"QueryString": "SELECT 1", "WorkGroup": "questions"},
        on("athena:StartQueryExecution", "workgroup/questions"),
    ),
    (
        "athena",
        "start_query_execution",
        {"QueryString": "SELECT 1"},
        on("athena:StartQueryExecution", "workgroup/primary"),
    ),
    ("athena", "get_query_results", {"QueryExecutionId": "x"}, on("athena:GetQueryResults", "workgroup/*")),
    (
        "sagemaker",
        "create_training_job",
        {
            "TrainingJobName": "R-1-ALS",
            "AlgorithmSpecification": {"TrainingInputMode": "File", "TrainingImage": "i"},
            "RoleArn": ROLE,
            "OutputDataConfig": {"S3OutputPath": "s3://b/o"},
            "ResourceConfig": {"InstanceType": "ml.m5.large", "InstanceCount": 1, "VolumeSizeInGB": 1},
            "StoppingCondition": {"MaxRuntimeInSeconds": 60},
        },
        [*on("sagemaker:CreateTrainingJob", "training-job/r-1-als"), *passed()],
    ),
    (
        "sagemaker",
        "create_processing_job",
        {
            "ProcessingJobName": "r-1-prepare",
            "ProcessingResources": {
                "ClusterConfig": {"InstanceType": "ml.m5.large", "InstanceCount": 1, "VolumeSizeInGB": 1}
            },
            "AppSpecification": {"ImageUri": "i"},
            "RoleArn": ROLE,
            "Tags": [{"Key": "run", "Value": "r-1"}],
        },
        [
            *on("sagemaker:CreateProcessingJob", "processing-job/r-1-prepare"),
            *passed(),
            *on("sagemaker:AddTags", "processing-job/r-1-prepare"),
        ],
    ),
    (
        "sagemaker",
        "create_hyper_parameter_tuning_job",
        {
            "HyperParameterTuningJobName": "r-1-als",
            "HyperParameterTuningJobConfig": {
                "Strategy": "Bayesian",
                "ResourceLimits": {"MaxParallelTrainingJobs": 1},
            },
            "TrainingJobDefinition": {
                "AlgorithmSpecification": {"TrainingInputMode": "File", "TrainingImage": "i"},
                "RoleArn": ROLE,
                "OutputDataConfig": {"S3OutputPath": "s3://b/o"},
                "StoppingCondition": {"MaxRuntimeInSeconds": 60},
            },
        },
        [*on("sagemaker:CreateHyperParameterTuningJob", "hyper-parameter-tuning-job/r-1-als"), *passed()],
    ),
    (
        "sagemaker",
        "create_model",
        {"ModelName": "usher-R-1", "ExecutionRoleArn": ROLE, "PrimaryContainer": {"ModelPackageName": PACKAGE}},
        [*on("sagemaker:CreateModel", "model/usher-r-1"), *passed()],
    ),
    (
        "sagemaker",
        "create_endpoint_config",
        {
            "EndpointConfigName": "usher-r-1",
            "ProductionVariants": [{"VariantName": "A", "ModelName": "m", "InstanceType": "ml.c5.large"}],
        },
        on("sagemaker:CreateEndpointConfig", "endpoint-config/usher-r-1"),
    ),
    (
        "sagemaker",
        "create_endpoint",
        {"EndpointName": "Usher", "EndpointConfigName": "usher-r-1"},
        [
            *on("sagemaker:CreateEndpoint", "endpoint/usher"),
            *on("sagemaker:CreateEndpoint", "endpoint-config/usher-r-1"),
        ],
    ),
    (
        "sagemaker",
        "update_endpoint",
        {"EndpointName": "usher", "EndpointConfigName": "usher-r-1"},
        [
            *on("sagemaker:UpdateEndpoint", "endpoint/usher"),
            *on("sagemaker:UpdateEndpoint", "endpoint-config/usher-r-1"),
        ],
    ),
    (
        "sagemaker",
        "update_endpoint_weights_and_capacities",
        {"EndpointName": "usher", "DesiredWeightsAndCapacities": [{"VariantName": "A", "DesiredWeight": 1}]},
        on("sagemaker:UpdateEndpointWeightsAndCapacities", "endpoint/usher"),
    ),
    ("sagemaker", "list_endpoints", {}, on("sagemaker:ListEndpoints", "*")),
    (
        "sagemaker",
        "create_model_package",
        {"ModelPackageGroupName": "Usher", "ModelApprovalStatus": "PendingManualApproval"},
        on("sagemaker:CreateModelPackage", "model-package/usher/*"),
    ),
    (
        "sagemaker",
        "update_model_package",
        {"ModelPackageArn": PACKAGE, "ModelApprovalStatus": "Approved"},
        on("sagemaker:UpdateModelPackage", PACKAGE),
    ),
    (
        "sagemaker",
        "describe_model_package",
        {"ModelPackageName": PACKAGE},
        on("sagemaker:DescribeModelPackage", PACKAGE),
    ),
    (
        "sagemaker-runtime",
        "invoke_endpoint",
        {"EndpointName": "Usher", "Body": b"{}"},
        on("sagemaker:InvokeEndpoint", "endpoint/usher"),
    ),
    ("stepfunctions", "start_execution", {"stateMachineArn": MACHINE}, on("states:StartExecution", MACHINE)),
    ("stepfunctions", "describe_execution", {"executionArn": EXECUTION}, on("states:DescribeExecution", EXECUTION)),
    ("stepfunctions", "list_executions", {"stateMachineArn": MACHINE}, on("states:ListExecutions", MACHINE)),
    (
        "stepfunctions",
        "create_state_machine",
        {"name": "usher-train", "definition": "{}", "roleArn": ROLE},
        [*on("states:CreateStateMachine", MACHINE), *passed()],
    ),
    ("stepfunctions", "update_state_machine", {"stateMachineArn": MACHINE}, on("states:UpdateStateMachine", MACHINE)),
    ("lambda", "invoke", {"FunctionName": "f", "Payload": b"{}"}, on("lambda:InvokeFunction", FUNCTION)),
    ("lambda", "invoke", {"FunctionName": FUNCTION}, on("lambda:InvokeFunction", FUNCTION)),
    ("lambda", "invoke", {"FunctionName": "123456789012:function:f"}, on("lambda:InvokeFunction", FUNCTION)),
    (
        "lambda",
        "invoke",
        {"FunctionName": "f", "Qualifier": "$LATEST"},
        on("lambda:InvokeFunction", f"{FUNCTION}:$LATEST"),
    ),
    ("lambda", "invoke", {"FunctionName": f"{FUNCTION}:live"}, on("lambda:InvokeFunction", f"{FUNCTION}:live")),
    (
        "lambda",
        "get_function_configuration",
        {"FunctionName": "f"},
        on("lambda:GetFunctionConfiguration", FUNCTION),
    ),
    ("lambda", "list_functions", {}, on("lambda:ListFunctions", "*")),
    (
        "lambda",
        "create_function",
        {"FunctionName": "f", "Role": ROLE, "Code": {"ZipFile": b"x"}},
        [*on("lambda:CreateFunction", FUNCTION), *passed()],
    ),
    (
        "lambda",
        "get_layer_version",
        {"LayerName": "core", "VersionNumber": 3},
        on("lambda:GetLayerVersion", "layer:core:3"),
    ),
    ("events", "enable_rule", {"Name": "tick"}, on("events:EnableRule", "rule/tick")),
    ("events", "disable_rule", {"Name": "t", "EventBusName": "b"}, on("events:DisableRule", "rule/b/t")),
    (
        "events",
        "put_rule",
        {"Name": "tick", "ScheduleExpression": "rate(1 minute)", "RoleArn": ROLE},
        [*on("events:PutRule", "rule/tick"), *passed()],
    ),
    (
        "events",
        "put_targets",
        {"Rule": "tick", "Targets": [{"Id": "1", "Arn": MACHINE, "RoleArn": ROLE}, {"Id": "2", "Arn": FUNCTION}]},
        [*on("events:PutTargets", "rule/tick"), *passed()],
    ),
    (
        "events",
        "put_events",
        {"Entries": [{"Source": "usher", "DetailType": "a", "Detail": "{}"}] * 2},
        on("events:PutEvents", "event-bus/default"),
    ),
    (
        "firehose",
        "put_record_batch",
        {"DeliveryStreamName": "usher-ratings", "Records": [{"Data": b"x"}]},
        on("firehose:PutRecordBatch", "deliverystream/usher-ratings"),
    ),
    ("firehose", "list_delivery_streams", {}, on("firehose:ListDeliveryStreams", "*")),
    (
        "logs",
        "create_log_group",
        {"logGroupName": "/aws/sagemaker/TrainingJobs"},
        on("logs:CreateLogGroup", "log-group:/aws/sagemaker/TrainingJobs:log-stream:"),
    ),
    (
        "logs",
        "create_log_stream",
        {"logGroupName": "/g", "logStreamName": "a/b"},
        on("logs:CreateLogStream", "log-group:/g:log-stream:a/b"),
    ),
    (
        "logs",
        "put_log_events",
        {"logGroupName": "/g", "logStreamName": "s", "logEvents": [{"timestamp": 1, "message": "m"}]},
        on("logs:PutLogEvents", "log-group:/g:log-stream:s"),
    ),
    ("logs", "describe_log_streams", {"logGroupName": "/g"}, on("logs:DescribeLogStreams", "log-group:/g:log-stream:")),
    (
        "cloudwatch",
        "get_metric_data",
        {"MetricDataQueries": [], "StartTime": 1, "EndTime": 2},
        on("cloudwatch:GetMetricData", "*"),
    ),
    (
        "cloudwatch",
        "describe_alarms",
        {"AlarmNames": ["a", "b"]},
        on("cloudwatch:DescribeAlarms", "alarm:a") + on("cloudwatch:DescribeAlarms", "alarm:b"),
    ),
    ("cloudwatch", "describe_alarms", {}, on("cloudwatch:DescribeAlarms", "alarm:*")),
    (
        "cloudwatch",
        "put_dashboard",
        {"DashboardName": "usher", "DashboardBody": "{}"},
        on("cloudwatch:PutDashboard", "arn:aws:cloudwatch::123456789012:dashboard/usher"),
    ),
    ("secretsmanager", "get_secret_value", {"SecretId": SECRET}, on("secretsmanager:GetSecretValue", SECRET)),
    ("secretsmanager", "get_secret_value", {"SecretId": "usher"}, on("secretsmanager:GetSecretValue", "secret:usher")),
    ("sqs", "send_message", {"QueueUrl": QUEUE, "MessageBody": "m"}, on("sqs:SendMessage", "usher-ingest")),
    (
        "sqs",
        "send_message_batch",
        {"QueueUrl": QUEUE, "Entries": [{"Id": "1", "MessageBody": "m"}]},
        on("sqs:SendMessage", "usher-ingest"),
    ),
    ("sqs", "receive_message", {"QueueUrl": QUEUE}, on("sqs:ReceiveMessage", "usher-ingest")),
    (
        "sqs",
        "delete_message_batch",
        {"QueueUrl": QUEUE, "Entries": [{"Id": "1", "ReceiptHandle": "h"}]},
        on("sqs:DeleteMessage", "usher-ingest"),
    ),
    (
        "sqs",
        "change_message_visibility_batch",
        {"QueueUrl": QUEUE, "Entries": [{"Id": "1", "ReceiptHandle": "h"}]},
        on("sqs:ChangeMessageVisibility", "usher-ingest"),
    ),
    ("sqs", "get_queue_url", {"QueueName": "usher-ingest"}, on("sqs:GetQueueUrl", "usher-ingest")),
    ("sqs", "list_queues", {}, on("sqs:ListQueues", "*")),
    ("ecr", "get_authorization_token", {}, on("ecr:GetAuthorizationToken", "*")),
    (
        "ecr",
        "describe_images",
        {"repositoryName": "usher/recommender"},
        on("ecr:DescribeImages", "repository/usher/recommender"),
    ),
    ("ecr", "describe_repositories", {}, on("ecr:DescribeRepositories", "repository/*")),
    ("codebuild", "start_build", {"projectName": "image"}, on("codebuild:StartBuild", "project/image")),
    ("codebuild", "batch_get_builds", {"ids": ["image:1", "image:2"]}, on("codebuild:BatchGetBuilds", "project/image")),
    ("iam", "get_role", {"RoleName": "jobs"}, on("iam:GetRole", ROLE)),
    ("sts", "get_caller_identity", {}, []),
    ("sts", "assume_role", {"RoleArn": ROLE, "RoleSessionName": "session"}, on("sts:AssumeRole", ROLE)),
    ("cloudformation", "describe_stacks", {"StackName": "usher"}, on("cloudformation:DescribeStacks", "stack/usher/*")),
    (
        "cloudformation",
        "create_change_set",
        {
            "StackName": "usher",
            "ChangeSetName": "c",
            "TemplateBody": "{}",
            "Tags": [{"Key": "a", "Value": "b"}],
            "RoleARN": ROLE,
        },
        [*on("cloudformation:CreateChangeSet", "stack/usher/*"), *passed()],
    ),
    ("lakeformation", "get_data_lake_settings", {}, on("lakeformation:GetDataLakeSettings", "*")),
    (
        "service-quotas",
        "get_service_quota",
        {"ServiceCode": "sagemaker", "QuotaCode": "L-1"},
        on("servicequotas:GetServiceQuota", "sagemaker/L-1"),
    ),
    (
        "sns",
        "publish",
        {"TopicArn": ARN.format("sns", "alarms"), "Message": "m"},
        on("sns:Publish", "alarms"),
    ),
    (
        "apigatewayv2",
        "get_routes",
        {"ApiId": "a1"},
        [("apigateway:GET", "arn:aws:apigateway:eu-west-1::/apis/a1/routes")],
    ),
]


@pytest.mark.parametrize(
    ("service", "operation", "parameters", "expected"),
    CALLS,
    ids=[f"{number}-{service}-{operation}" for number, (service, operation, *_) in enumerate(CALLS)],
)
def test_a_call_is_checked_as_on_aws(
    sends: Sends, service: str, operation: str, parameters: dict[str, Any], expected: Expected
) -> None:
    found = checks_of(sends(service, operation, **parameters))
    assert [(check.action, check.resource) for check in found] == expected


def test_the_operation_has_the_prefix_of_its_actions(sends: Sends) -> None:
    assert operation_of(sends("cloudwatch", "list_metrics")) == "cloudwatch:ListMetrics"
    assert (
        operation_of(sends("sagemaker-runtime", "invoke_endpoint", EndpointName="e", Body=b""))
        == "sagemaker:InvokeEndpoint"
    )
    assert operation_of(sends("iam", "list_roles")) == "iam:ListRoles"
    assert operation_of(sends("lambda", "invoke", FunctionName="f")) == "lambda:Invoke"
    assert operation_of(sends("apigatewayv2", "get_apis")) == "apigateway:GET"


def contexts(sends: Sends, service: str, operation: str, **parameters: Any) -> dict[str, dict[str, tuple[str, ...]]]:
    return {check.action: dict(check.context) for check in checks_of(sends(service, operation, **parameters))}


def test_a_role_is_passed_to_the_service_that_will_use_it(sends: Sends) -> None:
    found = contexts(sends, "stepfunctions", "update_state_machine", stateMachineArn=MACHINE, roleArn=ROLE)
    assert found == {
        "states:UpdateStateMachine": {},
        "iam:PassRole": {"iam:passedtoservice": ("states.amazonaws.com",)},
    }
    model = contexts(sends, "sagemaker", "create_model", ModelName="m", ExecutionRoleArn=ROLE)
    assert model["iam:PassRole"] == {"iam:passedtoservice": ("sagemaker.amazonaws.com",)}


def test_tags_are_in_the_context(sends: Sends) -> None:
    tags = {"aws:requesttag/run": ("r-1",), "aws:tagkeys": ("Run",)}
    found = contexts(
        sends, "sagemaker", "create_model", ModelName="m", ExecutionRoleArn=ROLE, Tags=[{"Key": "Run", "Value": "r-1"}]
    )
    assert found["sagemaker:CreateModel"] == found["sagemaker:AddTags"] == tags
    assert contexts(sends, "lambda", "tag_resource", Resource=FUNCTION, Tags={"Run": "r-1"}) == {
        "lambda:TagResource": tags
    }


def test_the_namespace_of_metrics_is_in_the_context_also_of_a_compressed_request(sends: Sends) -> None:
    few = sends("cloudwatch", "put_metric_data", Namespace="Usher", MetricData=[{"MetricName": "a", "Value": 1}])
    many = sends(
        "cloudwatch", "put_metric_data", Namespace="Usher", MetricData=[{"MetricName": "a" * 90, "Value": 1}] * 500
    )
    assert many.headers["content-encoding"] == "gzip"
    for call in (few, many):
        (check,) = checks_of(call)
        assert (check.action, check.resource) == ("cloudwatch:PutMetricData", "*")
        assert check.context == {"cloudwatch:namespace": ("Usher",)}


def test_instance_types_and_approval_are_in_the_context(sends: Sends) -> None:
    variants = [{"VariantName": name, "ModelName": "m", "InstanceType": "ml.c5.large"} for name in "AB"]
    found = contexts(sends, "sagemaker", "create_endpoint_config", EndpointConfigName="c", ProductionVariants=variants)
    assert found == {"sagemaker:CreateEndpointConfig": {"sagemaker:instancetypes": ("ml.c5.large", "ml.c5.large")}}
    found = contexts(
        sends, "sagemaker", "update_model_package", ModelPackageArn=PACKAGE, ModelApprovalStatus="Approved"
    )
    assert found == {"sagemaker:UpdateModelPackage": {"sagemaker:modelapprovalstatus": ("Approved",)}}


def test_other_services_conditions_are_in_the_context(sends: Sends) -> None:
    found = contexts(sends, "secretsmanager", "get_secret_value", SecretId=SECRET, VersionStage="AWSCURRENT")
    assert found["secretsmanager:GetSecretValue"] == {
        "secretsmanager:secretid": (SECRET,),
        "secretsmanager:versionstage": ("AWSCURRENT",),
    }
    found = contexts(sends, "events", "put_targets", Rule="r", Targets=[{"Id": "1", "Arn": MACHINE}])
    assert found == {"events:PutTargets": {"events:targetarn": (MACHINE,)}}
    found = contexts(sends, "sqs", "tag_queue", QueueUrl=QUEUE, Tags={"Run": "r"})
    assert found == {"sqs:TagQueue": {"aws:requesttag/run": ("r",), "aws:tagkeys": ("Run",)}}
