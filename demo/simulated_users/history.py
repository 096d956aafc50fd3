"""What real people rated, as arrays: the ground that tastes are fitted on and that the demo's phases are cut from."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.csv as pa_csv

from cli.errors import CommandError

Ints = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]
Bools = npt.NDArray[np.bool_]

COLUMNS = ("userId", "movieId", "rating", "timestamp")


@dataclass(frozen=True, slots=True)
class History:
    """Ratings ordered by time, (rows,) each.

    person, item: places in `person_ids` and `item_ids`. rating: 0.5 to 5. seconds: epoch seconds, ascending.
    """

    person_ids: tuple[str, ...]
    item_ids: tuple[str, ...]
    person: Ints
    item: Ints
    rating: Floats
    seconds: Ints

    def __len__(self) -> int:
        return len(self.person)

    def rows(self, chosen: Bools) -> History:
        """The same people and items, with the rows that `chosen` (rows,) names."""
        parts = (self.person[chosen], self.item[chosen], self.rating[chosen], self.seconds[chosen])
        return History(self.person_ids, self.item_ids, *parts)


def read_history(path: Path) -> History:
    """Read a ratings.csv of MovieLens' shape; CommandError when it is none or holds no row."""
    types = {"userId": pa.string(), "movieId": pa.string(), "rating": pa.float64(), "timestamp": pa.int64()}
    try:
        table = pa_csv.read_csv(path, convert_options=pa_csv.ConvertOptions(column_types=types))
        columns = [table.column(name).combine_chunks() for name in COLUMNS]
    except (pa.ArrowInvalid, KeyError) as error:
        raise CommandError(f"{path} is no ratings.csv of MovieLens' shape: {str(error).splitlines()[0]}") from error
    if not len(table) or any(column.null_count for column in columns):
        raise CommandError(f"{path} has no rows, or rows with empty fields: people need whole ratings")
    people, items = (column.dictionary_encode() for column in columns[:2])
    rating, seconds = (column.to_numpy(zero_copy_only=False) for column in columns[2:])
    # Ties are broken by the file's order: the same file always gives the same cut.
    order = np.argsort(seconds, kind="stable")
    return History(
        tuple(people.dictionary.to_pylist()),
        tuple(items.dictionary.to_pylist()),
        people.indices.to_numpy().astype(np.int64)[order],
        items.indices.to_numpy().astype(np.int64)[order],
        rating.astype(np.float64)[order],
        seconds.astype(np.int64)[order],
    )
