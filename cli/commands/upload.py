"""`usher upload`: upload files to the landing bucket; with --wait, show how many rows were accepted."""

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
from cli.formatting.terminal import err, out, print_json, printable, remark
from cli.target import Target, TargetCommand, chosen
from cli.uploads.recognise import Recognised, recognise
from cli.uploads.send import Sent, faults, follow, measure, send

if TYPE_CHECKING:
    from collections.abc import Iterator

    from usher.store.ingested_objects import IngestedObject

app = typer.Typer()

#: The files of a folder that are uploaded; others are skipped and listed.
SUFFIXES = (".csv", ".jsonl", ".ndjson", ".json", ".parquet", ".csv.gz", ".jsonl.gz", ".ndjson.gz", ".json.gz")


@app.command(cls=TargetCommand)
def upload(  # noqa: PLR0913 - the options of a command
    ctx: typer.Context,
    paths: Annotated[list[Path], typer.Argument(help="Files or folders: CSV, JSON lines, Parquet; also .gz.")],
    *,
    dataset: Annotated[str, typer.Option(help="The data set (default: recognised by the header).")] = "",
    wait: Annotated[bool, typer.Option("--wait", help="Wait until every row is in the lake.")] = False,
    timeout: Annotated[float, typer.Option(min=1, help="The longest wait, seconds.")] = 600,
    again: Annotated[
        bool, typer.Option("--again", help="Upload files that are in the bucket already; their rows count again.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Upload files to the landing bucket."""
    files = read_headers(paths, dataset)
    target = chosen(ctx)
    sent = send_all(target, files, again=again)
    entries = watch(target, sent, timeout, err() if as_json else out()) if wait else {}
    if as_json:
        print_json([_record(item, entries.get(item.digest)) for item in sent])
    elif not wait:
        out().print(_table(sent, {}))
        remark("Wait for the rows with `usher upload --wait` (the same files), or see `usher query rows_per_object`")
    wrong = faults(entries, sent) if wait else []
    if wrong:
        raise CommandError(
            f"{len(wrong)} of {len(sent)} objects are not in the lake (try again with --wait): {'; '.join(wrong)}"
        )


def read_headers(paths: Sequence[Path], dataset: str = "") -> list[Recognised]:
    """Recognise every file before the first upload; CommandError for the first that fits no data set."""
    files = []
    for path in paths:
        if path.is_dir():
            files += [recognise(found, dataset) for found in _in_folder(path)]
        elif path.exists():
            files.append(recognise(path, dataset))
        else:
            raise CommandError(f"{path}: file not found")
    if not files:
        raise CommandError(f"{', '.join(map(str, paths))}: no file to upload: name CSV, JSON lines or Parquet files")
    if not dataset:
        recognised = ", ".join(f"{file.path.name} → {file.dataset}" for file in files)
        remark(f"Recognised by the headers: {printable(recognised)}")
    return files


def _in_folder(folder: Path) -> list[Path]:
    found = sorted(path for path in folder.rglob("*") if path.is_file() and not path.name.startswith("."))
    meant = [path for path in found if path.name.lower().endswith(SUFFIXES)]
    if len(meant) < len(found):
        remark(f"Skipped: {printable(', '.join(path.name for path in found if path not in meant))}")
    return meant


def send_all(target: Target, files: Iterable[Recognised], *, again: bool = False) -> list[Sent]:
    """Upload the files one after the other, with a progress bar on a terminal."""
    sent = []
    measured = [measure(file) for file in files]
    with _progress() as bar:
        for item in measured:
            task = bar.add_task(printable(item.file.path.name), total=item.size_bytes, rows="")
            update = _BarUpdate(bar, task, item.rows, item.size_bytes)
            done = send(target, item, update, again=again)
            sent.append(done)
            if not done.fresh:
                bar.console.print(
                    Text(f"{printable(item.file.path.name)} is in the bucket already: not sent", style="dim")
                )
    return sent


class _BarUpdate:
    """Updates the progress bar with bytes and rows per second; boto3 calls it from several threads."""

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


def watch(
    target: Target, sent: Sequence[Sent], timeout_seconds: float, console: Console
) -> Mapping[str, IngestedObject]:
    """Show the row counts until all objects have ended; returns the last records."""
    entries: Mapping[str, IngestedObject] = {}
    if not console.is_terminal:
        entries = list(follow(target, sent, timeout_seconds))[-1]
        console.print(_table(sent, entries))
        return entries
    with Live(_table(sent, entries), console=console, refresh_per_second=8) as live:
        for entries in follow(target, sent, timeout_seconds):
            live.update(_table(sent, entries))
    return entries


def _table(sent: Sequence[Sent], entries: Mapping[str, IngestedObject]) -> Table:
    table = Table(box=SIMPLE_HEAD, pad_edge=False, padding=(0, 1), collapse_padding=True)
    for name in ("file", "data set", "bytes", "rows in", "accepted", "quarantined", "state"):
        table.add_column(name, justify="left" if name in ("file", "data set", "state") else "right", no_wrap=True)
    for item in sent:
        entry = entries.get(item.digest)
        counts = [f"{number:,}" for number in (entry.rows_in, entry.rows_ok, entry.rows_bad)] if entry else ["", "", ""]
        state = entry.status if entry else ("sent" if item.fresh else "already there")
        name, size = printable(item.measured.file.path.name), f"{item.measured.size_bytes:,}"
        table.add_row(
            Text(one_line(name, 60)), entry.dataset if entry else item.measured.file.dataset, size, *counts, state
        )
    return table


def _record(item: Sent, entry: IngestedObject | None) -> dict[str, Any]:
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
