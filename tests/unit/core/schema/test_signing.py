"""Recommendation ids: what is damaged, foreign or retired is refused, and what was signed comes back as it was."""

from __future__ import annotations

import base64
import json
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from usher.schema.signing import ID_MAX_CHARACTERS, BadRecommendationId, Recommendation, sign, verify

KEY, OLD_KEY, OTHER_KEY = b"k" * 32, b"o" * 32, b"x" * 32
SAID = Recommendation("xr1", 7, "B", "ab" * 16, 1_800_000_000, "rabc-1", ("1", "ü", "a,b"))


def test_a_short_key_signs_and_checks_nothing() -> None:
    with pytest.raises(ValueError, match="signing key has 31 bytes"):
        sign(SAID, b"k" * 31)
    with pytest.raises(ValueError, match="signing key has 0 bytes"):
        verify(sign(SAID, KEY), [b""])


@pytest.mark.parametrize(
    "text",
    ["", ".", "v1.", "v1..", "v1.e30.", "v1.e30.AAAA", "no id at all", "v1.e30.!!!", "\udc80.\udc80.AAAA", "é" * 100],
)
def test_what_usher_did_not_make_is_refused(text: str) -> None:
    with pytest.raises(BadRecommendationId):
        verify(text, [KEY])


def test_a_long_text_is_refused_before_it_is_looked_at() -> None:
    with pytest.raises(BadRecommendationId, match="has 4097 characters"):
        verify("x" * (ID_MAX_CHARACTERS + 1), [KEY])


def test_the_message_never_repeats_the_id() -> None:
    text = sign(SAID, OTHER_KEY)
    with pytest.raises(BadRecommendationId) as caught:
        verify(text, [KEY])
    assert text[:20] not in str(caught.value)


@given(st.data())
def test_any_changed_character_breaks_the_signature(data: st.DataObject) -> None:
    text = sign(SAID, KEY)
    place = data.draw(st.integers(0, len(text) - 1))
    letter = data.draw(st.sampled_from("ABCabc019-_.").filter(lambda letter: letter != text[place]))
    with pytest.raises(BadRecommendationId):
        verify(text[:place] + letter + text[place + 1 :], [KEY])


def test_a_signature_has_one_spelling() -> None:
    """The last character of the mac holds four bits that mean nothing: another one there is refused, too."""
    text = sign(SAID, KEY)
    for letter in "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_":
        if letter != text[-1]:
            with pytest.raises(BadRecommendationId):
                verify(text[:-1] + letter, [KEY])


def test_another_version_is_refused_though_its_signature_is_right() -> None:
    import hashlib  # noqa: PLC0415
    import hmac  # noqa: PLC0415

    payload = base64.urlsafe_b64encode(json.dumps({}).encode()).rstrip(b"=").decode()
    for signed, message in ((f"v2.{payload}", "not of version v1"), (f"v1.{payload}", "cannot be read")):
        mac = base64.urlsafe_b64encode(hmac.new(KEY, signed.encode(), hashlib.sha256).digest()[:16]).rstrip(b"=")
        with pytest.raises(BadRecommendationId, match=message):
            verify(f"{signed}.{mac.decode()}", [KEY])


def test_both_keys_of_a_rotation_are_valid_and_no_third() -> None:
    for key in (KEY, OLD_KEY):
        assert verify(sign(SAID, key), [KEY, OLD_KEY]) == SAID
    with pytest.raises(BadRecommendationId):
        verify(sign(SAID, OTHER_KEY), [KEY, OLD_KEY])
    with pytest.raises(BadRecommendationId):
        verify(sign(SAID, KEY), [])


@given(st.lists(st.text(min_size=1, max_size=32).filter(lambda text: text.isprintable()), max_size=60))
def test_what_was_signed_comes_back_with_the_first_fifty_items(items: list[str]) -> None:
    said = replace(SAID, items=tuple(items))
    text = sign(said, KEY)
    found = verify(text, [KEY])
    assert replace(found, items=()) == replace(SAID, items=())
    assert found.items == said.items[: len(found.items)]
    assert len(text) <= ID_MAX_CHARACTERS
    if len("".join(items).encode()) < 2000:
        assert len(found.items) == min(len(items), 50)


def test_the_longest_ids_fit_with_fewer_items() -> None:
    text = sign(replace(SAID, items=tuple(f"{n:0128d}" for n in range(50))), KEY)
    assert len(text) <= ID_MAX_CHARACTERS
    assert 15 <= len(verify(text, [KEY]).items) < 50
