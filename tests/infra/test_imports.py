"""Imports run one way: functions → layers; usher_lake → usher; demo → cli → usher, twin; twin → never cli."""

from __future__ import annotations

import ast
import re
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
    "layers/scorer/python/usher_scorer": {"usher"},
    "containers/recommender/usher_models": {"usher", "usher_scorer"},
    "functions": {"usher", "usher_lake", "usher_scorer"},
    "twin": {"usher"},
    "cli": {"usher", "twin", "demo"},
    "demo": {"usher", "twin", "cli"},
}
#: The commands that may start the demo's code, each when it is called.
USES_DEMO = {"cli/commands/demo.py", "cli/commands/data.py"}


#: What the image ships of usher.
SHIPPED = ("schema", "algorithms")
CORE = PROJECT / "layers/core/python/usher"
#: Their functions run in the container and the scorer, and may import what is there.
ALGORITHM_MODULES = CORE / "algorithms"
CONTRACTS = {f"usher.{folder}.{path.stem}" for folder in SHIPPED for path in (CORE / folder).glob("[a-z]*.py")}
CONTRACTS |= {"usher.algorithms.ALGORITHMS"}


#: File → why it may build keys of the state table itself.
KEYS_ELSEWHERE = {
    **dict.fromkeys(
        ("benchmarks/feedback.py", "benchmarks/running_twin.py", "benchmarks/tick.py"),
        "they prepare the table as no product code does",
    ),
}


def modules(path: Path) -> set[str]:
    """The modules that a file imports, wherever in it; a name that is imported from a package counts as its module."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.level == 0 and node.module:
            package = PROJECT / "layers/core/python" / node.module.replace(".", "/")
            found |= {f"{node.module}.{alias.name}" for alias in node.names} if package.is_dir() else {node.module}
    return found


def imported(path: Path) -> set[str]:
    """The top-level packages that a file imports, wherever in it; of an algorithm's module, when it is imported."""
    if path.parent == ALGORITHM_MODULES:
        return {module.split(".")[0] for module in imported_at_import(path)}
    return {module.split(".")[0] for module in modules(path)}


def imported_at_import(path: Path) -> set[str]:
    """The modules that importing a file imports: not those of its functions, nor those for type checkers."""
    found, nodes = set(), list(ast.parse(path.read_text()).body)
    while nodes:
        node = nodes.pop()
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            found.add(node.module or "")
        elif not (
            isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
            or (isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING")
        ):
            nodes += [child for child in ast.iter_child_nodes(node) if isinstance(child, ast.stmt | ast.excepthandler)]
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


@pytest.mark.parametrize("folder", ["layers/scorer/python/usher_scorer", "containers/recommender/usher_models"])
def test_scorer_and_models_import_the_contracts_alone(folder: str) -> None:
    """The image ships two packages of usher and nothing else of it; the scorer runs in the image, too."""
    wrong = {
        str(path.relative_to(PROJECT)): bad
        for path in (PROJECT / folder).rglob("*.py")
        if (bad := {name for name in modules(path) if name.split(".")[0] == "usher"} - CONTRACTS)
    }
    assert not wrong


def test_every_function_with_the_scorer_has_the_contracts() -> None:
    template = (PROJECT / "template.yaml").read_text(encoding="utf-8")
    layers = re.findall(r"Layers: \[(.*?)\]", template)
    with_scorer = [line for line in layers if "ScorerLayer" in line]
    assert with_scorer
    assert all("CoreLayer" in line for line in with_scorer)


def test_the_image_ships_what_the_contracts_are() -> None:
    dockerfile = (PROJECT / "containers/recommender/Dockerfile").read_text(encoding="utf-8")
    assert re.findall(r"^COPY layers/core/python/usher/(\w+) ", dockerfile, re.M) == list(SHIPPED)


def core_imports() -> dict[str, set[str]]:
    """Package or top-level module of usher → those that it imports. experiments.stats is pure, and counts by itself."""

    def node(module: str) -> str:
        parts = module.split(".")[1:]
        return ".".join(parts[:2] if parts[:2] == ["experiments", "stats"] else parts[:1])

    found: dict[str, set[str]] = {}
    for path in CORE.rglob("*.py"):
        here = node(".".join(["usher", *path.relative_to(CORE).with_suffix("").parts]))
        wanted = {node(name) for name in modules(path) if name.startswith("usher.")} - {here}
        found.setdefault(here, set()).update(wanted)
    return found


def test_the_packages_of_usher_do_not_import_each_other_in_circles() -> None:
    left = core_imports()
    while free := [name for name, wanted in left.items() if not wanted & left.keys()]:
        for name in free:
            del left[name]
    assert not left, f"circle among {sorted(left)}"


def module_imports(folder: Path) -> dict[str, set[str]]:
    """Module of a package → the package's other modules that it imports, in its functions and for type checkers too."""
    files = {path.relative_to(folder.parent).with_suffix("").parts: path for path in folder.rglob("*.py")}
    names = {".".join(parts).removesuffix(".__init__"): path for parts, path in files.items()}
    found = {}
    for name, path in names.items():
        imports = [
            node for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.Import | ast.ImportFrom)
        ]
        assert not any(isinstance(node, ast.ImportFrom) and node.level for node in imports), f"{path}: relative import"
        wanted = {alias.name for node in imports for alias in node.names if isinstance(node, ast.Import)}
        for node in imports:
            if isinstance(node, ast.ImportFrom) and node.module:
                members = {f"{node.module}.{alias.name}" for alias in node.names}
                wanted |= members if members <= names.keys() else {*members, node.module}
        found[name] = wanted & names.keys() - {name}
    return found


def circles(imports: dict[str, set[str]]) -> set[str]:
    """The modules that import each other in circles, and those between two circles."""
    left = dict(imports)
    while True:
        imported_ones = set().union(*left.values())
        ends = {name for name, wanted in left.items() if not wanted & left.keys() or name not in imported_ones}
        if not ends:
            return set(left)
        left = {name: wanted for name, wanted in left.items() if name not in ends}


@pytest.mark.parametrize("folder", [folder for folder in MAY_IMPORT if folder != "functions"])
def test_the_modules_of_a_package_do_not_import_each_other_in_circles(folder: str) -> None:
    imports = module_imports(PROJECT / folder)
    assert any(imports.values()), f"no module of {folder} imports another"
    assert not circles(imports)


def test_a_circle_is_found_even_in_a_function(tmp_path: Path) -> None:
    for name, source in {
        "__init__": "",
        "start": "from shop import cart",
        "cart": "import json\nfrom shop.prices import total",
        "prices": "def total():\n    from shop import tax, cart",
        "tax": "import shop.rates",
        "rates": "RATE = 0.1",
    }.items():
        (tmp_path / "shop").mkdir(exist_ok=True)
        (tmp_path / "shop" / f"{name}.py").write_text(source)
    imports = module_imports(tmp_path / "shop")
    assert imports["shop.prices"] == {"shop.tax", "shop.cart"}
    assert circles(imports) == {"shop.cart", "shop.prices"}


@pytest.mark.parametrize(
    ("package", "allowed"),
    [
        ("schema", set()),
        ("experiments.stats", set()),
        ("store", {"schema", "errors"}),
        ("api", {"schema", "errors"}),
        ("serving", {"schema", "errors", "store", "api", "metrics"}),
        ("feedback", {"schema", "errors", "store", "api", "metrics"}),
    ],
)
def test_a_package_of_usher_imports_only_those_below_it(package: str, allowed: set[str]) -> None:
    assert core_imports()[package] <= allowed


def test_only_the_store_builds_keys_of_the_state_table() -> None:
    """What reads or writes an item is a function of usher.store, so that a stored item has one owner."""
    wrong = {
        str(path.relative_to(PROJECT))
        for folder in (*MAY_IMPORT, "benchmarks")
        for path in (PROJECT / folder).rglob("*.py")
        if path.parent != CORE / "store" and any(name.startswith("usher.store.keys") for name in modules(path))
    }
    assert wrong <= KEYS_ELSEWHERE.keys(), wrong - KEYS_ELSEWHERE.keys()


@pytest.mark.parametrize("folder", SHIPPED)
def test_the_contracts_need_nothing_but_the_standard_library(folder: str) -> None:
    files = list((CORE / folder).rglob("*.py"))
    assert files
    foreign = {path.name: extra for path in files if (extra := imported(path) - sys.stdlib_module_names - {"usher"})}
    assert not foreign


def test_the_requirement_lists_are_hashed_and_name_no_host() -> None:
    lists = [*PROJECT.glob("requirements/*.txt"), *PROJECT.glob("layers/*/requirements.txt")]
    assert len(lists) >= 7
    for path in lists:
        content = path.read_text()
        assert "://" not in content, path
        assert content.count("==") <= content.count("--hash=sha256:"), path
