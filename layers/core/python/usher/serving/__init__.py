"""Recommend: a request of the HTTP API becomes an answer, by the best rung of the ladder that stands."""
