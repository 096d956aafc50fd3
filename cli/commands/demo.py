"""`usher demo`: run the whole loop on a private twin, from a file of ratings to the experiment that users decide."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from cli.errors import CommandError
from cli.movielens import missing_files

app = typer.Typer()

SEED = 42


@app.command()
def demo(
    data: Annotated[
        Path | None, typer.Option(help="A folder with ratings.csv, movies.csv, tags.csv, links.csv.", file_okay=False)
    ] = None,
    *,
    scenario: Annotated[
        str, typer.Option(help="natural, bad-model (recommends wrong items) or broken (fails).")
    ] = "natural",
    backend: Annotated[str, typer.Option(help="Where models run: endpoint, or function (no endpoint).")] = "endpoint",
    seed: Annotated[int, typer.Option(min=0, help="The same seed simulates the same users and preferences.")] = SEED,
    save: Annotated[Path | None, typer.Option(help="Write the experiment's page and record into this folder.")] = None,
) -> None:
    """Run the whole loop on a private twin: data, training, recommendations, feedback, an experiment."""
    from demo.play import BACKENDS, SCENARIO_NAMES, play  # noqa: PLC0415 - --help need not load numpy and the twin

    if save is not None and save.exists() and not save.is_dir():
        raise CommandError(f"--save {save} is a file: pass a folder")
    if data is not None and missing_files(data):
        raise CommandError(f"{data} has no {', '.join(missing_files(data))}: pass a folder with MovieLens' files")
    if scenario not in SCENARIO_NAMES:
        raise CommandError(f"unknown scenario {scenario}: use one of {', '.join(SCENARIO_NAMES)}")
    if backend not in BACKENDS:
        raise CommandError(f"unknown back end {backend}: use one of {', '.join(BACKENDS)}")
    if (scenario, backend) == ("broken", "function"):
        raise CommandError(
            "scenario broken fails in the endpoint's container only: use --backend endpoint, or bad-model"
        )
    play(data, scenario, backend, seed, save)
