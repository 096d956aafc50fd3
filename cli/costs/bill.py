"""Multiplies the use of a month by the price list: the bill by part, at rest and with both serving back ends."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from cli.costs import usage
from cli.costs.stack import Stack
from cli.costs.usage import Usage
from usher.runs import cost
from usher.runs.prices import PriceList

HOURS = 730.0
DAYS = HOURS / 24
GB = 1e9
#: Dashboards of an account that cost nothing.
FREE_DASHBOARDS = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class Volume:
    """A month of use.

    requests: GET /recommendations. feedback: events sent to POST /feedback. ratings: rows in the lake, which each run
    reads. users: who make requests. runs: training runs, the first of which tunes. experiment_days: in which an
    experiment is open.
    """

    requests: float
    feedback: float
    ratings: int
    users: float
    runs: int = 4
    experiment_days: float = 28.0


@dataclass(frozen=True, slots=True)
class Line:
    """A part of the bill, USD a month. quantity: in words. at_rest: deployed, without data, model and requests."""

    part: str
    quantity: str
    at_rest: float
    endpoint: float
    function: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Instances:
    """Instance types: of the endpoint's variants, and of the runs' jobs."""

    hosting: str
    processing: str
    training: str


def bill(volume: Volume, stack: Stack, prices: PriceList, instances: Instances, region: str) -> list[Line]:
    """The lines in the order of the data flow. NoPrice for a region or an instance type without a price."""
    factor = prices.factor(region)
    return [
        Line(line.part, line.quantity, line.at_rest * factor, line.endpoint * factor, line.function * factor)
        for line in (*_used(volume, stack, prices, instances), *_standing(stack, prices))
    ]


def request_usd(prices: PriceList, use: Usage, memory_gb: float) -> float:
    """USD of one request of the API: gateway, function, state table, stream, log and data of the endpoint."""
    return (
        prices.price("apigateway.request")
        + prices.price("lambda.request")
        + use.seconds * memory_gb * prices.price("lambda.gb_second")
        + _state(use, prices)
        + use.stream_records * 5e3 / GB * prices.price("firehose.gb")
        + use.log_bytes / GB * prices.price("cloudwatch.log_gb")
        + use.endpoint_bytes / GB * prices.price("sagemaker.data_gb")
    )


def run_usd(volume: Volume, instances: Instances, trials: int) -> float:
    """USD of the month's training jobs: the first run tunes, the others take its hyperparameters."""
    rows = cost.TrainingRows(volume.ratings)
    settings = cost.JobSettings(instances.processing, instances.training, trials)
    tuned = [one for one in rows.algorithms() if one.tuned]
    plain = cost.estimate(rows, (), settings).usd
    return (cost.estimate(rows, tuned, settings).usd - plain + volume.runs * plain) if volume.runs else 0.0


def _state(use: Usage, prices: PriceList) -> float:
    return use.read_units * prices.price("dynamodb.read_unit") + use.write_units * prices.price("dynamodb.write_unit")


def _used(volume: Volume, stack: Stack, prices: PriceList, instances: Instances) -> Iterator[Line]:
    """What requests, data and runs use."""
    price, ticks = prices.price, volume.experiment_days * 1440
    asked = volume.requests + volume.feedback
    objects = min(volume.feedback, usage.FEEDBACK_STREAMS * DAYS * 1440)
    yield _line("API Gateway", f"{asked:,.0f} requests", asked * price("apigateway.request"))

    recommend, feedback = stack.memory_gb["RecommendItems"], stack.memory_gb["IngestFeedback"]
    seconds = {
        "requests": volume.requests * usage.RECOMMENDATION.seconds * recommend,
        "feedback": volume.feedback * usage.FEEDBACK.seconds * feedback,
        "ticks": ticks * usage.TICK.seconds * stack.memory_gb["ShiftTraffic"],
        "rows": volume.ratings / usage.ROWS_PER_SECOND * stack.memory_gb["IngestObjects"],
        "objects": objects * usage.OBJECT_INGEST_SECONDS * stack.memory_gb["IngestObjects"],
        "commits": objects * usage.OBJECT_COMMIT_SECONDS * stack.memory_gb["CatalogObjects"],
    }
    used, calls = sum(seconds.values()), asked + ticks + 2 * objects
    spent = calls * price("lambda.request") + used * price("lambda.gb_second")
    yield _line("Lambda", f"{calls:,.0f} calls, {used:,.0f} GB-s", spent)

    enrolled = volume.users * min(volume.runs, max(1.0, volume.experiment_days / 14)) if volume.experiment_days else 0.0
    work = (
        (usage.RECOMMENDATION, volume.requests),
        (usage.FEEDBACK, volume.feedback),
        (usage.ENROLMENT, enrolled),
        (usage.TICK, ticks),
    )
    reads = sum(use.read_units * count for use, count in work)
    writes = sum(use.write_units * count for use, count in work)
    held = volume.users * usage.STATE_BYTES_PER_USER / GB
    storage = held * (price("dynamodb.gb_month") + price("dynamodb.recovery_gb_month"))
    spent = sum(_state(use, prices) * count for use, count in work) + storage
    yield _line("DynamoDB", f"{reads:,.0f} reads, {writes:,.0f} writes, {held:.2f} GB", spent)

    records = volume.feedback * usage.FEEDBACK.stream_records
    yield _line("Firehose", f"{records:,.0f} records of 5 KB", records * 5e3 / GB * price("firehose.gb"))

    stored = volume.ratings * (usage.LANDING_BYTES_PER_ROW + (1 + volume.runs) * usage.LAKE_BYTES_PER_ROW) / GB
    moved = usage.OBJECT_S3_WRITES * price("s3.write") + usage.OBJECT_S3_READS * price("s3.read")
    yield _line("S3", f"{stored:.2f} GB, {objects:,.0f} objects", stored * price("s3.gb_month") + objects * moved)
    yield _line("EventBridge", f"{objects:,.0f} events of S3", objects * price("eventbridge.event"))
    messages = objects * usage.OBJECT_SQS_REQUESTS
    yield _line("SQS messages", f"{messages:,.0f} requests", messages * price("sqs.request"))

    steps = ticks * usage.TRANSITIONS_PER_TICK + volume.runs * usage.TRANSITIONS_PER_RUN
    yield _line("Step Functions", f"{steps:,.0f} transitions", steps * price("stepfunctions.transition"))

    trials = int(stack.defaults["TuningTrials"])
    runs = f"{volume.runs} runs on {instances.training}, one tunes"
    yield _line("SageMaker jobs", runs, run_usd(volume, instances, trials))

    hosting = 2 * HOURS * prices.hour("hosting", instances.hosting)
    moved = volume.requests * usage.RECOMMENDATION.endpoint_bytes / GB * price("sagemaker.data_gb")
    yield Line("SageMaker endpoint", f"2 x {instances.hosting}, all hours", 0.0, hosting + moved, 0.0)

    logs = sum(use.log_bytes * count for use, count in work) / GB
    yield _line("CloudWatch logs", f"{logs:.2f} GB", logs * price("cloudwatch.log_gb"))

    metrics = (
        usage.METRICS["ingest"]
        + usage.METRICS["recommendations"] * (volume.requests > 0)
        + usage.METRICS["feedback"] * (volume.feedback > 0)
        + usage.METRICS["shift"] * (volume.experiment_days > 0)
    )
    yield _line("CloudWatch metrics", f"at most {metrics}, with data", metrics * price("cloudwatch.metric"))


def _standing(stack: Stack, prices: PriceList) -> Iterator[Line]:
    """What costs the same with and without requests."""
    price = prices.price
    alarms = stack.alarm_metrics * price("cloudwatch.alarm_metric")
    yield _line("CloudWatch alarms", f"{stack.alarms} alarms on {stack.alarm_metrics} metrics", alarms, alarms)
    paid = max(0, stack.dashboards - FREE_DASHBOARDS) * price("cloudwatch.dashboard")
    shown = f"{stack.dashboards}, of {FREE_DASHBOARDS} free in an account"
    yield _line("CloudWatch dashboard", shown, paid, paid)
    secrets = stack.secrets * price("secretsmanager.secret")
    yield _line("Secrets Manager", f"{stack.secrets} secret", secrets, secrets)
    polls = stack.polled_queues * usage.POLLERS_PER_QUEUE * HOURS * 3600 / usage.POLL_SECONDS
    polled = f"{polls:,.0f} empty polls of {stack.polled_queues} queues"
    yield _line("SQS polling", polled, polls * price("sqs.request"), polls * price("sqs.request"))
    image = usage.IMAGES_KEPT * usage.IMAGE_GB * price("ecr.gb_month")
    yield _line("ECR", f"{usage.IMAGES_KEPT} images of {usage.IMAGE_GB} GB", image, image)
    build = usage.BUILD_MINUTES * price("codebuild.medium_minute")
    yield _line("CodeBuild", f"one build of {usage.BUILD_MINUTES:.0f} minutes", build)


def _line(part: str, quantity: str, usd: float, at_rest: float = 0.0) -> Line:
    """A line that is the same for both back ends."""
    return Line(part, quantity, at_rest, usd, usd)
