"""`usher experiment`: show the open experiment or a closed one; before the first, the serving model."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.live import Live

from cli.errors import CommandError
from cli.formatting.terminal import out, print_json, remark, say
from cli.target import Target, TargetCommand, chosen

if TYPE_CHECKING:
    from cli.experiments.records import Experiment
    from usher.store.router import Router

app = typer.Typer(add_completion=False)

Ask = Annotated[str, typer.Argument(metavar="[ID]", help="Experiment or run id, or the beginning of one.")]
Html = Annotated[Path | None, typer.Option("--html", metavar="FILE", help="Also write one HTML page.")]


@app.command(cls=TargetCommand)
def experiment(  # noqa: PLR0913 - each is an option of the command
    ctx: typer.Context,
    asked: Ask = "last",
    *,
    watch: Annotated[bool, typer.Option("--watch", help="Refresh until the experiment closes.")] = False,
    every: Annotated[float, typer.Option(min=0.2, max=3600, help="Seconds between two refreshes of --watch.")] = 2.0,
    decisions: Annotated[int, typer.Option(min=0, max=1000, help="The number of decisions, the newest first.")] = 10,
    html: Html = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Show an experiment: weights, evidence, guardrails, variants, decisions with their reasons."""
    if watch and as_json:
        raise CommandError("--watch and --json exclude each other: give one of them")
    target = chosen(ctx)
    if watch:
        _watch(target, asked, every, decisions, html)
        return
    found, router = look(target, asked, None if html or as_json else decisions)
    if as_json:
        _print(target, found, router)
    elif found is None:
        _show_nothing(target, router)
    else:
        _show(target, found, router, decisions)
    if html is not None:
        write_page(html, found, router)
        remark(f"written: {html}")


def look(target: Target, asked: str, decisions: int | None) -> tuple[Experiment | None, Router | None]:
    """An experiment and the router, as they are now. decisions: so many, the newest; None is all there is."""
    from cli.experiments import records  # noqa: PLC0415 - only when a command runs

    router = records.router_of(target)
    return records.find(target, asked, router, decisions), router


def _show(target: Target, found: Experiment, router: Router | None, decisions: int) -> None:
    from cli.experiments import screen, variant_metrics  # noqa: PLC0415 - see above

    variants, alarms = variant_metrics.look(target, found.started_at), variant_metrics.firing(target)
    out().print(screen.whole(found, router, variants, alarms, decisions))
    if decisions and len(found.decisions) >= decisions:
        remark("For earlier decisions use --decisions N or --html FILE")
    remark("Variants: requests of at most the last six hours, by assigned variant")


def _show_nothing(target: Target, router: Router | None) -> None:
    from cli.experiments import screen, variant_metrics  # noqa: PLC0415 - see above

    out().print(screen.serving(router, variant_metrics.firing(target)))


def _print(target: Target, found: Experiment | None, router: Router | None) -> None:
    from cli.experiments import presentation, variant_metrics  # noqa: PLC0415 - see above

    record = None if found is None else presentation.as_record(found, router)
    variants = (
        []
        if found is None
        else [variant_metrics.as_record(variant) for variant in variant_metrics.look(target, found.started_at)]
    )
    alarms = variant_metrics.firing(target)
    print_json(
        {"router": presentation.router_record(router), "experiment": record, "variants": variants, "alarms": alarms}
    )


def _watch(target: Target, asked: str, every: float, decisions: int, html: Path | None) -> None:
    """Look until the experiment closes: on a terminal a picture that changes, else a line for each change."""
    found, router = look(target, asked, 1)
    if found is None:
        _show_nothing(target, router)
        return
    asked = found.experiment_id  # a newer one must not take its place
    moving = out().is_terminal
    found = _picture(target, asked, every, decisions, html) if moving else _lines(target, asked, every, html)
    remark(f"{found.experiment_id} has closed: usher experiment {found.experiment_id} shows its result")


def _picture(target: Target, asked: str, every: float, decisions: int, html: Path | None) -> Experiment:
    from cli.experiments import screen, variant_metrics  # noqa: PLC0415 - see above

    with Live(console=out(), auto_refresh=False, vertical_overflow="visible") as live:
        while True:
            found, router = _again(target, asked, decisions, html)
            variants, alarms = variant_metrics.look(target, found.started_at), variant_metrics.firing(target)
            live.update(screen.whole(found, router, variants, alarms, decisions), refresh=True)
            if found.is_closed:
                return found
            time.sleep(every)


def _lines(target: Target, asked: str, every: float, html: Path | None) -> Experiment:
    from cli.experiments import screen  # noqa: PLC0415 - see above

    before = ""
    while True:
        found, router = _again(target, asked, 1, html)
        now = screen.line(found, router)
        if now != before:
            say(now)
            before = now
        if found.is_closed:
            return found
        time.sleep(every)


def _again(target: Target, asked: str, decisions: int, html: Path | None) -> tuple[Experiment, Router | None]:
    from cli.experiments import records  # noqa: PLC0415 - see above

    router = records.router_of(target)
    found = records.read(target, asked, None if html else decisions)
    if found is None:
        raise CommandError(f"the record of experiment {asked} was deleted: `usher experiment` shows the newest one")
    if html is not None:
        write_page(html, found, router)
    return found, router


def write_page(path: Path, found: Experiment | None, router: Router | None) -> None:
    """Write the page; CommandError when there is no experiment, or the file cannot be written."""
    from cli.experiments.page import page  # noqa: PLC0415 - see above

    if found is None:
        raise CommandError("there has been no experiment: leave out --html")
    try:
        path.write_text(page(found, router), encoding="utf-8")
    except OSError as error:
        raise CommandError(f"cannot write {path} ({error.strerror}): name another file") from error
