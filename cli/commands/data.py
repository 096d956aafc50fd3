"""`usher data`: where the data come from, files of one's own making, and MovieLens' from its publisher."""

from __future__ import annotations

import time
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn

from cli.errors import CommandError
from cli.formatting.console import err, print_json, remark, say
from cli.movielens import BESIDE, FILES, VARIABLE, real_data

if TYPE_CHECKING:
    from demo.generator.files import Kinds
    from demo.generator.world import Size

app = typer.Typer(no_args_is_help=True, help="Where the data come from: real files, generated ones, MovieLens.")

Folder = Annotated[Path, typer.Argument(metavar="DIR", help="The folder to write the files into.")]
Force = Annotated[bool, typer.Option("--force", help="Replace files that are there.")]


@app.command("path")
def show_path(as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False) -> None:
    """Print the folder of the real files; exit code 1 when there is none."""
    folder = real_data()
    if as_json:
        print_json({"path": str(folder) if folder else None, "files": FILES})
    elif folder is not None:
        say(str(folder))
    if folder is None:
        raise CommandError(
            f"no real data: {VARIABLE} is not set and {BESIDE} is not there (`usher data movielens DIR` downloads, "
            "`usher data generate DIR` makes some)"
        )


@app.command("generate")
def generate_files(  # noqa: PLR0913 - the options of a command
    folder: Folder,
    *,
    users: Annotated[int, typer.Option(min=1)] = 610,
    items: Annotated[int, typer.Option(min=2)] = 9742,
    ratings: Annotated[int, typer.Option(min=1)] = 100_836,
    seed: Annotated[int, typer.Option(min=0, help="The same seed gives the same bytes.")] = 42,
    events: Annotated[
        bool, typer.Option("--events", help="Also what people did: views, clicks and purchases, in events.csv.")
    ] = False,
    with_ratings: Annotated[
        bool, typer.Option("--ratings-file/--no-ratings", help="Without ratings.csv: events are all there is.")
    ] = True,
    force: Force = False,
) -> None:
    """Generate files in MovieLens' shape: long tails, tastes tied to genres, sessions, drift."""
    from demo.generator.files import Kinds  # noqa: PLC0415 - numpy and pyarrow, only here
    from demo.generator.world import Size  # noqa: PLC0415

    size = Size(users, items, ratings)
    problem = size.problem()
    if problem is not None:
        raise CommandError(problem)
    if not events and not with_ratings:
        raise CommandError("without ratings and without events there is nothing to learn from: --no-ratings --events")
    kinds = Kinds(ratings=with_ratings, events=events)
    keep_files(folder, force=force, names=(*FILES, *kinds.files))
    started = time.monotonic()
    rows = generate_with_progress(folder, size, seed, kinds)
    say(f"{folder}: " + ", ".join(f"{name} {count:,} rows" for name, count in sorted(rows.items())))
    remark(f"{time.monotonic() - started:.1f} s, seed {seed}")


def generate_with_progress(folder: Path, size: Size, seed: int, kinds: Kinds | None = None) -> dict[str, int]:
    """Generate into `folder` with a progress bar on a terminal; returns the rows of each file."""
    from demo.generator.files import Kinds  # noqa: PLC0415 - numpy and pyarrow, only here
    from demo.generator.files import generate as write  # noqa: PLC0415

    console = err()
    columns = (TextColumn("Generating ratings"), BarColumn(), MofNCompleteColumn())
    with Progress(*columns, console=console, disable=not console.is_terminal) as bar:
        task = bar.add_task("", total=size.ratings)
        return write(folder, size, seed, lambda count: bar.update(task, advance=count), kinds or Kinds())


@app.command("movielens")
def download_movielens(folder: Folder, *, force: Force = False) -> None:
    """Download MovieLens' ml-latest-small from GroupLens, its digest checked."""
    from cli.movielens_download import LICENCE, download  # noqa: PLC0415 - urllib, only here

    keep_files(folder, force=force)
    files = download(folder)
    say(f"{folder}: {', '.join(file.name for file in files)}")
    remark(f"By GroupLens Research, University of Minnesota: free for research, not for commerce; {LICENCE}")
    remark(f"To use it: export {VARIABLE}={folder.resolve()}")


def keep_files(folder: Path, *, force: bool, names: Iterable[str] = tuple(FILES)) -> None:
    """CommandError when one of the files is there already and must not be replaced."""
    there = [name for name in dict.fromkeys(names) if (folder / name).exists()]
    if there and not force:
        raise CommandError(f"{folder} has {', '.join(there)} already: name another folder, or --force")
