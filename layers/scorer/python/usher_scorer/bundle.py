"""The bundle: a served model as one folder of arrays, written once, checked whole and memory-mapped when loaded."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from usher.schema.interactions import KINDS
from usher_scorer.catalogue import Catalogue, read_catalogue, split_lines
from usher_scorer.content import Content, read_content
from usher_scorer.errors import BundleError
from usher_scorer.manifest import MANIFEST, Manifest, check_digests, read_manifest, sha256
from usher_scorer.neighbours import Neighbours, read_neighbours
from usher_scorer.popularity import Popularity, read_popularity
from usher_scorer.profiles import Profiles
from usher_scorer.ranker import Ranker, read_ranker
from usher_scorer.rater import Rater, read_rater

Array = npt.NDArray[Any]
#: Part of a bundle → its arrays.
Parts = Mapping[str, Mapping[str, Array]]

_ARRAYS = {
    "fm": ("draws", "means", "prior_mean", "prior_precision", "noise", "default"),
    "knn": ("neighbours", "similarity"),
    "popularity": ("all", "recent"),
    "content": ("pointer", "columns", "values"),
}
_RANKER_ARRAYS = {"ease": ("covered", "matrix"), "ials": ("covered", "factors", "gram")}
_PROFILES = ("indptr", "indices", "values", "times", "kinds")


@dataclass(frozen=True)
class Bundle:
    """A model that can be asked. users: user ids by dense id; profiles: what each of them rated and did.

    From the whole snapshot.

    A part that was not trained is None: `ranker` missing leaves content, then popularity.
    """

    manifest: Manifest
    catalogue: Catalogue
    users: tuple[str, ...]
    profiles: Profiles
    popularity: Popularity
    ranker: Ranker | None
    rater: Rater | None
    neighbours: Neighbours | None
    content: Content | None

    @cached_property
    def dense_user(self) -> Mapping[str, int]:
        """User id → dense id."""
        return {user_id: n for n, user_id in enumerate(self.users)}


def load(folder: Path) -> Bundle:
    """Load a bundle, every digest checked, nothing unpickled; BundleError says what is wrong with which file."""
    manifest = read_manifest(folder)
    check_digests(folder, manifest)
    for name in ("users.txt", "items.txt", "items.jsonl", "popularity/all.npy"):
        if name not in manifest.sha256:
            raise BundleError(f"{folder / MANIFEST} names no {name}: this is no whole bundle, make it again")
    try:
        return _read(folder, manifest)
    except (KeyError, TypeError, ValueError, OSError) as error:
        raise BundleError(
            f"{folder} does not hold together ({type(error).__name__}: {error}): make it again"
        ) from error


def _read(folder: Path, manifest: Manifest) -> Bundle:
    catalogue = read_catalogue(_text(folder / "items.txt"), _text(folder / "items.jsonl"))
    users = split_lines(_text(folder / "users.txt"))
    count = len(catalogue)

    def part(
        name: str, read: Callable[[Mapping[str, Any], Mapping[str, Array], int], Any], names: tuple[str, ...]
    ) -> Any:
        if name not in manifest.parts:
            return None
        arrays = {array: _array(folder, manifest, f"{name}/{array}.npy") for array in names}
        return read(manifest.parts[name], arrays, count)

    kind = str(manifest.parts.get("ranker", {}).get("kind"))
    return Bundle(
        manifest,
        catalogue,
        users,
        _read_profiles(folder, manifest, len(users), count),
        part("popularity", read_popularity, _ARRAYS["popularity"]),
        part("ranker", read_ranker, _RANKER_ARRAYS.get(kind, ())),
        part("fm", read_rater, _ARRAYS["fm"]),
        part("knn", read_neighbours, _ARRAYS["knn"]),
        part("content", read_content, _ARRAYS["content"]),
    )


def _read_profiles(folder: Path, manifest: Manifest, users: int, items: int) -> Profiles:
    pointer, rated, values, times = (_array(folder, manifest, f"profiles.{name}.npy") for name in _PROFILES[:4])
    # Before schema 2 every row was a rating.
    kinds = (
        _array(folder, manifest, "profiles.kinds.npy")
        if "profiles.kinds.npy" in manifest.sha256
        else np.zeros(len(rated), np.int8)
    )
    fits = len(pointer) == users + 1 and pointer[-1] == len(rated) == len(values) == len(times) == len(kinds)
    fits = fits and not (len(kinds) and not 0 <= kinds.min() <= kinds.max() < len(KINDS))
    if not fits or (np.diff(pointer) < 0).any() or (len(rated) and not 0 <= rated.min() <= rated.max() < items):
        raise BundleError(f"{folder}: the profiles do not fit {users} users and {items} items: make the bundle again")
    return Profiles(np.asarray(pointer), rated, values, times, kinds)


def _array(folder: Path, manifest: Manifest, name: str) -> Array:
    if name not in manifest.sha256:
        raise BundleError(f"{folder / MANIFEST} names no {name}: the bundle is not whole, make it again")
    array: Array = np.load(folder / name, mmap_mode="r", allow_pickle=False)
    if array.dtype.kind not in "fiu":
        raise BundleError(f"{folder / name} holds {array.dtype}, not numbers: make the bundle again")
    return array


def _text(path: Path) -> str:
    return path.read_bytes().decode("utf-8")


def write(  # noqa: PLR0913 - its inputs, one by one
    folder: Path,
    *,
    catalogue: Catalogue,
    users: tuple[str, ...],
    profiles: Profiles,
    parts: Parts,
    fields: Mapping[str, Any],
) -> Manifest:
    """Write a bundle into the empty or new `folder`, its manifest last; a bundle with NaN or infinity is refused.

    parts: part → name → array; fields: the manifest's fields but sha256. The same input gives the same bytes.
    """
    folder.mkdir(parents=True, exist_ok=True)
    _write_text(folder / "users.txt", users)
    _write_text(folder / "items.txt", catalogue.ids)
    _write_text(folder / "items.jsonl", tuple(catalogue.lines()))
    items = profiles.items.astype(np.int32)
    rows: tuple[Array, ...] = (profiles.pointer, items, profiles.values, profiles.times_us, profiles.kinds)
    for name, array in zip(_PROFILES, rows, strict=True):
        _write_array(folder / f"profiles.{name}.npy", array)
    for part, arrays in parts.items():
        for name, array in arrays.items():
            _write_array(folder / part / f"{name}.npy", array)
    files = sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())
    manifest = Manifest(**fields, sha256={name: sha256(folder / name) for name in files if name != MANIFEST})
    (folder / MANIFEST).write_text(manifest.text(), encoding="utf-8")
    return manifest


def _write_text(path: Path, lines: tuple[str, ...]) -> None:
    path.write_bytes("".join(f"{line}\n" for line in lines).encode())


def _write_array(path: Path, array: Array) -> None:
    if array.dtype.kind == "f" and not np.isfinite(array).all():
        raise BundleError(f"{path.parent.name}/{path.name} holds NaN or infinity: the fit failed, nothing is shipped")
    path.parent.mkdir(parents=True, exist_ok=True)
    np.save(path, array, allow_pickle=False)
