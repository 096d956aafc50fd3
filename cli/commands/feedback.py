"""`usher feedback`: send one event or a file of events to POST /feedback and print what was counted."""

from __future__ import annotations

import hashlib
import json
import random
import re
import time
import uuid
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any

import typer

from cli import api_client
from cli.errors import CommandError, one_line
from cli.formatting.terminal import print_json, printable, remark, say
from cli.target import Target, TargetCommand, chosen
from usher.schema.interactions import KINDS, RATING_SCALE

app = typer.Typer()

#: The most refused lines of a file that are printed.
SHOWN_MAX = 10
#: The most entries of one request, and its most bytes (below the API's limit of 262,144).
BATCH_MAX = 100
BATCH_BYTES = 200_000
LINE_MAX_BYTES = 65_536
#: Attempts per request while the API is overloaded, and the longest pause between two.
TRIES = 8
PAUSE_MAX_SECONDS = 20.0
_RETRIED = {429, 502, 503, 504}
#: The API names an entry by its place in the batch, `[3].value is missing`; the summary names its line.
_IN_LIST = re.compile(r"^\[\d+\][.:]? *")

Entry = Mapping[str, Any]
Sleep = Callable[[float], object]


@app.command(cls=TargetCommand)
def feedback(  # noqa: PLR0913 - the options of a command
    ctx: typer.Context,
    user: Annotated[str, typer.Argument(metavar="[USER]", help="User id.")] = "",
    item: Annotated[str, typer.Argument(metavar="[ITEM]", help="Item id.")] = "",
    *,
    rating: Annotated[float | None, typer.Option(help=f"The user's rating, {RATING_SCALE}.")] = None,
    click: Annotated[bool, typer.Option("--click", help="The user clicked the item.")] = False,
    purchase: Annotated[bool, typer.Option("--purchase", help="The user bought the item.")] = False,
    view: Annotated[bool, typer.Option("--view", help="The user viewed the item.")] = False,
    value: Annotated[float | None, typer.Option(help="Value of a click, purchase or view, such as a price.")] = None,
    recommendation: Annotated[str, typer.Option(help="The recommendation_id that led to it.")] = "",
    at: Annotated[str, typer.Option(help="Time, epoch seconds or ISO 8601 (default: now).")] = "",
    event_id: Annotated[str, typer.Option(help="Event id, which makes a retry idempotent (default: a new one).")] = "",
    file: Annotated[
        Path | None,
        typer.Option(help="Send a file of JSON lines in the format of POST /feedback.", dir_okay=False),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the API's response as JSON.")] = False,
) -> None:
    """Send feedback: it counts in the user's next recommendations and in the open experiment."""
    kinds = dict(zip(KINDS, (rating is not None, purchase, click, view), strict=True))
    if file is not None:
        if user or any(kinds.values()):
            raise CommandError("--file contains users and events: give it without USER and event options")
        _show_file(send_file(chosen(ctx), file), as_json=as_json)
        return
    entry = _entry(user, item, [kind for kind, given in kinds.items() if given])
    more = {"value": value if rating is None else rating, "at": at or None, "recommendation_id": recommendation or None}
    if rating is not None and value is not None:
        raise CommandError("--value belongs to a click, purchase or view: give --rating alone")
    entry |= {"event_id": event_id or uuid.uuid4().hex, **{k: v for k, v in more.items() if v is not None}}
    result = send(chosen(ctx), entry)
    if as_json:
        print_json(result)
    else:
        say(_result_line(result))


def _entry(user: str, item: str, kinds: list[str]) -> dict[str, Any]:
    if not user or not item:
        raise CommandError("give a USER and an ITEM, or a --file of JSON lines")
    if len(kinds) != 1:
        raise CommandError("give exactly one of --rating N, --click, --purchase and --view")
    return {"user_id": user, "item_id": item, "type": kinds[0]}


def _result_line(result: Any) -> str:
    counted = "counted in the experiment" if result["counted"] else f"not counted: {result['reason']}"
    return printable(f"Stored as {result['event_id']}; {counted}")


def _show_file(summary: Any, *, as_json: bool) -> None:
    if as_json:
        print_json(summary.as_record())
    else:
        for line, reason in summary.refused[:SHOWN_MAX]:
            remark(printable(f"line {line}: {reason}"))
        if len(summary.refused) > SHOWN_MAX:
            remark(f"… and {len(summary.refused) - SHOWN_MAX} more")
        say(f"{summary.accepted} stored, {summary.counted} of them counted in the experiment; {_refusals(summary)}")
        for reason, count in summary.uncounted.most_common(SHOWN_MAX):
            remark(printable(f"{count} not counted: {reason}"))
    if summary.refused:
        raise typer.Exit(1)


def _refusals(summary: Any) -> str:
    return f"{len(summary.refused)} refused" if summary.refused else "none refused"


@dataclass(slots=True)
class Summary:
    """The results of a file. refused: (line, reason). uncounted: reason → number of events."""

    accepted: int = 0
    counted: int = 0
    refused: list[tuple[int, str]] = field(default_factory=list)
    uncounted: Counter[str] = field(default_factory=Counter)

    def add(self, line: int, result: Mapping[str, Any]) -> None:
        if not result["accepted"]:
            self.refused.append((line, _IN_LIST.sub("", str(result["reason"]))))
            return
        self.accepted += 1
        if result["counted"]:
            self.counted += 1
        else:
            self.uncounted[str(result["reason"])] += 1

    def as_record(self) -> dict[str, Any]:
        """The summary for --json."""
        refused = [{"line": line, "reason": reason} for line, reason in self.refused]
        totals = {"accepted": self.accepted, "counted": self.counted, "refused": refused}
        return {**totals, "uncounted": dict(self.uncounted)}


def send(target: Target, entry: Entry, sleep: Sleep = time.sleep) -> Mapping[str, Any]:
    """Send one event and return the API's result; CommandError when it is refused or not stored."""
    response = _request(target, entry, sleep)
    if response.status != 202:
        raise api_client.refused(response)
    return response.body


def send_file(target: Target, path: Path, sleep: Sleep = time.sleep) -> Summary:
    """Send a file's events in batches. An event without event_id gets one derived from its line, so a retry is safe."""
    summary = Summary()
    for batch in _batches(_entries(path, summary)):
        response = _request(target, [entry for _, entry in batch], sleep)
        results = response.body.get("results")
        if not isinstance(results, list) or len(results) != len(batch):
            after = f"; {summary.accepted} events before it are stored: send the file again, they do not count twice"
            raise CommandError(f"{path}: line {batch[0][0]}: {api_client.refused(response)}{after}")
        for (line, _), result in zip(batch, results, strict=True):
            summary.add(line, result)
    summary.refused.sort()
    return summary


def _request(target: Target, body: Entry | Sequence[Entry], sleep: Sleep) -> api_client.Response:
    """The response after at most TRIES attempts."""
    data = json.dumps(body).encode()
    for attempt in range(TRIES):
        response = api_client.exchange(target, "POST", "/feedback", data)
        if response.status not in _RETRIED or attempt == TRIES - 1:
            break
        pause = min(PAUSE_MAX_SECONDS, max(response.retry_seconds or 0.0, 0.2 * 2**attempt))
        remark(f"Not stored yet ({response.status}): retrying in about {pause:.0f} s")
        sleep(pause * random.uniform(0.75, 1.25))  # noqa: S311 - jitter
    return response


def _entries(path: Path, summary: Summary) -> Iterator[tuple[int, dict[str, Any]]]:
    """(line, entry) of a file; a line that is not a JSON object is refused."""
    with path.open("rb") as file:
        number = 0
        while line := file.readline(LINE_MAX_BYTES + 1):
            number += 1
            if len(line) > LINE_MAX_BYTES:
                summary.refused.append((number, f"has more than {LINE_MAX_BYTES} bytes"))
                while line and not line.endswith(b"\n"):
                    line = file.readline(LINE_MAX_BYTES)
            elif line.strip():
                entry = _read(line, number, summary)
                if entry is not None:
                    named = hashlib.sha256(b"%d:%s" % (number, line.strip())).hexdigest()[:32]
                    yield number, {"event_id": named, **entry}


def _read(line: bytes, number: int, summary: Summary) -> dict[str, Any] | None:
    try:
        entry = json.loads(line.decode("utf-8"))
    except (ValueError, RecursionError) as error:
        summary.refused.append((number, f"is not JSON ({one_line(str(error), 100)})"))
        return None
    if not isinstance(entry, dict):
        summary.refused.append((number, "is not a JSON object"))
        return None
    return entry


def _batches(entries: Iterator[tuple[int, dict[str, Any]]]) -> Iterator[list[tuple[int, dict[str, Any]]]]:
    batch: list[tuple[int, dict[str, Any]]] = []
    size = 0
    for line, entry in entries:
        weight = len(json.dumps(entry)) + 2
        if batch and (len(batch) == BATCH_MAX or size + weight > BATCH_BYTES):
            yield batch
            batch, size = [], 0
        batch.append((line, entry))
        size += weight
    if batch:
        yield batch
