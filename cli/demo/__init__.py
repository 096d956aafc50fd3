"""`usher demo`: from a file to an answer on a private twin, every row accounted for, nothing left behind."""

from __future__ import annotations

import shutil
import sys
import time
from collections.abc import Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.text import Text

from cli.console import err, out, say
from cli.data.sources import FILES, missing_files, real_data
from cli.failures import CommandError

if TYPE_CHECKING:
    from cli.target import Target

app = typer.Typer()

#: The questions that the demo asks, in this order.
QUESTIONS = (
    "most_rated",
    "most_active",
    "rating_distribution",
    "ratings_per_genre",
    "growth_by_month",
    "quarantine_by_reason",
)
#: How long the upload may take on a slow machine.
WAIT_SECONDS = 300.0
#: How long the first run may take there, from the last row on.
RUN_SECONDS = 900.0
_SEED = 42


@app.command()
def demo(
    data: Annotated[
        Path | None, typer.Option(help="A folder with ratings.csv, movies.csv, tags.csv, links.csv.", file_okay=False)
    ] = None,
) -> None:
    """The whole way from a file to an answer, on a private twin."""
    from cli.demo.private_twin import private_twin  # noqa: PLC0415 - --help need not load the twin
    from cli.target import of_twin  # noqa: PLC0415

    if data is not None and missing_files(data):
        raise CommandError(f"{data}: there is no {', '.join(missing_files(data))} in it")
    started = time.monotonic()
    _step(1, "The real template on this machine: no account, no Docker")
    with ExitStack() as stack:
        status = stack.enter_context(err().status("Deploying"))  # one line that changes on a terminal, else nothing
        deploying = private_twin(lambda line: status.update(Text(f"Deploying: {line}")))
        twin, scratch = stack.enter_context(deploying)
        status.stop()
        say(f"ready after {time.monotonic() - started:.1f} s at {twin.endpoint}")
        folder = data or real_data() or _generated(scratch)
        _play(of_twin(twin), folder, scratch)
    say(f"\nEverything is stopped; it took {time.monotonic() - started:.0f} s in all.")
    _what_next(folder)


def _play(target: Target, folder: Path, scratch: Path) -> None:
    from cli.demo import planted  # noqa: PLC0415
    from cli.demo.check import disagreements  # noqa: PLC0415
    from cli.query import show_question  # noqa: PLC0415
    from cli.upload import read_headers, send_all, watch  # noqa: PLC0415

    bad_file = scratch / "planted.csv"
    _, bad_rows = planted.write(bad_file)
    _step(2, f"Four files of {folder}, and one with {bad_rows} bad rows planted: to the landing bucket, to the lake")
    started = time.monotonic()
    sent = send_all(target, read_headers([*(folder / name for name in FILES), bad_file]))
    entries = watch(target, sent, WAIT_SECONDS, out())
    elapsed = time.monotonic() - started
    late = [item.measured.file.path.name for item in sent if item.digest not in entries]
    if late or any(entry.status != "committed" for entry in entries.values()):
        raise CommandError(f"not in the lake after {WAIT_SECONDS:.0f} s: {', '.join(late) or 'commits are missing'}")
    rows = sum(entry.rows_in for entry in entries.values())
    say(f"upload → queryable: {rows:,} rows in {elapsed:.1f} s")
    _step(3, "Every row is accounted for: Athena's counts against what was sent, object by object")
    expected = {item.digest: bad_rows for item in sent if item.measured.file.path == bad_file}
    wrong = disagreements(target, sent, entries, expected)
    if wrong:
        raise CommandError(f"the counts do not agree: {'; '.join(wrong)}")
    say(f"{len(sent)} objects: rows in = rows in the lake + rows in quarantine")
    _step(4, "Questions, in Athena's SQL")
    for name in QUESTIONS:
        asked = time.monotonic()
        answer = show_question(target, name)
        say(f"usher query {name}: {time.monotonic() - asked:.2f} s, {answer.scanned_bytes:,} bytes scanned\n")
    _run_and_recommend(target)


def _run_and_recommend(target: Target) -> None:
    from cli.demo import first_run  # noqa: PLC0415

    _step(5, "Data has come and it is quiet: the first run starts by itself")
    run = first_run.follow(target, RUN_SECONDS)
    serves = first_run.tell_result(target, run)
    say(f"usher run {run.run_id} shows the run, usher report {run.run_id} its report")
    if serves:
        _step(6, "Three people ask: one known, one with a session of five ratings, one unknown")
        first_run.recommend_to_three(target)


def _generated(scratch: Path) -> Path:
    from cli.data import generate_with_progress  # noqa: PLC0415 - numpy, only without real data
    from cli.data.generator.world import Size  # noqa: PLC0415

    folder = scratch / "generated"
    generate_with_progress(folder, Size(610, 9742, 100_836), _SEED)
    say(f"no MovieLens here (USHER_DATA names a folder): generated files, seed {_SEED}")
    return folder


def _what_next(folder: Path) -> None:
    _step(7, "What to try next")
    lines: Mapping[str, str] = {
        "usher twin up": "a twin that stays, until usher twin down",
        f"usher upload {folder} --wait": "the same files into it",
        "usher query": "all named queries; any other text is SQL",
        "usher runs": "what was trained, decided, and spent; then usher run, usher report",
        "usher recommend 42": "what somebody may like; usher similar ITEM, usher popular",
        "usher quarantine list": "what was refused, and why; then show and replay",
        "usher data generate DIR --ratings 1000000": "more data of the same shape",
    }
    width = max(map(len, lines))
    for command, words in lines.items():
        say(f"  {command:<{width}}  {words}")
    if shutil.which("usher") is None:
        bin_folder = _shown(Path(sys.argv[0]).parent)
        say(f"`usher` lies in {bin_folder}: `source {bin_folder}/activate` puts it on the path.")


def _shown(path: Path) -> Path:
    return path.relative_to(Path.cwd()) if path.is_relative_to(Path.cwd()) else path


def _step(number: int, title: str) -> None:
    say(f"\n{number}  {title}", "bold")
