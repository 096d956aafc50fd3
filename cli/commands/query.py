"""`usher query`: ask the lake by name or in SQL, and see a table, JSON or CSV."""

from __future__ import annotations

import csv
import itertools
import sys
from typing import Annotated

import typer
from rich.box import SIMPLE_HEAD
from rich.table import Table
from rich.text import Text

from cli import athena, named_queries
from cli.athena import Answer
from cli.errors import CommandError
from cli.formatting.console import out, print_json, printable, remark
from cli.target import Target, TargetCommand, chosen

app = typer.Typer()

#: Rows shown as a table; --json and --csv give all of them.
TABLE_ROWS = 200


@app.command(cls=TargetCommand)
def query(
    ctx: typer.Context,
    text: Annotated[
        str, typer.Argument(metavar="[NAME|SQL]", help="A named query, or SQL. Without it: the names.")
    ] = "",
    param: Annotated[list[str] | None, typer.Option(help="NAME=VALUE of a named query; VALUE for SQL's `?`.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
    as_csv: Annotated[bool, typer.Option("--csv", help="Print CSV.")] = False,
) -> None:
    """Ask the lake: a named query, or SQL (Athena's)."""
    if as_json and as_csv:
        raise CommandError("--json and --csv exclude each other")
    if not text.strip():
        _list(as_json=as_json)
        return
    question = named_queries.find(text)
    sql = question.sql if question else text
    parameters = question.literals(param or []) if question else named_queries.loose_literals(param or [])
    answer = athena.ask(chosen(ctx), sql, parameters)
    if as_json:
        print_json(list(answer.records()))
    elif as_csv:
        _write_csv(answer)
    else:
        show(answer, question.title if question else "")
    remark(cost_line(answer))


def show_question(target: Target, name: str) -> Answer:
    """Run a named query and print its table."""
    question = named_queries.find(name)
    if question is None:
        raise CommandError(f"there is no query {name}")
    answer = athena.ask(target, question.sql)
    show(answer, question.title)
    return answer


def show(answer: Answer, title: str = "") -> None:
    """Print the rows as a table; what others sent is escaped, and never read as markup."""
    table = Table(
        title=Text(title) if title else None, title_justify="left", title_style="bold", box=SIMPLE_HEAD, pad_edge=False
    )
    for name, kind in zip(answer.columns, answer.types, strict=True):
        table.add_column(Text(printable(name)), justify="right" if athena.is_numeric(kind) else "left", overflow="fold")
    for row in itertools.islice(answer.rows, TABLE_ROWS):
        table.add_row(*(Text("" if cell is None else printable(cell)) for cell in row))
    out().print(table)
    if next(answer.rows, None) is not None:
        remark(f"Only the first {TABLE_ROWS} rows: --csv or --json gives all")


def cost_line(answer: Answer) -> str:
    """`0.42 s, 1,234,567 bytes scanned`."""
    return f"{answer.elapsed_seconds:.2f} s, {answer.scanned_bytes:,} bytes scanned"


def _write_csv(answer: Answer) -> None:
    writer = csv.writer(sys.stdout, lineterminator="\n")
    writer.writerow(answer.columns)
    writer.writerows(answer.rows)


def _list(*, as_json: bool) -> None:
    known = named_queries.all_questions()
    if as_json:
        print_json([{"name": q.name, "title": q.title, "parameters": dict(q.parameters)} for q in known])
        return
    table = Table(box=None, show_header=False, pad_edge=False)
    for question in known:
        needs = "".join(f" --param {name}=…" for name, _ in question.parameters)
        table.add_row(Text(question.name + needs, style="bold"), question.title)
    out().print(table)
    remark("Any other text is SQL, as Athena speaks it: usher query 'SELECT count(*) FROM ratings'")
