"""`usher twin`: start, stop and inspect the application on this machine."""

from __future__ import annotations

import datetime as dt
import shlex
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.table import Table
from rich.text import Text

from cli.errors import CommandError
from cli.formatting.terminal import err, out, print_json, remark
from twin import lifecycle
from twin.server import LOCALHOST, REGION, SPEED, STACK_NAME, TwinError

app = typer.Typer(
    no_args_is_help=True,
    help="Start, stop and inspect the application on this machine: the real template, without an AWS account.",
)

Project = Annotated[Path, typer.Option(help="Folder of the application.", file_okay=False)]
State = Annotated[
    Path | None,
    typer.Option(
        "--state-dir", envvar=lifecycle.STATE_FOLDER, help="Folder for state and log (default: PROJECT/.usher)."
    ),
]


@app.command()
def up(  # noqa: PLR0913, PLR0917 - the options of a command
    project: Project = Path(),
    template: Annotated[Path | None, typer.Option(help="Template file (default: PROJECT/template.yaml).")] = None,
    foreground: Annotated[bool, typer.Option("--foreground", help="Stay attached; Ctrl-C stops the twin.")] = False,
    port: Annotated[int, typer.Option(min=0, max=65535, help="Port (default: a free one).")] = 0,
    listen: Annotated[str, typer.Option(metavar="ADDRESS", help="Address to listen on.")] = LOCALHOST,
    speed: Annotated[float, typer.Option(help="Simulated seconds per real second.")] = SPEED,
    stack_name: Annotated[str, typer.Option(help="Stack name.")] = STACK_NAME,
    region: Annotated[str, typer.Option(help="AWS region that the twin simulates.")] = REGION,
    parameter: Annotated[
        list[str] | None, typer.Option(metavar="KEY=VALUE", help="Template parameter; may be repeated.")
    ] = None,
    new_account: Annotated[
        bool, typer.Option("--new-account", help="Answer with the service quotas of a new AWS account.")
    ] = False,
    state_dir: State = None,
) -> None:
    """Deploy the template on this machine and run it in the background."""
    settings = lifecycle.Settings(
        project=project.absolute(),
        state_folder=(state_dir or lifecycle.state_folder(project)).absolute(),
        template=template.absolute() if template else None,
        host=listen,
        port=port,
        region=region,
        speed=speed,
        stack_name=stack_name,
        parameters=dict(_parameters(parameter or [])),
        new_account=new_account,
    )
    if listen not in (LOCALHOST, "localhost", "::1"):
        remark(
            f"Listening on {listen}: the twin checks no credentials, every host that reaches this address can use it"
        )
    started = time.monotonic()
    try:
        if foreground:
            lifecycle.foreground(
                settings, _progress, lambda twin: _ready(twin, time.monotonic() - started, attached=True)
            )
        else:
            _ready(lifecycle.up(settings, _progress), time.monotonic() - started, attached=False)
    except TwinError as error:
        raise CommandError(str(error)) from error


@app.command()
def down(project: Project = Path(), state_dir: State = None) -> None:
    """Stop the twin; only its log, .usher/twin.log, is kept."""
    ended = lifecycle.down(project.absolute(), state_dir)
    if ended is None:
        raise CommandError("no twin runs in this folder: start one with `usher twin up`")
    remark(f"The twin at {ended.endpoint} has stopped")


@app.command()
def status(
    project: Project = Path(),
    state_dir: State = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Show the twin: endpoint, stack, functions, queues."""
    twin = lifecycle.running(project.absolute(), state_dir)
    if twin is None:
        raise CommandError("no twin runs in this folder: start one with `usher twin up`")
    seen = look(twin)
    if as_json:
        print_json(seen)
        return
    _print_status(seen)


@app.command("sam")
def sam_template(
    project: Project = Path(),
    state_dir: State = None,
    path: Annotated[Path, typer.Option("--out", help="File to write.", dir_okay=False)] = Path("build/sam.json"),
) -> None:
    """Write a template for `sam local` that works against the running twin."""
    from cli import sam_template  # noqa: PLC0415 - boto3
    from cli.target import of_twin  # noqa: PLC0415

    twin = lifecycle.running(project.absolute(), state_dir)
    if twin is None:
        raise CommandError("no twin runs in this folder: start one with `usher twin up --listen ADDRESS`")
    functions = sam_template.write(of_twin(twin), twin.environment, project.absolute(), path)
    out().print(Text(f"{path}: {len(functions)} functions for the twin at {twin.endpoint}"), soft_wrap=True)


def look(twin: lifecycle.RunningTwin) -> dict[str, Any]:
    """A running twin: endpoint, process, stack, functions, and queues with their message counts."""
    import boto3  # noqa: PLC0415 - 0.3 s that --help need not pay

    session = boto3.Session(
        twin.environment["AWS_ACCESS_KEY_ID"], twin.environment["AWS_SECRET_ACCESS_KEY"], None, twin.region
    )

    def client(service: str) -> Any:
        return session.client(service, endpoint_url=twin.endpoint)  # type: ignore[call-overload]  # any service by name

    stack = client("cloudformation").describe_stacks(StackName=twin.stack_name)["Stacks"][0]
    return {
        "endpoint": twin.endpoint,
        "pid": twin.pid,
        "uptime_seconds": round(time.time() - twin.started_at),
        "speed": twin.speed,
        "region": twin.region,
        "log": twin.log,
        "stack": {"name": twin.stack_name, "status": stack["StackStatus"]},
        "functions": sorted(function["FunctionName"] for function in client("lambda").list_functions()["Functions"]),
        "queues": dict(_queues(client("sqs"))),
    }


def _queues(sqs: Any) -> Iterator[tuple[str, dict[str, int]]]:
    names = {"waiting": "ApproximateNumberOfMessages", "in_flight": "ApproximateNumberOfMessagesNotVisible"}
    for url in sorted(sqs.list_queues().get("QueueUrls", [])):
        counts = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=list(names.values()))["Attributes"]
        yield url.rpartition("/")[2], {name: int(counts[attribute]) for name, attribute in names.items()}


def _print_status(seen: dict[str, Any]) -> None:
    uptime = dt.timedelta(seconds=seen["uptime_seconds"])
    console = out()
    console.print(
        f"twin       {seen['endpoint']}  pid {seen['pid']}  up {uptime}  speed {seen['speed']:g}  {seen['region']}"
    )
    console.print(f"stack      {seen['stack']['name']}  {seen['stack']['status']}")
    console.print(f"functions  {', '.join(seen['functions']) or 'none'}")
    table = Table("queue", "waiting", "in flight", box=None, pad_edge=False)
    for name, counts in seen["queues"].items():
        table.add_row(Text(name), str(counts["waiting"]), str(counts["in_flight"]))
    console.print(table)
    console.print(f"log        {seen['log']}")


def _ready(twin: lifecycle.RunningTwin, seconds: float, *, attached: bool) -> None:
    console = out()
    console.print(f"Usher runs at {twin.endpoint} (stack {twin.stack_name}, ready after {seconds:.1f} s).")
    console.print("`usher` commands in this folder use it. For other tools:")
    for name, value in twin.environment.items():
        console.print(Text(f"  export {name}={shlex.quote(value)}"))
    console.print("Ctrl-C stops it." if attached else "`usher twin status` shows it, `usher twin down` stops it.")


def _progress(line: str) -> None:
    err().print(Text(line, style="dim"))


def _parameters(given: list[str]) -> Iterator[tuple[str, str]]:
    for pair in given:
        key, equals, value = pair.partition("=")
        if not key or not equals:
            raise CommandError(f"--parameter {pair}: write KEY=VALUE")
        yield key, value
