"""Faulty challengers for the demo's scenarios: a copy of the champion's bundle, damaged after the quality gate.

The demo makes and deploys them outside the product, as an operator could who may write to the bucket and start
workflows. Deployment uses a copy of train_and_deploy in which PrepareRun goes straight on to RegisterModel: plan and
lock are the product's; prepare, train, evaluate and gate are left out.
"""

from __future__ import annotations

import gzip
import hashlib
import json
import tarfile
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cli import runs
from cli.errors import CommandError
from cli.target import Target
from usher.schema import s3_paths

MANIFEST = "manifest.json"
#: Every so many items one has a title that was cut: about half of the lists of ten show one.
CUT_EVERY = 15
_POLL_SECONDS = 0.5


@dataclass(frozen=True, slots=True)
class Scenario:
    """damage: changes the files of an unpacked bundle. description: what happened, and why the gate did not see it."""

    name: str
    description: str
    damage: Callable[[Path], None]


def misplace_items(folder: Path) -> None:
    """Reverse the list of items, but not the arrays: each score belongs to another item."""
    for name in ("items.txt", "items.jsonl"):
        path = folder / name
        lines = path.read_bytes().split(b"\n")[:-1]
        path.write_bytes(b"\n".join(reversed(lines)) + b"\n")


def cut_titles(folder: Path) -> None:
    """Cut titles inside a character, as programs do that count in UTF-16: a response with one cannot be encoded."""
    path = folder / "items.jsonl"
    lines = path.read_text(encoding="utf-8").split("\n")[:-1]
    for number in range(0, len(lines), CUT_EVERY):
        record = json.loads(lines[number])
        lines[number] = json.dumps({**record, "title": f"{record['title'][:20]}\ud83c"}, separators=(",", ":"))
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")


SCENARIOS: Mapping[str, Scenario] = {
    "bad-model": Scenario(
        "bad-model",
        "After the gate, the model's list of items was written in another order than its arrays. Every digest is "
        "correct and every request succeeds, but each user sees items that were scored for other items. The gate did "
        "not see the fault because it evaluated the model before the damage.",
        misplace_items,
    ),
    "broken": Scenario(
        "broken",
        f"One title in {CUT_EVERY} was cut inside a character, so a response with that title cannot be encoded and the "
        "container fails with an error. The gate did not see the fault because it ranks item ids and never encodes a "
        "title.",
        cut_titles,
    ),
}


def build(target: Target, champion: str, run_id: str, damage: Callable[[Path], None], scratch: Path) -> None:
    """Copy the champion's bundle, damage it, and store it as the model of run `run_id` with digests that match."""
    folder = scratch / run_id / "bundle"
    _download(target, f"{s3_paths.run_prefix(champion)}bundle/", folder)
    damage(folder)
    write_manifest(folder, run_id)
    archive = folder.parent / "model.tar.gz"
    pack(folder, archive)
    s3, bucket, prefix = target.client("s3"), target.resources.lake_bucket, s3_paths.run_prefix(run_id)
    for path in sorted(path for path in folder.rglob("*") if path.is_file()):
        s3.upload_file(str(path), bucket, f"{prefix}bundle/{path.relative_to(folder)}")
    s3.upload_file(str(archive), bucket, f"{prefix}model.tar.gz")
    # The champion's evaluation: the damaged model was never evaluated.
    source = f"{bucket}/{s3_paths.run_prefix(champion)}evaluation.json"
    s3.copy_object(Bucket=bucket, Key=f"{prefix}evaluation.json", CopySource=source)


def write_manifest(folder: Path, run_id: str) -> None:
    """Replace the manifest's digests by those of the files as they are now, and its model id by a new one."""
    path = folder / MANIFEST
    manifest: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    manifest["sha256"] = {name: hashlib.sha256((folder / name).read_bytes()).hexdigest() for name in manifest["sha256"]}
    digest = hashlib.sha256(json.dumps(manifest["sha256"], sort_keys=True).encode()).hexdigest()
    manifest |= {"run_id": run_id, "model_id": f"{run_id}-{digest[:8]}"}
    path.write_text(json.dumps(manifest, sort_keys=True, indent=1) + "\n", encoding="utf-8")


def pack(folder: Path, archive: Path) -> None:
    """Write a folder as model.tar.gz."""
    with gzip.open(archive, "wb", 1) as file, tarfile.open(fileobj=file, mode="w") as tar:
        for path in sorted(path for path in folder.rglob("*") if path.is_file()):
            tar.add(path, str(path.relative_to(folder)))


def _download(target: Target, prefix: str, folder: Path) -> None:
    s3, bucket = target.client("s3"), target.resources.lake_bucket
    for page in s3.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=prefix):
        for item in page.get("Contents", []):
            path = folder / item["Key"].removeprefix(prefix)
            path.parent.mkdir(parents=True, exist_ok=True)
            s3.download_file(bucket, item["Key"], str(path))


def deploy(target: Target, run_id: str, snapshots: dict[str, str], wait_seconds: float) -> None:
    """Deploy a stored model with a shortened copy of the workflow. Raises CommandError with the cause of a failure."""
    client = target.client("stepfunctions")
    workflow = client.describe_state_machine(stateMachineArn=runs.workflow_arn(target))
    copy = client.create_state_machine(
        name=f"{target.stack_name}-without-gate",
        definition=without_gate(workflow["definition"]),
        roleArn=workflow["roleArn"],
    )["stateMachineArn"]
    request = json.dumps({"run_id": run_id, "snapshots": snapshots, "rows": 0})
    try:
        arn = client.start_execution(stateMachineArn=copy, name=run_id, input=request)["executionArn"]
        ended = _wait(client, arn, wait_seconds)
        if ended["status"] != "SUCCEEDED":
            raise CommandError(f"{run_id} was not deployed: {ended.get('error', '')}: {ended.get('cause', '')}")
    finally:
        client.delete_state_machine(stateMachineArn=copy)


def without_gate(definition: str) -> str:
    """The workflow's definition without the states that train and evaluate a model."""
    machine: dict[str, Any] = json.loads(definition)
    first = machine["States"][machine["StartAt"]]
    first["Next"] = "RegisterModel"
    first["Assign"] = {**first["Assign"], "trained": []}
    reachable = _reachable(machine["States"], machine["StartAt"])
    machine["States"] = {name: state for name, state in machine["States"].items() if name in reachable}
    return json.dumps(machine)


def _reachable(states: dict[str, Any], start: str) -> set[str]:
    """Names of the states that can be reached; AWS refuses a definition with others."""
    found, waiting = set(), [start]
    while waiting:
        name = waiting.pop()
        if name not in found:
            found.add(name)
            state = states[name]
            waiting += [
                one["Next"] for one in (state, *state.get("Choices", ()), *state.get("Catch", ())) if "Next" in one
            ]
            waiting += [state["Default"]] if "Default" in state else []
    return found


def _wait(client: Any, arn: str, wait_seconds: float) -> dict[str, Any]:
    deadline = time.monotonic() + wait_seconds
    while True:
        found: dict[str, Any] = client.describe_execution(executionArn=arn)
        if found["status"] != "RUNNING":
            return found
        if time.monotonic() > deadline:
            raise CommandError(f"the deployment was still running after {wait_seconds:.0f} s: repeat the demo")
        time.sleep(_POLL_SECONDS)
