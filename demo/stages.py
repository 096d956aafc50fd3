"""The stages of the demo. Each prints its result, and raises CommandError when it does not do what it must."""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path

from cli import runs
from cli.commands.query import show_named_query
from cli.commands.runs import cost, verdict
from cli.commands.upload import read_headers, send_all, watch
from cli.errors import CommandError
from cli.formatting.terminal import out, say
from cli.runs import Run
from cli.target import Target
from demo import deliveries, faulty_models, training_run
from demo import experiment as experiments
from demo.data_split import Deliveries
from demo.experiment import ObservedExperiment
from demo.faulty_models import Scenario
from demo.simulated_users.preference_model import PreferenceModel
from demo.simulated_users.sessions import describe_users, example_session, print_counts, sessions
from demo.summary import Log

#: Time limits on a slow machine: of a delivery, of a run from the last row on, of an experiment from its start on.
DELIVERY_SECONDS = 300.0
RUN_SECONDS = 900.0
EXPERIMENT_SECONDS = 300.0
OPENING_SECONDS = 30.0
#: How long users use the first model before new data arrive.
FEEDBACK_SECONDS = 8.0
#: The named queries that the demo runs.
QUERIES = ("most_rated", "ratings_per_genre", "growth_by_month")


@dataclass(slots=True)
class Demo:
    """What every stage needs."""

    target: Target
    deliveries: Deliveries
    preferences: PreferenceModel
    seed: int
    scratch: Path
    log: Log
    save: Path | None = None
    _number: int = 2

    def heading(self, title: str) -> None:
        """Print the number and title of the next stage."""
        say(f"\n{self._number}  {title}", "bold")
        self._number += 1


def first_delivery(demo: Demo) -> None:
    """Stream the first part with the agent, count every row in the lake, and run the queries."""
    part = demo.deliveries.first
    demo.heading(f"Stream the first 70 % of the ratings with `usher agent`: {part.total:,} rows into four streams")
    with demo.log.stage("stream, validate, catalog") as stage:
        sent = deliveries.stream(demo.target, part, demo.scratch)
        in_lake = deliveries.wait_until_in_lake(demo.target, part, DELIVERY_SECONDS)
        stage.result = f"{part.total:,} rows sent, each of them once in the lake"
    deliveries.print_streamed(part, sent, in_lake)
    say(f"streamed and queryable in {stage.seconds:.1f} s; rows sent = rows in the lake")
    demo.log.usage.streamed_rows += part.total
    demo.heading("Query the lake with Athena SQL")
    with demo.log.stage("queries") as stage:
        for name in QUERIES:
            _query(demo, name)
        stage.result = f"{len(QUERIES)} named queries"


def _query(demo: Demo, name: str) -> None:
    started = time.monotonic()
    answer = show_named_query(demo.target, name)
    say(f"usher query {name}: {time.monotonic() - started:.2f} s, {answer.scanned_bytes:,} bytes scanned\n")


def first_run(demo: Demo) -> Run | None:
    """Follow the first run; None when the quality gate refused its model, so that no model serves."""
    demo.heading("New data and no more uploads: the first run starts automatically")
    run = _follow_run(demo, "first run", ())
    if run is None:
        say("No model serves: the gate refused this one. The next run starts when more data have arrived.")
        return None
    demo.heading("Recommendations for a known user, for a session of five ratings, and for an unknown user")
    with demo.log.stage("recommendations") as stage:
        ratings = example_session(demo.preferences, demo.deliveries.known_rows[0], demo.seed)
        training_run.print_recommendations(demo.target, ratings)
        stage.result = "levels: model, fold_in, popular"
    return run


def feedback(demo: Demo) -> None:
    """Simulated users use the first model and send feedback through the API."""
    demo.heading("Simulated users rate, request lists and click; their feedback goes to POST /feedback")
    say(describe_users(demo.preferences, demo.deliveries.hidden))
    with (
        demo.log.stage("feedback") as stage,
        sessions(demo.target, demo.preferences, demo.deliveries.known_rows[0], demo.seed, "early") as counts,
    ):
        time.sleep(FEEDBACK_SECONDS)
    print_counts(counts, FEEDBACK_SECONDS)
    stage.result = f"{counts.sessions:,} sessions, {sum(counts.actions.values()):,} events"
    demo.log.usage.add_sessions(counts)


def second_delivery(demo: Demo) -> None:
    """Upload the next part as files, one of them with bad rows, and account for every row of every object."""
    bad_file = demo.scratch / "bad_rows.csv"
    bad_rows = deliveries.write_bad_rows(bad_file)
    part = demo.deliveries.second
    demo.heading(f"Upload the next 20 % as files, and a file with {bad_rows} bad rows")
    with demo.log.stage("upload, validate, catalog") as stage:
        sent = send_all(demo.target, read_headers([*part.files.values(), bad_file]))
        entries = watch(demo.target, sent, DELIVERY_SECONDS, out())
        late = [item.measured.file.path.name for item in sent if item.digest not in entries]
        if late or any(entry.status != "committed" for entry in entries.values()):
            raise CommandError(
                f"{', '.join(late) or 'some objects'} were not committed to the lake in {DELIVERY_SECONDS:.0f} s: "
                "repeat the demo on a machine with less load"
            )
        expected = {item.digest: bad_rows for item in sent if item.measured.file.path == bad_file}
        wrong = deliveries.count_mismatches(demo.target, sent, entries, expected)
        if wrong:
            raise CommandError(f"row counts differ: {'; '.join(wrong)}")
        rows = sum(entry.rows_in for entry in entries.values())
        stage.result = f"{rows:,} rows, {bad_rows} of them in quarantine with their reasons"
    say(f"uploaded and queryable: {rows:,} rows in {stage.seconds:.1f} s")
    say(f"{len(sent)} objects: rows in = rows in the lake + rows in quarantine\n")
    _query(demo, "quarantine_by_reason")


def second_run(demo: Demo, first: Run) -> Run | None:
    """Follow the second run; None when the quality gate refused its model."""
    demo.heading("The second run starts automatically; the gate compares its model with the champion")
    run = _follow_run(demo, "second run", (first.run_id,))
    if run is None:
        say("The gate refused the new model. No user sees it, and the champion keeps serving.")
    return run


def _follow_run(demo: Demo, name: str, before: tuple[str, ...]) -> Run | None:
    with demo.log.stage(name) as stage:
        run = training_run.follow(demo.target, RUN_SECONDS, before)
        demo.log.usage.runs += 1
        demo.log.usage.runs_usd += float(cost(run) or 0.0)
        deployed = training_run.print_result(demo.target, run)
        stage.result = verdict(run) or run.overall_status
    say(f"usher run {run.run_id} shows the run, usher report {run.run_id} its report")
    return run if deployed else None


def experiment(demo: Demo, run_id: str, known_rows: int) -> ObservedExperiment:
    """Simulated users come until the experiment closes. known_rows: rows of the history that Usher has received."""
    demo.heading("The experiment is open: simulated users come, and their clicks move the traffic")
    observed = experiments.wait_until_open(demo.target, run_id, OPENING_SECONDS)
    say(experiments.describe(demo.target, observed.experiment_id))
    with demo.log.stage("experiment") as stage:
        with sessions(demo.target, demo.preferences, known_rows, demo.seed, "later") as counts:
            experiments.follow(demo.target, observed, EXPERIMENT_SECONDS)
        stage.result = f"{observed.outcome}: {observed.reason}"
    print_counts(counts, stage.seconds)
    say(experiments.describe_outcome(observed))
    say(f"usher experiment {observed.experiment_id} shows it; --html FILE writes a page with plots")
    demo.log.usage.add_sessions(counts)
    demo.log.usage.enrolled += observed.users
    demo.log.usage.ticks += runs.count(demo.target, demo.target.resources.shift_workflow_arn)
    if demo.save is not None:
        experiments.save(demo.target, demo.save, observed, counts)
    return observed


def deploy_faulty_challenger(demo: Demo, scenario: Scenario, champion: Run) -> str:
    """Instead of a second run, deploy a copy of the champion that was damaged after the gate; returns its run id."""
    demo.heading(f"Scenario {scenario.name}: a faulty challenger")
    say(scenario.description)
    say(
        "The demo makes it from the champion's files, outside the product, and deploys it with the workflow's states "
        "after the gate."
    )
    with demo.log.stage("deploy a faulty model") as stage:
        run_id, snapshots, _ = runs.next_run(demo.target)
        faulty_models.build(demo.target, champion.run_id, run_id, scenario.damage, demo.scratch)
        faulty_models.deploy(demo.target, run_id, snapshots, DELIVERY_SECONDS)
        stage.result = f"{run_id} in the idle variant, without training and without the gate"
    return run_id
