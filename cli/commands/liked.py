"""What a person has liked, as the lake knows it: what stands beside their recommendations."""

from __future__ import annotations

from collections.abc import Sequence

from cli import athena
from cli.errors import CommandError
from cli.target import Target

#: Best first, and of equal ratings the newest.
_LIKED = """
SELECT r.rating, coalesce(i.title, r.item_id) AS title
FROM ratings r
LEFT JOIN (SELECT item_id, max(title) AS title FROM items GROUP BY item_id) i ON i.item_id = r.item_id
WHERE r.user_id = ?
ORDER BY r.rating DESC, r.rated_at DESC
LIMIT {limit}
"""
_TITLES = "SELECT item_id, max(title) AS title FROM items WHERE item_id IN ({marks}) GROUP BY item_id"

Rated = list[tuple[str, str]]


def of_person(target: Target, user_id: str, limit: int) -> Rated:
    """(rating, title); CommandError when the lake cannot be asked."""
    rows = athena.ask(target, _LIKED.format(limit=int(limit)), [literal(user_id)]).rows
    return [(rating or "", title or "") for rating, title in rows]


def of_session(target: Target, session: Sequence[tuple[str, float | None]]) -> Rated:
    """The session with titles; an item that the lake does not know, or cannot be asked about, keeps its id."""
    titles: dict[str, str | None]
    marks = ", ".join("?" for _ in session)
    try:
        found = athena.ask(target, _TITLES.format(marks=marks), [literal(item) for item, _ in session])
        titles = {str(item): title for item, title in found.rows}
    except CommandError:
        titles = {}
    return [("" if rating is None else f"{rating:g}", titles.get(item) or item) for item, rating in session]


def literal(text: str) -> str:
    """A text as a literal of Athena's SQL."""
    return "'" + text.replace("'", "''") + "'"
