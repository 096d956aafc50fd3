"""Which slot a person is served by, and which may stand in for it."""

from __future__ import annotations

from usher.router import SLOTS, Router, Slot
from usher.shift.assignment import assign

_CHAMPION, _CHALLENGER = "champion", "challenger"


def slot_for(router: Router, user_hash: str) -> Slot:
    """The champion's slot; while an experiment is open, the slot of the role that the person's hash gives.

    Who names nobody (an empty hash) is in no experiment.
    """
    if not router.experiment_is_open or not user_hash:
        return router.champion
    weights = {_CHAMPION: router.weights[router.champion], _CHALLENGER: router.weights[router.idle]}
    role = assign(router.experiment_id, user_hash, weights)
    return router.champion if role == _CHAMPION else router.idle


def in_order(router: Router, first: Slot) -> tuple[Slot, ...]:
    """`first`, then the other slot where it may serve: it has traffic, or it holds the very same model.

    A slot at weight 0 may hold what was just rolled back: popularity is better than that.
    """
    other = SLOTS[1] if first == SLOTS[0] else SLOTS[0]
    same = router.models[other] == router.models[first]
    return (first, other) if router.weights[other] > 0 or same else (first,)
