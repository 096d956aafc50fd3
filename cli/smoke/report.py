"""What a smoke test saw of each promise: kept while it runs, written as JSON and printed as a table."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Literal

from rich.text import Text

from cli.errors import CommandError, explain
from cli.formatting.terminal import make_table, out, printable, remark, say

#: failed: the promise does not hold. unchecked: an earlier failure or Ctrl-C ended the test before.
State = Literal["passed", "failed", "unchecked"]
_STYLES = {"passed": "green", "failed": "bold red", "unchecked": "yellow"}


@dataclass(slots=True)
class Promise:
    """One promise. seen: what was observed, or why it failed. seconds: from the start of the check to its end."""

    promise: str
    state: State = "unchecked"
    seen: str = ""
    seconds: float = 0.0

    def check(self, look: Callable[[], str]) -> None:
        """Run the check; `look` returns what it saw. Raises whatever it raises, after recording it."""
        remark(f"Checking: {self.promise}")
        started = time.monotonic()
        try:
            self.seen = look()
            self.state = "passed"
        except KeyboardInterrupt:
            self.seen = "interrupted"
            raise
        except Exception as error:
            self.state, self.seen = "failed", explain(error) or f"{type(error).__name__}: {error}"
            raise
        finally:
            self.seconds = round(time.monotonic() - started, 1)


@dataclass(slots=True)
class Report:
    """The result of a smoke test. usd: what it costs at most. removed: nothing of the deployment is left."""

    stack: str
    target: str
    usd: float
    promises: list[Promise] = field(default_factory=list)
    interrupted: bool = False
    removed: bool = False
    seconds: float = 0.0

    @property
    def passed(self) -> bool:
        return self.removed and all(one.state == "passed" for one in self.promises)

    def write(self, path: Path) -> None:
        """Write the report as JSON; CommandError when the file cannot be written."""
        text = json.dumps({**asdict(self), "passed": self.passed}, indent=1, ensure_ascii=False) + "\n"
        try:
            path.write_text(text, encoding="utf-8")
        except OSError as error:
            raise CommandError(f"{path}: {error.strerror}: name another file with --report") from error

    def show(self) -> None:
        """Print a line for each promise."""
        table = make_table(("promise", "seen", "seconds", "result"), right=("seconds",))
        for one in self.promises:
            seconds = f"{one.seconds:,.1f}" if one.seconds else ""
            shown = Text(one.state, style=_STYLES[one.state])
            table.add_row(Text(one.promise), Text(printable(one.seen)), seconds, shown)
        out().print(table)
        kept = sum(one.state == "passed" for one in self.promises)
        say(f"{kept} of {len(self.promises)} promises hold after {self.seconds:,.0f} s.")
