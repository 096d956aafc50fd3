"""What `sam package` does, without SAM: a template's folders and files go to a bucket, as deterministic archives."""

from __future__ import annotations

import copy
import hashlib
import io
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from twin.cloudformation.errors import TemplateError
from twin.cloudformation.template import Template

MAX_BYTES = 262_144_000
"""What Lambda takes, unzipped."""

Put = Callable[[str, bytes], str]
"""Stores bytes under a key; gives the bucket's name."""

_FOLDERS = {
    "AWS::Serverless::Function": "CodeUri",
    "AWS::Serverless::LayerVersion": "ContentUri",
    "AWS::Lambda::Function": "Code",
    "AWS::Lambda::LayerVersion": "Content",
}
_FILES = {
    "AWS::Serverless::StateMachine": "DefinitionUri",
    "AWS::Serverless::HttpApi": "DefinitionUri",
    "AWS::Serverless::Api": "DefinitionUri",
    "AWS::StepFunctions::StateMachine": "DefinitionS3Location",
}
_UNWANTED = frozenset(("__pycache__", ".mypy_cache", ".ruff_cache", ".pytest_cache", ".git", ".DS_Store"))


def package(template: Template, folder: Path, put: Put) -> Template:
    """A copy of `template` whose paths, relative to `folder`, are places in a bucket; TemplateError for a bad path."""
    result = copy.deepcopy(template)
    global_function = result.get("Globals", {}).get("Function", {})
    if isinstance(global_function.get("CodeUri"), str):
        raise TemplateError("Globals.Function.CodeUri: give each function its own CodeUri")
    for logical_id, resource in result["Resources"].items():
        kind, properties = resource["Type"], resource.setdefault("Properties", {})
        if (name := _FOLDERS.get(kind)) and _is_local(properties.get(name)):
            data = archive(folder / properties[name], f"{logical_id}: {name} {properties[name]}")
            properties[name] = _place(kind, *_stored(data, ".zip", put))
        elif (name := _FILES.get(kind)) and _is_local(properties.get(name)):
            data = _file(folder / properties[name], f"{logical_id}: {name} {properties[name]}")
            bucket, key = _stored(data, Path(properties[name]).suffix, put)
            properties[name] = {"Bucket": bucket, "Key": key}
    return result


def archive(folder: Path, where: str) -> bytes:
    """`folder` as a zip whose bytes depend on names, contents and executable bits only."""
    if not folder.is_dir():
        raise TemplateError(f"{where} is not a folder; is the application there and built?")
    files = sorted(_files(folder), key=lambda path: path.relative_to(folder).as_posix())
    if not files:
        raise TemplateError(f"{where} is empty")
    if (size := sum(path.stat().st_size for path in files)) > MAX_BYTES:
        raise TemplateError(f"{where} has {size:,} bytes; Lambda takes {MAX_BYTES:,}")
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as packed:
        for path in files:
            entry = zipfile.ZipInfo(path.relative_to(folder).as_posix(), (1980, 1, 1, 0, 0, 0))
            entry.compress_type = zipfile.ZIP_DEFLATED
            entry.external_attr = (0o755 if path.stat().st_mode & 0o100 else 0o644) << 16
            packed.writestr(entry, path.read_bytes())
    return buffer.getvalue()


def _files(folder: Path) -> Iterator[Path]:
    for path in folder.rglob("*"):
        if path.is_file() and not _UNWANTED & set(path.relative_to(folder).parts) and path.suffix != ".pyc":
            yield path


def _file(path: Path, where: str) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise TemplateError(f"{where} cannot be read: {error.strerror}") from error


def _is_local(value: Any) -> bool:
    return isinstance(value, str) and not value.startswith(("s3://", "https://"))


def _stored(data: bytes, suffix: str, put: Put) -> tuple[str, str]:
    key = hashlib.sha256(data).hexdigest()[:32] + suffix
    return put(key, data), key


def _place(kind: str, bucket: str, key: str) -> Any:
    if kind.startswith("AWS::Serverless::"):
        return f"s3://{bucket}/{key}"
    return {"S3Bucket": bucket, "S3Key": key}
