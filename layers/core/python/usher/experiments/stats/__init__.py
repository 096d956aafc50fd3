"""The statistics of experiments: evidence in, weights and a verdict out, as pure functions (numpy; no clock, no I/O).

Every function works on many experiments at once (the leading axis of each array), so that the simulation that measures
the figures of docs/shifting.md runs the code that decides in production, where that axis has length one.

Roles, never variants: the role axis has length two, 0 is the champion and 1 is the challenger.

    presets          durations, error rates and limits, as data; the grid of log odds ratios
    strata           counted strata: read, checked, and left out with a reason when they are inconsistent
    evidence         conversions: exact conditional likelihood, e-values, confidence sequence of the lift
    bounded_rewards  rewards between 0 and 1: a design-based e-process
    boundary         the looks: calendar spending, and the bound that keeps their error rate
    change_point     a fault may begin late: how much evidence starts when
    sample_ratio     whether the enrolments follow the weights
    guardrails       server errors, slow and empty responses, each minute
    state            what an experiment remembers
    codec            the state as one item of the state table
    rules            the rules in their order and the challenger's share, for many experiments
    reasons          the reason of a verdict as a sentence
    decisions        one experiment: a minute's check and an epoch's close
"""
