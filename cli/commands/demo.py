"""`usher demo`: the whole loop on a private twin, from a file to a model that people chose, and nothing left behind."""

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

from cli.errors import CommandError
from cli.formatting.console import err, say
from cli.movielens import missing_files, real_data

if TYPE_CHECKING:
    from demo.story import Story

app = typer.Typer()

#: Of the second delivery's ratings: so many new rows make a run, so that feedback alone makes none.
_RUN_AT_SHARE = 0.75
SEED = 42
NATURAL = "natural"


@app.command()
def demo(
    data: Annotated[
        Path | None, typer.Option(help="A folder with ratings.csv, movies.csv, tags.csv, links.csv.", file_okay=False)
    ] = None,
    *,
    scenario: Annotated[str, typer.Option(help="natural, bad-model (it harms) or broken (it fails).")] = NATURAL,
    seed: Annotated[int, typer.Option(min=0, help="The same seed brings the same people with the same tastes.")] = SEED,
    save: Annotated[Path | None, typer.Option(help="Keep the experiment's page and record in this folder.")] = None,
) -> None:
    """The whole way from a file to a model that people chose, on a private twin."""
    if save is not None and save.exists() and not save.is_dir():
        raise CommandError(f"--save {save}: that is a file, name a folder")
    from cli.target import of_twin  # noqa: PLC0415
    from demo import story as parts  # noqa: PLC0415 - --help need not load numpy and the twin
    from demo.phases import cut  # noqa: PLC0415
    from demo.private_twin import private_twin, scratch_folder  # noqa: PLC0415
    from demo.simulated_users.history import read_history  # noqa: PLC0415
    from demo.simulated_users.taste import fit_taste  # noqa: PLC0415
    from demo.spoiled import SCENARIOS  # noqa: PLC0415
    from demo.summary import Log, show  # noqa: PLC0415

    if data is not None and missing_files(data):
        raise CommandError(f"{data}: there is no {', '.join(missing_files(data))} in it")
    if scenario != NATURAL and scenario not in SCENARIOS:
        raise CommandError(f"unknown scenario {scenario}: it is one of {', '.join([NATURAL, *SCENARIOS])}")
    started, log = time.monotonic(), Log()
    with ExitStack() as stack:
        scratch = stack.enter_context(scratch_folder())
        folder = data or real_data() or _generated(scratch, seed)
        history = read_history(folder / "ratings.csv")
        taste, phases = fit_taste(history, seed), cut(folder, history, scratch)
        say("\n1  The real template on this machine: no account, no Docker", "bold")
        with log.stage("deploy") as stage, err().status("Deploying") as status:
            rows = max(1, int(_RUN_AT_SHARE * phases.second.rows["ratings.csv"]))
            deploying = private_twin(scratch, rows, lambda line: status.update(Text(f"Deploying: {line}")))
            twin = stack.enter_context(deploying)
            stage.what = "the real template, on 127.0.0.1"
        say(f"ready after {stage.seconds:.1f} s at {twin.endpoint}")
        _play(parts.Story(of_twin(twin), phases, taste, seed, scratch, log, save), scenario)
        show(log)
    say(f"\nEverything is stopped; it took {time.monotonic() - started:.0f} s in all.")
    _what_next(folder)


def _play(story: Story, scenario: str) -> None:
    from demo import story as parts  # noqa: PLC0415 - see above
    from demo.spoiled import SCENARIOS  # noqa: PLC0415

    parts.first_delivery(story)
    first = parts.first_run(story)
    if first is None:
        return
    parts.feedback(story)
    if scenario in SCENARIOS:
        parts.experiment(story, parts.spoiled_challenger(story, SCENARIOS[scenario], first), story.phases.known_rows[0])
        return
    parts.second_delivery(story)
    second = parts.second_run(story, first)
    if second is not None:
        parts.experiment(story, second.run_id, story.phases.known_rows[1])


def _generated(scratch: Path, seed: int) -> Path:
    from cli.commands.data import generate_with_progress  # noqa: PLC0415 - numpy, only without real data
    from demo.generator.world import Size  # noqa: PLC0415

    folder = scratch / "generated"
    generate_with_progress(folder, Size(610, 9742, 100_836), seed)
    say(f"no MovieLens here (USHER_DATA names a folder): generated files, seed {seed}")
    return folder


def _what_next(folder: Path) -> None:
    say("\nWhat to try next", "bold")
    lines: Mapping[str, str] = {
        "usher twin up": "a twin that stays, until usher twin down",
        f"usher upload {folder} --wait": "the same files into it",
        "usher query": "all named queries; any other text is SQL",
        "usher runs": "what was trained, decided, and spent; then usher run, usher report",
        "usher recommend 42": "what somebody may like; usher similar ITEM, usher popular",
        "usher feedback 42 318 --rating 5": "it counts in the next request",
        "usher experiment": "how the traffic moves, and why; then usher rollback, promote, freeze",
        "usher quarantine list": "what was refused, and why; then show and replay",
        "make demo SCENARIO=bad-model": "a challenger that harms; SCENARIO=broken: one that fails",
    }
    width = max(map(len, lines))
    for command, words in lines.items():
        say(f"  {command:<{width}}  {words}")
    if shutil.which("usher") is None:
        bin_folder = _shown(Path(sys.argv[0]).parent)
        say(f"`usher` lies in {bin_folder}: `source {bin_folder}/activate` puts it on the path.")


def _shown(path: Path) -> Path:
    return path.relative_to(Path.cwd()) if path.is_relative_to(Path.cwd()) else path
