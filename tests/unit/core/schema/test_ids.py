"""Ids and digests: bounded, stable, and never ambiguous."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from usher.schema import ids


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        ("", "has 0 bytes (1 to 128 allowed)"),
        ("x" * 129, "has 129 bytes (1 to 128 allowed)"),
        ("ü" * 65, "has 130 bytes (1 to 128 allowed)"),
        ("a\nb", "has a control character"),
        ("a\x00", "has a control character"),
        ("a\x7f", "has a control character"),
        ("a\x9f", "has a control character"),
        ("\ud800", "is not valid Unicode"),
    ],
)
def test_what_cannot_be_an_id_is_told(value: str, reason: str) -> None:
    assert ids.check_id(value) == reason


@pytest.mark.parametrize("value", ["1", "x" * 128, "ü" * 64, "a b", "日本", "a/b?c=d&e#f", "\u00a0", "\u200b"])
def test_odd_ids_are_ids(value: str) -> None:
    assert ids.check_id(value) is None


def test_a_job_name_longer_than_sagemaker_takes_is_refused() -> None:
    with pytest.raises(ValueError, match="has 33 characters: SageMaker takes 32"):
        ids.job_name("r" * 30, "fm")


def test_job_names_say_run_algorithm_tuning_and_retry() -> None:
    run = ids.run_id({"ratings": 1, "items": 2}, attempt=3)
    assert ids.job_name(run, "fm") == f"{run}-fm"
    assert ids.job_name(run, "ranker", tuning=True, retry=2) == f"{run}-ranker-hpo-2"


def test_the_same_snapshots_in_any_order_are_the_same_run() -> None:
    assert ids.run_id({"a": 1, "b": 2}, 1) == ids.run_id({"b": 2, "a": 1}, 1)
    assert ids.run_id({"a": 1, "b": 2}, 1) != ids.run_id({"a": 2, "b": 1}, 1)
    assert ids.run_id({"a": 1}, 1) != ids.run_id({"a": 1}, 2)
    assert ids.experiment_id("rabc-1") == "xrabc-1"


def test_an_etag_is_the_same_with_and_without_its_quotes() -> None:
    assert ids.object_digest("b", "k", '"e"') == ids.object_digest("b", "k", "e")


@given(
    st.tuples(st.text(), st.text(), st.text(alphabet="abc/-")),
    st.tuples(st.text(), st.text(), st.text(alphabet="abc/-")),
)
def test_two_objects_never_share_a_digest(one: tuple[str, str, str], other: tuple[str, str, str]) -> None:
    digests = ids.object_digest(*one), ids.object_digest(*other)
    assert all(len(digest) == 32 and int(digest, 16) >= 0 for digest in digests)
    assert (digests[0] == digests[1]) == (one == other)


def test_a_batch_has_one_spelling() -> None:
    assert ids.digest_list(["b", "a"]) == ids.digest_list(["a", "b"]) == "a,b"
    assert ids.hash_user_id("1") != ids.hash_user_id("2")
