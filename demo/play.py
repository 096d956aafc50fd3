"""The demo from start to end: the data, a private twin, the stages in their order, the summary."""

from __future__ import annotations

import os
import shutil
import sys
import time
from collections.abc import Mapping
from contextlib import ExitStack
from pathlib import Path

from rich.text import Text

from cli.commands.data import generate_with_progress
from cli.formatting.terminal import err, say
from cli.movielens import real_data
from cli.target import of_twin
from demo import stages
from demo.data_split import split
from demo.faulty_models import SCENARIOS
from demo.generator.world import Size
from demo.private_twin import private_twin, scratch_folder
from demo.simulated_users.history import read_history
from demo.simulated_users.preference_model import fit_preferences
from demo.stages import Demo
from demo.summary import Log, Usage, show

NATURAL = "natural"
SCENARIO_NAMES = (NATURAL, *SCENARIOS)
BACKENDS = ("endpoint", "function")
#: A run starts after so many new rows, as a share of the second delivery's ratings: feedback alone starts none.
_MIN_NEW_ROWS_SHARE = 0.75


def play(data: Path | None, scenario: str, backend: str, seed: int, save: Path | None) -> None:
    """Run the demo and print each stage. data: the folder of the files; real or generated ones without it.

    scenario: one of SCENARIO_NAMES. backend: one of BACKENDS, the template's ServingBackend.

    Raises CommandError at the first stage that does not do what it must. Leaves no process and no file behind,
    except in `save`.
    """
    started, log = time.monotonic(), Log(usage=Usage(backend=backend))
    with ExitStack() as stack:
        scratch = stack.enter_context(scratch_folder())
        real = data or real_data()
        folder = real or _generated(scratch, seed)
        history = read_history(folder / "ratings.csv")
        preferences, deliveries = fit_preferences(history, seed), split(folder, history, scratch)
        say("\n1  Deploy the template on this machine: no AWS account, no Docker", "bold")
        with log.stage("deploy") as stage, err().status("Deploying") as status:
            rows = max(1, int(_MIN_NEW_ROWS_SHARE * deliveries.second.rows["ratings.csv"]))
            parameters = {"MinNewRows": str(rows), "ServingBackend": backend}
            deploying = private_twin(scratch, parameters, lambda line: status.update(Text(f"Deploying: {line}")))
            twin = stack.enter_context(deploying)
            stage.result = "template.yaml deployed to a twin on 127.0.0.1"
        say(f"ready after {stage.seconds:.1f} s at {twin.endpoint}")
        _run_stages(Demo(of_twin(twin), deliveries, preferences, seed, scratch, log, save), scenario)
        show(log)
    say(f"\nThe demo took {time.monotonic() - started:.0f} s. Its twin is stopped and its files are deleted.")
    _print_next_commands(real)


def _run_stages(demo: Demo, scenario: str) -> None:
    stages.first_delivery(demo)
    first = stages.first_run(demo)
    if first is None:
        return
    stages.feedback(demo)
    if scenario in SCENARIOS:
        challenger = stages.deploy_faulty_challenger(demo, SCENARIOS[scenario], first)
        stages.experiment(demo, challenger, demo.deliveries.known_rows[0])
        return
    stages.second_delivery(demo)
    second = stages.second_run(demo, first)
    if second is not None:
        stages.experiment(demo, second.run_id, demo.deliveries.known_rows[1])


def _generated(scratch: Path, seed: int) -> Path:
    folder = scratch / "generated"
    generate_with_progress(folder, Size(610, 9742, 100_836), seed)
    say(f"MovieLens not found (USHER_DATA can name its folder): using generated data, seed {seed}")
    return folder


def _print_next_commands(data: Path | None) -> None:
    """data: the folder of the files; None when they were generated and are deleted by now."""
    say("\nCommands to try next", "bold")
    lines: Mapping[str, str] = {
        "usher twin up": "start a twin that runs until usher twin down",
        **({} if data else {"usher data generate data": "write the generated files into the folder data"}),
        f"usher upload {os.path.relpath(data) if data else 'data'} --wait": "upload the files",
        "usher query": "list the named queries; any other argument is SQL",
        "usher runs": "list the runs with verdict and cost; then usher run, usher report",
        "usher recommend 42": "recommendations of a user; also usher similar ITEM, usher popular",
        "usher feedback 42 318 --rating 5": "send a rating, which the next request uses",
        "usher experiment": "show the experiment; then usher rollback, promote, freeze",
        "usher quarantine list": "list refused rows with their reasons; then show, replay",
        "make demo SCENARIO=bad-model": "a challenger with wrong recommendations; SCENARIO=broken: one with errors",
    }
    width = max(map(len, lines))
    for command, words in lines.items():
        say(f"  {command:<{width}}  {words}")
    if shutil.which("usher") is None:
        bin_folder = os.path.relpath(Path(sys.argv[0]).parent)
        say(f"`usher` is in {bin_folder}: run `source {bin_folder}/activate` to put it on the path.")
