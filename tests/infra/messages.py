"""Collects the messages of the code that users, producers and operators see, without running it."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

PROJECT = Path(__file__).parents[2]
#: A value inside a message.
VALUE = "{…}"


@dataclass(frozen=True)
class Message:
    """One string of the code. exception: the class that it is raised with, "" for any other string."""

    path: str
    line: int
    text: str
    exception: str = ""

    def __str__(self) -> str:
        return f"{self.path}:{self.line}: {self.text}"


def python_files(*folders: str) -> list[Path]:
    return [path for folder in folders for path in sorted((PROJECT / folder).rglob("*.py"))]


def exception_classes(paths: list[Path]) -> dict[str, set[str]]:
    """Every exception class that these files define, with its bases: its own and those of its bases."""
    bases: dict[str, set[str]] = {}
    for path in paths:
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.ClassDef):
                bases[node.name] = {base.id for base in node.bases if isinstance(base, ast.Name)}

    def ancestors(name: str) -> set[str]:
        return bases.get(name, set()) | {above for base in bases.get(name, set()) for above in ancestors(base)}

    found = {name: ancestors(name) for name in bases}
    return {name: above for name, above in found.items() if above & {"Exception", "ValueError", "RuntimeError"}}


def class_names(paths: list[Path]) -> set[str]:
    return {
        node.name for path in paths for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.ClassDef)
    }


def messages(source: str, path: str, exceptions: set[str]) -> list[Message]:
    """All strings of a file with at least two words, docstrings excepted."""
    tree = ast.parse(source)
    docstrings = set(_docstrings(tree))
    raised = {
        id(argument): _name(node.func)
        for node in ast.walk(tree)
        if isinstance(node, ast.Call) and _name(node.func) in exceptions
        for argument in [*node.args, *(keyword.value for keyword in node.keywords)]
    }
    found = []
    for node, parent in _strings(tree):
        text = _text(node)
        if id(node) not in docstrings and " " in text.strip():
            exception = raised.get(id(node), raised.get(id(parent), ""))
            found.append(Message(path, node.lineno, text, exception))
    return found


def text_messages(path: Path) -> list[Message]:
    """The lines of a file that is not Python."""
    name = str(path.relative_to(PROJECT))
    return [Message(name, number, line) for number, line in enumerate(path.read_text().splitlines(), start=1)]


def _docstrings(tree: ast.Module) -> Iterator[int]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant):
            yield id(node.value)


def _strings(node: ast.AST, parent: ast.AST | None = None) -> Iterator[tuple[ast.expr, ast.AST | None]]:
    """Strings and f-strings with the expression around them; the pieces of an f-string are not strings of their own."""
    if isinstance(node, ast.JoinedStr):
        yield node, parent
        for piece in node.values:
            if isinstance(piece, ast.FormattedValue):
                yield from _strings(piece.value, node)
        return
    if isinstance(node, ast.Constant):
        if isinstance(node.value, str):
            yield node, parent
        return
    for child in ast.iter_child_nodes(node):
        yield from _strings(child, node)


def _text(node: ast.expr) -> str:
    if isinstance(node, ast.JoinedStr):
        return "".join(_text(piece) for piece in node.values)
    return str(node.value) if isinstance(node, ast.Constant) else VALUE


def _name(node: ast.expr) -> str:
    return node.id if isinstance(node, ast.Name) else node.attr if isinstance(node, ast.Attribute) else ""
