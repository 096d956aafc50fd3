"""`usher preflight`: check before a deployment what AWS would refuse, and print the command that fixes it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.text import Text

from cli.costs.stack import TEMPLATE, read_template
from cli.errors import CommandError, explain
from cli.formatting.terminal import make_table, out, print_json, printable, say
from cli.preflight import account, names, parameters, quotas
from cli.preflight.findings import Finding, checked
from cli.target import DEFAULT_STACK, Choice, Target, TargetCommand, chosen

app = typer.Typer()

_STYLES = {"fine": "green", "warning": "yellow", "refused": "bold red"}


@app.command(cls=TargetCommand)
def preflight(
    ctx: typer.Context,
    *,
    parameter: Annotated[
        list[str] | None, typer.Option(metavar="KEY=VALUE", help="Template parameter to deploy with; may be repeated.")
    ] = None,
    template: Annotated[Path, typer.Option(help="Template file.", dir_okay=False)] = TEMPLATE,
    samconfig: Annotated[
        Path | None, typer.Option(help="samconfig.toml with saved parameters (default: beside the template).")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Check before a deployment: credentials, region, quotas, ECR, Lake Formation, names, parameters."""
    read = read_template(template)
    given = {**parameters.saved_overrides(samconfig or template.with_name("samconfig.toml")), **pairs(parameter or [])}
    target, failed = _target(ctx)
    found = [failed, *offline(read, given, ctx.obj)] if target is None else [*online(target, read, given)]
    findings = [finding for finding in found if finding is not None]
    if as_json:
        print_json([asdict(finding) for finding in findings])
    else:
        show(findings)
    if any(finding.state == "refused" for finding in findings):
        raise typer.Exit(1)


def offline(template: Mapping[str, Any], given: Mapping[str, str], choice: Any) -> Iterator[Finding]:
    """The checks that need no account."""
    stack_name = (choice.stack_name if isinstance(choice, Choice) else "") or DEFAULT_STACK
    region = (choice.region if isinstance(choice, Choice) else "") or "us-east-1"
    yield from names.check_names(template, _values(template, given), stack_name)
    yield from parameters.check_parameters(template, given, region)


def online(target: Target, template: Mapping[str, Any], given: Mapping[str, str]) -> Iterator[Finding]:
    """All checks, in the order in which a deployment meets them."""
    yield from checked("credentials", lambda: account.check_credentials(target), "sts:GetCallerIdentity")
    yield from checked("region", lambda: account.check_region(target), "nothing")
    stack: Mapping[str, Any] | None = None

    def look() -> Iterator[Finding]:
        nonlocal stack
        stack = account.find_stack(target)
        yield from account.check_stack(target, stack)

    yield from checked("stack", look, "cloudformation:DescribeStacks")
    deployed = {one["ParameterKey"]: one["ParameterValue"] for one in (stack or {}).get("Parameters", [])}
    known = {name: value for name, value in deployed.items() if name in template["Parameters"]}
    given = {**known, **given}
    values = _values(template, given)
    faults = [*parameters.check_parameters(template, given, target.session.region_name)]
    yield from faults
    yield from names.check_names(template, values, target.stack_name)
    if any(finding.state == "refused" and "parameter " in finding.detail for finding in faults):
        return  # the other checks compute with the parameters
    if stack is None:
        needed = "glue:GetDatabase, sagemaker:DescribeEndpoint, ecr:DescribeRepositories"
        yield from checked("names", lambda: account.check_taken(target, template, values), needed)
    elif not values["RecommenderImage"]:
        repository = account.repository_name(template, values, target.stack_name)
        yield from checked("image", lambda: account.check_image(target, repository), "ecr:DescribeImages")
    needed = "servicequotas:GetServiceQuota, GetAWSDefaultServiceQuota and ListServiceQuotas"
    yield from checked("quotas", lambda: quotas.check_quotas(target, template, values), needed)
    needed = "lakeformation:GetDataLakeSettings"
    yield from checked("Lake Formation", lambda: account.check_lake_formation(target), needed)


def _values(template: Mapping[str, Any], given: Mapping[str, str]) -> dict[str, str]:
    """Every parameter's value: given, else its default."""
    declared = template.get("Parameters", {})
    return {name: str(given.get(name, one.get("Default", ""))) for name, one in declared.items()}


def _target(ctx: typer.Context) -> tuple[Target | None, Finding | None]:
    """The target; without usable credentials or a region a finding, so that the other checks still run."""
    from botocore.exceptions import BotoCoreError, ClientError  # noqa: PLC0415 - only when a command runs

    try:
        return chosen(ctx), None
    except (BotoCoreError, ClientError) as error:
        reason = explain(error) or str(error)
        return None, Finding("credentials", "refused", reason, "aws configure sso, aws login, or --profile NAME")


def pairs(given: list[str]) -> dict[str, str]:
    """KEY=VALUE texts as a mapping; CommandError names the first that is not one."""
    found = {}
    for pair in given:
        key, equals, value = pair.partition("=")
        if not key or not equals:
            raise CommandError(f"--parameter {pair}: write KEY=VALUE")
        found[key] = value
    return found


def show(findings: list[Finding]) -> None:
    """Print the findings as a table, and below it what fixes those that are not fine."""
    table = make_table(("check", "state", "found"))
    for finding in findings:
        shown = Text(finding.state, style=_STYLES[finding.state])
        table.add_row(Text(finding.check), shown, Text(printable(finding.detail)))
    out().print(table)
    remedies = [finding for finding in findings if finding.remedy and finding.state != "fine"]
    for state, title in (("refused", "To fix:"), ("warning", "Consider:")):
        lines = list(dict.fromkeys(finding.remedy for finding in remedies if finding.state == state))
        if lines:
            say(title)
            for line in lines:
                say(f"  {printable(line)}")
    refused = sum(finding.state == "refused" for finding in findings)
    say(f"{refused} of {len(findings)} checks would be refused." if refused else "Nothing would be refused.")
