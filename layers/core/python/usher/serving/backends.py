"""The back ends that score: the endpoint's production variants, or bundles that the function has downloaded."""

from __future__ import annotations

import json
import shutil
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any, Protocol

from botocore.exceptions import BotoCoreError, ClientError, ConnectTimeoutError, ReadTimeoutError

from usher.api.problems import Problem
from usher.errors import NotDeployable, code
from usher.schema import s3_paths
from usher.store.router import Variant

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

#: A function's /tmp of 2 GB holds two bundles of this size, and a third that replaces one of them.
BUNDLE_MAX_BYTES = 600 * 1024 * 1024
#: Error code of the scorer that is the caller's fault → the problem and its parameter.
_CALLERS_FAULTS = {
    "unknown_genre": ("unknown-genre", "genre"),
    "bad_genre": ("bad-parameter", "genre"),
    "bad_date": ("bad-parameter", "not_released_after"),
    "unknown_item": ("unknown-item", "item_id"),
}


class VariantFailed(Exception):
    """A variant did not answer. slow: it timed out."""

    def __init__(self, reason: str, *, slow: bool = False) -> None:
        super().__init__(reason)
        self.slow = slow


class Backend(Protocol):
    """Answers requests of the contract in docs/contracts/container.md from one variant."""

    def ask(self, variant: Variant, model: str, request: Mapping[str, Any]) -> dict[str, Any]:
        """{model_id, level, items}. VariantFailed: try another variant; Problem: the request is at fault."""


class EndpointBackend:
    """The endpoint's production variants. runtime: a `sagemaker-runtime` client with short timeouts and no retries."""

    def __init__(self, runtime: Any, endpoint_name: str) -> None:
        self._runtime, self._endpoint_name = runtime, endpoint_name

    def ask(self, variant: Variant, model: str, request: Mapping[str, Any]) -> dict[str, Any]:  # noqa: ARG002 - the protocol's
        try:
            answer = self._runtime.invoke_endpoint(
                EndpointName=self._endpoint_name,
                TargetVariant=variant,
                ContentType="application/json",
                Accept="application/json",
                Body=json.dumps(request).encode(),
            )
            return checked(json.loads(answer["Body"].read()))
        except ClientError as error:
            raise_callers_fault(_error_of(error))
            raise VariantFailed(f"{code(error)}: {error.response['Error'].get('Message', '')[:300]}") from error
        except BotoCoreError as error:
            slow = isinstance(error, ConnectTimeoutError | ReadTimeoutError)
            raise VariantFailed(f"{type(error).__name__}: {str(error)[:300]}", slow=slow) from error
        except ValueError as error:
            raise VariantFailed(f"the answer is not JSON: {str(error)[:200]}") from error


class FunctionBackend:
    """The bundles of both variants, loaded into this process.

    load: model → its bundle, cached. invoke: (bundle, body) → answer; raises an error with `code`.
    """

    def __init__(self, load: Callable[[str], Any], invoke: Callable[[Any, bytes], dict[str, Any]]) -> None:
        self._load, self._invoke = load, invoke

    def ask(self, variant: Variant, model: str, request: Mapping[str, Any]) -> dict[str, Any]:  # noqa: ARG002 - the protocol's
        try:
            return checked(self._invoke(self._load(model), json.dumps(request).encode()))
        except Exception as error:
            raise_callers_fault({"code": getattr(error, "code", ""), "message": str(error)})
            raise VariantFailed(f"{type(error).__name__}: {str(error)[:300]}") from error


def checked(answer: Any) -> dict[str, Any]:
    """The answer, if it has the form of the contract; VariantFailed otherwise."""
    try:
        items = [dict(item) for item in answer["items"]]
        whole = all({"item_id", "title", "genres"} <= item.keys() for item in items)
        model_id = str(answer["model_id"])
    except (KeyError, TypeError, ValueError):
        whole = False
    if not whole:
        raise VariantFailed("the answer lacks model_id, or an item lacks item_id, title or genres")
    return {"model_id": model_id, "level": str(answer.get("level", "")), "items": items}


def raise_callers_fault(error: Mapping[str, Any]) -> None:
    """Raise Problem when the scorer's error, {code, message}, is the caller's fault."""
    if error.get("code") in _CALLERS_FAULTS:
        kind, parameter = _CALLERS_FAULTS[str(error["code"])]
        raise Problem(kind, str(error.get("message", ""))[:500], parameter)


def _error_of(error: ClientError) -> Mapping[str, Any]:
    """The container's error in a ModelError with status 400; empty for any other error."""
    response: Mapping[str, Any] = error.response
    if code(error) != "ModelError" or response.get("OriginalStatusCode") != 400:
        return {}
    try:
        said = json.loads(response.get("OriginalMessage") or "")["error"]
    except (ValueError, KeyError, TypeError):
        return {}
    return said if isinstance(said, dict) else {}


def download_bundle(s3: S3Client, bucket: str, run_id: str, folder: Path) -> Path:
    """The folder of a run's bundle under `folder`; downloads it unless it exists, whole or not at all.

    NotDeployable when the bundle is missing or too large, or when a key would leave the folder.
    """
    target = folder / PurePosixPath(run_id).name
    if target.is_dir():
        return target
    prefix = f"{s3_paths.run_prefix(run_id)}bundle/"
    keys = _keys(s3, bucket, prefix)
    folder.mkdir(parents=True, exist_ok=True)
    scratch = Path(tempfile.mkdtemp(prefix="part-", dir=folder))
    try:
        for name in keys:
            path = scratch / name
            path.parent.mkdir(parents=True, exist_ok=True)
            s3.download_file(bucket, prefix + name, str(path))
        scratch.rename(target)
    except BaseException:
        shutil.rmtree(scratch, ignore_errors=True)
        raise
    return target


def keep_only(folder: Path, models: set[str]) -> None:
    """Remove the bundles of other models; the system frees files that are still memory-mapped later."""
    for path in folder.iterdir() if folder.is_dir() else ():
        if path.name not in models:
            shutil.rmtree(path, ignore_errors=True)


def _keys(s3: S3Client, bucket: str, prefix: str) -> list[str]:
    names, size = [], 0
    for page in s3.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=prefix):
        for item in page.get("Contents", []):
            names.append(item["Key"].removeprefix(prefix))
            size += item["Size"]
    if not names or size > BUNDLE_MAX_BYTES:
        raise NotDeployable(
            f"s3://{bucket}/{prefix} has {len(names)} files with {size} bytes: a bundle has at least one file and at "
            f"most {BUNDLE_MAX_BYTES} bytes; start the run again"
        )
    for name in names:
        if not name or name.startswith("/") or ".." in PurePosixPath(name).parts:
            raise NotDeployable(
                f"s3://{bucket}/{prefix} has an unexpected key {name[:80]!r}: remove it, or start the run again"
            )
    return names
