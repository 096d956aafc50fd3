"""Where the command prints: answers go to stdout, everything about the work goes to stderr."""

from __future__ import annotations

import json
import sys
from typing import Any

from rich.console import Console
from rich.text import Text

#: How wide tables are in a file or a pipe, where nobody knows the reader's screen.
FILE_WIDTH = 120


def out() -> Console:
    """Answers. Made at each use, so that a redirected stdout is respected; NO_COLOR and non-ttys are Rich's care."""
    return Console(highlight=False, width=None if sys.stdout.isatty() else FILE_WIDTH)


def err() -> Console:
    """Progress, remarks and errors."""
    return Console(stderr=True, highlight=False, soft_wrap=True)


def remark(text: str) -> None:
    """One dim line on stderr."""
    err().print(Text(text, style="dim"))


def say(text: str, style: str = "") -> None:
    """One line on stdout, never folded: a path in it can be copied."""
    out().print(Text(text, style=style), soft_wrap=True)


def print_json(value: Any) -> None:
    """`value` as JSON on stdout, never wrapped or coloured."""
    sys.stdout.write(json.dumps(value, ensure_ascii=False, indent=2, default=str) + "\n")


def printable(text: str) -> str:
    """`text` with control and unprintable characters escaped: what others sent must not steer a terminal."""
    return "".join(letter if letter.isprintable() else letter.encode("unicode_escape").decode() for letter in text)
