"""The decision: evidence in, weights and a verdict out, as pure functions of numpy arrays (no clock, no I/O, no luck).

Every function works on many experiments at once (the leading axis of each array), so that the simulation that proves
the figures of docs/shifting.md runs the very code that decides in production, where that axis has length one.

Roles, never variants: the role axis has length two, 0 is the champion and 1 is the challenger.

    errors        what is refused, and whose fault it is
    presets       durations, error rates and limits, as data
    strata        what was counted: read, checked, and set apart with a reason when it cannot be true
    grid          the log odds ratios that evidence is kept for, and the priors over them
    evidence      conversions: exact conditional likelihood, e-values, confidence sequence of the lift
    boundary      the looks: calendar spending and the bound that keeps their error rate
    labels        bounded rewards: a design-based e-process
    paired        rating error: both models on the same event
    changes       a fault may begin late: how much evidence starts when
    sample_ratio  do the enrolments follow the weights?
    guardrails    errors, slow and empty answers, each minute
    weights       stages, cap, knee and floor of the challenger's share
    state         all that an experiment has to remember
    codec         the state as one item of the state table
    reasons       a decision in words
    rules         the decisions in their order, for many experiments
    decisions     one experiment: a minute's check, an epoch's close, and the reason in words
    assignment    which role a user is served
"""
