"""The registry of condition keys."""

from __future__ import annotations

import pytest

from twin.iam import keys
from twin.iam.keys import Key, PolicyError


def test_a_key_is_found_in_any_case() -> None:
    """ "Key names are case-insensitive. For example, aws:CurrentTime is equivalent to AWS:currenttime"
    (reference_policies_variables.html)."""
    assert keys.find("AWS:currenttime") == keys.find("aws:CurrentTime") == Key("aws:currenttime")


def test_a_key_of_tags_needs_the_name_of_a_tag() -> None:
    assert keys.find("aws:PrincipalTag/Team") == Key("aws:principaltag/team")
    for name in ("aws:PrincipalTag", "aws:PrincipalTag/"):
        with pytest.raises(PolicyError, match="unknown condition key aws:PrincipalTag"):
            keys.find(name)


def test_dynamodb_leading_keys_are_multivalued() -> None:
    """ "ArrayOfString" (service-authorization/latest/reference/list_amazondynamodb.html)."""
    assert keys.find("dynamodb:LeadingKeys").multivalued
    assert not keys.find("dynamodb:Select").multivalued


def test_an_unknown_key_is_an_error_with_the_nearest_known_key() -> None:
    with pytest.raises(PolicyError) as caught:
        keys.find("aws:SourceArm")
    assert str(caught.value) == "unknown condition key aws:SourceArm: did you mean aws:SourceArn?"
    with pytest.raises(PolicyError, match=r"unknown condition key frobnicate:Zzz: the keys that the twin knows"):
        keys.find("frobnicate:Zzz")


def test_a_key_that_no_call_carries_is_unknown() -> None:
    """It exists on AWS, but here its condition would compare nothing."""
    with pytest.raises(PolicyError, match="unknown condition key dynamodb:Attributes"):
        keys.find("dynamodb:Attributes")


def test_services_extend_the_registry_with_data(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(keys, "_known", dict(keys._known))
    monkeypatch.setattr(keys, "_spelling", dict(keys._spelling))
    keys.extend(single=["twinsvc:Colour"], multivalued=["twinsvc:Sizes"])
    assert keys.find("twinsvc:colour") == Key("twinsvc:colour")
    assert keys.find("TwinSvc:Sizes") == Key("twinsvc:sizes", True)
    keys.extend(single=["twinsvc:Colour"])  # the same once more
    with pytest.raises(ValueError, match="twinsvc:Colour is known as single-valued"):
        keys.extend(multivalued=["twinsvc:Colour"])


def test_no_key_is_listed_twice() -> None:
    listed = (*keys.GLOBAL_SINGLE, *keys.GLOBAL_MULTIVALUED, *keys.SERVICE_SINGLE, *keys.SERVICE_MULTIVALUED)
    assert len({name.lower() for name in listed}) == len(listed)
