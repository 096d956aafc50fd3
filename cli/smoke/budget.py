"""What a smoke test costs at most: every part of the bill for the test's whole time limit, from the price list."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace

from cli.costs.bill import DAYS, HOURS, Instances, Volume, bill
from cli.costs.stack import Stack
from usher.runs.prices import PriceList

#: Billed by the hour that they exist or get data; the price list has them by the month.
_BY_TIME = {
    *("SageMaker endpoint", "CloudWatch metrics", "CloudWatch alarms", "CloudWatch dashboard"),
    *("Secrets Manager", "SQS polling", "ECR"),
}
#: An update starts a second fleet beside the first.
_FLEETS = 2


@dataclass(frozen=True, slots=True)
class Part:
    """A part of the estimate, in USD."""

    name: str
    usd: float


def estimate(  # noqa: PLR0913 - what the bill depends on
    stack: Stack, parameters: Mapping[str, str], prices: PriceList, region: str, *, rows: int, hours: float
) -> list[Part]:
    """The parts that cost something. rows: of the generated data. hours: the time limit.

    Raises NoPrice for a region or an instance type without a price.
    """
    values = {**stack.defaults, **parameters}
    volume = Volume(requests=100, feedback=10, ratings=rows, users=10, runs=2, experiment_days=hours / HOURS * DAYS)
    instances = Instances(
        hosting=values["HostingInstanceType"],
        processing=values["ProcessingInstanceType"],
        training=values["TrainingInstanceType"],
    )
    function = values["ServingBackend"] == "function"
    lines = bill(volume, replace(stack, defaults=values), prices, instances, region)

    def parts() -> Iterator[Part]:
        for line in lines:
            usd = line.function if function else line.endpoint
            if line.part in _BY_TIME:
                usd *= hours / HOURS * (_FLEETS if line.part == "SageMaker endpoint" else 1)
            if usd > 0:
                yield Part(line.part, usd)

    return list(parts())
