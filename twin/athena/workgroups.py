"""What moto's Athena lacks for a stack: UpdateWorkGroup and DeleteNamedQuery."""

from __future__ import annotations

import json
from typing import Any

Answer = str | tuple[str, dict[str, int]]

_RESULTS = "ResultConfigurationUpdates"


def update_work_group(self: Any) -> Answer:
    """Change a workgroup's description, state and configuration."""
    name = self._get_param("WorkGroup")
    if name not in self.athena_backend.work_groups:
        refusal: Answer = self.error(f"WorkGroup {name} is not found.", 400)
        return refusal
    group = self.athena_backend.work_groups[name]
    asked = json.loads(self.body)
    group.description = asked.get("Description", group.description)
    group.state = asked.get("State", group.state)
    updates = dict(asked.get("ConfigurationUpdates", {}))
    if _RESULTS in updates:
        results = {**group.configuration.get("ResultConfiguration", {}), **updates.pop(_RESULTS)}
        group.configuration["ResultConfiguration"] = results
    group.configuration.update(updates)
    return "{}"


def delete_named_query(self: Any) -> Answer:
    """Remove a named query."""
    identity = self._get_param("NamedQueryId")
    if self.athena_backend.named_queries.pop(identity, None) is None:
        refusal: Answer = self.error(f"NamedQuery {identity} was not found", 400)
        return refusal
    return "{}"
