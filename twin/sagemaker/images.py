"""The programs that container images run: the twin starts them as processes instead of containers."""

from __future__ import annotations

import re
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

PROGRAMS = ("train", "serve", "prepare", "evaluate")

_PROJECT = Path(__file__).parents[2]
_URI = re.compile(r"(?:(?P<registry>[^/]+\.[^/]+)/)?(?P<repository>[^:@]+)(?::[^@/]+)?(?:@sha256:[0-9a-f]{64})?")
_PYTHON = re.compile(r"(?:/usr/(?:local/)?bin/)?python(?:3(?:\.\d+)?)?")


@dataclass(frozen=True, slots=True)
class Image:
    """What an image runs.

    entry:       the command before the program's name (`train`, `serve`, `prepare`, `evaluate`).
    module:      the module that `entry` runs, so that `python -m <module> …` is understood as an entry point too.
    environment: what the image sets.
    """

    entry: tuple[str, ...]
    module: str = ""
    environment: dict[str, str] = field(default_factory=dict)

    def command(self, entrypoint: Sequence[str], arguments: Sequence[str]) -> list[str]:
        """The command line of a job; ValueError when the image holds no such program."""
        if not entrypoint:
            return [*self.entry, *arguments]
        head, *rest = entrypoint
        if Path(head).name in PROGRAMS:
            return [*self.entry, Path(head).name, *rest, *arguments]
        if self.module and _PYTHON.fullmatch(head) and rest[:2] == ["-m", self.module]:
            return [*self.entry, *rest[2:], *arguments]
        raise ValueError(f"exec: {head!r}: executable file not found in $PATH")


#: End of the repository's name → its image. Tests add their own.
IMAGES: dict[str, Image] = {
    "usher-recommender": Image(
        entry=(sys.executable, "-u", "-P", "-m", "usher_models"),
        module="usher_models",
        environment={
            "PYTHONPATH": ":".join(
                str(_PROJECT / part)
                for part in ("containers/recommender", "layers/core/python", "layers/scorer/python")
            )
        },
    )
}


def find(uri: str) -> Image:
    """The image behind `uri`, with or without a registry, tag or digest; KeyError when it is unknown."""
    match = _URI.fullmatch(uri)
    if match:
        for name, image in IMAGES.items():
            if match["repository"].endswith(name):
                return image
    raise KeyError(uri)
