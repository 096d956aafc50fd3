"""What `usher demo --save DIR` leaves behind, when asked to: the experiment's page, and its course as JSON."""

from __future__ import annotations

import json
from pathlib import Path

from cli.commands.experiment import write_page
from cli.errors import CommandError
from cli.experiments import presentation, records
from cli.formatting.console import remark
from cli.target import Target
from demo.course import Course
from demo.simulated_users.tally import Tally

PAGE, RECORD = "experiment.html", "experiment.json"


def write(target: Target, folder: Path, course: Course, tally: Tally) -> None:
    """Write both into `folder`; CommandError when that cannot be."""
    router = records.router_of(target)
    found = course.last
    record = {
        "experiment": None if found is None else presentation.as_record(found, router),
        "router": presentation.router_record(router),
        "challenger_share_by_version": course.versions,
        "people": {
            "visits": tally.visits,
            "requests": tally.requests,
            "server_errors": tally.server_errors,
            "recommend_server_errors": tally.errors_of("recommend"),
            "variants": {
                variant: [tally.variants[variant, True], tally.variants[variant, False]]
                for variant, _ in sorted(tally.variants)
            },
        },
    }
    try:
        folder.mkdir(parents=True, exist_ok=True)
        (folder / RECORD).write_text(json.dumps(record, indent=1, default=str) + "\n", encoding="utf-8")
    except OSError as error:
        raise CommandError(f"cannot write into {folder}: {error.strerror}") from error
    write_page(folder / PAGE, found, router)
    remark(f"kept: {folder / PAGE}, {folder / RECORD}")
