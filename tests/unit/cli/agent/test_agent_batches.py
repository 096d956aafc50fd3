"""Calls keep within PutRecordBatch's limits, and hold every row once and in order."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cli.agent.batches import BATCH_BYTES, BATCH_RECORDS, RECORD_BYTES, Batch, Packer


def pack(rows: list[bytes], record_bytes: int) -> list[Batch]:
    packer, batches = Packer(record_bytes), []
    for row in rows:
        if packer.is_full_for(row):
            batches.append(packer.take({}))
        packer.add(row)
    return [*batches, packer.take({})]


SIZES = st.one_of(st.integers(1, 200), st.sampled_from([5120, 5121, RECORD_BYTES - 1, RECORD_BYTES]))


@given(sizes=st.lists(SIZES, max_size=60), repeat=st.integers(1, 30), record_bytes=st.sampled_from([0, 100, 5120]))
def test_every_call_is_within_the_limits_and_no_row_is_lost(sizes: list[int], repeat: int, record_bytes: int) -> None:
    rows = [
        b"%d\n" % at + b"x" * (size - 8) for at, size in enumerate(sizes) for _ in range(repeat if size < 300 else 1)
    ]
    batches = pack(rows, record_bytes)
    assert b"".join(record for batch in batches for record in batch.records) == b"".join(rows)
    assert sum(batch.rows for batch in batches) == len(rows)
    for batch in batches:
        assert len(batch.records) <= BATCH_RECORDS
        assert batch.size == sum(map(len, batch.records)) <= BATCH_BYTES
        assert all(len(record) <= RECORD_BYTES for record in batch.records)


@pytest.mark.parametrize(("record_bytes", "records"), [(0, 100), (70, 15), (5120, 1)])
def test_short_rows_join_in_one_record_when_asked(record_bytes: int, records: int) -> None:
    (batch,) = pack([b"123456789\n"] * 100, record_bytes)
    assert (len(batch.records), batch.rows) == (records, 100)


def test_a_row_of_the_very_limit_fits_and_one_byte_more_does_not() -> None:
    assert Packer().fits(b"x" * RECORD_BYTES)
    assert not Packer().fits(b"x" * (RECORD_BYTES + 1))
