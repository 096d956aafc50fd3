"""What the template promises: least privilege, encryption, dead letters, retention; checked on the built template."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest

from twin.cloudformation import template
from twin.cloudformation.errors import TemplateError
from twin.cloudformation.intrinsics import Scope
from usher.schema import datasets, s3_paths, settings

if TYPE_CHECKING:
    from tests.infra.conftest import Built

PROJECT = Path(__file__).parents[2]

#: Every wildcard in a policy, by role and statement, with the reason why nothing narrower works.
ALLOWED_WILDCARDS = {
    ("StreamsRole", "Deliver"): "Firehose names its objects; only stream/ and stream-errors/ of the data sets",
    ("IngestStreamRole", "WriteQuarantine"): "files are named after batches; only quarantine/",
    ("IngestObjectsRole", "ReadLanding"): "objects of the landing bucket have names that producers choose",
    ("IngestObjectsRole", "WriteRowsAndQuarantine"): "files are named after objects; only lake/ and quarantine/",
    ("CatalogTablesRole", "CreateTables"): "the tables of Usher's own database, which it makes itself",
    ("CatalogTablesRole", "WriteTableMetadata"): "Iceberg names its metadata files; only lake/*/metadata/",
    ("CatalogObjectsRole", "CommitToTables"): "the tables of Usher's own database",
    ("CatalogObjectsRole", "ReadDataWriteMetadata"): "data files are named after objects; only lake/",
    ("CatalogObjectsRole", "WriteTableMetadata"): "Iceberg names its metadata files; only lake/*/metadata/",
    ("PrepareRunRole", "ReadTableMetadata"): "Iceberg names its metadata files; only those of ratings and events",
    ("PrepareRunRole", "WriteThePlan"): "runs are named after their data; only plan.json",
    ("PrepareRunRole", "ReadServiceQuotas"): "the actions take no resource",
    ("PrepareNextRole", "DescribeRuns"): "executions are named after runs; of this workflow alone",
    ("ImageBuildRole", "LogIn"): "the action takes no resource",
    ("SageMakerRole", "LogInToTheRegistry"): "the action takes no resource",
    ("SageMakerRole", "Measure"): "the action takes no resource; the namespace is a condition",
    ("SageMakerRole", "ReadTheLakeAndRuns"): "data files and runs have names that their content gives",
    ("SageMakerRole", "WriteRuns"): "runs are named after their data; only runs/",
    ("SageMakerRole", "ReadTheCatalog"): "the tables of Usher's own database",
    ("SageMakerRole", "Log"): "SageMaker names its streams; only its own log groups",
    ("TrainWorkflowRole", "FindTheEndpoint"): "the action takes no resource",
    ("TrainWorkflowRole", "RunProcessingJobs"): "jobs are named after runs",
    ("TrainWorkflowRole", "RunTrainingJobs"): "jobs are named after runs",
    ("TrainWorkflowRole", "RunTuningJobs"): "jobs are named after runs",
    ("TrainWorkflowRole", "CreateEndpointConfigs"): "endpoint configurations are named after runs",
    ("TrainWorkflowRole", "RegisterModels"): "package versions are numbered by the registry; of one group",
    ("TrainWorkflowRole", "CheckModelFiles"): "runs are named after their data; only archive and evaluation",
    ("TrainWorkflowRole", "CreateModels"): "models are named after runs",
    ("TrainWorkflowRole", "Deploy"): "endpoint configurations are named after runs",
    ("EvaluateGateRole", "ReadEvaluations"): "runs are named after their data; only evaluation.json",
    ("DeployExperimentRole", "ReadPopularity"): "runs are named after their data; only the popularity lists",
    ("ShiftTrafficRole", "DescribeItsModels"): "endpoint configurations are named after runs",
    ("ShiftTrafficRole", "ApproveAndReject"): "package versions are numbered by the registry; of one group",
    ("ShiftTrafficRole", "ReadPopularity"): "runs are named after their data; only the popularity lists",
    ("ShiftTrafficRole", "ReadMetrics"): "the action takes no resource",
    ("RecommendItemsRole", "ReadBundles"): "runs are named after their data; only bundle/",
}
#: IAM offers these actions no resource to name.
WITHOUT_RESOURCE = {
    *("ecr:GetAuthorizationToken", "sagemaker:ListEndpoints"),
    *("cloudwatch:PutMetricData", "cloudwatch:GetMetricData"),
    *("servicequotas:GetServiceQuota", "servicequotas:GetAWSDefaultServiceQuota"),
    *("servicequotas:ListServiceQuotas", "servicequotas:ListAWSDefaultServiceQuotas"),
}


def text(value: Any) -> str:
    return json.dumps(value, sort_keys=True)


def role_statements(built: Built) -> Iterator[tuple[str, Mapping[str, Any]]]:
    for role, properties in built.of_type("AWS::IAM::Role").items():
        for policy in properties["Policies"]:
            for statement in policy["PolicyDocument"]["Statement"]:
                yield role, statement


def test_every_wildcard_of_a_role_is_in_the_list_of_allowed_ones(built: Built) -> None:
    found = {
        (role, statement["Sid"])
        for role, statement in role_statements(built)
        if "*" in text(statement["Resource"]) or "*" in text(statement["Action"])
    }
    assert found == set(ALLOWED_WILDCARDS)


@pytest.mark.parametrize(
    ("image", "repository"),
    [
        ("", ""),
        ("210987654321.dkr.ecr.eu-central-1.amazonaws.com/own:1.2", "eu-central-1:210987654321:repository/own"),
        (
            f"210987654321.dkr.ecr.eu-west-1.amazonaws.com/team/own:1@sha256:{'0' * 64}",
            "eu-west-1:210987654321:repository/team/own",
        ),
        ("210987654321.dkr.ecr.eu-west-1.amazonaws.com/team/own", "eu-west-1:210987654321:repository/team/own"),
    ],
)
def test_the_image_may_be_read_from_the_stacks_repository_and_from_that_of_an_own_image(
    built: Built, image: str, repository: str
) -> None:
    """Both: after the parameter has changed, the champion's image still lies in the stack's."""
    pattern = built.template["Parameters"]["RecommenderImage"]["AllowedPattern"]
    assert re.fullmatch(pattern, image)
    assert not re.fullmatch(pattern, "docker.io/usher:1")
    stacks = SimpleNamespace(physical_id="", attributes={"Arn": "arn:aws:ecr:eu-west-1:123456789012:repository/r"})
    parameters = {"RecommenderImage": image, "AWS::Partition": "aws"}
    scope = Scope(built.template, parameters, {"RecommenderRepository": stacks})
    found = {
        (role, statement["Sid"]): scope.resolve(statement["Resource"])
        for role, statement in role_statements(built)
        if statement["Sid"] in ("FindTheImage", "PullTheImage")
    }
    expected = [stacks.attributes["Arn"], *([f"arn:aws:ecr:{repository}"] if repository else [])]
    assert found == {("PrepareRunRole", "FindTheImage"): expected, ("SageMakerRole", "PullTheImage"): expected}


def test_no_rule_of_ecr_expires_a_tagged_image(built: Built) -> None:
    """PrepareRun tags each image that a run uses; the tag latest moves away from it with the next build."""
    (repository,) = built.of_type("AWS::ECR::Repository").values()
    rules = json.loads(repository["LifecyclePolicy"]["LifecyclePolicyText"])["rules"]
    assert [rule["selection"]["tagStatus"] for rule in rules] == ["untagged"]


def test_no_role_has_all_actions_or_all_resources(built: Built) -> None:
    for role, statement in role_statements(built):
        actions = statement["Action"] if isinstance(statement["Action"], list) else [statement["Action"]]
        assert not [action for action in actions if "*" in action], role
        resources = statement["Resource"] if isinstance(statement["Resource"], list) else [statement["Resource"]]
        assert "*" not in resources or set(actions) <= WITHOUT_RESOURCE, role


def test_a_wildcard_that_was_allowed_has_its_reason() -> None:
    assert all(len(reason) > 20 for reason in ALLOWED_WILDCARDS.values())


def test_every_function_has_a_role_of_its_own_without_managed_policies(built: Built) -> None:
    roles = [text(function["Role"]) for function in built.functions.values()]
    assert len(set(roles)) == len(roles) == len(built.functions)
    assert not [role for role, body in built.of_type("AWS::IAM::Role").items() if "ManagedPolicyArns" in body]


def test_every_bucket_is_private_and_encrypted_and_refuses_plain_http(built: Built) -> None:
    buckets = built.of_type("AWS::S3::Bucket")
    assert buckets
    policies = {
        text(body["Bucket"]): body["PolicyDocument"] for body in built.of_type("AWS::S3::BucketPolicy").values()
    }
    for name, bucket in buckets.items():
        assert all(bucket["PublicAccessBlockConfiguration"].values())
        assert len(bucket["PublicAccessBlockConfiguration"]) == 4
        assert "SSEAlgorithm" in text(bucket["BucketEncryption"])
        (statement,) = policies[text({"Ref": name})]["Statement"]
        assert (statement["Effect"], statement["Action"]) == ("Deny", "s3:*")
        assert statement["Condition"] == {"Bool": {"aws:SecureTransport": "false"}}


def test_only_the_landing_bucket_sends_events(built: Built) -> None:
    telling = [name for name, body in built.of_type("AWS::S3::Bucket").items() if "NotificationConfiguration" in body]
    assert telling == ["LandingBucket"]


def test_every_queue_is_encrypted_and_dead_letters_raise_an_alarm(built: Built) -> None:
    queues = built.of_type("AWS::SQS::Queue")
    watched = {
        dimension["Value"]["Fn::GetAtt"][0]
        for alarm in built.of_type("AWS::CloudWatch::Alarm").values()
        for dimension in alarm.get("Dimensions", [])
        if dimension["Name"] == "QueueName"
    }
    dead = {
        text(q["RedrivePolicy"]["deadLetterTargetArn"]["Fn::GetAtt"][0]).strip('"')
        for q in queues.values()
        if "RedrivePolicy" in q
    } | {
        target["DeadLetterConfig"]["Arn"]["Fn::GetAtt"][0]
        for rule in built.of_type("AWS::Events::Rule").values()
        for target in rule["Targets"]
    }
    assert all(queue["SqsManagedSseEnabled"] for queue in queues.values())
    assert dead == {name for name, queue in queues.items() if "RedrivePolicy" not in queue} == watched


def test_every_data_set_has_an_encrypted_delivery_stream_with_a_transformation(built: Built) -> None:
    streams = built.of_type("AWS::KinesisFirehose::DeliveryStream")
    found = {body["DeliveryStreamName"]["Fn::Sub"]: body for body in streams.values()}
    assert set(found) == {f"${{AWS::StackName}}-{name}" for name in datasets.DATASETS}
    for full_name, body in found.items():
        name = full_name.rpartition("-")[2]
        destination = body["ExtendedS3DestinationConfiguration"]
        assert body["DeliveryStreamEncryptionConfigurationInput"] == {"KeyType": "AWS_OWNED_CMK"}
        assert destination["Prefix"].startswith(s3_paths.stream_prefix(name))
        assert destination["ErrorOutputPrefix"].startswith(s3_paths.stream_errors_prefix(name))
        (processor,) = destination["ProcessingConfiguration"]["Processors"]
        values = {item["ParameterName"]: item["ParameterValue"] for item in processor["Parameters"]}
        assert values["LambdaArn"] == {"Fn::GetAtt": ["IngestStream", "Arn"]}


def test_every_rule_has_a_dead_letter_queue(built: Built) -> None:
    targets = [target for rule in built.of_type("AWS::Events::Rule").values() for target in rule["Targets"]]
    assert targets
    assert all("DeadLetterConfig" in target for target in targets)


def test_every_function_logs_to_its_own_group_with_retention(built: Built) -> None:
    groups = built.of_type("AWS::Logs::LogGroup")
    used = [function["LoggingConfig"]["LogGroup"]["Ref"] for function in built.functions.values()]
    build = [
        project["LogsConfig"]["CloudWatchLogs"]["GroupName"]["Ref"]
        for project in built.of_type("AWS::CodeBuild::Project").values()
    ]
    streams = {
        body["ExtendedS3DestinationConfiguration"]["CloudWatchLoggingOptions"]["LogGroupName"]["Ref"]
        for body in built.of_type("AWS::KinesisFirehose::DeliveryStream").values()
    }
    assert sorted([*used, *build, *streams]) == sorted(groups)
    assert all(group["RetentionInDays"] for group in groups.values())


def test_the_visibility_timeout_of_a_queue_is_six_times_its_functions_timeout(built: Built) -> None:
    for function in built.functions.values():
        for event in function.get("Events", {}).values():
            queue = built.resources[event["Properties"]["Queue"]["Fn::GetAtt"][0]]["Properties"]
            assert queue["VisibilityTimeout"] >= 6 * function["Timeout"]
            assert event["Properties"]["FunctionResponseTypes"] == ["ReportBatchItemFailures"]


def test_folder_resource_service_and_sample_event_have_the_same_name(built: Built) -> None:
    for name, function in built.functions.items():
        folder = re.sub(r"(?<!^)(?=[A-Z])", "_", name).lower()
        assert built.code(name) == PROJECT / "functions" / folder
        assert function["Environment"]["Variables"]["POWERTOOLS_SERVICE_NAME"] == folder
        json.loads((PROJECT / "events" / f"{folder}.json").read_text())
    folders = {path.parent.name for path in (PROJECT / "functions").glob("*/app.py")}
    assert folders == {built.code(name).name for name in built.functions}


def test_functions_have_only_known_settings(built: Built) -> None:
    known = {settings.environment_name(name) for name in settings.Settings.__dataclass_fields__}
    for name, function in built.functions.items():
        told = {key for key in function["Environment"]["Variables"] if key.startswith(settings.PREFIX)}
        assert told <= known, name


def test_the_tables_follow_the_schema_definition(built: Built) -> None:
    assert built.resources["Tables"]["Properties"]["SchemaDigest"] == datasets.schema_digest(), (
        "the schema has changed: put this digest into template.yaml, so that the next deployment updates the tables"
    )


def test_an_update_of_the_schedule_is_an_update_of_the_resource_that_enables_it_again(built: Built) -> None:
    """CloudFormation sets a changed rule to DISABLED, as the template has it, also while an experiment is open."""
    schedule = text(built.resources["ShiftSchedule"])
    digest = hashlib.sha256(schedule.encode()).hexdigest()[:16]
    assert built.resources["Deployment"]["Properties"]["ScheduleDigest"] == digest, (
        "the schedule has changed: put this digest into template.yaml, so that its update enables the rule again"
    )


def test_the_documentation_of_the_data_sets_equals_the_code() -> None:
    assert (PROJECT / "docs" / "datasets.md").read_text() == datasets.markdown(), "run make docs"


def test_the_built_template_has_no_yaml_aliases_which_cloudformation_refuses() -> None:
    built = (PROJECT / ".aws-sam" / "build" / "template.yaml").read_text()
    assert not re.search(r"(: |- )[&*]\w+", built)


def test_a_handler_has_at_most_sixty_lines() -> None:
    long = {path.parent.name: n for path in (PROJECT / "functions").glob("*/app.py") if (n := lines(path)) > 60}
    assert not long


def lines(path: Path) -> int:
    return len(path.read_text().splitlines())


def parameter_values(built: Built, **given: str) -> dict[str, str]:
    """The values of all parameters; TemplateError as a deployment would raise."""
    return template.parameter_values(dict(built.template), given)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("CatalogWindowSeconds", "0"),  # Lambda refuses it beside a batch of more than ten messages
        ("IngestConcurrency", "1"),
        ("EndpointName", "Shop"),
        ("EndpointName", "a" * 47),
        ("EndpointName", "-shop"),
        *(("DatabaseName", name) for name in ("_shop", "shop_", "shop__eu", "Shop", "shop-eu")),
        *(("LakeBucketName", name) for name in ("Lake", "ab", "lake_eu")),
    ],
)
def test_a_parameter_that_a_service_would_refuse_is_refused_before_the_deployment(
    built: Built, name: str, value: str
) -> None:
    with pytest.raises(TemplateError, match=f"parameter {name} must"):
        parameter_values(built, **{name: value})


@pytest.mark.parametrize("database", ["usher", "usher_staging_2", "a" * 64])
def test_the_repository_has_a_name_that_ecr_takes_for_every_database(built: Built, database: str) -> None:
    parameter_values(built, DatabaseName=database)
    (repository,) = built.of_type("AWS::ECR::Repository").values()
    pattern = r"(?:[a-z0-9]+(?:[._-][a-z0-9]+)*/)*[a-z0-9]+(?:[._-][a-z0-9]+)*"  # ECR's own, API_CreateRepository
    name = repository["RepositoryName"]["Fn::Sub"].replace("${DatabaseName}", database)
    assert re.fullmatch(pattern, name) and len(name) <= 256


def test_names_in_sagemakers_arns_do_not_contain_the_stacks_name(built: Built) -> None:
    """SageMaker lower-cases its ARNs, and a stack's name may have capitals: a policy would never match."""
    arns = [text(statement["Resource"]) for _, statement in role_statements(built)]
    named = [arn for found in arns for arn in found.split(", ") if ":sagemaker:" in arn]
    assert len(named) > 5
    assert not [arn for arn in named if "AWS::StackName" in arn]


def test_queues_leave_functions_of_a_new_account_to_the_api(built: Built) -> None:
    defaults = {name: parameter.get("Default") for name, parameter in built.template["Parameters"].items()}
    limits = [
        event["Properties"]["ScalingConfig"]["MaximumConcurrency"]
        for function in built.functions.values()
        for event in function.get("Events", {}).values()
    ]
    total = sum(defaults[limit["Ref"]] if isinstance(limit, dict) else limit for limit in limits)
    assert total <= 6, "a new account may run ten functions at once"
