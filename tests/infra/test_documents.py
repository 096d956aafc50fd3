"""What the documents say is what the code says."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

from usher.schema.settings import Settings, environment_name

PROJECT = Path(__file__).parents[2]


def test_the_contracts_list_every_setting_with_its_default() -> None:
    table = dict(
        re.findall(r"^\| `(USHER_\w+)` \| (.*?) ?\|$", (PROJECT / "docs/contracts/storage.md").read_text(), re.M)
    )
    fields = Settings.__dataclass_fields__
    assert table == {environment_name(name): str(field.default) for name, field in fields.items()}


def test_make_without_a_target_lists_the_targets() -> None:
    listed = subprocess.run(
        ["make", "--no-print-directory"], cwd=PROJECT, capture_output=True, text=True, check=True
    ).stdout
    for target in ("setup", "demo", "test", "test-all", "check", "build", "clean"):
        assert re.search(rf"^  make {target} +\w", listed, re.M), target


def test_every_file_that_the_readme_links_to_exists() -> None:
    links = re.findall(r"\]\((?!https?:)([^)#]+)", (PROJECT / "README.md").read_text())
    assert links
    assert not [link for link in links if not (PROJECT / link).exists()]


def test_the_readme_is_short_and_says_first_what_usher_is_and_how_to_start() -> None:
    lines = (PROJECT / "README.md").read_text().splitlines()
    assert len(lines) <= 150
    head = " ".join(lines[:15])
    for words in ("recommendation service", "**For**", "**Not yet for**", "No AWS account", "**Cost**", "**Needs**"):
        assert words in head, words
    assert "make demo" in head and "make test" in head


def test_every_path_and_function_of_the_architecture_page_exists() -> None:
    page = (PROJECT / "docs/architecture.md").read_text()
    rows = [line.split("|")[1:-1] for line in page.splitlines() if line.startswith("|")]
    paths = [path for row in rows for cell in row for path in re.findall(r"`([\w.]+/[\w./]+)`", cell)]
    assert len(paths) > 60
    assert not [path for path in paths if not (PROJECT / path).exists()]
    hops = [row for row in rows if len(row) == 3 and "`" in row[1]]
    missing = []
    for _, where, functions in hops:
        (path,) = re.findall(r"`(.+?)`", where)
        code = (PROJECT / path).read_text()
        names = re.findall(r"`(\w+)`", functions)
        assert names, path
        definition = r'"%s": \{' if path.endswith(".json") else r"(def|class) %s\b"
        missing += [(path, name) for name in names if not re.search(definition % name, code)]
    assert not missing
