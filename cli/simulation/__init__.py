"""Worlds to try the decision in, and the loop that runs usher.shift in them: behind `usher simulate` and its tests."""
