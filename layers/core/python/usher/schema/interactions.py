"""Interactions: the rating scale, the kinds of interaction, and what each one counts as. Every package imports this.

A kind is `rating` or one of the event types. The same rule decides what a ranker learns from as a positive example and
what counts as an outcome of an experiment: a rating of 4 or more, a purchase or a click. A view is neither.
"""

from __future__ import annotations

#: Ratings are stars from 0.5 to 5, both included.
RATING_MIN, RATING_MAX = 0.5, 5.0
RATING_SCALE = f"{RATING_MIN:g} to {RATING_MAX:g}"
#: From this rating on the user liked the item.
POSITIVE_RATING = 4.0
#: The rating that an item counts as in a profile when the user bought it, or sent it in a session without a rating.
LIKED_RATING = POSITIVE_RATING

#: The kinds in order of strength: of several interactions of one user with one item the strongest counts. A rating
#: outweighs an event: a bad rating of a purchased item is a bad rating. A kind's code is its index.
KINDS = ("rating", "purchase", "click", "view")
RATING, PURCHASE, CLICK, VIEW = range(4)
EVENT_TYPES = KINDS[1:]
POSITIVE_EVENT_TYPES = (KINDS[PURCHASE], KINDS[CLICK])
#: The type of an event that was sent without one (Amazon Personalize makes EVENT_TYPE optional): the weakest.
DEFAULT_EVENT_TYPE = KINDS[VIEW]

#: Rating → weight of the interaction in a profile, linear between the points; a dislike counts against similar items
#: (docs/models.md, Ranking).
WEIGHT_RATINGS = (RATING_MIN, 1.0, 2.0, 3.0, 3.5, POSITIVE_RATING, RATING_MAX)
RATING_WEIGHTS = (-0.2, -0.2, -0.2, 0.1, 0.3, 1.0, 1.2)
#: Weight of an event by its kind's code (ratings have their own); no event counts against an item. Chosen on MovieLens
#: read as events and on generated users (docs/models.md, Events).
EVENT_WEIGHTS = (0.0, 1.2, 0.6, 0.1)

#: The reward of an outcome in an experiment, 0 to 1.
OUTCOME_REWARD = 1.0


def on_scale(rating: float) -> bool:
    """Whether a number is a rating; False for NaN."""
    return RATING_MIN <= rating <= RATING_MAX


def is_positive(kind: str, rating: float | None = None) -> bool:
    """Whether the interaction shows that the user liked the item, and so counts as an outcome. rating: of a rating."""
    if kind == KINDS[RATING]:
        return rating is not None and rating >= POSITIVE_RATING
    return kind in POSITIVE_EVENT_TYPES


def profile_rating(kind: str, rating: float | None = None) -> float | None:
    """The rating that the interaction adds to the user's profile; None for clicks and views, which add nothing."""
    return {KINDS[RATING]: rating, KINDS[PURCHASE]: LIKED_RATING}.get(kind)
