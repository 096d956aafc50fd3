"""The body of a PUT is the object, whatever its content type says.

moto parses a body of the types that HTML forms send, which Python's urllib and curl -d give where nobody chose one, and
stores an empty object: an upload lost without a word.
"""

from __future__ import annotations

from typing import Any

from werkzeug.datastructures import ImmutableMultiDict

from twin.moto_patches.registry import original


def setup_class(self: Any, request: Any, full_url: str | None = None, headers: Any = None) -> None:
    """moto's set-up of an S3 request, with the body of a PUT kept as bytes."""
    if request.method == "PUT":
        request.get_data(cache=True)
        # werkzeug parses a form when one of these is missing.
        request.__dict__.update(form=ImmutableMultiDict(), files=ImmutableMultiDict())
    original("moto.s3.responses:S3Response.setup_class")(self, request, full_url, headers)
