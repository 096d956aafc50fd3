"""`usher adopt`: deploys a new stack on the buckets and the state table that a removed stack has kept."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from cli.errors import CommandError
from cli.formatting.terminal import remark, say
from cli.target import TargetCommand, chosen

app = typer.Typer(add_completion=False)


@app.command(cls=TargetCommand)
def adopt(  # noqa: PLR0913 - the options of the command
    ctx: typer.Context,
    *,
    landing_bucket: Annotated[str, typer.Option(help="The kept landing bucket.")],
    lake_bucket: Annotated[str, typer.Option(help="The kept lake bucket.")],
    state_table: Annotated[str, typer.Option(help="The kept state table.")],
    parameter: Annotated[
        list[str] | None, typer.Option(metavar="KEY=VALUE", help="Template parameter; may be repeated.")
    ] = None,
    template: Annotated[Path, typer.Option(help="The built template.")] = Path(".aws-sam/build/template.yaml"),
    wait: Annotated[float, typer.Option("--wait", min=1.0, help="Seconds to wait for the stack.")] = 1800.0,
) -> None:
    """Deploy the built template as a new stack on kept data. Later updates are made with `sam deploy`.

    Tables are registered again with all rows; recommendations are popularity lists until the next run.
    """
    from cli.deployments import adoption  # noqa: PLC0415 - only when a command runs

    target = chosen(ctx)
    pairs = [given.partition("=") for given in parameter or []]
    wrong = [key for key, equals, _ in pairs if not key or not equals]
    if wrong:
        raise CommandError(f"--parameter {wrong[0]}: write KEY=VALUE")
    kept = adoption.Kept(landing_bucket=landing_bucket, lake_bucket=lake_bucket, state_table=state_table)
    given = {key: value for key, _, value in pairs}
    outputs = adoption.adopt(target, template.absolute(), kept, given, remark, seconds=wait)
    say(f"Stack {target.stack_name} uses the kept data: {outputs['ApiUrl']}")
