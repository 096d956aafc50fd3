"""ROUTER/POPULAR: a bundle's popularity lists as one item of the state table, the answer when nothing else answers.

The lists come from the bundle that was judged. Its array is read without numpy, which this function does not carry.
"""

from __future__ import annotations

import array
import ast
import heapq
import json
import struct
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from botocore.exceptions import ClientError

from usher.errors import NotDeployable, code
from usher.schema import s3_paths
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


def read_lists(s3: S3Client, bucket: str, run_id: str) -> dict[str, Any]:
    """{"all": [item], "genres": {genre: [item]}}, most popular first; an item is {item_id, title, genres}."""
    prefix = f"{s3_paths.run_prefix(run_id)}bundle/"
    scores = parse_array(_read(s3, bucket, f"{prefix}popularity/all.npy"))
    ids = _lines(_read(s3, bucket, f"{prefix}items.txt"))
    lines = _lines(_read(s3, bucket, f"{prefix}items.jsonl"))
    if not len(scores) == len(ids) == len(lines):
        raise NotDeployable(
            f"the bundle of run {run_id} has {len(scores)} scores, {len(ids)} ids, {len(lines)} items: start it again"
        )
    items = [{"item_id": item_id, **_shown(line)} for item_id, line in zip(ids, lines, strict=True)]
    return make_lists(scores, items)


def make_lists(scores: Sequence[float], items: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """The best of all and of each genre; of the genres those with most items, if there are very many."""
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

    They are one text, which the answer of last resort reads in a seventh of what nested attributes take.
    """
    text = json.dumps(lists, ensure_ascii=False, separators=(",", ":"))
    size = len(text.encode())
    if size > ITEM_MAX_BYTES:
        raise NotDeployable(f"the popularity lists of run {run_id} have {size} bytes: titles are too long to be kept")
    table.put_item(Item=keys.POPULAR.item() | {"model_id": run_id, "lists": text})


def parse_array(data: bytes) -> array.array[float]:
    """The numbers of a one-dimensional .npy file of floats; NotDeployable for any other. Nothing is unpickled."""
    try:
        if data[:6] != b"\x93NUMPY":
            raise ValueError("no .npy file")
        size, start = (
            (struct.unpack_from("<H", data, 8)[0], 10) if data[6] == 1 else (struct.unpack_from("<I", data, 8)[0], 12)
        )
        header = ast.literal_eval(data[start : start + size].decode("latin-1").strip())
        (count,) = header["shape"]
        numbers: array.array[float] = array.array(_TYPES[header["descr"]], data[start + size :])
        if len(numbers) != count:
            raise ValueError(f"{count} numbers announced, {len(numbers)} there")
    except (ValueError, KeyError, TypeError, SyntaxError, struct.error, IndexError) as error:
        raise NotDeployable(f"popularity/all.npy of the bundle cannot be read: {error}") from error
    if sys.byteorder == "big":
        numbers.byteswap()
    return numbers


def _shown(line: str) -> dict[str, Any]:
    record = json.loads(line)
    return {"title": str(record["title"])[:200], "genres": [str(genre) for genre in record["genres"]][:10]}


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
