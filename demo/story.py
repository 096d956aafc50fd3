"""What the demo plays, part by part; each part says what came of it, and stops the demo when something is not right."""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path

from cli.commands.query import show_question
from cli.commands.runs import cost, verdict
from cli.commands.upload import read_headers, send_all, watch
from cli.errors import CommandError
from cli.formatting.console import out, say
from cli.runs import by_hand, executions
from cli.runs.executions import Run
from cli.target import Target
from demo import artefact, check, course, kept, operator, people, planted, run, stream
from demo.course import Course
from demo.phases import Phases
from demo.simulated_users.taste import Taste
from demo.spoiled import Scenario
from demo.summary import Log

#: How long a delivery may take on a slow machine, a run from the last row on, an experiment from its first look on.
DELIVERY_SECONDS = 300.0
RUN_SECONDS = 900.0
EXPERIMENT_SECONDS = 300.0
OPENING_SECONDS = 30.0
#: The questions that the demo asks of the lake.
QUESTIONS = ("most_rated", "ratings_per_genre", "growth_by_month")


@dataclass(slots=True)
class Story:
    """What every part needs."""

    target: Target
    phases: Phases
    taste: Taste
    seed: int
    scratch: Path
    log: Log
    save: Path | None = None
    _number: int = 2

    def heading(self, title: str) -> None:
        """The next part begins."""
        say(f"\n{self._number}  {title}", "bold")
        self._number += 1


def first_delivery(story: Story) -> None:
    """The agent streams the first part; every row is counted in the lake; questions."""
    part = story.phases.first
    story.heading(
        f"The first 70 % of the ratings by time, through `usher agent`: {part.total:,} rows into four streams"
    )
    with story.log.stage("stream, check, catalog") as stage:
        sent = stream.send(story.target, part, story.scratch)
        there = stream.wait_until_there(story.target, part, DELIVERY_SECONDS)
        stage.what = f"{part.total:,} rows sent and in the lake, each once"
    stream.show(part, sent, there)
    say(f"streamed → queryable in {stage.seconds:.1f} s; rows sent = rows in the lake")
    story.log.use.streamed_rows += part.total
    story.heading("Questions, in Athena's SQL")
    with story.log.stage("questions") as stage:
        for name in QUESTIONS:
            ask(story, name)
        stage.what = f"{len(QUESTIONS)} of the named queries"


def ask(story: Story, name: str) -> None:
    """A named question, with its time."""
    asked = time.monotonic()
    answer = show_question(story.target, name)
    say(f"usher query {name}: {time.monotonic() - asked:.2f} s, {answer.scanned_bytes:,} bytes scanned\n")


def first_run(story: Story) -> Run | None:
    """The first run; None when the gate refused its model, so that nobody serves."""
    story.heading("Data have come and it is quiet: the first run starts by itself")
    found = _run(story, "first run", ())
    if found is None:
        say(
            "No model serves: the gate refused this one, as it is meant to; with more data another run starts by itself"
        )
        return None
    story.heading("Three people ask: one known, one with a session of five ratings, one unknown")
    with story.log.stage("recommendations") as stage:
        run.recommend_to_three(story.target, people.a_session(story.taste, story.phases.known_rows[0], story.seed))
        stage.what = "model, fold-in, popular"
    return found


def feedback(story: Story) -> None:
    """People use the first model; what they do goes back through the API."""
    story.heading("People use it: they rate, ask, click; all of it through POST /feedback")
    say(people.who(story.taste, story.phases.hidden))
    with story.log.stage("people's feedback") as stage:
        tally = people.give_feedback(story.target, story.taste, story.phases.known_rows[0], story.seed)
        stage.what = f"{tally.visits:,} visits, {sum(tally.actions.values()):,} events"
    story.log.use.add(tally)


def second_delivery(story: Story) -> None:
    """The next part comes as files, with bad rows planted; every row is accounted for, object by object."""
    bad_file = story.scratch / "planted.csv"
    _, bad_rows = planted.write(bad_file)
    part = story.phases.second
    story.heading(f"The next 20 % come as an upload of files, and one with {bad_rows} bad rows planted")
    with story.log.stage("upload, check, catalog") as stage:
        sent = send_all(story.target, read_headers([*part.files.values(), bad_file]))
        entries = watch(story.target, sent, DELIVERY_SECONDS, out())
        late = [item.measured.file.path.name for item in sent if item.digest not in entries]
        if late or any(entry.status != "committed" for entry in entries.values()):
            raise CommandError(
                f"not in the lake after {DELIVERY_SECONDS:.0f} s: {', '.join(late) or 'commits are missing'}"
            )
        expected = {item.digest: bad_rows for item in sent if item.measured.file.path == bad_file}
        wrong = check.disagreements(story.target, sent, entries, expected)
        if wrong:
            raise CommandError(f"the counts do not agree: {'; '.join(wrong)}")
        rows = sum(entry.rows_in for entry in entries.values())
        stage.what = f"{rows:,} rows, {bad_rows} of them in quarantine with a reason each"
    say(f"upload → queryable: {rows:,} rows in {stage.seconds:.1f} s")
    say(f"{len(sent)} objects: rows in = rows in the lake + rows in quarantine\n")
    ask(story, "quarantine_by_reason")


def second_run(story: Story, first: Run) -> Run | None:
    """The second run; None when the gate refused its model."""
    story.heading("New data and quiet: the second run starts by itself, its model is judged against the champion")
    found = _run(story, "second run", (first.run_id,))
    if found is None:
        say("The champion goes on serving: the new model does not come near any person (this end is legal)")
    return found


def _run(story: Story, name: str, before: tuple[str, ...]) -> Run | None:
    with story.log.stage(name) as stage:
        found = run.follow(story.target, RUN_SECONDS, before)
        story.log.use.runs += 1
        story.log.use.runs_usd += float(cost(found) or 0.0)
        deployed = run.tell_result(story.target, found)
        stage.what = verdict(found) or found.said
    say(f"usher run {found.run_id} shows the run, usher report {found.run_id} its report")
    return found if deployed else None


def experiment(story: Story, run_id: str, known_rows: int) -> Course:
    """People come while it is open, and the weights move by what they do. known_rows: ratings given by now."""
    story.heading("An experiment is open: people come, and the traffic moves on what they choose")
    found = course.opened(story.target, run_id, OPENING_SECONDS)
    say(course.explain(story.target, found.experiment_id))
    with story.log.stage("experiment") as stage:
        with people.coming(story.target, story.taste, known_rows, story.seed) as tally:
            course.follow(story.target, found, EXPERIMENT_SECONDS)
        stage.what = f"{found.outcome}: {found.reason}"
    people.tell(tally, stage.seconds)
    say(course.ending(found))
    say(f"usher experiment {found.experiment_id} shows it, with --html FILE as a page with plots")
    story.log.use.add(tally)
    story.log.use.add_experiment(
        found.people, executions.count(story.target, story.target.resources.shift_workflow_arn)
    )
    if story.save is not None:
        kept.write(story.target, story.save, found, tally)
    return found


def spoiled_challenger(story: Story, scenario: Scenario, champion: Run) -> str:
    """Instead of a second run: a challenger that was spoiled after its judgement; its run's id."""
    story.heading(f"Scenario {scenario.name}: a challenger that should not be one")
    say(scenario.story)
    say("Made here, outside the product, from the champion's files; deployed by the product's states after the gate.")
    with story.log.stage("spoil and deploy") as stage:
        run_id, snapshots, _ = by_hand.next_run(story.target)
        artefact.build(story.target, champion.run_id, run_id, scenario.spoil, story.scratch)
        operator.deploy(story.target, run_id, snapshots, DELIVERY_SECONDS)
        stage.what = f"{run_id} in the idle variant, without training and without the gate"
    return run_id
