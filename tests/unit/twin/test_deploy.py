"""Packing local code: a path that is wrong is named, and equal contents give equal bytes."""

from __future__ import annotations

import io
import os
import zipfile
from pathlib import Path
from typing import Any

import pytest

from twin.cloudformation.deploy import archive, package
from twin.cloudformation.errors import TemplateError


def _template(**properties: Any) -> dict[str, Any]:
    return {"Resources": {"F": {"Type": "AWS::Serverless::Function", "Properties": properties}}}


def _never(key: str, data: bytes) -> str:
    raise AssertionError("nothing should be stored")


def test_a_missing_folder_is_named_with_its_resource(tmp_path: Path) -> None:
    with pytest.raises(TemplateError, match="F: CodeUri functions/f is not a folder"):
        package(_template(CodeUri="functions/f"), tmp_path, _never)


def test_an_empty_folder_is_refused(tmp_path: Path) -> None:
    (tmp_path / "f" / "__pycache__").mkdir(parents=True)
    (tmp_path / "f" / "__pycache__" / "app.cpython-311.pyc").write_bytes(b"x")
    with pytest.raises(TemplateError, match="F: CodeUri f is empty"):
        package(_template(CodeUri="f"), tmp_path, _never)


def test_more_than_lambda_takes_is_refused(tmp_path: Path) -> None:
    with (tmp_path / "big").open("wb") as big:
        big.truncate(262_144_001)  # sparse: it takes no room
    with pytest.raises(TemplateError, match="262,144,001 bytes"):
        archive(tmp_path, "here")


def test_a_missing_definition_is_named(tmp_path: Path) -> None:
    template = {
        "Resources": {"M": {"Type": "AWS::Serverless::StateMachine", "Properties": {"DefinitionUri": "m.json"}}}
    }
    with pytest.raises(TemplateError, match=r"M: DefinitionUri m\.json cannot be read"):
        package(template, tmp_path, _never)


def test_equal_contents_give_equal_bytes_whatever_their_times(tmp_path: Path) -> None:
    for name, seconds in (("one", 1_000_000_000), ("two", 1_500_000_000)):
        (tmp_path / name / "sub").mkdir(parents=True)
        for file in ("b.py", "a.py", "sub/c.py"):
            (tmp_path / name / file).write_text(file)
            os.utime(tmp_path / name / file, (seconds, seconds))
    first = archive(tmp_path / "one", "one")
    assert first == archive(tmp_path / "two", "two")
    (tmp_path / "two" / "a.py").write_text("changed")
    assert first != archive(tmp_path / "two", "two")
    assert zipfile.ZipFile(io.BytesIO(first)).namelist() == ["a.py", "b.py", "sub/c.py"]


def test_places_in_a_bucket_are_left_alone_and_the_template_is_not_changed(tmp_path: Path) -> None:
    template = _template(CodeUri="s3://bucket/key.zip")
    assert package(template, tmp_path, _never) == template
    (tmp_path / "f").mkdir()
    (tmp_path / "f" / "app.py").write_text("")
    local = _template(CodeUri="f")
    packed = package(local, tmp_path, lambda *_: "bucket")
    assert local == _template(CodeUri="f")
    assert packed["Resources"]["F"]["Properties"]["CodeUri"].startswith("s3://bucket/")
