"""`usher similar`: items liked by those who liked this one."""

from __future__ import annotations

from typing import Annotated

import typer

from cli import api_client
from cli.formatting import tables
from cli.formatting.console import print_json
from cli.target import TargetCommand, chosen

app = typer.Typer()


@app.command(cls=TargetCommand)
def similar(
    ctx: typer.Context,
    item: Annotated[str, typer.Argument(help="The item's id.")],
    *,
    limit: Annotated[int, typer.Option(help="How many items, at most 100.")] = 10,
    as_json: Annotated[bool, typer.Option("--json", help="Print the API's answer as JSON.")] = False,
) -> None:
    """Items liked by those who liked this one."""
    body = api_client.get(chosen(ctx), "/similar", {"item_id": item, "limit": limit})
    if as_json:
        print_json(body)
    else:
        tables.show(tables.items_table(f"Similar to {item}", body["items"]))
