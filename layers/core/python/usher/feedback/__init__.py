"""Feedback: what people did is kept once, counts for them and in the experiment, and goes on to the lake."""
