"""The shared state of a running twin: its endpoint, speed, temporary folder and clients."""

from __future__ import annotations

import functools
import threading
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import boto3

ACCOUNT = "123456789012"
ACCESS_KEY = "usher-twin"
SECRET_KEY = "usher-twin"  # noqa: S105 - signatures are not verified; the access key says who calls


@dataclass(frozen=True, slots=True)
class Context:
    """One running twin.

    endpoint: `http://127.0.0.1:<port>`, where moto's server serves every AWS API.
    folder:   the twin's own temporary folder; it is removed when the twin ends, however it ends.
    speed:    how many seconds of AWS's time pass in one real second (schedules, batch windows, buffers, alarm periods).
    new_account: the service quotas of a new account, instead of values that suffice.
    """

    endpoint: str
    region: str
    folder: Path
    speed: float = 1.0
    new_account: bool = False

    def environment(self) -> dict[str, str]:
        """The variables that point boto3, the AWS CLI and SAM at this twin."""
        return {
            "AWS_ENDPOINT_URL": self.endpoint,
            "AWS_ACCESS_KEY_ID": ACCESS_KEY,
            "AWS_SECRET_ACCESS_KEY": SECRET_KEY,
            "AWS_DEFAULT_REGION": self.region,
            "AWS_REGION": self.region,
        }

    def real_seconds(self, seconds: float) -> float:
        """The real seconds that `seconds` of AWS's time take."""
        return seconds / self.speed


_current: Context | None = None


def enter(context: Context) -> None:
    """Make `context` the running twin of this process, which patched code of moto uses."""
    global _current  # noqa: PLW0603 - moto's state is global to the process, so the twin's is too
    _current = context
    client.cache_clear()


def current() -> Context:
    """The running twin of this process; RuntimeError outside of one."""
    if _current is None:
        raise RuntimeError("no twin runs in this process")
    return _current


def bucket_location() -> dict[str, Any]:
    """The parameters of CreateBucket that name the twin's region."""
    region = current().region
    return {} if region == "us-east-1" else {"CreateBucketConfiguration": {"LocationConstraint": region}}


def owned_bucket(name: str) -> str:
    """A bucket of the twin's own, created at its first use; its name."""
    s3 = client("s3")
    try:
        s3.create_bucket(Bucket=name, **bucket_location())
    except s3.exceptions.BucketAlreadyOwnedByYou:
        return name
    return name


_one_at_a_time = threading.Lock()


@functools.cache
def client(service: str, access_key: str = ACCESS_KEY, secret_key: str = SECRET_KEY, token: str | None = None) -> Any:
    """A boto3 client on the running twin; cached, as building one takes 0.1 to 0.5 s.

    Without keys it is the operator's, who may do everything; with those of a session it may do what the role may.
    """
    context = current()
    with _one_at_a_time:  # boto3's sessions are not thread-safe; its clients are
        return boto3.client(
            service,  # type: ignore[call-overload]  # any service by name
            region_name=context.region,
            endpoint_url=context.endpoint,
            aws_access_key_id=access_key,
            aws_secret_access_key=secret_key,
            aws_session_token=token,
        )
