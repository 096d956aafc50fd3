"""`usher upload`: send files to the landing bucket, and with --wait see what became of every row."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.live import Live
from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn, TransferSpeedColumn
from rich.table import Table
from rich.text import Text

from cli.errors import CommandError, one_line
from cli.formatting.console import err, out, print_json, printable, remark
from cli.target import Target, TargetCommand, chosen
from cli.uploads.follow import faults, follow
from cli.uploads.recognise import Recognised, recognise
from cli.uploads.send import Sent, measure, send

if TYPE_CHECKING:
    from collections.abc import Iterator

    from usher.store.ingested_objects import Entry

app = typer.Typer()

#: What a folder's files are called when they are meant; other files in it are left out, and said.
SUFFIXES = (".csv", ".jsonl", ".ndjson", ".json", ".parquet", ".csv.gz", ".jsonl.gz", ".ndjson.gz", ".json.gz")


@app.command(cls=TargetCommand)
def upload(  # noqa: PLR0913 - the options of a command
    ctx: typer.Context,
    paths: Annotated[list[Path], typer.Argument(help="Files or folders: CSV, JSON lines, Parquet; also .gz.")],
    *,
    dataset: Annotated[str, typer.Option(help="The data set; without it, it is told from the header.")] = "",
    wait: Annotated[bool, typer.Option("--wait", help="Wait until the lake holds every row.")] = False,
    timeout: Annotated[float, typer.Option(min=1, help="Seconds to wait at most.")] = 600,
    again: Annotated[bool, typer.Option("--again", help="Send also what is there already; it counts again.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print what was sent as JSON.")] = False,
) -> None:
    """Send files to the landing bucket."""
    files = read_headers(paths, dataset)
    target = chosen(ctx)
    sent = send_all(target, files, again=again)
    entries = watch(target, sent, timeout, err() if as_json else out()) if wait else {}
    if as_json:
        print_json([_record(item, entries.get(item.digest)) for item in sent])
    elif not wait:
        out().print(_table(sent, {}))
        remark(
            "Rows are in the lake when `usher upload --wait` (the same files) or `usher query rows_per_object` says so"
        )
    wrong = faults(entries, sent) if wait else []
    if wrong:
        raise CommandError(f"{len(wrong)} of {len(sent)} objects are not in the lake: {'; '.join(wrong)}")


def read_headers(paths: Sequence[Path], dataset: str = "") -> list[Recognised]:
    """Recognise every file before anything is sent; CommandError for the first that does not fit."""
    files = []
    for path in paths:
        if path.is_dir():
            files += [recognise(found, dataset) for found in _in_folder(path)]
        elif path.exists():
            files.append(recognise(path, dataset))
        else:
            raise CommandError(f"{path}: there is no such file")
    if not files:
        raise CommandError(f"{', '.join(map(str, paths))}: no file to send (CSV, JSON lines, Parquet)")
    if not dataset:
        told = ", ".join(f"{file.path.name} → {file.dataset}" for file in files)
        remark(f"Told from the headers: {printable(told)}")
    return files


def _in_folder(folder: Path) -> list[Path]:
    found = sorted(path for path in folder.rglob("*") if path.is_file() and not path.name.startswith("."))
    meant = [path for path in found if path.name.lower().endswith(SUFFIXES)]
    if len(meant) < len(found):
        remark(f"Left out: {printable(', '.join(path.name for path in found if path not in meant))}")
    return meant


def send_all(target: Target, files: Iterable[Recognised], *, again: bool = False) -> list[Sent]:
    """Send the files one after the other, with a progress bar on a terminal."""
    sent = []
    measured = [measure(file) for file in files]
    with _progress() as bar:
        for item in measured:
            task = bar.add_task(printable(item.file.path.name), total=item.size_bytes, rows="")
            tell = _Teller(bar, task, item.rows, item.size_bytes)
            done = send(target, item, tell, again=again)
            sent.append(done)
            if not done.fresh:
                bar.console.print(Text(f"{printable(item.file.path.name)} is there already: not sent", style="dim"))
    return sent


class _Teller:
    """Turns bytes into the bar's rows per second; boto3 calls it from several threads."""

    def __init__(self, bar: Progress, task: Any, rows: int | None, size_bytes: int) -> None:
        self._bar, self._task = bar, task
        self._rows_per_byte = (rows or 0) / max(size_bytes, 1)

    def __call__(self, sent_bytes: int) -> None:
        self._bar.update(self._task, advance=sent_bytes)
        speed = self._bar.tasks[self._task].speed or 0.0
        rows = f"{speed * self._rows_per_byte:,.0f} rows/s" if self._rows_per_byte and speed else ""
        self._bar.update(self._task, rows=rows)


@contextmanager
def _progress() -> Iterator[Progress]:
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        DownloadColumn(),
        TransferSpeedColumn(),
        TextColumn("{task.fields[rows]}"),
        TimeRemainingColumn(),
    )
    console = err()
    with Progress(*columns, console=console, disable=not console.is_terminal) as bar:
        yield bar


def watch(target: Target, sent: Sequence[Sent], timeout_seconds: float, console: Console) -> Mapping[str, Entry]:
    """Show the counts as they happen until all is committed; returns the ledger's last entries."""
    entries: Mapping[str, Entry] = {}
    if not console.is_terminal:
        entries = list(follow(target, sent, timeout_seconds))[-1]
        console.print(_table(sent, entries))
        return entries
    with Live(_table(sent, entries), console=console, refresh_per_second=8) as live:
        for entries in follow(target, sent, timeout_seconds):
            live.update(_table(sent, entries))
    return entries


def _table(sent: Sequence[Sent], entries: Mapping[str, Entry]) -> Table:
    table = Table(box=SIMPLE_HEAD, pad_edge=False, padding=(0, 1), collapse_padding=True)
    for name in ("file", "data set", "bytes", "rows in", "accepted", "quarantined", "state"):
        table.add_column(name, justify="left" if name in ("file", "data set", "state") else "right", no_wrap=True)
    for item in sent:
        entry = entries.get(item.digest)
        counts = [f"{number:,}" for number in (entry.rows_in, entry.rows_ok, entry.rows_bad)] if entry else ["", "", ""]
        state = entry.status if entry else ("sent" if item.fresh else "there already")
        name, size = printable(item.measured.file.path.name), f"{item.measured.size_bytes:,}"
        table.add_row(
            Text(one_line(name, 60)), entry.dataset if entry else item.measured.file.dataset, size, *counts, state
        )
    return table


def _record(item: Sent, entry: Entry | None) -> dict[str, Any]:
    record: dict[str, Any] = {
        "file": str(item.measured.file.path),
        "dataset": item.measured.file.dataset,
        "object": f"s3://{item.bucket}/{item.key}",
        "digest": item.digest,
        "size_bytes": item.measured.size_bytes,
        "sent": item.fresh,
    }
    if entry is not None:
        counts = {name: getattr(entry, name) for name in ("rows_in", "rows_ok", "rows_bad", "snapshot_id")}
        record |= {"dataset": entry.dataset, "status": entry.status, **counts}
    return record
