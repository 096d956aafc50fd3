"""People use what serves: a while before new data come, and all the time while an experiment is open."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager

from cli.formatting.console import say
from cli.target import Target
from demo.simulated_users.crowd import Crowd
from demo.simulated_users.tally import Tally
from demo.simulated_users.taste import Taste
from demo.simulated_users.visits import Visitors

#: Visits a second that two cores hold beside everything else, and how many people are inside at once: each takes a
#: process of a function, which costs a CPU second to start.
VISITS_PER_SECOND = 12.0
AT_ONCE = 4
#: How long people use the first model before new data come.
FEEDBACK_SECONDS = 8.0


def a_session(taste: Taste, known_rows: int, seed: int) -> list[tuple[str, float]]:
    """What somebody new rates first: item ids and stars."""
    arrivals = Crowd(taste, known_rows, seed, occasion="session").arrivals()
    person = next(person for person in arrivals if person.first_ratings)
    return [(action.item_id, action.value or 0.0) for action in person.first_ratings]


def who(taste: Taste, hidden: int) -> str:
    """Where the people's tastes come from, and how good they are, in a sentence."""
    quality = taste.calibration
    return (
        f"Their tastes are fitted outside Usher on all {len(taste.history):,} ratings, also on the last {hidden:,}, "
        f"which Usher is never given: AUC {quality.auc:.2f} on unseen likes, popularity {quality.popularity_auc:.2f}. "
        "They look down a list as position-based click models say, and do not know who made it."
    )


def give_feedback(target: Target, taste: Taste, known_rows: int, seed: int) -> Tally:
    """People come for some seconds; what they rate and click goes to the state table and to the lake."""
    crowd = Crowd(taste, known_rows, seed, occasion="early")
    with Visitors(target, crowd.arrivals(), VISITS_PER_SECOND, AT_ONCE).coming() as tally:
        time.sleep(FEEDBACK_SECONDS)
    tell(tally, FEEDBACK_SECONDS)
    return tally


@contextmanager
def coming(target: Target, taste: Taste, known_rows: int, seed: int) -> Iterator[Tally]:
    """People come while the block runs."""
    crowd = Crowd(taste, known_rows, seed, occasion="later")
    with Visitors(target, crowd.arrivals(), VISITS_PER_SECOND, AT_ONCE).coming() as tally:
        yield tally


def tell(tally: Tally, seconds: float) -> None:
    """What they saw and did, from outside."""
    did = ", ".join(f"{count:,} {kind}s" for kind, count in sorted(tally.actions.items()))
    say(
        f"{tally.visits:,} visits in {seconds:.0f} s, {tally.newcomers:,} by new people; "
        f"{did or 'nobody did anything'}; {tally.requests:,} requests, {tally.server_errors} server errors; "
        f"recommendations {1000 * tally.percentile(0.5):.0f} ms (p50), {1000 * tally.percentile(0.95):.0f} ms (p95)"
    )
    for variant in sorted({variant for variant, _ in tally.variants}):
        clicked, none = tally.variants[variant, True], tally.variants[variant, False]
        say(f"  variant {variant or 'none'}: {clicked + none:,} lists, clicked in {clicked / (clicked + none):.0%}")
    if tally.late:
        say(f"  {tally.late} times this machine was over a second late for them: fewer came than would have")
    for words, count in tally.refusals.most_common(5):
        say(f"  {count} times {words}")
