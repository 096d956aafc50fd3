"""Permissions that no call on the twin uses, and why a real account needs them."""

from __future__ import annotations

#: (role, statement, action) → the reason.
UNUSED: dict[tuple[str, str, str], str] = {}
