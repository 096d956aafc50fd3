"""Select the target of a command: the local twin of this folder or an AWS account.

No other module distinguishes the two: commands call boto3 with the names in the stack's outputs.
"""

from __future__ import annotations

import functools
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from typer.core import TyperCommand

from cli.errors import CommandError, one_line
from cli.formatting.terminal import remark

if TYPE_CHECKING:
    import boto3

    from usher.store.ingested_objects import IngestedObjects

DEFAULT_STACK = "usher"


@dataclass(frozen=True, slots=True, kw_only=True)
class Choice:
    """The target options of the command line; empty strings are options that were not given."""

    account: bool = False
    profile: str = ""
    region: str = ""
    stack_name: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Resources:
    """The stack's outputs that commands use. Each is an output of template.yaml in snake case."""

    landing_bucket: str
    lake_bucket: str
    database: str
    state_table: str
    workgroup: str
    ingest_queue_url: str = ""
    ingest_dead_letter_queue_url: str = ""
    catalog_queue_url: str = ""
    catalog_dead_letter_queue_url: str = ""
    api_url: str = ""
    train_workflow_arn: str = ""
    shift_workflow_arn: str = ""
    endpoint_name: str = ""
    image_build: str = ""
    stream_prefix: str = ""

    @classmethod
    def read(cls, outputs: Mapping[str, str], stack_name: str) -> Resources:
        """Read a stack's outputs; CommandError names every missing one."""
        known = {_snake(name): value for name, value in outputs.items()}
        names = {item.name for item in fields(cls)}
        needed = {item.name for item in fields(cls) if item.default != ""}
        missing = sorted(needed - known.keys())
        if missing:
            absent = ", ".join(_pascal(name) for name in missing)
            raise CommandError(
                f"stack {stack_name} has no output {absent}: name a stack of Usher's template.yaml (--stack-name)"
            )
        return cls(**{name: value for name, value in known.items() if name in names})


@dataclass(slots=True)
class Target:
    """One deployment of Usher and its AWS clients.

    endpoint: where most services answer; None is AWS. configured: botocore's own rules choose each service's endpoint
    (AWS_ENDPOINT_URL_S3 before AWS_ENDPOINT_URL, these before the profile's); else every service answers at `endpoint`.
    """

    session: boto3.Session
    stack_name: str
    description: str
    endpoint: str | None = None
    configured: bool = False
    _clients: dict[str, Any] = field(default_factory=dict)
    _resources: Resources | None = None

    def client(self, service: str) -> Any:
        """A boto3 client, built once."""
        if service not in self._clients:
            self._clients[service] = self.session.client(
                service,  # type: ignore[call-overload]  # any service by name
                endpoint_url=self.client_endpoint,
            )
        return self._clients[service]

    @property
    def client_endpoint(self) -> str | None:
        """The `endpoint_url` of a client; None leaves the choice to botocore."""
        return None if self.configured else self.endpoint

    def ingested_objects(self) -> IngestedObjects:
        """The records of ingested objects."""
        from usher.store.ingested_objects import IngestedObjects  # noqa: PLC0415 - imports botocore

        return IngestedObjects(self.dynamodb(), self.resources.state_table)

    def state_table(self) -> Any:
        """The state table, a boto3 Table resource."""
        return self.dynamodb().Table(self.resources.state_table)

    def dynamodb(self) -> Any:
        """DynamoDB as a boto3 resource."""
        return self.session.resource("dynamodb", endpoint_url=self.client_endpoint)

    @property
    def resources(self) -> Resources:
        """The stack's outputs, read once; CommandError when the stack does not exist or is not deployed yet."""
        if self._resources is None:
            self._resources = Resources.read(self._outputs(), self.stack_name)
        return self._resources

    def _outputs(self) -> dict[str, str]:
        from botocore.exceptions import ClientError  # noqa: PLC0415 - 0.3 s that --help need not pay

        try:
            stack = self.client("cloudformation").describe_stacks(StackName=self.stack_name)["Stacks"][0]
        except ClientError as error:
            message = error.response["Error"]["Message"]
            if error.response["Error"]["Code"] == "ValidationError" and "does not exist" in message:
                raise CommandError(
                    f"stack {self.stack_name} not found on {self.description}: deploy it, or give another --stack-name"
                ) from error
            raise
        if not stack.get("Outputs"):
            status = one_line(f"{stack['StackStatus']} {stack.get('StackStatusReason', '')}")
            raise CommandError(f"stack {self.stack_name} has no outputs yet ({status}): wait until it is deployed")
        return {output["OutputKey"]: output["OutputValue"] for output in stack["Outputs"]}


def find(choice: Choice, project: Path | None = None, environ: Mapping[str, str] = os.environ) -> Target:
    """The target of a command.

    The credentials and region of `choice` when it names an account or a profile, at the endpoints that are configured
    for them (https://docs.aws.amazon.com/sdkref/latest/guide/feature-ss-endpoints.html); else the endpoint of
    AWS_ENDPOINT_URL; else the twin that runs for `project` (by default the working folder). An account is never the
    default: a rollback meant for a twin must not reach one.

    Raises CommandError when no target is found.
    """
    if choice.account or choice.profile:
        return _account(choice, environ)
    if endpoint := environ.get("AWS_ENDPOINT_URL"):
        stack_name = choice.stack_name or DEFAULT_STACK
        return Target(_session(choice), stack_name, f"{endpoint} (AWS_ENDPOINT_URL)", endpoint=endpoint)
    twin = _running_twin(project or Path.cwd())
    if twin is not None:
        return of_twin(twin, choice.stack_name)
    raise CommandError(
        "no twin runs in this folder: `usher twin up` starts one; --account or --profile NAME selects an AWS account"
    )


def _running_twin(project: Path) -> Any:
    """The running twin of the nearest folder above that has a template.yaml, else of the folder itself."""
    from twin import lifecycle  # noqa: PLC0415 - only when a command runs

    above = (folder for folder in (project, *project.parents) if (folder / "template.yaml").is_file())
    return lifecycle.running(next(above, project))


def of_twin(twin: Any, stack_name: str = "") -> Target:
    """The target of a running twin (twin.lifecycle.RunningTwin)."""
    import boto3  # noqa: PLC0415 - 0.3 s that --help need not pay

    session = boto3.Session(
        aws_access_key_id=twin.environment["AWS_ACCESS_KEY_ID"],
        aws_secret_access_key=twin.environment["AWS_SECRET_ACCESS_KEY"],
        region_name=twin.region,
    )
    return Target(session, stack_name or twin.stack_name, f"the twin at {twin.endpoint}", endpoint=twin.endpoint)


def _account(choice: Choice, environ: Mapping[str, str]) -> Target:
    """Credentials of an account, or of an emulator: asks STS, which also shows expired ones before any work."""
    session = _session(choice)
    endpoint = _configured_endpoint(session)
    account = session.client("sts").get_caller_identity()["Account"]
    of_profile = f", profile {choice.profile}" if choice.profile else ""
    description = f"AWS account {account}, {session.region_name}{of_profile}"
    if endpoint:
        source = "AWS_ENDPOINT_URL" if environ.get("AWS_ENDPOINT_URL") else "the profile's endpoint_url"
        description = f"{endpoint} ({source}), account {account}, {session.region_name}{of_profile}"
    if single := sorted(name for name in environ if name.startswith("AWS_ENDPOINT_URL_")):
        description += f", {', '.join(single)}"
    return Target(session, choice.stack_name or DEFAULT_STACK, description, endpoint=endpoint, configured=True)


def _session(choice: Choice) -> boto3.Session:
    import boto3  # noqa: PLC0415 - 0.3 s that --help need not pay
    from botocore.exceptions import NoCredentialsError, NoRegionError  # noqa: PLC0415

    profile = choice.profile or None
    # AWS_REGION is what functions and the twin set; boto3 itself only reads AWS_DEFAULT_REGION.
    region = choice.region or os.environ.get("AWS_REGION") or None
    session = boto3.Session(profile_name=profile, region_name=None if profile and not choice.region else region)
    if session.region_name is None:
        raise NoRegionError
    if session.get_credentials() is None:
        raise NoCredentialsError
    return session


def _configured_endpoint(session: boto3.Session) -> str | None:
    """The endpoint that environment or profile set for CloudFormation, which every command asks first; None is AWS."""
    from botocore.config import Config  # noqa: PLC0415 - 0.3 s that --help need not pay

    found = session.client("cloudformation").meta.endpoint_url
    config = Config(ignore_configured_endpoint_urls=True)  # type: ignore[call-arg]  # not in the stubs
    return None if found == session.client("cloudformation", config=config).meta.endpoint_url else found


_PANEL = "Target (default: the twin of this folder)"


def _choose(
    account: Annotated[
        bool,
        typer.Option(
            "--account",
            help="Use the environment's AWS credentials, and AWS_ENDPOINT_URL if it is set.",
            rich_help_panel=_PANEL,
        ),
    ] = False,
    profile: Annotated[str, typer.Option(help="Use this profile's AWS credentials.", rich_help_panel=_PANEL)] = "",
    region: Annotated[str, typer.Option(help="AWS region of the account.", rich_help_panel=_PANEL)] = "",
    stack_name: Annotated[
        str,
        typer.Option(help=f"Stack name (default: {DEFAULT_STACK}).", envvar="USHER_STACK_NAME", rich_help_panel=_PANEL),
    ] = "",
) -> Choice:
    return Choice(account=account, profile=profile, region=region, stack_name=stack_name)


class TargetCommand(TyperCommand):
    """A command with the target options of `_choose`; its function calls `chosen(ctx)`."""

    def __init__(self, *arguments: Any, **settings: Any) -> None:
        super().__init__(*arguments, **settings)
        self.params.extend(_target_options())

    def invoke(self, ctx: Any) -> Any:
        given = {option.name: ctx.params.pop(option.name) for option in _target_options()}
        if ctx.obj is None:  # a caller in the same process may pass a target
            ctx.obj = _choose(**given)
        return super().invoke(ctx)


@functools.cache
def _target_options() -> list[Any]:
    """The options of `_choose` as Typer builds them."""
    single = typer.Typer(add_completion=False)
    single.command()(_choose)
    return [parameter for parameter in typer.main.get_command(single).params if parameter.name != "help"]


def chosen(ctx: typer.Context) -> Target:
    """The target of the running command; prints it on stderr, so that the wrong account is noticed."""
    if isinstance(ctx.obj, Target):
        return ctx.obj
    target = find(ctx.obj if isinstance(ctx.obj, Choice) else Choice())
    remark(f"Using {target.description}, stack {target.stack_name}")
    return target


def _snake(name: str) -> str:
    return re.sub(r"(?<!^)(?=[A-Z])", "_", name).lower()


def _pascal(name: str) -> str:
    return "".join(part.capitalize() for part in name.split("_"))
