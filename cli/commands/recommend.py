"""`usher recommend`, `usher similar` and `usher popular`: query the recommendation API and print the items."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated, Any

import typer
from rich.table import Table
from rich.text import Text

from cli import api_client, athena
from cli.errors import CommandError
from cli.formatting.terminal import make_table, out, print_json, printable, remark
from cli.target import Target, TargetCommand, chosen

app = typer.Typer()
similar_items = typer.Typer()
popular_items = typer.Typer()

Limit = Annotated[int, typer.Option(help="The number of items, at most 100.")]
Genre = Annotated[str, typer.Option(help="Only items of this genre.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print the API's response as JSON.")]

Session = list[tuple[str, float | None]]
Rated = list[tuple[str, str]]

#: The levels of the fallback chain.
LEVELS = {
    "model": "the model knows this user",
    "fold_in": "computed from recent ratings",
    "popular": "the most popular items: the user is unknown",
}
#: The width, in characters, from which two tables are printed side by side.
SIDE_BY_SIDE = 110
#: The best rated items; the newest first among equal ratings.
_LIKED = """
SELECT r.rating, coalesce(i.title, r.item_id) AS title
FROM ratings r
LEFT JOIN (SELECT item_id, max(title) AS title FROM items GROUP BY item_id) i ON i.item_id = r.item_id
WHERE r.user_id = ?
ORDER BY r.rating DESC, r.rated_at DESC
LIMIT {limit}
"""
_TITLES = "SELECT item_id, max(title) AS title FROM items WHERE item_id IN ({marks}) GROUP BY item_id"


@app.command(cls=TargetCommand)
def recommend(  # noqa: PLR0913 - the options of a command
    ctx: typer.Context,
    user: Annotated[str, typer.Argument(metavar="[USER]", help="User id; optional with --session.")] = "",
    *,
    limit: Limit = 10,
    genre: Genre = "",
    session: Annotated[list[str] | None, typer.Option(help="ITEM:RATING of this session; may be repeated.")] = None,
    exclude: Annotated[list[str] | None, typer.Option(help="Item id to leave out; may be repeated.")] = None,
    not_released_after: Annotated[str, typer.Option(help="Only items released by this year or day.")] = "",
    explain: Annotated[bool, typer.Option("--explain", help="Show why each item is recommended.")] = False,
    with_liked: Annotated[bool, typer.Option("--liked/--no-liked", help="Also show what the user rated best.")] = True,
    as_json: AsJson = False,
) -> None:
    """Recommend items to a user or a session, best first."""
    rated = [read_rating(text) for text in session or []]
    if not user and not rated:
        raise CommandError("give a USER, or a session with --session ITEM:RATING")
    target = chosen(ctx)
    query: dict[str, Any] = {"user_id": user, "limit": limit, "genre": genre, "exclude": exclude or []}
    query |= {"not_released_after": not_released_after, "explain": explain}
    body = ask(target, query, rated)
    if as_json:
        print_json(body)
        return
    show(target, body, user, rated, with_liked=with_liked)


@similar_items.command(cls=TargetCommand)
def similar(
    ctx: typer.Context,
    item: Annotated[str, typer.Argument(help="Item id.")],
    *,
    limit: Limit = 10,
    as_json: AsJson = False,
) -> None:
    """List items that users who liked this item also liked."""
    body = api_client.get(chosen(ctx), "/similar", {"item_id": item, "limit": limit})
    _show_list(f"Similar to {item}", body, as_json=as_json)


@popular_items.command(cls=TargetCommand)
def popular(ctx: typer.Context, *, genre: Genre = "", limit: Limit = 10, as_json: AsJson = False) -> None:
    """List the most popular items."""
    body = api_client.get(chosen(ctx), "/popular", {"genre": genre, "limit": limit})
    _show_list(f"Popular: {genre}" if genre else "Popular", body, as_json=as_json)


def ask(target: Target, query: dict[str, Any], session: Session) -> dict[str, Any]:
    """The API's response; a session is sent by POST."""
    if not session:
        return api_client.get(target, "/recommendations", query)
    rows = [{"item_id": item} | ({} if rating is None else {"rating": rating}) for item, rating in session]
    return api_client.post(target, "/recommendations", query | {"session": rows})


def show(target: Target, body: dict[str, Any], user: str, session: Session, *, with_liked: bool) -> None:
    """Print the recommendations beside what the user rated best, then the fallback level that produced them."""
    tables = [_items_table(f"For {user}" if user else "For this session", body["items"])]
    if with_liked:
        tables = [*_liked(target, user, session, len(body["items"])), *tables]
    _side_by_side(tables)
    if not body["items"]:
        remark("No item is left: use fewer filters")
    source = f"variant {body['variant']}" if body["variant"] else "the state table"
    level = f"{body['level']}: {LEVELS.get(body['level'], '')}"
    out().print(Text(printable(f"{level}  ({source}, model {body['model_id']})"), style="dim"))


def read_rating(text: str) -> tuple[str, float | None]:
    """`42:4.5` → ("42", 4.5); `42` alone has no rating; the last colon counts. CommandError for anything else."""
    item, colon, rating = text.rpartition(":")
    if not colon:
        return text, None
    try:
        return item, float(rating) if rating else None
    except ValueError:
        raise CommandError(f"--session {text}: write ITEM:RATING, for example 318:4.5") from None


def _show_list(title: str, body: dict[str, Any], *, as_json: bool) -> None:
    if as_json:
        print_json(body)
    else:
        out().print(_items_table(title, body["items"]))


def _items_table(title: str, items: Sequence[Mapping[str, Any]]) -> Table:
    """Rank, title, genres; score and reason where the API gave them."""
    scored, explained = (any(name in item for item in items) for name in ("score", "reason"))
    heads = ("", "title", "genres", *["score"] * scored, *["why"] * explained)
    table = make_table(heads, right=("", "score"), title=title)
    for item in items:
        cells = [str(item["rank"]), printable(item["title"]), printable(", ".join(item["genres"]))]
        cells += [f"{item['score']:.3f}" if "score" in item else ""] * scored
        cells += [_reason_text(item.get("reason"))] * explained
        table.add_row(*map(Text, cells))
    return table


def _reason_text(reason: Any) -> str:
    return printable(str(reason.get("text", ""))) if isinstance(reason, Mapping) else ""


def _side_by_side(tables: Sequence[Table]) -> None:
    """Side by side where the terminal is wide enough, else one below the other."""
    console = out()
    if len(tables) > 1 and console.width >= SIDE_BY_SIDE:
        grid = Table.grid(padding=(0, 2))
        grid.add_row(*tables)
        console.print(grid)
        return
    for table in tables:
        console.print(table)


def _liked(target: Target, user: str, session: Session, limit: int) -> list[Table]:
    if session:
        return [_rated_table("In this session", _session_titles(target, session))]
    try:
        rows = athena.ask(target, _LIKED.format(limit=max(limit, 5)), [athena.literal(user)]).rows
    except CommandError as error:
        remark(f"What {user} rated best is not shown: {error}")
        return []
    rated = [(rating or "", title or "") for rating, title in rows]
    return [_rated_table(f"{user} liked", rated)] if rated else []


def _session_titles(target: Target, session: Session) -> Rated:
    """The session's (rating, title); an item keeps its id where the lake has no title or cannot be queried."""
    titles: dict[str, str | None]
    marks = ", ".join("?" for _ in session)
    try:
        found = athena.ask(target, _TITLES.format(marks=marks), [athena.literal(item) for item, _ in session])
        titles = {str(item): title for item, title in found.rows}
    except CommandError:
        titles = {}
    return [("" if rating is None else f"{rating:g}", titles.get(item) or item) for item, rating in session]


def _rated_table(title: str, rows: Rated) -> Table:
    table = make_table(("rating", "title"), right=("rating",), title=title)
    for rating, name in rows:
        table.add_row(Text(printable(rating)), Text(printable(name)))
    return table
