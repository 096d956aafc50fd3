"""Every command of the documents exists with its options, and those of the guides are run by a test."""

from __future__ import annotations

import re
from typing import Any

import pytest
import typer

from cli.main import app
from tests.infra.document_commands import GUIDES, PROJECT, blocks, mentions

DOCUMENT_COMMANDS = "tests/e2e/test_document_commands.py"
#: Commands of the guides that test_document_commands.py does not run, and what runs them or why nothing does.
ELSEWHERE = {
    "source .venv/bin/activate": "sets the shell's path alone",
    "usher twin up": "tests/e2e/test_twin_life.py",
    "usher twin down": "tests/e2e/test_twin_life.py",
    "usher agent FILE --dataset ratings --follow": "tests/e2e/test_agent.py",
    "make build": "the Makefile's `make test` runs it before the tests",
    "usher smoke --account": "tests/e2e/test_smoke.py",
    "usher adopt --account --landing-bucket NAME --lake-bucket NAME --state-table NAME [--stack-name usher] "
    "[--parameter KEY=VALUE]": "tests/e2e/test_remove_and_adopt.py",
}


def command_of(words: list[str]) -> Any:
    """The command that the words name; None when they name none."""
    found: Any = typer.main.get_command(app)
    context = typer.Context(found)
    for word in words:
        commands = getattr(found, "list_commands", None)
        if commands is None:
            return found
        found = found.get_command(context, word)
        if found is None:
            return None
    return found


@pytest.mark.parametrize(("document", "command"), sorted(set(mentions())))
def test_every_command_exists_with_its_options(document: str, command: str) -> None:
    words = re.findall(r"[^\s\[\]]+", command)
    plain = [word for word in words[1:] if re.fullmatch(r"[a-z][a-z-]*", word)]
    found = command_of(plain)
    assert found is not None, f"{document}: {command}"
    known = {option for one in found.params for option in (*one.opts, *one.secondary_opts)} | {"--help"}
    options = {word.partition("=")[0] for word in words if word.startswith("-") and word not in ("-", "--")}
    assert options <= known, f"{document}: {command}"


def test_the_guides_commands_are_run_or_listed() -> None:
    runs = re.sub(r'"\s+"', "", (PROJECT / DOCUMENT_COMMANDS).read_text())  # a long command is two strings
    commands = {" ".join(command.split()) for guide in GUIDES for command in blocks(guide)}
    assert len(commands) > 15
    assert not set(ELSEWHERE) - commands, "listed, and in no document"
    assert not [one for one in commands if one not in ELSEWHERE and one not in runs]
    assert not [where for where in ELSEWHERE.values() if where.startswith("tests/") and not (PROJECT / where).is_file()]
