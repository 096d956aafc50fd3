"""ROUTER/POPULAR: a bundle's popularity lists as one item of the state table, the last level of the fallback chain.

The lists come from the bundle of the evaluated model. Its array is read without numpy, which the function does not
ship.
"""

from __future__ import annotations

import array
import ast
import heapq
import json
import struct
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from botocore.exceptions import ClientError

from usher.errors import NotDeployable, code
from usher.schema import s3_paths
from usher.schema.release_dates import ALWAYS, released_since
from usher.store import keys

if TYPE_CHECKING:
    from mypy_boto3_dynamodb.service_resource import Table
    from mypy_boto3_s3 import S3Client

#: How many items the list of all, and of each genre, keeps; DynamoDB takes 400 KB in all.
ALL_ITEMS = 200
GENRE_ITEMS = 50
GENRES_MAX = 60
ITEM_MAX_BYTES = 350_000

_FILE_MAX_BYTES = 256 * 1024 * 1024
_TYPES = {"<f4": "f", "<f8": "d"}


@dataclass(frozen=True, slots=True)
class PopularLists:
    """The popularity lists, most popular first. genres: by name in lower case.

    An item is {item_id, title, genres, released_at}; released_at: from when on it counts as released, in epoch seconds,
    absent for an undated item (usher.schema.release_dates).
    """

    model_id: str
    all: tuple[Mapping[str, Any], ...]
    genres: Mapping[str, tuple[Mapping[str, Any], ...]]


def read_lists(s3: S3Client, bucket: str, run_id: str) -> dict[str, Any]:
    """{"all": [item], "genres": {genre: [item]}} of a run's bundle, most popular first; items as in PopularLists.

    NotDeployable when the bundle is incomplete.
    """
    prefix = f"{s3_paths.run_prefix(run_id)}bundle/"
    scores = parse_array(_read(s3, bucket, f"{prefix}popularity/all.npy"))
    ids = _lines(_read(s3, bucket, f"{prefix}items.txt"))
    lines = _lines(_read(s3, bucket, f"{prefix}items.jsonl"))
    if not len(scores) == len(ids) == len(lines):
        raise NotDeployable(
            f"the bundle of run {run_id} has {len(scores)} scores, {len(ids)} ids, {len(lines)} items: start it again"
        )
    items = [{"item_id": item_id, **describe(json.loads(line))} for item_id, line in zip(ids, lines, strict=True)]
    return make_lists(scores, items)


def make_lists(scores: Sequence[float], items: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """The most popular of all items and of each genre; at most GENRES_MAX genres, those with the most items."""
    by_genre: dict[str, list[int]] = {}
    for number, item in enumerate(items):
        for genre in item["genres"]:
            by_genre.setdefault(genre, []).append(number)
    largest = sorted(by_genre, key=lambda genre: (-len(by_genre[genre]), genre))[:GENRES_MAX]

    def best(numbers: Sequence[int], count: int) -> list[dict[str, Any]]:
        return [items[number] for number in heapq.nsmallest(count, numbers, key=lambda n: (-scores[n], n))]

    return {
        "all": best(range(len(items)), ALL_ITEMS),
        "genres": {genre: best(by_genre[genre], GENRE_ITEMS) for genre in sorted(largest)},
    }


def write_lists(table: Table, run_id: str, lists: dict[str, Any]) -> None:
    """Replace the lists; NotDeployable when they are larger than an item may be.

    They are stored as one string, which is read in a seventh of the time that nested attributes take.
    """
    text = json.dumps(lists, ensure_ascii=False, separators=(",", ":"))
    size = len(text.encode())
    if size > ITEM_MAX_BYTES:
        raise NotDeployable(
            f"the popularity lists of run {run_id} have {size} bytes: titles are too long, shorten them and run again"
        )
    table.put_item(Item=keys.POPULAR.item() | {"model_id": run_id, "lists": text})


def read_popular(table: Table) -> PopularLists | None:
    """The lists of the newest model; None before the first deployment."""
    item: Any = table.get_item(Key=keys.POPULAR.item()).get("Item")
    if item is None:
        return None
    lists = json.loads(item["lists"])
    genres = {str(name).casefold(): tuple(entries) for name, entries in lists["genres"].items()}
    return PopularLists(str(item["model_id"]), tuple(lists["all"]), genres)


def parse_array(data: bytes) -> array.array[float]:
    """The numbers of a one-dimensional .npy file of floats; NotDeployable for any other. Nothing is unpickled."""
    try:
        if data[:6] != b"\x93NUMPY":
            raise ValueError("not an .npy file")
        size, start = (
            (struct.unpack_from("<H", data, 8)[0], 10) if data[6] == 1 else (struct.unpack_from("<I", data, 8)[0], 12)
        )
        header = ast.literal_eval(data[start : start + size].decode("latin-1").strip())
        (count,) = header["shape"]
        numbers: array.array[float] = array.array(_TYPES[header["descr"]], data[start + size :])
        if len(numbers) != count:
            raise ValueError(f"{count} numbers in the header, {len(numbers)} in the file")
    except (ValueError, KeyError, TypeError, SyntaxError, struct.error, IndexError) as error:
        raise NotDeployable(f"popularity/all.npy of the bundle cannot be read: {error}") from error
    if sys.byteorder == "big":
        numbers.byteswap()
    return numbers


def describe(record: Mapping[str, Any]) -> dict[str, Any]:
    """What the lists keep of a record of the bundle's items.jsonl."""
    item = {"title": str(record["title"])[:200], "genres": [str(genre) for genre in record["genres"]][:10]}
    since = released_since(record.get("year"), record.get("released_at"))
    if since == ALWAYS:
        return item
    return {**item, "released_at": int(since) if since.is_integer() else since}


def _lines(data: bytes) -> list[str]:
    """Lines ended by `\\n` alone: ids and titles may hold other characters that splitlines() takes for an end."""
    return data.decode().split("\n")[:-1]


def _read(s3: S3Client, bucket: str, key: str) -> bytes:
    try:
        answer = s3.get_object(Bucket=bucket, Key=key)
    except ClientError as error:
        if code(error) != "NoSuchKey":
            raise
        raise NotDeployable(f"s3://{bucket}/{key} is missing: evaluate did not finish, start the run again") from error
    if answer["ContentLength"] > _FILE_MAX_BYTES:
        raise NotDeployable(
            f"s3://{bucket}/{key} has {answer['ContentLength']} bytes: at most {_FILE_MAX_BYTES} are read"
        )
    return answer["Body"].read()
