"""Where MovieLens-shaped files are found: a folder that the user names, else the copy beside the repository."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

from cli.errors import CommandError

#: MovieLens' file names → the data set each holds.
FILES = {"ratings.csv": "ratings", "movies.csv": "items", "tags.csv": "tags", "links.csv": "links"}
VARIABLE = "USHER_DATA"
PROJECT = Path(__file__).parents[1]
BESIDE = PROJECT.parent / "shared" / "data" / "ml-latest-small"


def real_data(environ: Mapping[str, str] = os.environ, beside: Path = BESIDE) -> Path | None:
    """The folder of the real files: USHER_DATA, else the copy beside the repository, else None.

    Raises CommandError when USHER_DATA names no such folder: what the user asked for is not replaced quietly.
    """
    named = environ.get(VARIABLE, "")
    if named:
        folder = Path(named).expanduser()
        missing = missing_files(folder)
        if missing:
            raise CommandError(f"{VARIABLE}={named}: there is no {', '.join(missing)} in it")
        return folder
    return None if missing_files(beside) else beside


def missing_files(folder: Path) -> list[str]:
    """Which of MovieLens' files the folder lacks."""
    return [name for name in FILES if not (folder / name).is_file()]
