"""What Usher promises, each checked on a real deployment: the check returns what it saw, or raises CommandError."""

from __future__ import annotations

import csv
import time
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from cli import api_client, athena, runs
from cli.commands import feedback, image
from cli.commands.data import generate_ratings
from cli.commands.recommend import ask
from cli.commands.runs import verdict
from cli.commands.upload import read_headers, send_all
from cli.errors import CommandError
from cli.experiments import operator_commands, records
from cli.formatting.terminal import remark
from cli.runs import Run
from cli.target import Target
from cli.uploads.send import faults, follow

#: The generated data: enough for a model that beats the popularity list, small enough for a run of a few minutes.
USERS, ITEMS, RATINGS, SEED = 700, 4000, 60_000, 7
#: Share of the ratings, by time, in the first upload; the rest starts the second run.
_FIRST = 0.8
_SECONDS_IMAGE = 1800.0


@dataclass(slots=True)
class Loop:
    """The loop under test. folder: for the generated files. end: of the whole test, on the monotonic clock.

    seen_runs: ids of runs that have ended. rows: rows uploaded so far, by data set. user: one of the first upload.
    """

    target: Target
    folder: Path
    end: float
    seen_runs: list[str] = field(default_factory=list)
    rows: dict[str, int] = field(default_factory=dict)
    user: str = ""

    def promises(self) -> Iterator[tuple[str, Callable[[], str]]]:
        """The promises in the order of the loop: a sentence, and its check."""
        yield "the image is built in the account", self.image
        yield "every uploaded row is counted once in Athena", self.first_upload
        yield "new data start a run, and its model is served", self.first_run
        yield "a signed request is answered by the model", self.signed
        yield "a request without a signature is refused", self.unsigned
        yield "feedback is stored and reaches the lake", self.feedback
        yield "more data start a second run, which opens an experiment", self.second_run
        yield "an operator's rollback ends the experiment", self.rollback

    def image(self) -> str:
        """Build the container image with the stack's CodeBuild project."""
        build = image.start(self.target)
        image.follow(self.target, build, min(_SECONDS_IMAGE, self._left()), remark)
        return build

    def first_upload(self) -> str:
        """Generate data, upload the first part, and count its rows."""
        generate_ratings(self.folder, USERS, ITEMS, RATINGS, SEED)
        with (self.folder / "ratings.csv").open(encoding="utf-8", newline="") as file:
            header, *rows = csv.reader(file)
        rows.sort(key=lambda row: int(row[-1]))
        cut, self.user = round(_FIRST * len(rows)), rows[0][0]
        for name, part in (("first.csv", rows[:cut]), ("second.csv", rows[cut:])):
            with (self.folder / name).open("w", encoding="utf-8", newline="") as file:
                csv.writer(file, lineterminator="\n").writerows([header, *part])
        return self._upload("movies.csv", "first.csv")

    def first_run(self) -> str:
        """Follow the run that starts by itself to the endpoint."""
        run = self._follow_run()
        router = records.router_of(self.target)
        if router is None or run.run_id not in router.models.values():
            raise CommandError(f"run {run.run_id} succeeded, and the router does not serve its model")
        return f"run {run.run_id}: {verdict(run)}"

    def signed(self) -> str:
        """Ask for recommendations of a user of the training data."""
        body = ask(self.target, {"user_id": self.user, "limit": 5}, [])
        if body["level"] != "model" or not body["items"]:
            raise CommandError(
                f"user {self.user} got {len(body['items'])} items of level {body['level']}, not the model's"
            )
        return f"{len(body['items'])} items for user {self.user} from {body['model_id']}"

    def unsigned(self) -> str:
        """Send the same request without a signature."""
        status = api_client.status_without_signature(self.target, f"/recommendations?user_id={self.user}")
        if status != 403:
            raise CommandError(f"the API answered {status} to a request without a signature, not 403")
        return "403"

    def feedback(self) -> str:
        """Send a rating, see it in the state table's answer, and wait for its row in the lake."""
        user, event = f"smoke-{uuid.uuid4().hex[:12]}", uuid.uuid4().hex
        entry = {"user_id": user, "item_id": "1", "type": "rating", "value": 4.5, "event_id": event}
        feedback.send(self.target, entry)
        again = feedback.send(self.target, entry)
        if again["event_id"] != event:
            raise CommandError(f"event {event} was sent twice and answered as {again['event_id']}")
        self._count(f"SELECT count(*) AS n FROM ratings WHERE user_id = {athena.literal(user)}", 1, "the rating")  # noqa: S608
        return f"event {event}, sent twice, is one row of the lake"

    def second_run(self) -> str:
        """Upload the rest, follow the next run, and find its experiment."""
        self._upload("second.csv")
        run = self._follow_run()
        while True:
            router = records.router_of(self.target)
            if router is not None and router.experiment_is_open:
                return f"run {run.run_id}, experiment {router.experiment_id}"
            self._pause(f"run {run.run_id} opened no experiment")

    def rollback(self) -> str:
        """Roll back as an operator, and see all traffic at the champion."""
        context = operator_commands.read_context(self.target)
        experiment_id, model = context.rollback_model()
        operator_commands.send(self.target, "roll_back", experiment_id, "smoke test", min(300.0, self._left()))
        while True:
            router = records.router_of(self.target)
            if router is not None and not router.experiment_is_open and router.weights[router.champion] == 1:
                if router.models[router.champion] != model:
                    raise CommandError(f"model {router.models[router.champion]} serves after the rollback, not {model}")
                return f"model {model} has all traffic"
            self._pause(f"experiment {experiment_id} is not rolled back")

    def _upload(self, *names: str) -> str:
        sent = send_all(self.target, read_headers([self.folder / name for name in names]))
        entries = list(follow(self.target, sent, self._left()))[-1]
        wrong = faults(entries, sent)
        if wrong:
            raise CommandError(f"not every file is in the lake: {'; '.join(wrong)}")
        for item in sent:
            dataset = entries[item.digest].dataset
            self.rows[dataset] = self.rows.get(dataset, 0) + (item.measured.rows or 0)
        for dataset, rows in self.rows.items():
            condition = " WHERE user_id NOT LIKE 'smoke-%'" if dataset == "ratings" else ""
            self._count(f"SELECT count(*) AS n FROM {dataset}{condition}", rows, dataset)  # noqa: S608 - our own names
        return ", ".join(f"{rows:,} {dataset}" for dataset, rows in self.rows.items())

    def _count(self, sql: str, wanted: int, what: str) -> None:
        """Query until the count is as wanted; CommandError when it is larger, or the time is over."""
        while (found := int(next(iter(athena.ask(self.target, sql).records()))["n"])) != wanted:
            if found > wanted:
                raise CommandError(f"{what}: {wanted:,} rows were sent, Athena counts {found:,}")
            self._pause(f"{what}: {wanted:,} rows were sent, Athena counts {found:,}")

    def _follow_run(self) -> Run:
        """The next run, once it has ended; CommandError with its verdict unless its model is deployed."""
        shown: set[str] = set()
        while True:
            new = [run for run in runs.newest(self.target, 5) if run.run_id not in self.seen_runs]
            if new:
                for state in runs.states(self.target, new[0]):
                    if state.name not in shown:
                        shown.add(state.name)
                        remark(f"run {new[0].run_id}: {state.name}")
                if new[0].ended_at is not None:
                    break
            self._pause(f"run {new[0].run_id} has not ended" if new else "no run has started")
        run = new[0]
        self.seen_runs.append(run.run_id)
        if run.overall_status != "succeeded":
            raise CommandError(f"run {run.run_id} {run.overall_status}: {verdict(run)}")
        return run

    def _left(self) -> float:
        """Seconds until the end of the test."""
        return max(1.0, self.end - time.monotonic())

    def _pause(self, problem: str) -> None:
        """Wait before the next look; CommandError with the problem when the time of the test is over."""
        if time.monotonic() > self.end:
            raise CommandError(f"{problem} when the time of the test was over: give more with --wait-minutes")
        time.sleep(0.5 if self.target.endpoint else 5.0)
