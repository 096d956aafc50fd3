"""What a query returned: spooled to disk, read back by pages, and written as the CSV that Athena leaves in S3."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from twin.athena.values import column_info, text

#: The label of a column that the query leaves without a name; Athena calls it `_col` and its position.
UNNAMED = "_usher_unnamed_"
#: GetQueryResults returns at most this many rows at once.
PAGE_MAX = 1000


class Page(NamedTuple):
    """One answer of GetQueryResults: rows of cells, and where the next page starts (None: at the end)."""

    rows: list[list[str | None]]
    next_offset: int | None


class Results:
    """The rows of one query, the header first, on disk."""

    def __init__(self, folder: Path, query_id: str) -> None:
        self._rows = folder / f"{query_id}.jsonl"
        self.csv = folder / f"{query_id}.csv"
        self.columns: list[dict[str, Any]] = []
        self.count = 0

    def write(self, labels: Sequence[str], types: Sequence[str], batches: Iterable[Any]) -> None:
        """Spool the Arrow batches of a result.

        labels, types: DuckDB's names and types of the columns.
        """
        names = [f"_col{n}" if label.startswith(UNNAMED) else label for n, label in enumerate(labels)]
        self.columns = [column_info(name, kind) for name, kind in zip(names, types, strict=True)]
        with self._rows.open("w", encoding="utf-8") as rows, self.csv.open("w", encoding="utf-8", newline="") as csv:
            self._append(rows, csv, names)
            for batch in batches:
                columns = [[text(value) for value in column.to_pylist()] for column in batch.columns]
                for cells in zip(*columns, strict=True):
                    self._append(rows, csv, cells)
                    self.count += 1

    @staticmethod
    def _append(rows: Any, csv: Any, cells: Sequence[str | None]) -> None:
        rows.write(json.dumps(cells, ensure_ascii=False) + "\n")
        # NULL is an empty field, an empty text is "": Athena's files tell them apart, Python's csv module cannot.
        csv.write(",".join("" if cell is None else '"' + cell.replace('"', '""') + '"' for cell in cells) + "\n")

    def page(self, offset: int, limit: int) -> Page:
        """At most `limit` rows from the byte `offset` of the spool on; ValueError when no row starts there."""
        with self._rows.open("rb") as file:
            if offset:
                file.seek(offset - 1)
                if file.read(1) != b"\n":
                    raise ValueError(f"no row starts at {offset}")
            rows = [json.loads(line) for _, line in zip(range(limit), iter(file.readline, b""), strict=False)]
            end = file.tell()
            return Page(rows, end if file.read(1) else None)

    def discard(self) -> None:
        """Remove the files."""
        self._rows.unlink(missing_ok=True)
        self.csv.unlink(missing_ok=True)
