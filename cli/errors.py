"""The errors of commands as one line: what failed, where, and what to do."""

from __future__ import annotations

from typing import Any


class CommandError(Exception):
    """Ends a command with this line on stderr and exit code 1."""


#: botocore's exceptions by class name (importing botocore would cost `usher --help` 0.3 s) → the message.
_SENTENCES = {
    "NoCredentialsError": "no AWS credentials found: log in, or name a profile with --profile",
    "PartialCredentialsError": "the AWS credentials are incomplete ({error}): check the profile and AWS_*",
    "CredentialRetrievalError": "the AWS credentials could not be read ({error}): log in again",
    "SSOTokenLoadError": "the SSO session is missing: run `aws sso login`",
    "UnauthorizedSSOTokenError": "the SSO session has expired: run `aws sso login`",
    "TokenRetrievalError": "the SSO session has expired: run `aws sso login`",
    "ProfileNotFound": "{error}: `aws configure list-profiles` lists the profiles",
    "NoRegionError": "no AWS region is set: give --region or set AWS_REGION",
    "EndpointConnectionError": "{error}: check that the twin runs (`usher twin status`) and the network",
    "ConnectTimeoutError": "{error}: check the network",
    "ReadTimeoutError": "{error}: try again",
    "ConnectionClosedError": "{error}: check that the twin runs (`usher twin status`)",
    "ProxyConnectionError": "{error}: check HTTPS_PROXY",
    "SSLError": "{error}: check the certificate and AWS_CA_BUNDLE",
}

_EXPIRED = {"ExpiredToken", "ExpiredTokenException", "RequestExpired", "TokenRefreshRequired"}
_INVALID = {"InvalidClientTokenId", "UnrecognizedClientException", "InvalidAccessKeyId", "SignatureDoesNotMatch"}
_DENIED = {"AccessDenied", "AccessDeniedException", "UnauthorizedOperation", "AuthorizationError"}


def explain(error: BaseException) -> str | None:
    """One line for an expected error; None for a defect, which needs a traceback."""
    if isinstance(error, CommandError):
        return one_line(str(error))
    response: Any = getattr(error, "response", None)
    if isinstance(response, dict) and "Error" in response:
        return one_line(_explain_client_error(response["Error"], getattr(error, "operation_name", "a call")))
    for cls in type(error).__mro__:
        if cls.__name__ in _SENTENCES and cls.__module__.startswith("botocore"):
            return one_line(_SENTENCES[cls.__name__].format(error=error))
    if isinstance(error, OSError) and error.filename is not None:
        return one_line(f"{error.filename}: {error.strerror}")
    return None


def _explain_client_error(error: dict[str, Any], operation: str) -> str:
    code, message = str(error.get("Code", "")), str(error.get("Message", "")).strip()
    if code in _EXPIRED:
        return "the AWS credentials have expired: log in again (`aws sso login`), then repeat the command"
    if code in _INVALID:
        return f"AWS rejected the credentials ({code}): check --profile and the AWS_* variables"
    if code in _DENIED:
        return f"access denied to {operation}: {message or 'AWS gave no reason'}"
    return f"{operation} failed: {message or 'AWS gave no reason'} ({code})"


def one_line(text: str, limit: int = 500) -> str:
    """`text` without line ends, at most `limit` characters."""
    flat = " ".join(text.split())
    return flat if len(flat) <= limit else f"{flat[: limit - 1]}…"
