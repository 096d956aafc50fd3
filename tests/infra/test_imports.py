"""Imports run one way: functions → layers; usher_lake → usher; demo → cli → usher, twin; twin → never cli."""

from __future__ import annotations

import ast
import sys
from pathlib import Path

import pytest

PROJECT = Path(__file__).parents[2]
OURS = {"functions", "usher", "usher_lake", "usher_scorer", "usher_models"}
OURS |= {"twin", "cli", "demo", "benchmarks", "tests"}

#: Folder → which of our packages its files may import, besides itself.
MAY_IMPORT = {
    "layers/core/python/usher": set(),
    "layers/lake/python/usher_lake": {"usher"},
    "layers/scorer/python/usher_scorer": set(),
    "containers/recommender/usher_models": {"usher", "usher_scorer"},
    "functions": {"usher", "usher_lake", "usher_scorer"},
    "twin": {"usher"},
    "cli": {"usher", "twin", "demo"},
    "demo": {"usher", "twin", "cli"},
}
#: The commands that may start the demo's code, each when it is called.
USES_DEMO = {"cli/commands/demo.py", "cli/data/__init__.py"}


def imported(path: Path) -> set[str]:
    """The top-level packages that a file imports, wherever in it."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name.split(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.level == 0 and node.module:
            found.add(node.module.split(".")[0])
    return found


@pytest.mark.parametrize("folder", MAY_IMPORT)
def test_imports_run_one_way(folder: str) -> None:
    files = list((PROJECT / folder).rglob("*.py"))
    assert files, f"{folder} holds no code"
    allowed = MAY_IMPORT[folder] | {Path(folder).name}
    wrong = {str(path.relative_to(PROJECT)): bad for path in files if (bad := (imported(path) & OURS) - allowed)}
    assert not wrong


def test_only_two_commands_use_the_demo_and_only_when_they_are_called() -> None:
    users = {
        str(path.relative_to(PROJECT)): path for path in (PROJECT / "cli").rglob("*.py") if "demo" in imported(path)
    }
    assert set(users) == USES_DEMO
    for path in users.values():
        at_import = [node for node in ast.parse(path.read_text()).body if isinstance(node, ast.Import | ast.ImportFrom)]
        assert not [node for node in at_import if ast.unparse(node).startswith(("from demo", "import demo"))], path


def test_the_contracts_need_nothing_but_the_standard_library() -> None:
    files = list((PROJECT / "layers/core/python/usher/schema").rglob("*.py"))
    foreign = {path.name: extra for path in files if (extra := imported(path) - sys.stdlib_module_names - {"usher"})}
    assert not foreign


def test_the_requirement_lists_are_hashed_and_name_no_host() -> None:
    lists = [*PROJECT.glob("requirements/*.txt"), *PROJECT.glob("layers/*/requirements.txt")]
    assert len(lists) >= 7
    for path in lists:
        content = path.read_text()
        assert "://" not in content, path
        assert content.count("==") <= content.count("--hash=sha256:"), path
