"""`usher recommend`: ask for one person's recommendations, and see beside them what that person liked."""

from __future__ import annotations

from typing import Annotated, Any

import typer
from rich.text import Text

from cli import api_client
from cli.commands import liked
from cli.errors import CommandError
from cli.formatting import tables
from cli.formatting.console import out, print_json, printable, remark
from cli.target import Target, TargetCommand, chosen

app = typer.Typer()

Session = list[tuple[str, float | None]]

#: What a level means, in a few words.
LEVELS = {
    "model": "the model knows this person",
    "fold_in": "folded in from recent ratings",
    "popular": "nobody known: what most people like",
}


@app.command(cls=TargetCommand)
def recommend(  # noqa: PLR0913 - the options of a command
    ctx: typer.Context,
    user: Annotated[str, typer.Argument(metavar="[USER]", help="Whom to recommend to. May be missing.")] = "",
    *,
    limit: Annotated[int, typer.Option(help="How many items, at most 100.")] = 10,
    genre: Annotated[str, typer.Option(help="Only this genre.")] = "",
    session: Annotated[list[str] | None, typer.Option(help="ITEM:RATING, may be repeated; needs no USER.")] = None,
    exclude: Annotated[list[str] | None, typer.Option(help="An item not to show, may be repeated.")] = None,
    not_released_after: Annotated[str, typer.Option(help="Only what was out by this year or day.")] = "",
    explain: Annotated[bool, typer.Option("--explain", help="Say why each item is shown.")] = False,
    with_liked: Annotated[bool, typer.Option("--liked/--no-liked", help="Ask the lake what the person liked.")] = True,
    as_json: Annotated[bool, typer.Option("--json", help="Print the API's answer as JSON.")] = False,
) -> None:
    """What one person may like, best first."""
    rated = [read_rating(text) for text in session or []]
    if not user and not rated:
        raise CommandError("name a USER, or give a --session ITEM:RATING")
    target = chosen(ctx)
    asked: dict[str, Any] = {"user_id": user, "limit": limit, "genre": genre, "exclude": exclude or []}
    asked |= {"not_released_after": not_released_after, "explain": explain}
    body = ask(target, asked, rated)
    if as_json:
        print_json(body)
        return
    show(target, body, user, rated, with_liked=with_liked)


def ask(target: Target, asked: dict[str, Any], session: Session) -> dict[str, Any]:
    """The API's answer: by POST when there is a session."""
    if not session:
        return api_client.get(target, "/recommendations", asked)
    rows = [{"item_id": item} | ({} if rating is None else {"rating": rating}) for item, rating in session]
    return api_client.post(target, "/recommendations", asked | {"session": rows})


def show(target: Target, body: dict[str, Any], user: str, session: Session, *, with_liked: bool) -> None:
    """The recommendations, beside them what the person liked, below them which rung of the ladder answered."""
    shown = [tables.items_table(f"For {user}" if user else "For this session", body["items"])]
    if with_liked:
        shown = [*_liked(target, user, session, len(body["items"])), *shown]
    tables.show(*shown)
    if not body["items"]:
        remark("Nothing is left: fewer filters leave more")
    variant = f"variant {body['variant']}" if body["variant"] else "the state table"
    level = f"{body['level']}: {LEVELS.get(body['level'], '')}"
    out().print(Text(printable(f"{level}  ({variant}, model {body['model_id']})"), style="dim"))


def read_rating(text: str) -> tuple[str, float | None]:
    """`42:4.5` → ("42", 4.5); `42` alone has no rating; the last colon counts. CommandError for anything else."""
    item, colon, rating = text.rpartition(":")
    if not colon:
        return text, None
    try:
        return item, float(rating) if rating else None
    except ValueError:
        raise CommandError(f"--session {text}: write ITEM:RATING, as 318:4.5") from None


def _liked(target: Target, user: str, session: Session, limit: int) -> list[Any]:
    if session:
        return [tables.liked_table("Of this session", liked.of_session(target, session))]
    try:
        rows = liked.of_person(target, user, max(limit, 5))
    except CommandError as error:
        remark(f"What {user} liked is not shown: {error}")
        return []
    return [tables.liked_table(f"{user} liked", rows)] if rows else []
