"""The data sets' definition is sound: what is made from it can rest on it."""

from __future__ import annotations

import pytest

from usher.schema import datasets
from usher.schema.datasets import DATASETS, PROVENANCE, Dataset, Field, dataset


def test_an_unknown_data_set_is_told_with_the_known_ones() -> None:
    with pytest.raises(KeyError, match="unknown data set 'films': it is one of ratings, items, tags, links, events"):
        dataset("films")


def test_an_unknown_field_is_told() -> None:
    with pytest.raises(KeyError, match="ratings has no field 'stars'"):
        dataset("ratings").field("stars")


@pytest.mark.parametrize("data", DATASETS.values(), ids=DATASETS)
def test_keys_are_required_fields(data: Dataset) -> None:
    assert set(data.key) <= {field.name for field in data.required}


@pytest.mark.parametrize("data", DATASETS.values(), ids=DATASETS)
def test_no_header_name_means_two_fields_of_a_data_set(data: Dataset) -> None:
    folded = [
        spelling for field in data.fields for spelling in {name.casefold() for name in (field.name, *field.aliases)}
    ]
    assert len(folded) == len(set(folded))


@pytest.mark.parametrize("data", DATASETS.values(), ids=DATASETS)
def test_every_table_ends_with_where_its_rows_came_from(data: Dataset) -> None:
    assert data.columns[-3:] == PROVENANCE
    assert [field.name for field in PROVENANCE] == ["source", "ingested_at", "ingested_date"]
    assert all(field.required for field in PROVENANCE)


@pytest.mark.parametrize("data", DATASETS.values(), ids=DATASETS)
def test_fields_say_only_what_fits_their_kind(data: Dataset) -> None:
    for field in data.fields:
        assert field.doc
        assert (field.minimum is None and field.maximum is None) or field.kind == "number"
        assert not field.choices or (field.kind == "text" and all(choice == choice.lower() for choice in field.choices))
        assert not field.nothing or field.kind == "text_list"
        assert field.kind != "id" or field.max_bytes == datasets.ID_MAX_BYTES


def test_the_schemas_digest_follows_the_schema(monkeypatch: pytest.MonkeyPatch) -> None:
    before = datasets.schema_digest()
    assert len(before) == 16
    assert datasets.schema_digest() == before
    new = Field("device", "text", "where from", required=False)
    monkeypatch.setattr(datasets, "_ALL", (*datasets._ALL, Dataset("more", "", (), (new,))))
    assert datasets.schema_digest() != before


def test_the_documentation_shows_every_field_with_its_spellings() -> None:
    text = datasets.markdown()
    for data in DATASETS.values():
        assert f"## {data.name}\n" in text
        for field in data.columns:
            assert f"| `{field.name}` | {field.kind} |" in text
            assert all(f"`{alias}`" in text for alias in field.aliases)
