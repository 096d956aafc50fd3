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
