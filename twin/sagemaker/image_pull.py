"""The images in ECR: a pushed one for each repository whose program the twin runs, and whether one can be pulled."""

from __future__ import annotations

import hashlib
import json
import re
from typing import Any

from botocore.exceptions import ClientError

from twin import context
from twin.sagemaker.container import IMAGES, Image, find_image

_MANIFEST = "application/vnd.docker.distribution.manifest.v2+json"
_CONFIG = "application/vnd.docker.container.image.v1+json"
_URI = re.compile(
    r"\d{12}\.dkr\.ecr\.[a-z0-9-]+\.amazonaws\.com/(?P<repository>[^:@]+)(?::(?P<tag>[^@]+))?(?:@(?P<digest>.+))?"
)


def push(repository: str, tag: str = "latest", content: str = "") -> str:
    """Push an image, as `usher image` does on AWS; its digest. Other `content` is another image.

    Without effect where the twin has no program for the repository: the digest is "" then.
    """
    if not any(repository.endswith(name) for name in IMAGES):
        return ""
    config = {"mediaType": _CONFIG, "size": 1, "digest": _digest(f"{repository} {content}")}
    manifest = json.dumps({"schemaVersion": 2, "mediaType": _MANIFEST, "config": config, "layers": []})
    digest = _digest(manifest)
    context.client("ecr").put_image(repositoryName=repository, imageManifest=manifest, imageTag=tag, imageDigest=digest)
    return digest


def pull(uri: str) -> Image:
    """The image behind `uri`; KeyError when the twin has no program for it, or the repository no such tag or digest.

    A repository that is not there is not held against it: the SDK's examples and tests name images only.
    """
    image = find_image(uri)
    found = _URI.fullmatch(uri)
    if found and not _in_repository(found):
        raise KeyError(uri)
    return image


def _in_repository(uri: re.Match[str]) -> bool:
    reference = {"imageDigest": uri["digest"]} if uri["digest"] else {"imageTag": uri["tag"] or "latest"}
    try:
        response: dict[str, Any] = context.client("ecr").batch_get_image(
            repositoryName=uri["repository"], imageIds=[reference]
        )
    except ClientError as error:
        if error.response["Error"]["Code"] == "RepositoryNotFoundException":
            return True
        raise
    return bool(response["images"])


def _digest(text: str) -> str:
    return f"sha256:{hashlib.sha256(text.encode()).hexdigest()}"
