"""What the policies were used for: which statement, action and resource allowed each call, and what was denied.

With USHER_PERMISSIONS_RECORD, a folder, each process writes its record there when its twin ends.
"""

from __future__ import annotations

import json
import os
import threading
import uuid
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from twin.iam.request import Check, Principal

if TYPE_CHECKING:
    from twin.iam.evaluation import Decision

FOLDER = "USHER_PERMISSIONS_RECORD"


@dataclass(frozen=True, slots=True, order=True)
class Use:
    """One way in which a statement of a role was used.

    role, policy, sid: of the statement. action: as the statement writes it. resource: its place among the statement's
    resources, from 0. call: the action asked for.
    """

    role: str
    policy: str
    sid: str
    action: str
    resource: int
    call: str


@dataclass(frozen=True, slots=True, order=True)
class Denial:
    """A call that no policy allowed, with AWS's message."""

    caller: str
    call: str
    resource: str
    message: str


class Record:
    """Thread-safe."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._uses: set[Use] = set()
        self._denials: list[Denial] = []

    def allowed(self, principal: Principal, check: Check, decision: Decision) -> None:
        """Note the statement that allowed `check`, if it is one of a role."""
        if not principal.role or decision.statement is None or decision.policy is None:
            return
        role = principal.role.rpartition("/")[2]
        texts = [resource.text for resource in decision.statement.resources]
        place = texts.index(decision.resource) if decision.resource in texts else 0
        use = Use(role, decision.policy.name, decision.statement.sid, decision.action, place, check.action)
        if use not in self._uses:
            with self._lock:
                self._uses.add(use)

    def denied(self, principal: Principal, check: Check, message: str) -> None:
        """Note a refusal."""
        with self._lock:
            self._denials.append(Denial(principal.arn, check.action, check.resource, message))

    def uses(self) -> list[Use]:
        """Every use so far, sorted."""
        with self._lock:
            return sorted(self._uses)

    def denials(self) -> list[Denial]:
        """Every refusal since the start or the last `take_denials`, oldest first."""
        with self._lock:
            return list(self._denials)

    def take_denials(self) -> list[Denial]:
        """The refusals, which are then forgotten: for tests that expect them."""
        with self._lock:
            taken, self._denials = self._denials, []
        return taken

    def save(self) -> None:
        """Write the record into the folder of USHER_PERMISSIONS_RECORD, if there is one, and start anew."""
        with self._lock:
            uses, self._uses = sorted(self._uses), set()
            denials, self._denials = self._denials, []
        folder = os.environ.get(FOLDER)
        if folder and (uses or denials):
            Path(folder).mkdir(parents=True, exist_ok=True)
            content = {"uses": [asdict(use) for use in uses], "denials": [asdict(each) for each in denials]}
            Path(folder, f"{uuid.uuid4().hex}.json").write_text(json.dumps(content))


RECORD = Record()
"""The record of the running twin of this process."""
