"""Bundles: what is damaged, foreign or newer is refused in one line; what is whole is the same to the byte."""

from __future__ import annotations

import json
import pickle
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from usher_models.artifacts import TrainingResult
from usher_models.evaluation.build_bundle import Prepared, build_bundle
from usher_scorer.bundle import SCHEMA, load, sha256
from usher_scorer.errors import BundleError


@pytest.fixture
def copy(bundle_folder: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(bundle_folder, tmp_path / "bundle"))


def edit(folder: Path, change: Callable[[dict[str, Any]], object]) -> None:
    manifest = json.loads((folder / "manifest.json").read_text())
    change(manifest)
    (folder / "manifest.json").write_text(json.dumps(manifest))


def replace(folder: Path, name: str, array: Any) -> None:
    """Another array under a right digest: what a broken writer would leave."""
    np.save(folder / name, array, allow_pickle=True)
    edit(folder, lambda manifest: manifest["sha256"].update({name: sha256(folder / name)}))


def test_a_folder_without_a_manifest_is_not_a_bundle(tmp_path: Path) -> None:
    with pytest.raises(BundleError, match=r"is not an Usher bundle: it has no manifest\.json"):
        load(tmp_path)


@pytest.mark.parametrize("text", ["", "{", "[]", '"x"', "{}", '{"schema": "one"}', '{"schema": 1}'])
def test_a_foreign_manifest_is_refused(copy: Path, text: str) -> None:
    (copy / "manifest.json").write_text(text)
    with pytest.raises(BundleError, match=r"not an Usher bundle|not JSON"):
        load(copy)


def test_a_newer_bundle_says_to_update(copy: Path) -> None:
    edit(copy, lambda manifest: manifest.update(schema=SCHEMA + 1))
    with pytest.raises(BundleError, match=f"schema {SCHEMA + 1}, this Usher reads {SCHEMA}: update Usher"):
        load(copy)


@pytest.mark.parametrize(
    "name",
    ["users.txt", "items.jsonl", "fm/means.npy", "ranker/matrix.npy", "profiles.times.npy", "knn/similarity.npy"],
)
def test_one_changed_byte_is_found(copy: Path, name: str) -> None:
    data = bytearray((copy / name).read_bytes())
    data[-1] ^= 1
    (copy / name).write_bytes(bytes(data))
    with pytest.raises(BundleError, match=f"{name} differs from its digest"):
        load(copy)


def test_a_missing_file_is_named(copy: Path) -> None:
    (copy / "ranker/matrix.npy").unlink()
    with pytest.raises(BundleError, match=r"ranker/matrix\.npy is missing"):
        load(copy)


def test_a_link_in_place_of_a_file_is_refused(copy: Path, tmp_path: Path) -> None:
    shutil.move(copy / "users.txt", tmp_path / "elsewhere")
    (copy / "users.txt").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(BundleError, match=r"users\.txt is missing"):
        load(copy)


@pytest.mark.parametrize("name", ["../users.txt", "/etc/passwd", "fm/../../x.npy", "fm/means.pkl", "a/b/c.npy"])
def test_a_manifest_cannot_name_files_elsewhere(copy: Path, name: str) -> None:
    edit(copy, lambda manifest: manifest["sha256"].update({name: "0" * 64}))
    with pytest.raises(BundleError, match="which cannot be in a bundle"):
        load(copy)


class Trap:
    """Unpickling it would leave a trace."""

    def __reduce__(self) -> tuple[Any, ...]:
        return (Path.touch, (Path("unpickled"),))


def test_nothing_is_ever_unpickled(copy: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    replace(copy, "popularity/all.npy", np.array([Trap()], dtype=object))
    assert pickle.dumps(Trap())
    with pytest.raises(BundleError, match="is not consistent"):
        load(copy)
    assert not (tmp_path / "unpickled").exists()


@pytest.mark.parametrize(
    ("name", "array"),
    [
        ("popularity/all.npy", np.zeros(3, np.float32)),
        ("fm/means.npy", np.zeros((3, 2, 5), np.float16)),
        ("fm/noise.npy", np.zeros(1, np.float32)),
        ("knn/neighbours.npy", np.full((40, 8), 40, np.int32)),
        ("ranker/covered.npy", np.array([0, 0, 1])),
        ("ranker/matrix.npy", np.zeros((2, 2), np.float32)),
        ("content/columns.npy", np.array([10**6], np.int32)),
        ("profiles.indices.npy", np.array([99], np.int32)),
        ("profiles.indptr.npy", np.array([0, 5])),
        ("popularity/recent.npy", np.array(["a"] * 40)),
    ],
)
def test_arrays_that_do_not_fit_are_refused(copy: Path, name: str, array: Any) -> None:
    replace(copy, name, array)
    with pytest.raises(BundleError, match=r"make the bundle again|make it again"):
        load(copy)


def test_an_unknown_kind_of_ranker_is_refused(copy: Path) -> None:
    edit(copy, lambda manifest: manifest["artifacts"]["ranker"].update(kind="transformer"))
    with pytest.raises(BundleError, match=r"unknown kind 'transformer'"):
        load(copy)


def test_a_bundle_with_nan_is_not_written(prepared: Prepared, trained: list[TrainingResult], tmp_path: Path) -> None:
    result = next(result for result in trained if result.name == "ranker")
    broken = {**result.artifact.arrays, "matrix": np.full_like(result.artifact.arrays["matrix"], np.nan)}
    artifact = type(result.artifact)(result.artifact.settings, broken)
    bad = TrainingResult(
        result.name, artifact, result.hyperparameters, {}, result.items, result.rows, result.fitted_until_us
    )
    with pytest.raises(BundleError, match=r"ranker/matrix\.npy holds NaN"):
        build_bundle(prepared, [bad], tmp_path / "bundle")
    assert not (tmp_path / "bundle/manifest.json").exists()


def test_the_same_artifacts_give_the_same_bytes(
    prepared: Prepared, trained: list[TrainingResult], tmp_path: Path
) -> None:
    for name in ("one", "two"):
        build_bundle(prepared, trained, tmp_path / name)
    one, two = (tmp_path / name / "manifest.json" for name in ("one", "two"))
    assert one.read_bytes() == two.read_bytes()


def test_a_bundle_keeps_everything(bundle_folder: Path, prepared: Prepared) -> None:
    bundle = load(bundle_folder)
    assert bundle.catalogue.ids == prepared.items.catalogue.ids
    assert bundle.users == prepared.users
    assert len(bundle.profiles.items) == len(prepared.before) + len(prepared.inside)
    assert set(bundle.manifest.artifacts) == {"fm", "knn", "ranker", "popularity", "content"}
    matrix = bundle.components["ranker"].matrix
    assert isinstance(matrix, np.memmap)


def test_ids_may_hold_line_separators_of_other_kinds(
    prepared: Prepared, trained: list[TrainingResult], tmp_path: Path
) -> None:
    users = ("a\u2028b", "käse", *prepared.users[2:])
    odd = Prepared(prepared.summary, prepared.before, prepared.inside, prepared.items, users)
    assert build_bundle(odd, trained, tmp_path / "bundle").users == users
