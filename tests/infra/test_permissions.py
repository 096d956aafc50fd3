"""Least privilege, both ways: every permission is used by a recorded call or has a reason, and the page says so."""

from __future__ import annotations

from typing import TYPE_CHECKING

from twin.iam import permissions, unused

if TYPE_CHECKING:
    from tests.infra.conftest import Built


def test_every_permission_is_used_or_has_a_reason(built: Built) -> None:
    needless = [one for one in _unused(built) if not unused.reason(one.role, one.sid, one.action)]
    assert not needless, "remove it from template.yaml, or run `make permissions` if a test uses it"


def test_no_reason_is_given_for_what_is_used_or_gone(built: Built) -> None:
    left = _unused(built)
    assert set(unused.ROLES) <= {one.role for one in left}
    assert set(unused.ACTIONS) <= {one.action for one in left}
    assert set(unused.STATEMENTS) <= {(one.role, one.sid, one.action) for one in left}


def test_no_recorded_use_is_of_a_permission_that_is_gone(built: Built) -> None:
    assert set(permissions.recorded()) <= set(permissions.grants(built.template))


def test_every_statement_of_a_role_has_an_identifier_of_its_own(built: Built) -> None:
    named = [(role, statement["Sid"]) for role, statement in permissions.statements(built.template)]
    assert len(set(named)) == len(named)


def test_the_page_is_current(built: Built) -> None:
    assert permissions.PAGE.read_text() == permissions.page(built.template), "run make permissions"


def _unused(built: Built) -> list[permissions.Grant]:
    used = permissions.recorded()
    return [grant for grant in permissions.grants(built.template) if grant not in used]
