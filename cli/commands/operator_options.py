"""The options that every order takes."""

from __future__ import annotations

from typing import Annotated

import typer

Why = Annotated[str, typer.Option("--why", help="The reason; it is kept with your name.")]
Yes = Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")]
Wait = Annotated[float, typer.Option("--wait", min=0.0, max=3600.0, help="Seconds to wait for the outcome.")]
