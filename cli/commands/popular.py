"""`usher popular`: what most people like."""

from __future__ import annotations

from typing import Annotated

import typer

from cli import api_client
from cli.formatting import tables
from cli.formatting.console import print_json
from cli.target import TargetCommand, chosen

app = typer.Typer()


@app.command(cls=TargetCommand)
def popular(
    ctx: typer.Context,
    *,
    genre: Annotated[str, typer.Option(help="Only this genre.")] = "",
    limit: Annotated[int, typer.Option(help="How many items, at most 100.")] = 10,
    as_json: Annotated[bool, typer.Option("--json", help="Print the API's answer as JSON.")] = False,
) -> None:
    """What most people like."""
    body = api_client.get(chosen(ctx), "/popular", {"genre": genre, "limit": limit})
    if as_json:
        print_json(body)
    else:
        tables.show(tables.items_table(f"Popular: {genre}" if genre else "Popular", body["items"]))
