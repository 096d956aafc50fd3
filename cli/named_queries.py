"""The named queries of analytics/queries: files of Athena's SQL that begin with a line saying what they answer."""

from __future__ import annotations

import difflib
from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from pathlib import Path

from cli.errors import CommandError

FOLDER = Path(__file__).parents[1] / "analytics" / "queries"


@dataclass(frozen=True, slots=True)
class Question:
    """A named query.

    parameters: (name, kind) of each question mark in the SQL, in order; kind is text or number.
    """

    name: str
    title: str
    sql: str
    parameters: tuple[tuple[str, str], ...] = ()

    @classmethod
    def read(cls, path: Path) -> Question:
        """Read a file; CommandError when it does not begin with `-- title`."""
        sql = path.read_text(encoding="utf-8")
        comments = [line[2:].strip() for line in sql.splitlines() if line.startswith("--")]
        if not sql.startswith("-- "):
            raise CommandError(f"{path}: the first line has to be `-- what it answers`")
        declared = next((line.partition(":")[2] for line in comments if line.startswith("parameters:")), "")
        pairs = [item.split() for item in declared.split(",") if item.strip()]
        return cls(path.stem, comments[0], sql, tuple((name, kind) for name, kind in pairs))

    def literals(self, given: Sequence[str]) -> list[str]:
        """The parameters, given as NAME=VALUE, as Athena's literals in the order of the question marks."""
        values = dict(_pair(text) for text in given)
        names = [name for name, _ in self.parameters]
        unknown, missing = sorted(values.keys() - set(names)), [name for name in names if name not in values]
        if unknown:
            raise CommandError(f"query {self.name} has no parameter {unknown[0]} (it has {', '.join(names) or 'none'})")
        if missing:
            raise CommandError(f"query {self.name} needs --param {missing[0]}=VALUE")
        return [_literal(values[name], kind) for name, kind in self.parameters]


def all_questions() -> list[Question]:
    """Every named query, by name."""
    return [Question.read(path) for path in sorted(FOLDER.glob("*.sql"))]


def find(text: str) -> Question | None:
    """The named query, or None when `text` is SQL; CommandError for a word that is neither, with the nearest name."""
    words = text.split()
    if len(words) != 1:
        return None
    wanted = text.strip().replace("-", "_")
    names = {question.name: question for question in all_questions()}
    if wanted in names:
        return names[wanted]
    near = difflib.get_close_matches(wanted, names, n=1)
    hint = f"did you mean {near[0]}?" if near else "`usher query` lists them"
    raise CommandError(f"there is no query {text.strip()}: {hint}")


def loose_literals(given: Sequence[str]) -> list[str]:
    """Parameters of free SQL: a number or a quoted text stands as it is, anything else is a text."""
    return [text if text.startswith("'") or _is_number(text) else _literal(text, "text") for text in given]


def _pair(text: str) -> tuple[str, str]:
    name, equals, value = text.partition("=")
    if not equals:
        raise CommandError(f"--param {text}: write NAME=VALUE")
    return name, value


def _literal(value: str, kind: str) -> str:
    if kind == "number":
        if not _is_number(value):
            raise CommandError(f"--param: {value!r} is no number")
        return value
    return "'" + value.replace("'", "''") + "'"


def _is_number(text: str) -> bool:
    try:
        return Decimal(text).is_finite()
    except InvalidOperation:
        return False
