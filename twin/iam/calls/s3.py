"""Amazon S3: method, bucket or object, and the query's names tell the operation; only DeleteObjects' body is read.

https://docs.aws.amazon.com/AmazonS3/latest/userguide/using-with-s3-policy-actions.html (operation → permissions)
"""

from __future__ import annotations

import re
import xml.etree.ElementTree as ET
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from urllib.parse import parse_qs, parse_qsl, unquote

from twin.iam.calls.tables import PARTITION, UnknownCall
from twin.iam.calls.templates import MalformedCall
from twin.iam.request import Check, HttpCall

#: `<bucket>.s3.<region>.amazonaws.com`, `<bucket>.s3-…`, `<bucket>.localhost`.
_VIRTUAL_HOST = re.compile(r"(.+?)\.(?:s3(?:[.-][a-z0-9-]+)*\.amazonaws\.com|localhost)(?::\d+)?", re.IGNORECASE)

#: Header → condition key of writes, of the same name.
WRITE_KEYS = {
    f"x-amz-{name}": f"s3:x-amz-{name}"
    for name in ("acl", "server-side-encryption", "server-side-encryption-aws-kms-key-id", "storage-class")
} | {"if-none-match": "s3:if-none-match", "if-match": "s3:if-match"}
#: Query → condition key of listings.
LIST_KEYS = {"prefix": "s3:prefix", "delimiter": "s3:delimiter", "max-keys": "s3:max-keys"}
#: Headers of a write → the further action that they need.
WRITE_ACTIONS = {
    "x-amz-tagging": "s3:PutObjectTagging",
    "x-amz-acl": "s3:PutObjectAcl",
    "x-amz-grant-full-control": "s3:PutObjectAcl",
    "x-amz-grant-read": "s3:PutObjectAcl",
    "x-amz-grant-read-acp": "s3:PutObjectAcl",
    "x-amz-grant-write-acp": "s3:PutObjectAcl",
    "x-amz-object-lock-mode": "s3:PutObjectRetention",
    "x-amz-object-lock-legal-hold": "s3:PutObjectLegalHold",
}
CONTEXT_KEYS = (
    *WRITE_KEYS.values(),
    *LIST_KEYS.values(),
    "s3:x-amz-copy-source",
    "s3:x-amz-metadata-directive",
    "s3:RequestObjectTag/<key>",
    "s3:RequestObjectTagKeys",
    "s3:versionid",
)


@dataclass(frozen=True, slots=True)
class Operation:
    """One operation of S3.

    where:     `service`, `bucket` or `object`. names: the query's names that tell it from others, all of them.
    copies:    it has the header x-amz-copy-source. versioned: the action for a request with a versionId.
    """

    name: str
    method: str
    where: str
    names: frozenset[str]
    actions: tuple[str, ...]
    versioned: str = ""
    copies: bool = False


def _op(name: str, shape: str, *actions: str, versioned: str = "", copies: bool = False) -> Operation:
    """shape: `GET object?uploadId`."""
    method, _, place = shape.partition(" ")
    where, _, query = place.partition("?")
    return Operation(
        name,
        method,
        where,
        frozenset(query.split("&")) if query else frozenset(),
        tuple(f"s3:{action}" for action in actions or (name,)),
        f"s3:{versioned}" if versioned else "",
        copies,
    )


def _configuration(what: str, query: str, action: str = "", *, deletes: str = "") -> Iterator[Operation]:
    """GET and PUT of a part of a bucket's configuration, and DELETE, which most parts allow with the PUT's action."""
    yield _op(f"Get{what}", f"GET bucket?{query}", f"Get{action or what}")
    yield _op(f"Put{what}", f"PUT bucket?{query}", f"Put{action or what}")
    if deletes:
        yield _op(deletes, f"DELETE bucket?{query}", f"Put{action or what}")


OPERATIONS: Mapping[str, Operation] = {
    operation.name: operation
    for operation in (
        _op("ListBuckets", "GET service", "ListAllMyBuckets"),
        _op("CreateBucket", "PUT bucket"),
        _op("DeleteBucket", "DELETE bucket"),
        _op("HeadBucket", "HEAD bucket", "ListBucket"),
        _op("ListObjects", "GET bucket", "ListBucket"),
        _op("ListObjectsV2", "GET bucket?list-type", "ListBucket"),
        _op("ListObjectVersions", "GET bucket?versions", "ListBucketVersions"),
        _op("ListMultipartUploads", "GET bucket?uploads", "ListBucketMultipartUploads"),
        _op("GetBucketLocation", "GET bucket?location"),
        _op("GetBucketPolicy", "GET bucket?policy"),
        _op("PutBucketPolicy", "PUT bucket?policy"),
        _op("DeleteBucketPolicy", "DELETE bucket?policy"),
        _op("GetBucketAcl", "GET bucket?acl"),
        _op("PutBucketAcl", "PUT bucket?acl"),
        *_configuration("BucketVersioning", "versioning"),
        *_configuration("BucketNotificationConfiguration", "notification", "BucketNotification"),
        *_configuration(
            "BucketLifecycleConfiguration", "lifecycle", "LifecycleConfiguration", deletes="DeleteBucketLifecycle"
        ),
        *_configuration("BucketEncryption", "encryption", "EncryptionConfiguration", deletes="DeleteBucketEncryption"),
        *_configuration(
            "PublicAccessBlock", "publicAccessBlock", "BucketPublicAccessBlock", deletes="DeletePublicAccessBlock"
        ),
        *_configuration("BucketOwnershipControls", "ownershipControls", deletes="DeleteBucketOwnershipControls"),
        *_configuration("BucketTagging", "tagging", deletes="DeleteBucketTagging"),
        _op("DeleteObjects", "POST bucket?delete", "DeleteObject", versioned="DeleteObjectVersion"),
        _op("GetObject", "GET object", versioned="GetObjectVersion"),
        _op("HeadObject", "HEAD object", "GetObject", versioned="GetObjectVersion"),
        _op("PutObject", "PUT object"),
        _op("CopyObject", "PUT object", "PutObject", copies=True),
        _op("DeleteObject", "DELETE object", versioned="DeleteObjectVersion"),
        _op("CreateMultipartUpload", "POST object?uploads", "PutObject"),
        _op("UploadPart", "PUT object?partNumber&uploadId", "PutObject"),
        _op("UploadPartCopy", "PUT object?partNumber&uploadId", "PutObject", copies=True),
        _op("CompleteMultipartUpload", "POST object?uploadId", "PutObject"),
        _op("AbortMultipartUpload", "DELETE object?uploadId"),
        _op("ListParts", "GET object?uploadId", "ListMultipartUploadParts"),
        _op("GetObjectTagging", "GET object?tagging", versioned="GetObjectVersionTagging"),
        _op("PutObjectTagging", "PUT object?tagging", versioned="PutObjectVersionTagging"),
        _op("DeleteObjectTagging", "DELETE object?tagging", versioned="DeleteObjectVersionTagging"),
        _op("GetObjectAcl", "GET object?acl", versioned="GetObjectVersionAcl"),
        _op("PutObjectAcl", "PUT object?acl", versioned="PutObjectVersionAcl"),
        _op("GetObjectAttributes", "GET object?attributes", "GetObjectAttributes", "GetObject"),
    )
}

#: All names in the query that tell operations apart, also of those that the table lacks: such a call must not pass as a
#: plain GetObject. From botocore's model, which tests/unit/twin/iam/calls/test_s3.py compares.
SUBRESOURCES = frozenset(
    """
    abac accelerate acl analytics annotation attributes cors delete encryption intelligent-tiering inventory
    legal-hold lifecycle list-type location logging metadataAnnotationTable metadataConfiguration
    metadataInventoryTable metadataJournalTable metadataTable metrics notification object-lock ownershipControls
    partNumber policy policyStatus publicAccessBlock renameObject replication requestPayment restore retention
    select select-type session tagging torrent uploadId uploads versioning versions website
    """.split()  # noqa: SIM905 - one a line would be a page
)
_BY_SHAPE = {(o.method, o.where, o.names, o.copies): o for o in OPERATIONS.values()}


@dataclass(frozen=True, slots=True)
class Target:
    """What a request is about. bucket, key: decoded, empty where there is none. query: name → value."""

    bucket: str
    key: str
    query: Mapping[str, str]

    @classmethod
    def of(cls, call: HttpCall) -> Target:
        """Path style (`/bucket/key`) and virtual-host style (`bucket.s3.<region>.amazonaws.com/key`)."""
        host, path = call.headers.get("host", ""), call.path.removeprefix("/")
        if match := _VIRTUAL_HOST.fullmatch(host):
            bucket, key = match[1], path
        else:
            bucket, _, key = path.partition("/")
        query = dict(parse_qsl(call.query, keep_blank_values=True)) if call.query else {}
        return cls(unquote(bucket), unquote(key), query)

    @property
    def where(self) -> str:
        return "object" if self.key else "bucket" if self.bucket else "service"

    @property
    def arn(self) -> str:
        return f"arn:{PARTITION}:s3:::{self.bucket}/{self.key}" if self.key else f"arn:{PARTITION}:s3:::{self.bucket}"


def operation_of(call: HttpCall) -> str:
    """`GetObject`; UnknownCall for an operation that the table lacks."""
    return _find(call, Target.of(call)).name


def _find(call: HttpCall, target: Target) -> Operation:
    names = SUBRESOURCES & target.query.keys()
    if call.method in {"GET", "HEAD"} and "uploadId" not in names:
        names -= {"partNumber"}  # a part of an object is read as an object is
    found = _BY_SHAPE.get((call.method, target.where, frozenset(names), "x-amz-copy-source" in call.headers))
    if found is None:
        which = f"?{'&'.join(sorted(names))}" if names else ""
        raise UnknownCall(
            f"the twin does not know which permissions {call.method} on an S3 {target.where}{which} needs:"
            " add the operation to twin/iam/calls/s3.py"
        )
    return found


def checks_of(call: HttpCall) -> list[Check]:
    """What S3 checks."""
    target = Target.of(call)
    operation = _find(call, target)
    if operation.name == "DeleteObjects":
        return list(_deletes(call, target))
    if operation.where == "service":
        return [Check(operation.actions[0], "*")]
    if operation.where == "bucket":
        listing = operation.name.startswith("ListObject")
        return [Check(operation.actions[0], target.arn, _pick(target.query, LIST_KEYS) if listing else {})]
    return list(_on_object(call, target, operation))


def _on_object(call: HttpCall, target: Target, operation: Operation) -> Iterator[Check]:
    context: dict[str, tuple[str, ...]] = {}
    if "s3:PutObject" in operation.actions:
        context = _write_context(call.headers)
    elif operation.name == "DeleteObject":
        context = _pick(call.headers, {"if-match": "s3:if-match"})
    actions = operation.actions
    if operation.versioned and (version := target.query.get("versionId")):
        actions, context = (operation.versioned,), {"s3:versionid": (version,)}
    if operation.copies:
        yield _source(call.headers["x-amz-copy-source"])
    for action in actions:
        yield Check(action, target.arn, context)
    if operation.name in {"PutObject", "CopyObject", "CreateMultipartUpload"}:
        for action in dict.fromkeys(WRITE_ACTIONS[name] for name in WRITE_ACTIONS.keys() & call.headers.keys()):
            yield Check(action, target.arn, _tags(call.headers) if action == "s3:PutObjectTagging" else {})


def _source(header: str) -> Check:
    """The object that a copy reads, `bucket/key?versionId=…`, its name encoded."""
    place, _, query = header.partition("?versionId=")
    bucket, _, key = unquote(place).removeprefix("/").partition("/")
    if not bucket or not key or bucket.startswith("arn:"):
        raise MalformedCall(f"the header x-amz-copy-source is {header[:80]!r}: it must be bucket/key")
    arn = f"arn:{PARTITION}:s3:::{bucket}/{key}"
    return Check("s3:GetObjectVersion", arn, {"s3:versionid": (query,)}) if query else Check("s3:GetObject", arn)


def _deletes(call: HttpCall, target: Target) -> Iterator[Check]:
    """One check for each object that DeleteObjects names."""
    try:
        root = ET.fromstring(call.body)  # noqa: S314 - a client of this twin; expat bounds the expansion of entities
    except ET.ParseError as error:
        raise MalformedCall(f"the body of DeleteObjects is not XML: {error}") from error
    entries = [child for child in root if child.tag.rpartition("}")[2] == "Object"]
    if not entries:
        raise MalformedCall("DeleteObjects names no object")
    for entry in entries:
        texts = {child.tag.rpartition("}")[2]: child.text or "" for child in entry}
        arn = f"{target.arn}/{texts.get('Key', '')}"
        if version := texts.get("VersionId"):
            yield Check("s3:DeleteObjectVersion", arn, {"s3:versionid": (version,)})
        else:
            yield Check("s3:DeleteObject", arn)


def _pick(source: Mapping[str, str], keys: Mapping[str, str]) -> dict[str, tuple[str, ...]]:
    return {keys[name].lower(): (source[name],) for name in keys.keys() & source.keys()}


def _write_context(headers: Mapping[str, str]) -> dict[str, tuple[str, ...]]:
    context = _pick(headers, WRITE_KEYS)
    if source := headers.get("x-amz-copy-source"):
        context["s3:x-amz-copy-source"] = (unquote(source),)
        if directive := headers.get("x-amz-metadata-directive"):
            context["s3:x-amz-metadata-directive"] = (directive,)
    return context | _tags(headers)


def _tags(headers: Mapping[str, str]) -> dict[str, tuple[str, ...]]:
    tags = dict(parse_qsl(headers.get("x-amz-tagging", ""), keep_blank_values=True))
    if not tags:
        return {}
    context: dict[str, tuple[str, ...]] = {f"s3:requestobjecttag/{k.lower()}": (v,) for k, v in tags.items()}
    return context | {"s3:requestobjecttagkeys": tuple(tags)}


def needs_body(call: HttpCall) -> bool:
    """Whether the checks depend on the body: for DeleteObjects alone."""
    return call.method == "POST" and "delete" in parse_qs(call.query, keep_blank_values=True)
