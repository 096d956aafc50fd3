"""The recommender's image, pinned: a run is planned with a digest, so all of it and its model run the same bytes.

A tag moves with each build. Without the digest a champion whose instance is replaced would start on code that no
evaluation has judged.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

from botocore.exceptions import ClientError

from usher.errors import ImageMissing, code

#: https://docs.aws.amazon.com/AmazonECR/latest/userguide/Registries.html
_URI = re.compile(
    r"(?P<registry>(?P<account>\d{12})\.dkr\.ecr\.[a-z0-9-]+\.amazonaws\.com)/"
    r"(?P<repository>[a-z0-9][a-z0-9._/-]*)(?::(?P<tag>\w[\w.-]{0,127}))?(?:@(?P<digest>sha256:[0-9a-f]{64}))?",
    re.ASCII,
)
#: Images that a run has used carry a tag of this prefix and the digest's start: ECR expires untagged images only.
USED_TAG_PREFIX = "used-"
_USED_TAG_DIGITS = 16
_MISSING = ("ImageNotFound", "RepositoryNotFoundException")


@dataclass(frozen=True, slots=True)
class ImageReference:
    """An image in ECR by tag or digest. account: twelve digits; reference: as ECR's imageId takes it."""

    registry: str
    account: str
    repository: str
    reference: dict[str, str]

    @classmethod
    def parse(cls, uri: str) -> ImageReference:
        """From `ACCOUNT.dkr.ecr.REGION.amazonaws.com/REPOSITORY[:TAG][@DIGEST]`; the tag is `latest` without either.

        ImageMissing for anything else: SageMaker takes images from ECR only.
        """
        found = _URI.fullmatch(uri)
        if found is None:
            raise ImageMissing(
                f"the image {uri!r} is not in ECR, where SageMaker takes images from: set the parameter "
                "RecommenderImage to ACCOUNT.dkr.ecr.REGION.amazonaws.com/REPOSITORY:TAG, or leave it empty"
            )
        reference = {"imageDigest": found["digest"]} if found["digest"] else {"imageTag": found["tag"] or "latest"}
        return cls(found["registry"], found["account"], found["repository"], reference)

    def __str__(self) -> str:
        kind, value = next(iter(self.reference.items()))
        return f"image with {'digest' if kind == 'imageDigest' else 'tag'} {value} in repository {self.repository}"


def pin(ecr: Any, uri: str, own_repository: str) -> str:
    """`uri` with the digest of the image behind it, `REGISTRY/REPOSITORY@sha256:…`; ImageMissing without the image.

    own_repository: the URI of the stack's repository. An image in it also gets a tag that keeps ECR from expiring it.
    """
    image = ImageReference.parse(uri)
    found = _get(ecr, image)
    digest = str(found["imageId"]["imageDigest"])
    if own_repository == f"{image.registry}/{image.repository}":
        _keep(ecr, image, found, digest)
    return f"{image.registry}/{image.repository}@{digest}"


def _get(ecr: Any, image: ImageReference) -> dict[str, Any]:
    try:
        response = ecr.batch_get_image(
            registryId=image.account, repositoryName=image.repository, imageIds=[image.reference]
        )
    except ClientError as error:
        if code(error) not in _MISSING:
            raise
        response = {"images": []}
    if not response["images"]:
        raise ImageMissing(
            f"no {image}: run `usher image`, which builds and pushes it, or correct the parameter RecommenderImage; "
            "then start the run again with `usher runs start`"
        )
    found: dict[str, Any] = response["images"][0]
    return found


def _keep(ecr: Any, image: ImageReference, found: dict[str, Any], digest: str) -> None:
    """Add a tag: https://docs.aws.amazon.com/AmazonECR/latest/userguide/image-retag.html."""
    media_type = {name: found[name] for name in ("imageManifestMediaType",) if found.get(name)}
    try:
        ecr.put_image(
            registryId=image.account,
            repositoryName=image.repository,
            imageManifest=found["imageManifest"],
            imageTag=f"{USED_TAG_PREFIX}{digest.removeprefix('sha256:')[:_USED_TAG_DIGITS]}",
            imageDigest=digest,
            **media_type,
        )
    except ClientError as error:
        if code(error) != "ImageAlreadyExistsException":
            raise
