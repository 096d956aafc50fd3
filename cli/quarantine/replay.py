"""Replay refused lines, corrected, as a new landing object; the quarantine file is kept and tagged."""

from __future__ import annotations

import csv
import datetime
import hashlib
import io
import json
import os
import shlex
import subprocess
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cli.errors import CommandError
from cli.quarantine.files import Original, QuarantineFile, Record
from cli.target import Target
from usher.schema.s3_paths import upload_key

#: Tags of a replayed quarantine file: the time and the new object.
REPLAYED_AT, REPLAYED_AS = "usher-replayed-at", "usher-replayed-as"
#: A replay is built in memory.
REPLAY_MAX_BYTES = 256 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class Mapping:
    """One correction: where `field` is exactly `old`, write `new`."""

    field: str
    old: str
    new: str

    @classmethod
    def read(cls, text: str) -> Mapping:
        """Read `FIELD:OLD=NEW`."""
        field, colon, rest = text.partition(":")
        old, equals, new = rest.partition("=")
        if not (field and colon and equals):
            raise CommandError(f"--map {text}: write FIELD:OLD=NEW")
        return cls(field.strip(), old, new)


@dataclass(frozen=True, slots=True)
class Replay:
    """The lines to send. left: the number of skipped lines, of which quarantine holds only the beginning."""

    original: Original
    header: bytes
    lines: tuple[bytes, ...]
    left: int

    def body(self) -> bytes:
        """The new object."""
        lines = (self.header, *self.lines) if self.original.kind == "csv" else self.lines
        return b"".join(line + b"\n" for line in lines)


def prepare(original: Original, records: Sequence[Record], header: str, *, first_is_row: bool) -> Replay:
    """Collect the lines that can be sent; CommandError when a header is missing or no line can be sent.

    header:       replaces the object's own (CSV).
    first_is_row: the object had no header: its first line is a row.
    """
    refused = original.kind == "csv" and any(record.line == 1 for record in records)
    if refused and not header:
        raise CommandError("the whole object was refused for its header: give the correct one with --header")
    lines = [record for record in records if record.whole and not (refused and record.line == 1 and not first_is_row)]
    left = sum(not record.whole for record in records)
    if not lines:
        raise CommandError(
            f"quarantine holds only the beginning of {left} lines: correct the file itself and upload it"
        )
    if sum(len(record.raw) for record in lines) > REPLAY_MAX_BYTES:
        raise CommandError(
            f"the refused lines have more than {REPLAY_MAX_BYTES:,} bytes: correct the file itself and upload it"
        )
    return Replay(original, header.encode() or original.header, tuple(record.raw for record in lines), left)


def apply(replay: Replay, mappings: Sequence[Mapping]) -> tuple[Replay, int]:
    """Correct the lines; returns the new replay and how many lines changed.

    A line that cannot be parsed is unchanged: correct it with --edit.
    """
    correct = _correct_csv if replay.original.kind == "csv" else _correct_json
    lines = tuple(correct(line, replay.header, mappings) for line in replay.lines)
    changed = sum(before != after for before, after in zip(replay.lines, lines, strict=True))
    return Replay(replay.original, replay.header, lines, replay.left), changed


def _correct_csv(line: bytes, header: bytes, mappings: Sequence[Mapping]) -> bytes:
    try:
        names = [name.strip() for name in next(csv.reader([header.decode()]))]
        cells = next(csv.reader([line.decode().rstrip("\r")], strict=True))
    except (UnicodeDecodeError, csv.Error, StopIteration):
        return line
    if len(cells) != len(names):
        return line
    changed = list(cells)
    for mapping in mappings:
        for position, name in enumerate(names):
            if name == mapping.field and changed[position] == mapping.old:
                changed[position] = mapping.new
    if changed == cells:
        return line
    text = io.StringIO()
    csv.writer(text, lineterminator="").writerow(changed)
    return text.getvalue().encode()


def _correct_json(line: bytes, _: bytes, mappings: Sequence[Mapping]) -> bytes:
    try:
        record = json.loads(line)
    except (ValueError, RecursionError):
        return line
    if not isinstance(record, dict):
        return line
    changed = dict(record)
    for mapping in mappings:
        if mapping.field in changed and _text(changed[mapping.field]) == mapping.old:
            changed[mapping.field] = mapping.new
    return line if changed == record else json.dumps(changed, ensure_ascii=False).encode()


def _text(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def edit(replay: Replay) -> Replay:
    """Open the lines in the user's editor; CommandError when it fails or no line is left."""
    command = shlex.split(os.environ.get("VISUAL") or os.environ.get("EDITOR") or "vi")
    with tempfile.TemporaryDirectory(prefix="usher-replay-") as folder:
        path = Path(folder) / f"lines.{replay.original.kind}"
        path.write_bytes(replay.body())
        try:
            code = subprocess.run([*command, str(path)], check=False).returncode
        except OSError as error:
            raise CommandError(f"the editor {command[0]} cannot be started ({error.strerror}): set EDITOR") from error
        if code != 0:
            raise CommandError(f"the editor {command[0]} ended with code {code}, nothing was sent: try again")
        lines = [line for line in path.read_bytes().split(b"\n") if line.strip()]
    header = lines.pop(0) if replay.original.kind == "csv" and lines else replay.header
    if not lines:
        raise CommandError("no line is left, nothing was sent: keep at least one line")
    return Replay(replay.original, header, tuple(lines), replay.left)


def refuse_twice(target: Target, file: QuarantineFile) -> None:
    """Raise CommandError when the file was replayed before."""
    tags = _tags(target, file)
    if REPLAYED_AT in tags:
        raise CommandError(
            f"{file.digest} was replayed at {tags[REPLAYED_AT]} as {tags.get(REPLAYED_AS, 'another object')}: "
            "its rows would count twice; replay it anyway with --force"
        )


def send(target: Target, file: QuarantineFile, replay: Replay, *, force: bool) -> str:
    """Write the new object, then tag the quarantine file; returns the new key.

    The key is derived from the content and written once, so that a retry after a crash between the two writes does not
    count the rows twice.
    """
    body = replay.body()
    now = datetime.datetime.now(datetime.UTC)
    mark = now.strftime("%Y%m%dT%H%M%SZ") if force else hashlib.sha256(body).hexdigest()[:8]
    key = upload_key(replay.original.dataset, f"replay-{file.digest}-{mark}.{replay.original.kind}")
    _put_once(target, key, body)
    tags = _tags(target, file) | {REPLAYED_AT: now.isoformat(timespec="seconds"), REPLAYED_AS: key}
    target.client("s3").put_object_tagging(
        Bucket=file.bucket, Key=file.key, Tagging={"TagSet": [{"Key": k, "Value": v} for k, v in tags.items()]}
    )
    return key


def _put_once(target: Target, key: str, body: bytes) -> None:
    from botocore.exceptions import ClientError  # noqa: PLC0415 - boto3 is loaded by now

    try:
        target.client("s3").put_object(Bucket=target.resources.landing_bucket, Key=key, Body=body, IfNoneMatch="*")
    except ClientError as error:
        if error.response["Error"]["Code"] not in ("PreconditionFailed", "412"):
            raise


def _tags(target: Target, file: QuarantineFile) -> dict[str, str]:
    answer = target.client("s3").get_object_tagging(Bucket=file.bucket, Key=file.key)
    return {tag["Key"]: tag["Value"] for tag in answer["TagSet"]}
