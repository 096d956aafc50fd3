"""The demo behind `usher demo`: simulated users, generated data, and a private twin on which the whole loop runs."""
