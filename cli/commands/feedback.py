"""`usher feedback`: say what a person did, one thing or a file of them, and see what was counted."""

from __future__ import annotations

import uuid
from pathlib import Path
from typing import Annotated, Any

import typer

from cli.errors import CommandError
from cli.formatting.console import print_json, printable, remark, say
from cli.target import TargetCommand, chosen
from usher.schema.interactions import KINDS

app = typer.Typer()

#: So many refusals of a file are shown.
SHOWN_MAX = 10


@app.command(cls=TargetCommand)
def feedback(  # noqa: PLR0913 - the options of a command
    ctx: typer.Context,
    user: Annotated[str, typer.Argument(metavar="[USER]", help="Who.")] = "",
    item: Annotated[str, typer.Argument(metavar="[ITEM]", help="What.")] = "",
    *,
    rating: Annotated[float | None, typer.Option(help="Rated it so, 0.5 to 5.")] = None,
    click: Annotated[bool, typer.Option("--click", help="Clicked it.")] = False,
    purchase: Annotated[bool, typer.Option("--purchase", help="Bought it.")] = False,
    view: Annotated[bool, typer.Option("--view", help="Saw it.")] = False,
    value: Annotated[float | None, typer.Option(help="What it was worth: a price, seconds. Not of a rating.")] = None,
    recommendation: Annotated[str, typer.Option(help="The recommendation_id that it followed.")] = "",
    at: Annotated[str, typer.Option(help="When: epoch seconds or ISO 8601. Else now.")] = "",
    event_id: Annotated[str, typer.Option(help="Makes sending it again harmless. Else a new one.")] = "",
    file: Annotated[
        Path | None,
        typer.Option(help="Send a file of JSON lines instead, as POST /feedback takes them.", dir_okay=False),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the API's answer as JSON.")] = False,
) -> None:
    """Say what a person did: it counts in their next recommendations, and in the open experiment."""
    from cli.feedback_client import send, send_file  # noqa: PLC0415 - boto3

    kinds = dict(zip(KINDS, (rating is not None, purchase, click, view), strict=True))
    if file is not None:
        if user or any(kinds.values()):
            raise CommandError("--file has its own users and events: give it alone")
        _show_file(send_file(chosen(ctx), file), as_json=as_json)
        return
    entry = _entry(user, item, [kind for kind, given in kinds.items() if given])
    more = {"value": value if rating is None else rating, "at": at or None, "recommendation_id": recommendation or None}
    if rating is not None and value is not None:
        raise CommandError("--value is what a click, purchase or view was worth: a rating has --rating alone")
    entry |= {"event_id": event_id or uuid.uuid4().hex, **{k: v for k, v in more.items() if v is not None}}
    result = send(chosen(ctx), entry)
    if as_json:
        print_json(result)
    else:
        say(told(result))


def _entry(user: str, item: str, kinds: list[str]) -> dict[str, Any]:
    if not user or not item:
        raise CommandError("name a USER and an ITEM, or give a --file of JSON lines")
    if len(kinds) != 1:
        raise CommandError("say what happened: one of --rating N, --click, --purchase and --view")
    return {"user_id": user, "item_id": item, "type": kinds[0]}


def told(result: Any) -> str:
    """What became of one event, in a line."""
    counted = "counted in the experiment" if result["counted"] else f"not counted: {result['reason']}"
    return printable(f"Kept as {result['event_id']}; {counted}")


def _show_file(summary: Any, *, as_json: bool) -> None:
    if as_json:
        print_json(summary.as_record())
    else:
        for line, reason in summary.refused[:SHOWN_MAX]:
            remark(printable(f"line {line}: {reason}"))
        if len(summary.refused) > SHOWN_MAX:
            remark(f"… and {len(summary.refused) - SHOWN_MAX} more")
        say(f"{summary.accepted} kept, {summary.counted} of them counted in the experiment; {_refusals(summary)}")
        for reason, count in summary.uncounted.most_common(SHOWN_MAX):
            remark(printable(f"{count} not counted: {reason}"))
    if summary.refused:
        raise typer.Exit(1)


def _refusals(summary: Any) -> str:
    return f"{len(summary.refused)} refused" if summary.refused else "none refused"
