"""Which program an image stands for, and what is no program of it."""

from __future__ import annotations

import sys

import pytest

from twin.sagemaker.container import Image, find_image

IMAGE = Image(entry=("python", "-m", "usher_models"), module="usher_models")


@pytest.mark.parametrize(
    "uri",
    [
        "123456789012.dkr.ecr.eu-west-1.amazonaws.com/usher-recommender-base:1",
        "usher",
        "",
        "123456789012.dkr.ecr.eu-west-1.amazonaws.com/other:usher-recommender",
    ],
)
def test_another_image_is_not_known(uri: str) -> None:
    with pytest.raises(KeyError):
        find_image(uri)


@pytest.mark.parametrize(
    "uri",
    [
        "usher-recommender",
        "usher-recommender:latest",
        "stack-usher-recommender:1.2.3",
        "123456789012.dkr.ecr.eu-west-1.amazonaws.com/team/usher-recommender:r1",
        f"123456789012.dkr.ecr.eu-west-1.amazonaws.com/usher-recommender@sha256:{'0' * 64}",
        f"localhost.localdomain:5000/usher-recommender:1@sha256:{'a' * 64}",
    ],
)
def test_our_image_is_known_with_and_without_registry_tag_and_digest(uri: str) -> None:
    assert find_image(uri).entry[0] == sys.executable


@pytest.mark.parametrize("entrypoint", [["bash", "-c", "train"], ["python3", "-m", "other"], ["python3", "train.py"]])
def test_what_the_image_does_not_hold_cannot_be_run(entrypoint: list[str]) -> None:
    with pytest.raises(ValueError, match="executable file not found"):
        IMAGE.command(entrypoint, ())


@pytest.mark.parametrize(
    "entrypoint",
    [
        [],
        ["prepare"],
        ["/usr/local/bin/prepare"],
        ["python", "-m", "usher_models", "prepare"],
        ["python3.13", "-m", "usher_models", "prepare"],
    ],
)
def test_a_program_is_run_however_it_is_named(entrypoint: list[str]) -> None:
    arguments = () if entrypoint else ("prepare",)
    assert IMAGE.command(entrypoint, arguments) == ["python", "-m", "usher_models", "prepare"]
