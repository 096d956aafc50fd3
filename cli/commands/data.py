"""`usher data`: find the real data, generate data, or download MovieLens."""

from __future__ import annotations

import time
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn

from cli.errors import CommandError
from cli.formatting.terminal import err, print_json, remark, say
from cli.movielens import BESIDE, FILES, VARIABLE, real_data

if TYPE_CHECKING:
    from demo.generator.files import Kinds
    from demo.generator.world import Size

app = typer.Typer(no_args_is_help=True, help="Find, generate or download data.")

Folder = Annotated[Path, typer.Argument(metavar="DIR", help="The folder for the files.")]
Force = Annotated[bool, typer.Option("--force", help="Replace existing files.")]


@app.command("path")
def show_path(as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False) -> None:
    """Print the folder of the real data; exit code 1 when there is none."""
    folder = real_data()
    if as_json:
        print_json({"path": str(folder) if folder else None, "files": FILES})
    elif folder is not None:
        say(str(folder))
    if folder is None:
        raise CommandError(
            f"no real data: {VARIABLE} is not set and {BESIDE} does not exist. Download them with "
            "`usher data movielens DIR` or generate some with `usher data generate DIR`"
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
        bool, typer.Option("--events", help="Also write views, clicks and purchases to events.csv.")
    ] = False,
    with_ratings: Annotated[
        bool, typer.Option("--ratings-file/--no-ratings", help="Write ratings.csv or leave it out.")
    ] = True,
    force: Force = False,
) -> None:
    """Generate files in MovieLens' format: long-tailed popularity, genre preferences, sessions, drift."""
    from demo.generator.files import Kinds  # noqa: PLC0415 - numpy and pyarrow, only here
    from demo.generator.world import Size  # noqa: PLC0415

    size = Size(users, items, ratings)
    problem = size.problem()
    if problem is not None:
        raise CommandError(problem)
    if not events and not with_ratings:
        raise CommandError("--no-ratings leaves nothing to learn from: add --events")
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


def generate_ratings(folder: Path, users: int, items: int, ratings: int, seed: int) -> dict[str, int]:
    """Generate MovieLens' four files into `folder`; returns the rows of each file."""
    from demo.generator.world import Size  # noqa: PLC0415 - numpy, only here

    return generate_with_progress(folder, Size(users, items, ratings), seed)


@app.command("movielens")
def download_movielens(folder: Folder, *, force: Force = False) -> None:
    """Download MovieLens' ml-latest-small from GroupLens, its digest checked."""
    from cli.movielens import LICENCE, download  # noqa: PLC0415 - urllib, only here

    keep_files(folder, force=force)
    files = download(folder)
    say(f"{folder}: {', '.join(file.name for file in files)}")
    remark(f"By GroupLens Research, University of Minnesota: free for research, not for commercial use; {LICENCE}")
    remark(f"To use it: export {VARIABLE}={folder.resolve()}")


def keep_files(folder: Path, *, force: bool, names: Iterable[str] = tuple(FILES)) -> None:
    """Raise CommandError when a file exists and `force` is not given."""
    there = [name for name in dict.fromkeys(names) if (folder / name).exists()]
    if there and not force:
        raise CommandError(f"{folder} has {', '.join(there)} already: name another folder, or add --force")
