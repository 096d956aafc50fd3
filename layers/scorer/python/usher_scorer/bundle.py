"""The bundle: a served model as one folder of arrays, written once, checked whole and memory-mapped when loaded."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from usher.algorithms import ALGORITHMS
from usher.algorithms.definition import Role, load_entry_point
from usher.schema.interactions import KINDS
from usher_scorer.catalogue import Catalogue, read_catalogue, split_lines
from usher_scorer.components import Content, Popularity, Ranker, Rater, SimilarItems
from usher_scorer.errors import BundleError
from usher_scorer.profiles import Profiles

Array = npt.NDArray[Any]

MANIFEST = "manifest.json"
#: Raised when older readers cannot read what is written. 2: profiles hold events, too. 3: `parts` is `artifacts`.
SCHEMA = 3
MANIFEST_MAX_BYTES = 4_000_000
_FILE = re.compile(r"[a-z0-9_]{1,40}(/[a-z0-9_.]{1,40})?\.(npy|txt|jsonl)|profiles\.[a-z_]{1,20}\.npy")
_FIELDS = ("schema", "model_id", "run_id", "snapshots", "trained_until", "artifacts", "hyperparameters", "metrics")

#: Artifacts of every bundle → their readers; those of the trained algorithms are in `usher.algorithms`.
_BASELINES = {
    "popularity": "usher_scorer.components:read_popularity",
    "content": "usher_scorer.components:read_content",
}
_PROFILES = tuple(f"profiles.{name}.npy" for name in ("indptr", "indices", "values", "times", "kinds"))
_LISTS = ("users.txt", "items.txt", "items.jsonl")


@dataclass(frozen=True)
class Manifest:
    """The fields of manifest.json, as docs/contracts/container.md lists them.

    trained_until: ISO 8601, the end of the rows that parameters were fitted on; artifacts: name → its settings; sha256:
    file → hex digest.
    """

    model_id: str
    run_id: str
    snapshots: Mapping[str, Any]
    trained_until: str
    artifacts: Mapping[str, Mapping[str, Any]]
    hyperparameters: Mapping[str, Mapping[str, str]]
    metrics: Mapping[str, Any]
    sha256: Mapping[str, str]

    def text(self) -> str:
        """manifest.json: the same manifest is the same bytes."""
        fields = {"schema": SCHEMA, **{name: getattr(self, name) for name in _FIELDS[1:]}, "sha256": self.sha256}
        return json.dumps(fields, sort_keys=True, indent=1, allow_nan=False) + "\n"


@dataclass(frozen=True)
class Bundle:
    """A served model. users: user ids by dense id; profiles: what each of them rated and did, from the whole snapshot.

    components: artifact name → what its reader made; an algorithm that was not trained has none.
    """

    manifest: Manifest
    catalogue: Catalogue
    users: tuple[str, ...]
    profiles: Profiles
    components: Mapping[str, Any]

    @cached_property
    def dense_user(self) -> Mapping[str, int]:
        """User id → dense id."""
        return {user_id: n for n, user_id in enumerate(self.users)}

    @cached_property
    def popularity(self) -> Popularity:
        """Scores for users of whom nothing is known."""
        found: Popularity = self.components["popularity"]
        return found

    @cached_property
    def content(self) -> Content | None:
        """Scores for items that the rankers do not cover; without it such items have no score of their own."""
        return self.components.get("content")

    @cached_property
    def rankers(self) -> tuple[Ranker, ...]:
        """What orders the catalogue, in the order in which users are offered to them; without any, content does."""
        return self._with_role("ranking")

    @cached_property
    def rater(self) -> Rater | None:
        """What predicts ratings."""
        return next(iter(self._with_role("rating")), None)

    @cached_property
    def similar_items(self) -> SimilarItems | None:
        """What finds similar items."""
        return next(iter(self._with_role("similar_items")), None)

    def _with_role(self, role: Role) -> tuple[Any, ...]:
        with_role = (name for name, algorithm in ALGORITHMS.items() if algorithm.role == role)
        return tuple(self.components[name] for name in with_role if name in self.components)


class _Arrays(dict[str, Array]):
    """An artifact's arrays by name; BundleError naming the file of an array that the bundle does not have."""

    def __init__(self, folder: Path, name: str, files: Mapping[str, str]) -> None:
        super().__init__({Path(file).stem: _array(folder, file) for file in files if file.startswith(f"{name}/")})
        self._name = f"{folder / MANIFEST} lists no {name}"

    def __missing__(self, array: str) -> Array:
        raise BundleError(f"{self._name}/{array}.npy: the bundle is not complete, make it again")


def load(folder: Path) -> Bundle:
    """Load a bundle: every digest checked, nothing unpickled.

    BundleError names the file that is missing, damaged or unknown, and the artifact that no reader here takes.
    """
    manifest = read_manifest(folder)
    readers = {**_BASELINES, **{name: algorithm.reader for name, algorithm in ALGORITHMS.items()}}
    _check_files(folder, manifest, readers)
    check_digests(folder, manifest)
    try:
        return _read(folder, manifest, readers)
    except (KeyError, TypeError, ValueError, OSError) as error:
        raise BundleError(
            f"{folder} is not consistent ({type(error).__name__}: {error}): make the bundle again"
        ) from error


def read_manifest(folder: Path) -> Manifest:
    """Read and check manifest.json; BundleError when it is missing, foreign or of a newer schema."""
    path = folder / MANIFEST
    if not path.is_file():
        raise BundleError(f"{folder} is not an Usher bundle: it has no {MANIFEST}; pass the folder that evaluate wrote")
    if path.stat().st_size > MANIFEST_MAX_BYTES:
        raise BundleError(f"{path} has over {MANIFEST_MAX_BYTES} bytes: this is not an Usher bundle")
    try:
        fields = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise BundleError(f"{path} is not JSON ({error}): the bundle is damaged, make it again") from None
    schema = fields.get("schema") if isinstance(fields, dict) else None
    if not isinstance(schema, int):
        raise BundleError(f"{path} has no schema number: this is not an Usher bundle")
    if schema > SCHEMA:
        raise BundleError(
            f"{path} has schema {schema}, this Usher reads {SCHEMA}: update Usher or deploy an older bundle"
        )
    fields.setdefault("artifacts", fields.get("parts"))  # their name before schema 3
    missing = [name for name in (*_FIELDS, "sha256") if name not in fields]
    if missing or not isinstance(fields["sha256"], dict) or not isinstance(fields["artifacts"], dict):
        raise BundleError(f"{path} lacks {', '.join(missing) or 'its artifacts'}: this is not an Usher bundle")
    return Manifest(**{name: fields[name] for name in _FIELDS[1:]}, sha256=_checked_names(path, fields["sha256"]))


def _checked_names(path: Path, digests: Mapping[str, Any]) -> Mapping[str, str]:
    for name in digests:
        if not _FILE.fullmatch(name) or ".." in name:
            raise BundleError(
                f"{path} lists the file {name[:80]!r}, which cannot be in a bundle: make the bundle again"
            )
    return digests


def check_digests(folder: Path, manifest: Manifest) -> None:
    """Hash every file named; BundleError naming the first that is missing or differs."""
    for name, expected in manifest.sha256.items():
        path = folder / name
        if path.is_symlink() or not path.is_file():
            raise BundleError(f"{path} is missing: the bundle is damaged, fetch it again")
        if sha256(path) != expected:
            raise BundleError(f"{path} differs from its digest in {MANIFEST}: the bundle is damaged, fetch it again")


def sha256(path: Path) -> str:
    """The file's digest, hex."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _check_files(folder: Path, manifest: Manifest, readers: Mapping[str, str]) -> None:
    """Every artifact has a reader, every file belongs to an artifact or to the bundle itself, and none is missing."""
    path = folder / MANIFEST
    for name in manifest.artifacts:
        if name not in readers:
            raise BundleError(
                f"{path} lists the artifact {name[:40]!r}, which this Usher cannot read (it reads "
                f"{', '.join(sorted(readers))}): update Usher, or make the bundle without it"
            )
    for file in manifest.sha256:
        owner, _, array = file.partition("/")
        if not (owner in manifest.artifacts if array else file in (*_LISTS, *_PROFILES)):
            raise BundleError(
                f"{path} lists the file {file!r} of no known artifact: update Usher, or make the bundle again"
            )
    for file in (*_LISTS, "popularity/all.npy"):
        if file not in manifest.sha256:
            raise BundleError(f"{path} lists no {file}: the bundle is not complete, make it again")


def _read(folder: Path, manifest: Manifest, readers: Mapping[str, str]) -> Bundle:
    catalogue = read_catalogue(_text(folder / "items.txt"), _text(folder / "items.jsonl"))
    users = split_lines(_text(folder / "users.txt"))
    count = len(catalogue)
    components = {
        name: load_entry_point(readers[name])(settings, _Arrays(folder, name, manifest.sha256), count)
        for name, settings in manifest.artifacts.items()
    }
    return Bundle(manifest, catalogue, users, _read_profiles(folder, manifest, len(users), count), components)


def _read_profiles(folder: Path, manifest: Manifest, users: int, items: int) -> Profiles:
    pointer, rated, values, times = (_listed(folder, manifest, name) for name in _PROFILES[:4])
    # Before schema 2 every row was a rating.
    kinds = (
        _listed(folder, manifest, _PROFILES[4]) if _PROFILES[4] in manifest.sha256 else np.zeros(len(rated), np.int8)
    )
    fits = len(pointer) == users + 1 and pointer[-1] == len(rated) == len(values) == len(times) == len(kinds)
    fits = fits and not (len(kinds) and not 0 <= kinds.min() <= kinds.max() < len(KINDS))
    if not fits or (np.diff(pointer) < 0).any() or (len(rated) and not 0 <= rated.min() <= rated.max() < items):
        raise BundleError(f"{folder}: the profiles do not fit {users} users and {items} items: make the bundle again")
    return Profiles(np.asarray(pointer), rated, values, times, kinds)


def _listed(folder: Path, manifest: Manifest, file: str) -> Array:
    if file not in manifest.sha256:
        raise BundleError(f"{folder / MANIFEST} lists no {file}: the bundle is not complete, make it again")
    return _array(folder, file)


def _array(folder: Path, file: str) -> Array:
    array: Array = np.load(folder / file, mmap_mode="r", allow_pickle=False)
    if array.dtype.kind not in "fiu":
        raise BundleError(f"{folder / file} holds {array.dtype}, not numbers: make the bundle again")
    return array


def _text(path: Path) -> str:
    return path.read_bytes().decode("utf-8")


def write(  # noqa: PLR0913 - its inputs, one by one
    folder: Path,
    *,
    catalogue: Catalogue,
    users: tuple[str, ...],
    profiles: Profiles,
    arrays: Mapping[str, Mapping[str, Array]],
    fields: Mapping[str, Any],
) -> Manifest:
    """Write a bundle into the empty or new `folder`, its manifest last; a bundle with NaN or infinity is refused.

    arrays: artifact → name → array; fields: the manifest's fields but sha256. The same input gives the same bytes.
    """
    folder.mkdir(parents=True, exist_ok=True)
    _write_text(folder / "users.txt", users)
    _write_text(folder / "items.txt", catalogue.ids)
    _write_text(folder / "items.jsonl", tuple(catalogue.lines()))
    items = profiles.items.astype(np.int32)
    rows: tuple[Array, ...] = (profiles.pointer, items, profiles.values, profiles.times_us, profiles.kinds)
    for name, array in zip(_PROFILES, rows, strict=True):
        _write_array(folder / name, array)
    for artifact, own in arrays.items():
        for name, array in own.items():
            _write_array(folder / artifact / f"{name}.npy", array)
    files = sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())
    manifest = Manifest(**fields, sha256={name: sha256(folder / name) for name in files if name != MANIFEST})
    (folder / MANIFEST).write_text(manifest.text(), encoding="utf-8")
    return manifest


def _write_text(path: Path, lines: tuple[str, ...]) -> None:
    path.write_bytes("".join(f"{line}\n" for line in lines).encode())


def _write_array(path: Path, array: Array) -> None:
    if array.dtype.kind == "f" and not np.isfinite(array).all():
        raise BundleError(
            f"{path.parent.name}/{path.name} holds NaN or infinity: the fit failed and the bundle is not written; "
            "check the ratings and train again"
        )
    path.parent.mkdir(parents=True, exist_ok=True)
    np.save(path, array, allow_pickle=False)
