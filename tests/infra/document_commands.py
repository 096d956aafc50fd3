"""The commands of the documents: read from their code blocks and code spans."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

PROJECT = Path(__file__).parents[2]
#: The documents that say how to use and deploy Usher: every command of their blocks is run by a test, or listed.
GUIDES = ("README.md", "docs/deploy.md")
_FIRST_WORDS = ("usher", "make", "build/sam/bin/sam", "aws", "source")


def blocks(document: str) -> Iterator[str]:
    """The commands of the blocks without a language and of a pipeline's steps, one a line, without their comments."""
    text = (PROJECT / document).read_text()
    for language, block in re.findall(r"^```(\w*)\n(.*?)^```", text, re.M | re.S):
        lines = re.findall(r"^ *- run: (.*)$", block, re.M) if language == "yaml" else block.splitlines()
        for line in [] if language not in ("", "yaml") else lines:
            command = line.partition("#")[0].strip().removeprefix(".venv/bin/")
            if command.split(" ")[0] in _FIRST_WORDS:
                yield command


def mentions() -> Iterator[tuple[str, str]]:
    """(document, command) of every `usher …` in the README and docs/, in blocks and in the text."""
    for path in (PROJECT / "README.md", *sorted((PROJECT / "docs").rglob("*.md"))):
        document = str(path.relative_to(PROJECT))
        spans = re.findall(r"`(usher [^`]+)`", re.sub(r"^```.*?^```", "", path.read_text(), flags=re.M | re.S))
        lines = [command for command in blocks(document) if command.startswith("usher ")]
        yield from ((document, " ".join(command.partition(" | ")[0].split())) for command in (*spans, *lines))
