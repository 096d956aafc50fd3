"""`usher query`: query the lake by name or in SQL, as a table, JSON or CSV."""

from __future__ import annotations

import csv
import difflib
import itertools
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import Annotated

import typer
from rich.table import Table
from rich.text import Text

from cli import athena
from cli.athena import QueryResult
from cli.errors import CommandError
from cli.formatting.terminal import make_table, out, print_json, printable, remark
from cli.target import Target, TargetCommand, chosen

app = typer.Typer()

#: Rows shown as a table; --json and --csv give all of them.
TABLE_ROWS = 200


@app.command(cls=TargetCommand)
def query(
    ctx: typer.Context,
    text: Annotated[
        str, typer.Argument(metavar="[NAME|SQL]", help="A named query or SQL; without it, list the named queries.")
    ] = "",
    param: Annotated[
        list[str] | None, typer.Option(help="NAME=VALUE for a named query, VALUE for each `?` of SQL; may be repeated.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
    as_csv: Annotated[bool, typer.Option("--csv", help="Print CSV.")] = False,
) -> None:
    """Query the lake by name or in Athena SQL."""
    if as_json and as_csv:
        raise CommandError("--json and --csv exclude each other: give one of them")
    if not text.strip():
        _list(as_json=as_json)
        return
    named = find(text)
    sql = named.sql if named else text
    parameters = named.literals(param or []) if named else loose_literals(param or [])
    result = athena.ask(chosen(ctx), sql, parameters)
    if as_json:
        print_json(list(result.records()))
    elif as_csv:
        _write_csv(result)
    else:
        show(result, named.title if named else "")
    remark(cost_line(result))


def show_named_query(target: Target, name: str) -> QueryResult:
    """Run a named query and print its table."""
    named = find(name)
    if named is None:
        raise CommandError(f"query {name} not found: `usher query` lists the queries")
    result = athena.ask(target, named.sql)
    show(result, named.title)
    return result


def show(result: QueryResult, title: str = "") -> None:
    """Print the rows as a table; foreign text is escaped and never read as markup."""
    numeric = [name for name, kind in zip(result.columns, result.types, strict=True) if athena.is_numeric(kind)]
    table = make_table(result.columns, right=numeric, title=title)
    for row in itertools.islice(result.rows, TABLE_ROWS):
        table.add_row(*(Text("" if cell is None else printable(cell)) for cell in row))
    out().print(table)
    if next(result.rows, None) is not None:
        remark(f"Only the first {TABLE_ROWS} rows are shown: use --csv or --json for all")


def cost_line(result: QueryResult) -> str:
    """`0.42 s, 1,234,567 bytes scanned`."""
    return f"{result.elapsed_seconds:.2f} s, {result.scanned_bytes:,} bytes scanned"


def _write_csv(result: QueryResult) -> None:
    writer = csv.writer(sys.stdout, lineterminator="\n")
    writer.writerow(result.columns)
    writer.writerows(result.rows)


def _list(*, as_json: bool) -> None:
    known = named_queries()
    if as_json:
        print_json([{"name": q.name, "title": q.title, "parameters": dict(q.parameters)} for q in known])
        return
    table = Table(box=None, show_header=False, pad_edge=False)
    for named in known:
        needs = "".join(f" --param {name}=…" for name, _ in named.parameters)
        table.add_row(Text(named.name + needs, style="bold"), named.title)
    out().print(table)
    remark("Everything else is Athena SQL: usher query 'SELECT count(*) FROM ratings'")


FOLDER = Path(__file__).parents[2] / "analytics" / "queries"


@dataclass(frozen=True, slots=True)
class NamedQuery:
    """A named query.

    parameters: (name, kind) of each question mark in the SQL, in order; kind is text or number.
    """

    name: str
    title: str
    sql: str
    parameters: tuple[tuple[str, str], ...] = ()

    @classmethod
    def read(cls, path: Path) -> NamedQuery:
        """Read a file; CommandError when it does not begin with `-- title`."""
        sql = path.read_text(encoding="utf-8")
        comments = [line[2:].strip() for line in sql.splitlines() if line.startswith("--")]
        if not sql.startswith("-- "):
            raise CommandError(f"{path}: write the title of the query in the first line, as `-- TITLE`")
        declared = next((line.partition(":")[2] for line in comments if line.startswith("parameters:")), "")
        pairs = [item.split() for item in declared.split(",") if item.strip()]
        return cls(path.stem, comments[0], sql, tuple((name, kind) for name, kind in pairs))

    def literals(self, given: Sequence[str]) -> list[str]:
        """The parameters, given as NAME=VALUE, as Athena's literals in the order of the question marks."""
        values = dict(_pair(text) for text in given)
        names = [name for name, _ in self.parameters]
        unknown, missing = sorted(values.keys() - set(names)), [name for name in names if name not in values]
        if unknown:
            raise CommandError(
                f"query {self.name} has no parameter {unknown[0]} (its parameters: {', '.join(names) or 'none'})"
            )
        if missing:
            raise CommandError(f"query {self.name} needs --param {missing[0]}=VALUE")
        return [_literal(values[name], kind) for name, kind in self.parameters]


def named_queries() -> list[NamedQuery]:
    """Every named query, by name."""
    return [NamedQuery.read(path) for path in sorted(FOLDER.glob("*.sql"))]


def find(text: str) -> NamedQuery | None:
    """The named query, or None when `text` is SQL; CommandError for a single unknown word, with the nearest name."""
    words = text.split()
    if len(words) != 1:
        return None
    wanted = text.strip().replace("-", "_")
    names = {query.name: query for query in named_queries()}
    if wanted in names:
        return names[wanted]
    near = difflib.get_close_matches(wanted, names, n=1)
    hint = f"did you mean {near[0]}?" if near else "`usher query` lists the queries"
    raise CommandError(f"query {text.strip()} not found: {hint}")


def loose_literals(given: Sequence[str]) -> list[str]:
    """Parameters of free SQL: numbers and quoted strings are kept, everything else is quoted."""
    return [text if text.startswith("'") or _is_number(text) else _literal(text, "text") for text in given]


def _pair(text: str) -> tuple[str, str]:
    name, equals, value = text.partition("=")
    if not equals:
        raise CommandError(f"--param {text}: write NAME=VALUE")
    return name, value


def _literal(value: str, kind: str) -> str:
    if kind == "number":
        if not _is_number(value):
            raise CommandError(f"--param: {value!r} is not a number: write digits, for example 42 or 0.5")
        return value
    return athena.literal(value)


def _is_number(text: str) -> bool:
    try:
        return Decimal(text).is_finite()
    except InvalidOperation:
        return False
