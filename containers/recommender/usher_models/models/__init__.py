"""The code of the algorithms that `usher.algorithms` defines, and the baselines in every bundle."""
