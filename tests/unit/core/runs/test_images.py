"""A run's image: found by tag or digest, named by its digest, kept from ECR's expiry; or refused in words."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterator
from typing import Any

import boto3
import pytest
from botocore.exceptions import ClientError
from moto import mock_aws

from usher.errors import ImageMissing
from usher.runs.images import pin

OWN = "123456789012.dkr.ecr.eu-west-1.amazonaws.com/usher/usher-recommender"


@pytest.fixture
def ecr() -> Iterator[Any]:
    with mock_aws():
        client = boto3.client("ecr", region_name="eu-west-1")
        client.create_repository(repositoryName="usher/usher-recommender")
        yield client


def push(ecr: Any, content: str = "one", tag: str = "latest") -> str:
    media_type = "application/vnd.docker.distribution.manifest.v2+json"
    manifest = json.dumps({"schemaVersion": 2, "mediaType": media_type, "layers": [], "config": {"digest": content}})
    digest = f"sha256:{hashlib.sha256(manifest.encode()).hexdigest()}"
    ecr.put_image(repositoryName="usher/usher-recommender", imageManifest=manifest, imageTag=tag, imageDigest=digest)
    return digest


def tags(ecr: Any) -> dict[str, set[str]]:
    found = ecr.describe_images(repositoryName="usher/usher-recommender")["imageDetails"]
    return {image["imageDigest"]: set(image["imageTags"]) for image in found}


@pytest.mark.parametrize(
    ("uri", "words"),
    [
        (f"{OWN}:latest", "no image with tag latest in repository usher/usher-recommender: run `usher image`"),
        (OWN, "no image with tag latest in repository usher/usher-recommender"),
        (f"{OWN}:1.2", "no image with tag 1.2 in repository usher/usher-recommender"),
        (f"{OWN}@sha256:{'0' * 64}", f"no image with digest sha256:{'0' * 64} in repository"),
        (OWN.replace("usher/", "other/") + ":1", "no image with tag 1 in repository other/usher-recommender"),
        ("docker.io/usher/usher-recommender:1", "is not in ECR"),
        ("usher-recommender:latest", "set the parameter RecommenderImage to"),
        ("", "the image '' is not in ECR"),
        (f"{OWN}:latest@sha256:12", "is not in ECR"),
    ],
)
def test_an_image_that_is_not_there_is_refused_in_words(ecr: Any, uri: str, words: str) -> None:
    with pytest.raises(ImageMissing, match=re.escape(words)):
        pin(ecr, uri, OWN)


def test_a_tag_becomes_the_digest_behind_it(ecr: Any) -> None:
    first = push(ecr)
    assert pin(ecr, f"{OWN}:latest", OWN) == pin(ecr, OWN, OWN) == f"{OWN}@{first}"
    second = push(ecr, "two")
    assert pin(ecr, f"{OWN}:latest", OWN) == f"{OWN}@{second}"
    assert pin(ecr, f"{OWN}:latest@{first}", OWN) == pin(ecr, f"{OWN}@{first}", OWN) == f"{OWN}@{first}"


def test_an_image_that_a_run_used_keeps_a_tag_when_another_is_pushed(ecr: Any) -> None:
    digest = push(ecr)
    pin(ecr, f"{OWN}:latest", OWN)
    pin(ecr, f"{OWN}:latest", OWN)
    used = f"used-{digest[7:23]}"
    assert tags(ecr) == {digest: {"latest", used}}
    push(ecr, "two")
    assert tags(ecr)[digest] == {used}


def test_an_image_of_another_repository_is_left_as_it_is(ecr: Any) -> None:
    digest = push(ecr)
    assert pin(ecr, f"{OWN}:latest", "123456789012.dkr.ecr.eu-west-1.amazonaws.com/other") == f"{OWN}@{digest}"
    assert tags(ecr) == {digest: {"latest"}}


def test_another_error_of_ecr_is_not_taken_for_a_missing_image() -> None:
    class Denied:
        def batch_get_image(self, **_: Any) -> Any:
            raise ClientError({"Error": {"Code": "AccessDeniedException", "Message": "no"}}, "BatchGetImage")

    with pytest.raises(ClientError, match="AccessDenied"):
        pin(Denied(), f"{OWN}:latest", OWN)
