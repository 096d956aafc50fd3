"""The account: credentials, region, the stack's state, names that are taken, ECR, Lake Formation."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from botocore.exceptions import ClientError, UnknownRegionError

from cli.preflight.findings import Finding
from cli.preflight.names import resolve
from cli.target import Target
from usher.errors import code

#: A stack in these states takes no update; the command after it gets it out of them.
_STUCK = {
    "ROLLBACK_COMPLETE": "usher remove {stack} --account",
    "ROLLBACK_FAILED": "usher remove {stack} --account",
    "CREATE_FAILED": "usher remove {stack} --account",
    "DELETE_FAILED": "usher remove {stack} --account",
    "REVIEW_IN_PROGRESS": "usher remove {stack} --account",
    "UPDATE_ROLLBACK_FAILED": "aws cloudformation continue-update-rollback --stack-name {stack}",
}
_EVERYBODY = "IAM_ALLOWED_PRINCIPALS"


def check_credentials(target: Target) -> Iterator[Finding]:
    """Who deploys."""
    caller = target.client("sts").get_caller_identity()
    yield Finding("credentials", "fine", f"account {caller['Account']} as {caller['Arn']}")


def check_region(target: Target) -> Iterator[Finding]:
    """Whether the region is known to offer SageMaker, by botocore's list."""
    region = target.session.region_name
    try:
        partition = target.session.get_partition_for_region(region)
    except UnknownRegionError:
        yield Finding("region", "refused", f"{region} is not a region of AWS", "give another --region")
        return
    if region in target.session.get_available_regions("sagemaker", partition):
        yield Finding("region", "fine", region)
    else:
        detail = f"{region} does not offer SageMaker, by the list of this boto3"
        yield Finding("region", "refused", detail, "give another --region, or update boto3 for a new region")


def find_stack(target: Target) -> Mapping[str, Any] | None:
    """The deployed stack, or None."""
    try:
        stack: Mapping[str, Any] = target.client("cloudformation").describe_stacks(StackName=target.stack_name)[
            "Stacks"
        ][0]
    except ClientError as error:
        if code(error) == "ValidationError" and "does not exist" in str(error):
            return None
        raise
    return stack


def check_stack(target: Target, stack: Mapping[str, Any] | None) -> Iterator[Finding]:
    """Whether the stack can be created or updated."""
    if stack is None:
        yield Finding("stack", "fine", f"{target.stack_name} does not exist: it will be created")
        return
    status = stack["StackStatus"]
    if status in _STUCK:
        remedy = _STUCK[status].format(stack=target.stack_name)
        yield Finding("stack", "refused", f"{target.stack_name} is {status} and takes no update", remedy)
    elif status.endswith("_IN_PROGRESS"):
        yield Finding("stack", "refused", f"{target.stack_name} is {status}", "wait until it has ended")
    else:
        yield Finding("stack", "fine", f"{target.stack_name} is {status}: it will be updated")


def check_taken(target: Target, template: Mapping[str, Any], values: Mapping[str, str]) -> Iterator[Finding]:
    """Names of a new stack that another one, or an earlier one, uses in this account and region."""
    database, endpoint = values["DatabaseName"], values["EndpointName"]
    repository = repository_name(template, values, target.stack_name)
    glue, sagemaker, ecr = (target.client(name) for name in ("glue", "sagemaker", "ecr"))
    taken = [
        ("Glue database", database, "DatabaseName", _exists(lambda: glue.get_database(Name=database))),
        (
            "SageMaker endpoint",
            endpoint,
            "EndpointName",
            _exists(lambda: sagemaker.describe_endpoint(EndpointName=endpoint)),
        ),
        (
            "ECR repository",
            repository,
            "DatabaseName",
            _exists(lambda: ecr.describe_repositories(repositoryNames=[repository])),
        ),
    ]
    for kind, name, parameter, exists in taken:
        if exists:
            remedy = f"give another {parameter} with --parameter, or delete the {kind}"
            yield Finding("names", "refused", f"the {kind} {name} exists already in this region", remedy)
    if not any(exists for *_, exists in taken):
        yield Finding("names", "fine", f"database {database}, endpoint {endpoint}, repository {repository} are free")


def repository_name(template: Mapping[str, Any], values: Mapping[str, str], stack_name: str) -> str:
    """The name of the stack's ECR repository."""
    (repository,) = (one for one in template["Resources"].values() if one["Type"] == "AWS::ECR::Repository")
    scope = {**values, "AWS::StackName": stack_name}
    return resolve(repository["Properties"]["RepositoryName"], scope) or ""


def check_image(target: Target, repository: str) -> Iterator[Finding]:
    """Whether a deployed stack's repository has the image that runs use; an emulator runs the program without it."""
    if target.endpoint:
        return
    ecr = target.client("ecr")
    if _exists(lambda: ecr.describe_images(repositoryName=repository, imageIds=[{"imageTag": "latest"}])):
        yield Finding("image", "fine", f"{repository}:latest")
    else:
        detail = f"{repository} has no image latest: no run can start"
        yield Finding("image", "warning", detail, f"usher image --account --stack-name {target.stack_name}")


def check_lake_formation(target: Target) -> Iterator[Finding]:
    """Whether IAM policies decide about new databases and tables, as Usher's roles need it."""
    settings = target.client("lakeformation").get_data_lake_settings()["DataLakeSettings"]
    closed = [kind for kind in ("Database", "Table") if not _open(settings.get(f"Create{kind}DefaultPermissions", []))]
    if not closed:
        yield Finding("Lake Formation", "fine", "IAM policies decide about new databases and tables")
        return
    caller = target.client("sts").get_caller_identity()["Arn"]
    detail = (
        f"its defaults for a new {' and '.join(kind.lower() for kind in closed)} no longer grant "
        f"{_EVERYBODY}: Usher's roles would be denied what their policies allow"
    )
    yield Finding(
        "Lake Formation",
        "refused",
        detail,
        "in the console, Lake Formation, Data Catalog settings, turn on both 'Use only IAM access control' boxes; or "
        "as its administrator grant ALL on the new database and its tables to the stack's roles, and to the deployer: "
        f"aws lakeformation grant-permissions --principal DataLakePrincipalIdentifier={caller} "
        "--permissions CREATE_DATABASE --resource '{\"Catalog\": {}}'",
    )


def _open(permissions: list[Mapping[str, Any]]) -> bool:
    return any(
        entry["Principal"]["DataLakePrincipalIdentifier"] == _EVERYBODY and "ALL" in entry["Permissions"]
        for entry in permissions
    )


#: What services answer for something that is not there.
_ABSENT = {
    *("EntityNotFoundException", "RepositoryNotFoundException", "ImageNotFoundException"),
    *("ResourceNotFound", "ValidationException"),
}


def _exists(read: Callable[[], object]) -> bool:
    try:
        read()
    except ClientError as error:
        if code(error) not in _ABSENT:
            raise
        return False
    return True
