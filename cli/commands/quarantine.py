"""`usher quarantine`: list refused rows, show them, and replay them corrected."""

from __future__ import annotations

import itertools
from typing import Annotated

import typer
from rich.box import SIMPLE_HEAD
from rich.table import Table
from rich.text import Text

from cli import athena
from cli.commands.query import show as show_answer
from cli.errors import CommandError
from cli.formatting.terminal import out, print_json, printable, remark, say
from cli.quarantine import files, replay
from cli.target import TargetCommand, chosen

app = typer.Typer(no_args_is_help=True, help="List, show and replay refused rows.")

Digest = Annotated[str, typer.Argument(help="Digest of the file as `list` shows it, or its beginning.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]

_LIST = """
SELECT dataset, dt AS day, substr(source, 1, 32) AS digest, coalesce(field, '') AS field, reason, count(*) AS refused
FROM quarantine
WHERE {condition}
GROUP BY dataset, dt, substr(source, 1, 32), coalesce(field, ''), reason
ORDER BY day DESC, dataset, digest, refused DESC, reason
"""


@app.command("list", cls=TargetCommand)
def list_files(
    ctx: typer.Context,
    *,
    dataset: Annotated[str, typer.Option(help="Only this data set.")] = "",
    day: Annotated[str, typer.Option(help="Only this day, YYYY-MM-DD.")] = "",
    as_json: AsJson = False,
) -> None:
    """List refused rows by data set, day, file and reason."""
    given = {"dataset": dataset, "dt": day}
    condition = " AND ".join(f"{column} = '{_plain(text)}'" for column, text in given.items() if text)
    answer = athena.ask(chosen(ctx), _LIST.format(condition=condition or "true"))
    if as_json:
        print_json(list(answer.records()))
    else:
        show_answer(answer, "Quarantine")
        remark("usher quarantine show DIGEST, usher quarantine replay DIGEST")


def _plain(text: str) -> str:
    if not all(letter.isalnum() or letter == "-" for letter in text):
        raise CommandError(f"{text!r} is neither a data set nor a day: write for example ratings or 2026-03-01")
    return text


@app.command("show", cls=TargetCommand)
def show(
    ctx: typer.Context,
    digest: Digest,
    *,
    limit: Annotated[int, typer.Option(min=1, help="The number of lines to show.")] = 50,
    as_json: AsJson = False,
) -> None:
    """Show the refused lines of one file, with control characters escaped."""
    target = chosen(ctx)
    file = files.find(target, digest)
    found = files.records(target, file)
    some = list(itertools.islice(found, limit))
    if as_json:
        print_json([{"line": r.line, "field": r.field, "reason": r.reason, "raw": files.shown(r)} for r in some])
        return
    table = Table(title=Text(f"{file.dataset}, {file.day}, {file.digest}"), title_justify="left", box=SIMPLE_HEAD)
    for name in ("line", "field", "reason", "raw"):
        table.add_column(name, justify="right" if name == "line" else "left", overflow="fold")
    for record in some:
        table.add_row(str(record.line), printable(record.field), printable(record.reason), Text(files.shown(record)))
    out().print(table)
    if next(found, None) is not None:
        remark(f"Only the first {limit} lines are shown: use --limit for more")


@app.command("replay", cls=TargetCommand)
def replay_file(  # noqa: PLR0913 - the options of a command
    ctx: typer.Context,
    digest: Digest,
    *,
    mapping: Annotated[
        list[str] | None, typer.Option("--map", help="FIELD:OLD=NEW: correct a value; may be repeated.")
    ] = None,
    edit: Annotated[bool, typer.Option("--edit", help="Correct the lines in $EDITOR.")] = False,
    header: Annotated[str, typer.Option(help="The correct header, when the object's header was refused.")] = "",
    first_is_row: Annotated[
        bool, typer.Option("--first-is-row", help="The object had no header; its first line is a row.")
    ] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Print the lines without sending them.")] = False,
    force: Annotated[bool, typer.Option("--force", help="Replay a file that was replayed before.")] = False,
) -> None:
    """Send refused lines again, corrected; the quarantine file is kept and tagged."""
    mappings = [replay.Mapping.read(text) for text in mapping or []]
    target = chosen(ctx)
    file = files.find(target, digest)
    if not force:
        replay.refuse_twice(target, file)
    source = files.find_original(target, file, header)
    prepared = replay.prepare(source, list(files.records(target, file)), header, first_is_row=first_is_row)
    prepared, changed = replay.apply(prepared, mappings)
    prepared = replay.edit(prepared) if edit else prepared
    if mappings:
        remark(f"--map changed {changed} of {len(prepared.lines)} lines")
    if prepared.left:
        remark(f"{prepared.left} lines are skipped: quarantine holds only their beginning")
    if dry_run:
        say(printable_lines(prepared.body()).rstrip("\n"))
        return
    key = replay.send(target, file, prepared, force=force)
    say(f"{len(prepared.lines)} lines sent as s3://{target.resources.landing_bucket}/{key}")


def printable_lines(body: bytes) -> str:
    """Bytes as lines of printable text."""
    return "\n".join(printable(line) for line in body.decode("utf-8", "backslashreplace").split("\n"))
