"""`usher cost`: the monthly bill of a deployment, estimated from a volume of use and the price list."""

from __future__ import annotations

from dataclasses import asdict
from typing import Annotated

import typer
from rich.text import Text

from cli.costs.bill import Instances, Line, Volume, bill
from cli.costs.stack import read_stack
from cli.errors import CommandError
from cli.formatting.terminal import make_table, out, print_json, say
from usher.errors import NoPrice
from usher.runs.prices import PriceList, price_list

app = typer.Typer()

_COUNT = {"min": 0.0, "max": 1e12}


@app.command()
def cost(  # noqa: PLR0913 - the options of a command
    *,
    requests: Annotated[float, typer.Option(help="Requests for recommendations a month.", **_COUNT)] = 1e6,
    ratings: Annotated[
        float, typer.Option(help="Ratings and events in the lake, which each run reads.", **_COUNT)
    ] = 1e6,
    users: Annotated[float, typer.Option(help="Users who make requests in a month.", **_COUNT)] = 1e4,
    feedback: Annotated[
        float | None,
        typer.Option(help="Events of POST /feedback a month (default: a tenth of the requests).", **_COUNT),
    ] = None,
    runs: Annotated[int, typer.Option(min=0, max=1000, help="Training runs a month; the first one tunes.")] = 4,
    experiment_days: Annotated[float, typer.Option(min=0, max=31, help="Days with an open experiment.")] = 28.0,
    hosting: Annotated[str, typer.Option(help="Instance type of the variants (default: the template's).")] = "",
    jobs: Annotated[str, typer.Option(help="Instance type of the jobs (default: the template's).")] = "",
    region: Annotated[str, typer.Option(help="AWS region: a rough factor against us-east-1.")] = "us-east-1",
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Estimate the monthly bill on AWS: at rest, with an endpoint, and with the function back end."""
    volume = Volume(
        requests=requests,
        feedback=requests / 10 if feedback is None else feedback,
        ratings=int(ratings),
        users=users,
        runs=runs,
        experiment_days=experiment_days,
    )
    stack, prices = read_stack(), price_list()
    instances = Instances(
        hosting=hosting or stack.defaults["HostingInstanceType"],
        processing=jobs or stack.defaults["ProcessingInstanceType"],
        training=jobs or stack.defaults["TrainingInstanceType"],
    )
    try:
        lines = bill(volume, stack, prices, instances, region)
    except NoPrice as error:
        raise CommandError(str(error)) from error
    if as_json:
        print_json({"volume": asdict(volume), "region": region, "as_of": prices.as_of, "lines": [*map(asdict, lines)]})
        return
    _show(volume, lines, prices, region)


def _show(volume: Volume, lines: list[Line], prices: PriceList, region: str) -> None:
    say(
        f"A month of {volume.requests:,.0f} requests and {volume.feedback:,.0f} events of feedback "
        f"by {volume.users:,.0f} users; {volume.ratings:,} rows in the lake; {volume.runs} training runs; "
        f"{volume.experiment_days:g} days with an experiment."
    )
    heads = ("part", "quantity", "at rest", "endpoint", "function")
    table = make_table(heads, right=heads[2:], title=f"USD a month, {region}")
    for line in lines:
        table.add_row(Text(line.part), Text(line.quantity), *map(_usd, (line.at_rest, line.endpoint, line.function)))
    table.add_section()
    sums = (sum(getattr(line, name) for line in lines) for name in ("at_rest", "endpoint", "function"))
    table.add_row("total", "", *map(_usd, sums))
    out().print(table)
    say(f"Prices of {prices.region}, {prices.as_of}. {prices.about} Sources: layers/core/python/usher/runs/prices.json")
    say("At rest: deployed, without data, model and requests. An endpoint costs its hours from the first model on.")


def _usd(value: float) -> str:
    return f"{value:,.2f}" if value else "-"
