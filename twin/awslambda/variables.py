"""The environment variables of a function's process: Lambda's and the function's own, nothing of the twin's."""

from __future__ import annotations

import os
from pathlib import Path

from twin.awslambda.installation import Installation
from twin.awslambda.revision import Revision
from twin.context import Context


def variables(  # noqa: PLR0913 - what a process is told comes from many places
    revision: Revision, installation: Installation, context: Context, *, scratch: Path, log_stream: str, api: str
) -> dict[str, str]:
    """scratch: the environment's own temporary folder. api: host and port of its Runtime API."""
    own = dict(revision.variables)
    return {
        **_defaults(installation, context, scratch),
        **own,
        **_reserved(revision, installation, log_stream=log_stream, api=api),
        "PYTHONPATH": os.pathsep.join([*map(str, installation.path), *filter(None, [own.get("PYTHONPATH")])]),
    }


def _defaults(installation: Installation, context: Context, scratch: Path) -> dict[str, str]:
    """What a function may override, as on Lambda; the endpoint is the twin's addition."""
    host = {name: os.environ[name] for name in ("LD_LIBRARY_PATH",) if name in os.environ}  # this Python may need it
    return {
        "PATH": os.pathsep.join([f"{installation.opt}/bin", "/usr/local/bin", "/usr/bin", "/bin"]),
        "LANG": "en_US.UTF-8",
        "TZ": ":UTC",
        "HOME": str(scratch),
        "TMPDIR": str(scratch),
        **host,
        **context.environment(),
    }


def _reserved(revision: Revision, installation: Installation, *, log_stream: str, api: str) -> dict[str, str]:
    """What a function's configuration cannot set."""
    return {
        "AWS_LAMBDA_RUNTIME_API": api,
        "AWS_REGION": revision.region,
        "AWS_DEFAULT_REGION": revision.region,
        "AWS_SESSION_TOKEN": "usher-twin",
        "AWS_EXECUTION_ENV": f"AWS_Lambda_{revision.runtime}",
        "AWS_LAMBDA_FUNCTION_NAME": revision.name,
        "AWS_LAMBDA_FUNCTION_VERSION": revision.version,
        "AWS_LAMBDA_FUNCTION_MEMORY_SIZE": str(revision.memory_mb),
        "AWS_LAMBDA_LOG_GROUP_NAME": revision.log_group,
        "AWS_LAMBDA_LOG_STREAM_NAME": log_stream,
        "AWS_LAMBDA_LOG_FORMAT": revision.log_format,
        "AWS_LAMBDA_INITIALIZATION_TYPE": "on-demand",
        "LAMBDA_TASK_ROOT": str(installation.code),
        "LAMBDA_RUNTIME_DIR": str(installation.path[-1]),
        "_HANDLER": revision.handler,
    }
