"""`usher smoke`: deploys Usher under a name of its own, checks every promise on generated data, and removes it."""

from __future__ import annotations

import secrets
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.text import Text

from cli.commands.preflight import online, pairs, show
from cli.costs.stack import read_stack, read_template
from cli.errors import CommandError, explain
from cli.formatting.terminal import make_table, out, remark, say
from cli.interrupts import not_interrupted, terminated_is_interrupted
from cli.target import Target, TargetCommand, chosen

if TYPE_CHECKING:
    from cli.smoke.report import Report

app = typer.Typer(add_completion=False)

#: The smallest deployment that runs the whole loop: one training instance at a time, short waits, real decisions.
PARAMETERS: Mapping[str, str] = {
    "MinNewRows": "1000",
    "QuietSeconds": "10",
    "StreamBufferSeconds": "0",
    "TuningTrials": "1",
    "ParallelAlgorithms": "1",
    "ParallelTrials": "1",
    "MinGateUsers": "10",
    "RouterCacheSeconds": "1",
    "LogRetentionDays": "1",
}
#: How long the removal may take: an endpoint that fails to start is busy for some 24 minutes.
REMOVAL_SECONDS = 3600.0


@app.command(cls=TargetCommand)
def smoke(  # noqa: PLR0913 - the options of a command
    ctx: typer.Context,
    *,
    budget_usd: Annotated[float, typer.Option(min=0.01, help="Refuse to start when it could cost more.")] = 5.0,
    wait_minutes: Annotated[float, typer.Option(min=1, help="End the test after this time, and remove all.")] = 180.0,
    parameter: Annotated[
        list[str] | None, typer.Option(metavar="KEY=VALUE", help="Template parameter; may be repeated.")
    ] = None,
    template: Annotated[Path, typer.Option(help="The built template.")] = Path(".aws-sam/build/template.yaml"),
    report: Annotated[Path, typer.Option(help="File for the report.", dir_okay=False)] = Path("usher-smoke.json"),
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask for confirmation.")] = False,
) -> None:
    """Deploy Usher under a name of its own, check every promise on generated data, and remove everything.

    It also removes everything after a failure and after Ctrl-C. Exit code 1 when a promise does not hold.
    """
    target = chosen(ctx)
    number = secrets.token_hex(3)
    target.stack_name = f"{target.stack_name}-smoke-{number}"
    own = {"BudgetUsd": f"{budget_usd:g}", **_names(target.stack_name)}
    given = {**PARAMETERS, **own, **checked_parameters(pairs(parameter or []))}
    findings = list(online(target, read_template(), given))
    if any(finding.state == "refused" for finding in findings):
        show(findings)
        raise CommandError("nothing was deployed: fix what the table shows as refused, then run this again")
    usd = _estimate(target, given, budget_usd, wait_minutes / 60)
    if not yes and not typer.confirm(f"Deploy stack {target.stack_name} to {target.description}?", err=True):
        raise CommandError("nothing was deployed")
    result = _run(target, template.absolute(), given, usd, wait_minutes * 60, report)
    result.show()
    say(f"Report: {report}")
    if result.interrupted:
        raise KeyboardInterrupt
    if not result.passed:
        raise typer.Exit(1)


def checked_parameters(given: Mapping[str, str]) -> Mapping[str, str]:
    """The parameters; CommandError for one that would let the test delete existing data."""
    for name in ("LandingBucketName", "LakeBucketName", "StateTableName"):
        if given.get(name):
            raise CommandError(
                f"--parameter {name}={given[name]}: a smoke test deletes all of its data, so it takes no existing name"
            )
    return given


def _names(stack_name: str) -> dict[str, str]:
    """The parameters that keep the stack apart from others of the account."""
    name = stack_name.lower()
    return {"DatabaseName": name.replace("-", "_"), "EndpointName": name}


def _estimate(target: Target, given: Mapping[str, str], budget_usd: float, hours: float) -> float:
    """Print what the test costs at most, USD; CommandError above the budget."""
    from cli.smoke.budget import estimate  # noqa: PLC0415 - only when a command runs
    from cli.smoke.promises import RATINGS  # noqa: PLC0415
    from usher.errors import NoPrice  # noqa: PLC0415
    from usher.runs.prices import price_list  # noqa: PLC0415

    prices, region = price_list(), target.session.region_name
    try:
        parts = estimate(read_stack(), given, prices, region, rows=RATINGS, hours=hours)
    except NoPrice as error:
        raise CommandError(str(error)) from error
    table = make_table(("part", "USD"), right=("USD",), title=f"At most, in {hours * 60:g} minutes, {region}")
    for part in parts:
        if part.usd >= 0.005:
            table.add_row(Text(part.name), f"{part.usd:,.2f}")
    usd = round(sum(part.usd for part in parts), 2)
    table.add_section()
    table.add_row("total", f"{usd:,.2f}")
    out().print(table)
    say(f"Prices of {prices.region}, {prices.as_of}. {prices.about}")
    if usd > budget_usd:
        raise CommandError(
            f"the test could cost {usd:.2f} USD, over --budget-usd {budget_usd:g}: raise it, or lower --wait-minutes"
        )
    return usd


def _run(  # noqa: PLR0913, PLR0917 - what a test consists of
    target: Target, template: Path, given: Mapping[str, str], usd: float, seconds: float, path: Path
) -> Report:
    """Deploy, check, remove, and write the report, also after an error and Ctrl-C."""
    from cli.deployments import creation  # noqa: PLC0415 - only when a command runs
    from cli.smoke import cleanup  # noqa: PLC0415
    from cli.smoke.promises import Loop  # noqa: PLC0415
    from cli.smoke.report import Promise, Report  # noqa: PLC0415

    started = time.monotonic()
    result = Report(target.stack_name, target.description, usd)
    deployed, removed = Promise("the template is deployed"), Promise("everything is removed")
    option = "" if target.endpoint else " --account"
    remedy = f"usher remove {target.stack_name} --everything{option}"
    remark(f"Stack {target.stack_name}. Should this command be killed: {remedy}")
    bucket = f"{target.stack_name.lower()}-code-{secrets.token_hex(4)}"

    def deploy() -> str:
        _make_bucket(target, bucket)
        outputs = creation.create(target, template, bucket, given, remark, seconds=seconds)
        return f"stack {target.stack_name}, {outputs['ApiUrl']}"

    with terminated_is_interrupted(), tempfile.TemporaryDirectory(prefix="usher-smoke-") as folder:
        loop = Loop(target, Path(folder), started + seconds)
        checks = [(deployed, deploy)] + [(Promise(words), look) for words, look in loop.promises()]
        result.promises = [*(promise for promise, _ in checks), removed]
        try:
            result.write(path)
            for promise, look in checks:
                promise.check(look)
        except KeyboardInterrupt:
            result.interrupted = True
        except Exception as error:  # noqa: BLE001 - whatever fails, the deployment is removed
            remark(f"Failed: {explain(error) or repr(error)}")
        with not_interrupted():
            remark("Removing everything; Ctrl-C does not stop this")
            names = given["DatabaseName"], given["EndpointName"]
            try:
                removed.check(lambda: cleanup.clean(target, bucket, names, remark, seconds=REMOVAL_SECONDS))
                result.removed = True
            except Exception as error:  # noqa: BLE001 - the report says what is left
                remark(f"Not removed: {explain(error) or repr(error)}. Run {remedy}")
            result.seconds = round(time.monotonic() - started, 1)
            result.write(path)
    return result


def _make_bucket(target: Target, bucket: str) -> None:
    """A private bucket for the code, until the stack is created."""
    region = target.session.region_name
    place = {} if region == "us-east-1" else {"CreateBucketConfiguration": {"LocationConstraint": region}}
    target.client("s3").create_bucket(Bucket=bucket, **place)
