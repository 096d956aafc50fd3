"""`usher remove`: takes a deployment down, says what it keeps and what that costs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer
from rich.text import Text

from cli.errors import CommandError
from cli.formatting.terminal import out, remark, say
from cli.target import TargetCommand, chosen

if TYPE_CHECKING:
    from cli.deployments.inventory import Bucket, Inventory

app = typer.Typer(add_completion=False)

_GB = 1e9


@app.command(cls=TargetCommand)
def remove(
    ctx: typer.Context,
    *,
    stack: Annotated[str, typer.Argument(metavar="[STACK]", help="The stack; the same as --stack-name.")] = "",
    everything: Annotated[bool, typer.Option("--everything", help="Delete the data too. Nothing is kept.")] = False,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask for confirmation.")] = False,
    wait: Annotated[float, typer.Option("--wait", min=1.0, help="Seconds to wait for the stack's deletion.")] = 1800.0,
) -> None:
    """Remove a deployment: endpoint, models, model packages, the stack. The lake and the state table are kept.

    Works after a failed creation too. `usher adopt` deploys a new stack on what is kept.
    """
    from cli.deployments import inventory, removal  # noqa: PLC0415 - only when a command runs

    target = chosen(ctx)
    if stack and stack != target.stack_name:
        target.stack_name = stack
        remark(f"Removing stack {stack}")
    found = inventory.look(target)
    data = everything or not found.holds_data
    _print_plan(found, target.session.region_name, data=data)
    if not yes and not typer.confirm("Remove this?", err=True):
        raise CommandError("nothing was removed")
    removal.remove(target, found, remark, data=data, seconds=wait)
    say(f"Stack {found.stack_name} is removed.")
    if not data:
        _print_adoption(found)


def _print_plan(found: Inventory, region: str, *, data: bool) -> None:
    console = out()
    counted = {
        "running executions": len(found.executions),
        f"endpoint {found.endpoint[0]} ({found.endpoint[1]})": int(bool(found.endpoint[0])),
        "endpoint configs": len(found.configs),
        "models": len(found.models),
        "model packages": len(found.packages),
    }
    console.print(Text(f"Removes  stack {found.stack_name} ({found.status})"))
    for what, number in counted.items():
        if number:
            console.print(
                Text(f"         {what if what.startswith('endpoint ') and number == 1 else f'{number} {what}'}")
            )
    verb = "Deletes " if data else "Keeps   "
    for bucket in found.buckets:
        console.print(Text(f"{verb} bucket {bucket.name}: {_size(bucket)}"), soft_wrap=True)
    if found.table is not None:
        size = f"{found.table.size / _GB:.3f} GB"
        console.print(Text(f"{verb} table {found.table.name}: {size}"), soft_wrap=True)
    for group in found.log_groups:
        console.print(Text(f"{verb} log group {group}"), soft_wrap=True)
    if not data:
        console.print(Text(_cost(found, region)))
    console.print(
        Text(
            "Not touched: the log groups of jobs (/aws/sagemaker/ProcessingJobs, /aws/sagemaker/TrainingJobs), which "
            "the whole account shares, and the bucket of `sam deploy`."
        ),
        soft_wrap=True,
    )


def _size(bucket: Bucket) -> str:
    least = "" if bucket.whole else "at least "
    return f"{least}{bucket.versions:,} object versions, {bucket.size / _GB:.3f} GB"


def _cost(found: Inventory, region: str) -> str:
    """What the kept data cost a month, by the price list."""
    from usher.errors import NoPrice  # noqa: PLC0415
    from usher.runs.prices import price_list  # noqa: PLC0415

    prices = price_list()
    try:
        factor = prices.factor(region)
    except NoPrice:
        factor = 1.0
    state = prices.price("dynamodb.gb_month") + prices.price("dynamodb.recovery_gb_month")
    usd = sum(bucket.size for bucket in found.buckets) / _GB * prices.price("s3.gb_month")
    usd += (found.table.size if found.table else 0) / _GB * state
    least = "" if all(bucket.whole for bucket in found.buckets) else "at least "
    return f"Keeping this costs {least}about {usd * factor:.2f} USD a month (storage; --everything deletes it)."


def _print_adoption(found: Inventory) -> None:
    given = {
        "--landing-bucket": found.landing and found.landing.name,
        "--lake-bucket": found.lake and found.lake.name,
        "--state-table": found.table and found.table.name,
    }
    options = " ".join(f"{option} {name}" for option, name in given.items() if name)
    say(f"A new stack uses the kept data: usher adopt {options}")
