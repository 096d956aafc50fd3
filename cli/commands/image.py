"""`usher image`: build the recommender's container image with the stack's CodeBuild project, without local Docker.

The sources are uploaded to `build/recommender.zip` in the lake bucket, the source of the project.
"""

from __future__ import annotations

import io
import time
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Annotated, Any

import typer

from cli.errors import CommandError
from cli.formatting.terminal import err, say
from cli.target import Target, TargetCommand, chosen

app = typer.Typer()

PROJECT = Path(__file__).parents[2]
KEY = "build/recommender.zip"
#: What the Dockerfile copies, and the Dockerfile.
SOURCES = (
    "containers/recommender/Dockerfile",
    "containers/recommender/requirements.txt",
    "containers/recommender/usher_models",
    "layers/core/python/usher/__init__.py",
    "layers/core/python/usher/algorithms",
    "layers/core/python/usher/schema",
    "layers/scorer/python/usher_scorer",
)
POLL_SECONDS = 5.0


@app.command(cls=TargetCommand)
def image(
    ctx: typer.Context,
    *,
    wait_minutes: Annotated[float, typer.Option(min=0, help="Minutes to wait for the build; 0: only start it.")] = 30,
) -> None:
    """Build the recommender's container image with CodeBuild and wait for it."""
    target = chosen(ctx)
    build = start(target)
    say(f"build {build} has started")
    if wait_minutes:
        with err().status("Building") as status:
            follow(target, build, wait_minutes * 60, status.update)
        say("the image is in the stack's repository; the next run uses it")


def start(target: Target) -> str:
    """Upload the sources and start the build; returns its id."""
    project = target.resources.image_build
    if not project:
        raise CommandError(f"stack {target.stack_name} has no output ImageBuild: deploy the current template.yaml")
    target.client("s3").put_object(Bucket=target.resources.lake_bucket, Key=KEY, Body=archive(PROJECT))
    return str(target.client("codebuild").start_build(projectName=project)["build"]["id"])


def follow(target: Target, build: str, seconds: float, tell: Callable[[str], Any]) -> None:
    """Wait until the build has succeeded; CommandError with the place of its log when it fails or takes longer."""
    end = time.monotonic() + seconds
    while True:
        found = target.client("codebuild").batch_get_builds(ids=[build])["builds"]
        status = found[0]["buildStatus"] if found else "UNKNOWN"
        log = (
            (found[0].get("logs") or {}).get("deepLink", "its log in CloudWatch") if found else "the CodeBuild console"
        )
        if status == "SUCCEEDED":
            return
        if status != "IN_PROGRESS":
            raise CommandError(f"build {build} ended {status}: see {log}")
        if time.monotonic() > end:
            raise CommandError(f"build {build} still runs after {seconds / 60:.0f} minutes: see {log}")
        tell(f"Building: {found[0].get('currentPhase', 'IN_PROGRESS')}")
        time.sleep(POLL_SECONDS)


def archive(project: Path) -> bytes:
    """The image's sources as a reproducible zip archive; CommandError names a missing source."""
    data = io.BytesIO()
    with zipfile.ZipFile(data, "w", zipfile.ZIP_DEFLATED) as file:
        for path in _files(project):
            entry = zipfile.ZipInfo(str(path.relative_to(project)))
            entry.compress_type = zipfile.ZIP_DEFLATED
            entry.external_attr = 0o644 << 16
            file.writestr(entry, path.read_bytes())
    return data.getvalue()


def _files(project: Path) -> Iterator[Path]:
    for name in SOURCES:
        source = project / name
        if not source.exists():
            raise CommandError(f"{source} is missing: run this in a complete checkout of Usher")
        paths = sorted(source.rglob("*")) if source.is_dir() else [source]
        yield from (path for path in paths if path.is_file() and "__pycache__" not in path.parts)
