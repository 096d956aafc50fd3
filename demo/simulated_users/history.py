"""The rating history as arrays: input of the preference model and of the demo's split by time."""

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

    user, item: indices into `user_ids` and `item_ids`. rating: 0.5 to 5. seconds: epoch seconds, ascending.
    """

    user_ids: tuple[str, ...]
    item_ids: tuple[str, ...]
    user: Ints
    item: Ints
    rating: Floats
    seconds: Ints

    def __len__(self) -> int:
        return len(self.user)

    def rows(self, chosen: Bools) -> History:
        """The same users and items with only the rows where `chosen` (rows,) is true."""
        columns = (self.user[chosen], self.item[chosen], self.rating[chosen], self.seconds[chosen])
        return History(self.user_ids, self.item_ids, *columns)


def read_history(path: Path) -> History:
    """Read a ratings.csv in MovieLens' format. Raises CommandError when the format differs or the file has no rows."""
    types = {"userId": pa.string(), "movieId": pa.string(), "rating": pa.float64(), "timestamp": pa.int64()}
    try:
        table = pa_csv.read_csv(path, convert_options=pa_csv.ConvertOptions(column_types=types))
        columns = [table.column(name).combine_chunks() for name in COLUMNS]
    except (pa.ArrowInvalid, KeyError) as error:
        raise CommandError(
            f"{path} is not a ratings.csv in MovieLens' format ({str(error).splitlines()[0]}): "
            f"its columns must be {', '.join(COLUMNS)}"
        ) from error
    if not len(table) or any(column.null_count for column in columns):
        raise CommandError(f"{path} has no rows or rows with empty fields: pass a file whose rows are complete")
    users, items = (column.dictionary_encode() for column in columns[:2])
    rating, seconds = (column.to_numpy(zero_copy_only=False) for column in columns[2:])
    order = np.argsort(seconds, kind="stable")  # equal times keep the file's order, so the split is reproducible
    return History(
        tuple(users.dictionary.to_pylist()),
        tuple(items.dictionary.to_pylist()),
        users.indices.to_numpy().astype(np.int64)[order],
        items.indices.to_numpy().astype(np.int64)[order],
        rating.astype(np.float64)[order],
        seconds.astype(np.int64)[order],
    )
